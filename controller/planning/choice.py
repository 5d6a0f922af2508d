"""Knows which image a workspace gets: what it asks for, laid over what the catalog has and allows.

Refuses to know what the Engine or a registry has under a reference.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from controller.api import references, workspace
from controller.api.conditions import Reason
from controller.api.images import CatalogImage, ScanResult
from controller.model.desired import AcceptedPolicy
from controller.model.effective import Refusal
from controller.model.plan import Note
from controller.planning.layers import Layer
from controller.planning.origins import Value


@dataclass(frozen=True, slots=True)
class Chosen:
    """The image that a workspace gets.

    Attributes:
        reference: to give to the Engine.
        notes: what a person should know of it.
        layer: what its entry of the catalog says where nobody else does; weaker than the policy's defaults.
    """

    reference: str
    notes: tuple[Note, ...] = ()
    layer: Layer | None = None


def choose(values: Mapping[str, Value], policy: AcceptedPolicy) -> Chosen | Refusal:
    """Return the image of a workspace, or why it gets none."""
    given = values.get("image")
    if given is None:
        return Refusal(Reason.IMAGE_UNKNOWN, "neither the spec nor its class names an image")
    wanted = cast("workspace.ImageRef", given.value)
    alias = _alias_of(wanted, policy)
    if alias is not None:
        entry = policy.catalog.spec.images[alias]
        return _refusal(alias, entry, policy) or _entry(alias, entry, values, policy)
    if wanted.alias is not None:
        return Refusal(
            Reason.IMAGE_UNKNOWN, f'image alias "{wanted.alias}" is not in the catalog; {_usable(policy)}'
        )
    reference = wanted.reference or wanted.name
    assert reference is not None, "an image is named in one of three ways"
    if policy.policy.spec.require_catalog:
        message = f'the policy allows catalog images only, not "{reference}"; {_usable(policy)}'
        return Refusal(Reason.IMAGE_UNKNOWN, message)
    return Chosen(reference)


def references_of(policy: AcceptedPolicy) -> frozenset[str]:
    """Return what the Engine would be asked for by the whole catalog."""
    return frozenset(entry.pinned for entry in policy.catalog.spec.images.values())


def _alias_of(wanted: workspace.ImageRef, policy: AcceptedPolicy) -> str | None:
    """Find the entry that is asked for; a full reference that an entry has means that entry, too."""
    images = policy.catalog.spec.images
    for alias in (wanted.alias, wanted.name):
        if alias is not None and alias in images:
            return alias
    reference = wanted.reference or wanted.name
    if reference is None:
        return None
    named = [
        alias
        for alias, entry in images.items()
        if any(references.same(reference, own) for own in (entry.reference, entry.pinned))
    ]
    return min(named, key=lambda alias: (not _may_be_used(images[alias]), alias), default=None)


def _may_be_used(entry: CatalogImage) -> bool:
    return entry.approved and not _failed(entry)


def _failed(entry: CatalogImage) -> bool:
    return entry.scan is not None and entry.scan.result is ScanResult.FAILED


def _refusal(alias: str, entry: CatalogImage, policy: AcceptedPolicy) -> Refusal | None:
    if _may_be_used(entry):
        return None
    why = "is in the catalog but not approved"
    if entry.approved and entry.scan is not None:
        by = f" by {entry.scan.by}" if entry.scan.by else ""
        report = f" (report: {entry.scan.report})" if entry.scan.report else ""
        why = f"failed its scan{by} at {entry.scan.at:%Y-%m-%d %H:%M}{report}"
    return Refusal(Reason.IMAGE_NOT_APPROVED, f'image "{alias}" {why}; {_usable(policy)}')


def _usable(policy: AcceptedPolicy) -> str:
    """Name what may be asked for instead."""
    known = [alias for alias, entry in policy.catalog.spec.images.items() if _may_be_used(entry)]
    return f"use one of: {', '.join(sorted(known))}" if known else "the catalog has no image that may be used"


def _entry(alias: str, entry: CatalogImage, values: Mapping[str, Value], policy: AcceptedPolicy) -> Chosen:
    given = {name: getattr(entry, name) for name in ("command", "services")}
    said = {name: value for name, value in given.items() if value is not None}
    if not said:
        return Chosen(entry.pinned, tuple(_notes(alias, entry, values)))
    model = workspace.Template.model_construct(_fields_set=set(said), **said)
    prefix = f"spec.images.{alias}."
    layer = Layer(policy.catalog_file, f"image {alias}", model, policy.catalog_lines, prefix)
    return Chosen(entry.pinned, tuple(_notes(alias, entry, values)), layer)


def _notes(alias: str, entry: CatalogImage, values: Mapping[str, Value]) -> Iterator[Note]:
    if entry.deprecated is not None:
        successor = entry.deprecated.successor
        use = f'; use "{successor}"' if successor else ""
        yield Note(Reason.IMAGE_DEPRECATED, f'image "{alias}": {entry.deprecated.message}{use}')
    mode = values.get("gpu.mode")
    if entry.gpu and (mode is None or mode.value is workspace.GpuMode.NONE):
        yield Note(Reason.IMAGE_WANTS_GPU, f'image "{alias}" is of use only with a GPU, and gpu.mode is None')
