"""Knows what a workspace asks for of the host's GPUs, and what of it is refused.

Refuses to know which devices there are.
"""

from collections.abc import Mapping
from typing import Final, cast

from controller.api import policy, workspace
from controller.api.conditions import Reason
from controller.api.workspace import GpuMode
from controller.model.effective import Refusal
from controller.model.gpus import Wish
from controller.planning import origins
from controller.planning.origins import Value

_NOTHING: Final = origins.by_default(None)


def wish(values: Mapping[str, Value], rules: policy.GpuRules) -> Wish | None:
    """Return what is asked for, None for no GPU."""
    mode = values["gpu.mode"].value
    if mode is GpuMode.NONE:
        return None
    shared = mode is not GpuMode.EXCLUSIVE
    return Wish(
        count=cast("int", values["gpu.count"].value),
        shared=shared,
        all=mode is GpuMode.ALL,
        profile=cast("str | None", values.get("gpu.migProfile", _NOTHING).value),
        memory=cast("int | None", values.get("gpu.minMemory", _NOTHING).value) or 0,
        model=cast("str | None", values.get("gpu.model", _NOTHING).value) or "",
        uuids=_pinned(values),
        sharers=rules.sharers if shared else 1,
    )


def refusal(values: Mapping[str, Value], owner: str, rules: policy.GpuRules) -> Refusal | None:
    """Say why a workspace cannot have what it asks for under any devices, or nothing."""
    mode, pinned = values["gpu.mode"], _pinned(values)
    if mode.value is GpuMode.ALL and owner not in rules.allow_all:
        message = (
            f"spec.gpu.mode: All (from {mode.origin}) is only for those whom the policy names; an "
            f"administrator can add {owner} to gpus.allowAll there"
        )
        return Refusal(Reason.GPU_MODE_REFUSED, message)
    count = values["gpu.count"]
    if mode.value in _COUNTED and pinned and cast("int", count.value) > len(pinned):
        message = (
            f"spec.gpu.count: {count.value} (from {count.origin}) is more than the {len(pinned)} of "
            f"spec.gpu.uuids (from {values['gpu.uuids'].origin})"
        )
        return Refusal(Reason.SPEC_REJECTED, message)
    return None


_COUNTED: Final = frozenset({workspace.GpuMode.EXCLUSIVE, workspace.GpuMode.SHARED})


def _pinned(values: Mapping[str, Value]) -> tuple[str, ...]:
    return cast("tuple[str, ...] | None", values.get("gpu.uuids", _NOTHING).value) or ()
