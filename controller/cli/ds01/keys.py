"""Which keys of a DS01 limits file are not carried over, and why; it knows no value.

Sources: the comments of the file's authors on what is not implemented, and the code of July 2026.
"""

import enum
from collections.abc import Mapping
from typing import Final

from controller.cli.ds01.notes import Kind


class Generation(enum.Enum):
    """The formats that DS01's limits file has had; the value is what they are called in messages."""

    FIRST = "the first format (gpus, cpus, policies.max_containers_per_user; October 2025)"
    SECOND = "the second format (max_mig_instances, max_cpus, priority; from the end of October 2025)"
    CURRENT = "the current format (units in the keys, max_gpu_equivalents, aggregate; 2026)"


SIGNS: Final[Mapping[Generation, frozenset[str]]] = {
    Generation.FIRST: frozenset({"gpus", "cpus", "pin_gpu", "allow_multi_gpu", "checkpoint_warning"}),
    Generation.SECOND: frozenset(
        {
            *(
                "max_mig_instances",
                "allocation_method",
                "mig_strategy",
                "mig_profile",
                "respect_reservations",
            ),
            *("reservation_start", "reservation_end", "reserved_gpus", "priority"),
        }
    ),
    Generation.CURRENT: frozenset(
        {
            *("max_gpu_equivalents", "max_gpu_slots", "max_gpu_slots_per_container", "allow_full_gpu"),
            *("max_runtime_h", "idle_timeout_h", "gpu_hold_after_stop_h", "container_hold_after_stop_h"),
            *("aggregate", "default_group", "enforcement", "container_types", "monitoring"),
            *("bare_metal_access", "access_control", "idle_detection_window", "sigterm_grace_s"),
        }
    ),
}
"""Keys that only one of the formats has, at any depth."""

GPU_QUOTA: Final = (
    "max_gpu_equivalents",
    "max_gpu_slots",
    "max_gpus_per_user",
    "max_mig_instances",
    "gpus",
)
"""Names of one limit; the first of them that is present wins, whatever layer it is from."""
CPUS: Final = ("max_cpus", "cpus")
IDLE_TIMEOUT: Final = ("idle_timeout_h", "idle_timeout")
MAX_RUNTIME: Final = ("max_runtime_h", "max_runtime")
CONTAINERS: Final = ("max_containers_per_user", "policies.max_containers_per_user")
GPU_HOLD: Final = ("gpu_hold_after_stop_h", "policies.gpu_hold_after_manual_stop_m")
STOP_GRACE: Final = "policies.sigterm_grace_s"

CARRIED: Final = frozenset(
    {
        *GPU_QUOTA,
        *CPUS,
        *IDLE_TIMEOUT,
        *MAX_RUNTIME,
        *("memory", "memory_swap", "shm_size", "pids_limit", "max_tasks", "priority"),
        *("max_containers_per_user", "sigterm_grace_s"),
        *("gpu_hold_after_stop_h", "gpu_hold_after_manual_stop_m"),
        *("cpu_quota", "memory_max", "memory_high", "tasks_max", "gpu_limit"),
    }
)
"""The last part of every key whose value can reach the policy through somebody's limits."""

_NOTHING: Final = "DS01 accepted it and did nothing with it"
_STORAGE: Final = f"{_NOTHING}; storage.home of a preset warns about the size of a home directory"
_UNIMPLEMENTED: Final = {
    **dict.fromkeys(("gpu_memory", "io_read_bps", "io_write_bps", "ulimit_nofile"), _NOTHING),
    **dict.fromkeys(("storage_workspace", "storage_data", "enforce_storage_quotas"), _STORAGE),
    **dict.fromkeys(("strategy", "allocation_method", "enable_mig", "mig_strategy", "mig_profile"), _NOTHING),
    **dict.fromkeys(("mig_gpus", "respect_reservations", "auto_stop_idle", "checkpoint_warning"), _NOTHING),
    **dict.fromkeys(("require_workspace_mount", "soft_limit_threshold", "graceful_errors"), _NOTHING),
    "suggest_alternatives": _NOTHING,
}

_ONE_WORKSPACE: Final = (
    "no limit counts the GPUs of one workspace; quotas.gpuEquivalents counts those of all of an owner's"
)
_SHARING: Final = (
    "each workspace, or its class, asks under gpu; of how GPUs are given the policy says gpus.sharers and "
    "gpus.allowAll"
)
_IDLE_RULE: Final = "the thresholds of the idle rule are not the policy's"
_RESERVATION: Final = (
    "the policy reserves no GPUs; a grant can raise quotas.gpuEquivalents for a time, and gpu.uuids pins"
)
_DROPPED: Final = {
    **dict.fromkeys(
        ("max_gpu_slots_per_container", "max_gpus_per_container", "max_mig_per_container"), _ONE_WORKSPACE
    ),
    "allow_full_gpu": "whole GPUs cannot be forbidden to anybody; gpu.migProfile in a class asks for a slice",
    "storage_tmp": "it became a tmpfs at /tmp, for which there is no field",
    "container_hold_after_stop_h": "a stopped workspace is kept until its spec goes",
    "created_container_timeout_m": "the controller finishes what it began",
    **dict.fromkeys(("high_demand_threshold", "high_demand_idle_reduction"), _IDLE_RULE),
    **dict.fromkeys(("gpu_idle_threshold", "cpu_idle_threshold", "network_idle_threshold"), _IDLE_RULE),
    **dict.fromkeys(("idle_detection_window", "grace_period_m", "keepalive_max_duration_h"), _IDLE_RULE),
    **dict.fromkeys(("pin_gpu", "allow_multi_gpu", "enable_mps"), _SHARING),
    **dict.fromkeys(("reservation_start", "reservation_end", "reserved_gpus"), _RESERVATION),
    "network_mode": "every workspace is on the controller's own network",
    "restart_policy": "the controller starts what shall run",
    "cgroup_driver": "the configuration's, not the policy's: slices.driver, which follows the Engine",
}

SECTIONS: Final = {
    "container_types": "here every container has a spec, and its type need not be guessed",
    "monitoring": "containers that are not the controller's are left alone without a list",
    "bare_metal_access": "who may work on the host itself is not the policy's",
    "access_control": "people have no access to the Engine, so there is no wrapper to set up",
    "gpu_allocation": _SHARING,
    "advanced": "the controller decides it, or a workspace's spec does",
}
"""Whole sections that are not carried over, but for keys that another table explains."""


def reason(key: str, generation: Generation) -> tuple[Kind, str] | None:
    """Why a key, by its last part, is not carried over; None where nothing is known of it."""
    if key in _UNIMPLEMENTED:
        if generation is not Generation.CURRENT and _UNIMPLEMENTED[key] is _NOTHING:
            return Kind.MEANINGLESS, "later versions of DS01 say that it never had an effect"
        return Kind.MEANINGLESS, _UNIMPLEMENTED[key]
    return (Kind.DROPPED, _DROPPED[key]) if key in _DROPPED else None
