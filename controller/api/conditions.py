"""The closed lists that everything the controller says is made of: condition types, reasons, drift kinds.

Refuses free text: a message is a sentence for people, a reason is one of these words for machines (they are
in `reasons`). The reference page is generated from the docstrings.
"""

from enum import StrEnum

from controller.api.reasons import Reason

__all__ = ["ConditionStatus", "ConditionType", "DriftKind", "Reason"]


class ConditionType(StrEnum):
    """Adjectives about a workspace, as its owner would see it."""

    READY = "Ready"
    """The workspace is as its spec says and can be used; always present."""
    RECONCILING = "Reconciling"
    """The controller is at work on the workspace; present only while true."""
    STALLED = "Stalled"
    """Nothing more will happen until a person acts; present only while true."""
    SPEC_ACCEPTED = "SpecAccepted"
    """The spec file on disk is the one in force."""
    GPUS_ALLOCATED = "GPUsAllocated"
    """All GPUs that the spec asks for are granted."""
    CONTAINER_RUNNING = "ContainerRunning"
    """The container's main process runs."""
    IDLE = "Idle"
    """Nobody and nothing uses the workspace."""
    CHANGE_PENDING = "ChangePending"
    """A change of the spec waits for its time."""
    IMAGE_DEPRECATED = "ImageDeprecated"
    """The catalog says that the image should not be used any more; present only while true."""
    NOT_ENFORCED = "NotEnforced"
    """A field of the spec is accepted but has no effect yet; present only while true."""
    LIMIT_NOT_ENFORCED = "LimitNotEnforced"
    """A limit on the owner's workspaces together has no effect on it; present only while true."""
    OVER_QUOTA = "OverQuota"
    """It runs with more than the policy allows by now; present only while true."""
    OVER_SOFT_LIMIT = "OverSoftLimit"
    """It takes more of a disk than the policy wishes; present only while true."""


class ConditionStatus(StrEnum):
    """Truth of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class DriftKind(StrEnum):
    """In what respect a container differs from its spec."""

    MISSING = "missing"
    """There should be a container and there is none."""
    ORPHAN = "orphan"
    """There is a container of ours and no spec."""
    STATE = "state"
    """It should run and does not, or the other way round."""
    IMAGE = "image"
    """Its image is not the one that the reference has locally."""
    ENV = "env"
    """Its environment differs."""
    COMMAND = "command"
    """Its command, user or init differ."""
    RESOURCES = "resources"
    """Its limits differ, as read from the kernel where it runs."""
    MOUNTS = "mounts"
    """Its mounts differ."""
    PORTS = "ports"
    """Its published ports differ."""
    LABELS = "labels"
    """Its identity labels or its template hash differ."""
    GPU = "gpu"
    """Its devices differ from those that were granted."""
    SLICE = "slice"
    """The limits of its owner's slice differ."""
    RESTART_POLICY = "restart_policy"
    """The Engine would restart it by itself."""
    NETWORK = "network"
    """It is not on its network, or on others."""
    SECURITY = "security"
    """Its capabilities, its privileges or its runtime differ."""
