"""Knows which image a workspace gets: what it asks for, laid over what the catalog has and allows.

Refuses to know what the Engine or a registry has under a reference.
"""

from collections.abc import Mapping
from typing import cast

from controller.api import workspace
from controller.api.conditions import Reason
from controller.model.desired import AcceptedPolicy
from controller.model.effective import Refusal
from controller.planning.layers import Value


def choose(values: Mapping[str, Value], policy: AcceptedPolicy) -> str | Refusal:
    """Return the reference to give to the Engine, or why there is none."""
    given = values.get("image")
    if given is None:
        return Refusal(Reason.IMAGE_UNKNOWN, "neither the spec nor its class names an image")
    wanted = cast("workspace.ImageRef", given.value)
    alias = wanted.alias or wanted.name
    entry = policy.catalog.spec.find(alias) if alias else None
    if entry is not None:
        if entry.approved:
            return entry.pinned
        return Refusal(Reason.IMAGE_UNKNOWN, f'image "{alias}" is in the catalog but not approved')
    if wanted.alias is not None:
        known = ", ".join(sorted(policy.catalog.spec.images)) or "none"
        return Refusal(
            Reason.IMAGE_UNKNOWN, f'image alias "{wanted.alias}" is not in the catalog; it has: {known}'
        )
    if policy.policy.spec.require_catalog:
        return Refusal(
            Reason.IMAGE_UNKNOWN, f'the policy allows catalog images only, not "{alias or wanted.reference}"'
        )
    reference = wanted.reference or wanted.name
    assert reference is not None
    return reference
