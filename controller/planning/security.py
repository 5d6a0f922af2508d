"""Knows what a workspace may do to its host, and what it is refused.

Refuses to know how the Engine is told.
"""

from collections.abc import Mapping

from controller.api import workspace
from controller.api.conditions import Reason
from controller.model.effective import Refusal
from controller.planning.layers import Value


def refusal(values: Mapping[str, Value]) -> Refusal | None:
    """Say why a workspace cannot have what it asks for, or nothing."""
    mode, profile = values["gpu.mode"], values["security.profile"]
    for path, value, plain in (
        ("spec.gpu.mode", mode, workspace.GpuMode.NONE),
        ("spec.security.profile", profile, workspace.SecurityProfile.STANDARD),
    ):
        if value.value is not plain:
            return Refusal(
                Reason.NOT_SUPPORTED,
                f"{path}: {value.value} (from {value.origin}) is not supported by this version",
            )
    return None
