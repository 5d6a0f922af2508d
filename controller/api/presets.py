"""What defaults, groups, users and grants may say of an owner and of that owner's workspaces.

It knows the shape of one of them; how they are laid over each other is decided in planning.
"""

import enum
from collections.abc import Set as AbstractSet
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from controller.api import fields, meta, quantities, rules, workspace

Allowance = Annotated[int, Field(ge=0, le=fields.MAX_COUNT)]
Priority = Annotated[int, Field(ge=1, le=100)]
Weight = Annotated[int, Field(ge=1, le=10000)]
"""As the kernel has it: 100 where nobody says another."""


class Enforcement(enum.StrEnum):
    """When a limit that was tightened reaches a workspace that runs."""

    AT_NEXT_START = "AtNextStart"
    NOW = "Now"


class LimitName(enum.StrEnum):
    """The limits whose enforcement can be chosen."""

    CPUS = "cpus"
    MEMORY = "memory"
    SWAP = "swap"
    PIDS = "pids"
    WORKSPACES = "workspaces"
    RUNNING_WORKSPACES = "runningWorkspaces"
    GPU_EQUIVALENTS = "gpuEquivalents"


class Quotas(meta.ApiModel):
    """Caps on what one owner may have. Absent means inherit; null means no cap."""

    workspaces: Allowance | None = Field(
        default=None, description="How many workspaces exist, stopped ones too; 0: none."
    )
    running_workspaces: Allowance | None = Field(
        default=None, description="How many workspaces run at once; 0: none."
    )
    gpu_equivalents: fields.DecimalText | None = Field(
        default=None, description="How many whole GPUs, or slices of the same share, as a decimal string."
    )
    cpus: quantities.NanoCpus | None = Field(
        default=None, description="Processors of all running workspaces, as a decimal string."
    )
    memory: rules.Memory | None = Field(default=None, description="Memory of all running workspaces.")
    shm: rules.Space | None = Field(default=None, description="Shared memory of all running workspaces.")
    pids: fields.Count | None = Field(
        default=None, description="Processes and threads of all running workspaces."
    )


class IoLimit(meta.ApiModel):
    """How much of the device below a path one owner's workspaces may use together; absent: unlimited."""

    path: fields.AbsolutePath = Field(description="Any path on the device, such as a mount root.")
    read: fields.Given[rules.Space] = Field(default=None, description="Bytes read a second.")
    write: fields.Given[rules.Space] = Field(default=None, description="Bytes written a second.")
    read_ops: fields.Given[fields.Count] = Field(default=None, description="Reads a second.")
    write_ops: fields.Given[fields.Count] = Field(default=None, description="Writes a second.")

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if not (self.read or self.write or self.read_ops or self.write_ops):
            raise fields.refusal("name at least one of read, write, readOps and writeOps")
        return self


class Aggregate(meta.ApiModel):
    """Limits on one owner's workspaces together. Absent means inherit; null means unlimited."""

    cpus: quantities.NanoCpus | None = Field(default=None, description="Processors, as a decimal string.")
    cpuset: quantities.CpuSet | None = Field(
        default=None, description="Which processors, as in 0-7,16; all workspaces share them."
    )
    cpu_weight: Weight | None = Field(
        default=None, description="Share of the processors when they are all wanted; null: 100."
    )
    memory: rules.Memory | None = Field(default=None, description="Hard limit.")
    memory_high: rules.Memory | None = Field(default=None, description="Above this, memory is reclaimed.")
    memory_low: rules.Memory | None = Field(
        default=None,
        description="Guaranteed while one of them runs; it is at least the sum of their memoryReservation.",
    )
    swap: rules.Space | None = Field(default=None, description="Swap alone, not memory plus swap.")
    pids: fields.Count | None = Field(default=None, description="Processes and threads.")
    io_weight: Weight | None = Field(
        default=None, description="Share of the disks when they are busy; null: 100."
    )
    io: fields.Items[IoLimit] | None = Field(
        default=None, description="How much of single devices may be used a second."
    )

    @model_validator(mode="after")
    def _devices_once(self) -> Self:
        paths = [one.path for one in self.io or ()]
        if len(set(paths)) < len(paths):
            raise fields.refusal("io names one path twice")
        return self

    @model_validator(mode="after")
    def _high_is_lower(self) -> Self:
        if self.memory and self.memory_high and self.memory_high > self.memory:
            high, limit = map(quantities.format_bytes, (self.memory_high, self.memory))
            raise fields.refusal(f"memoryHigh ({high}) must be at most memory ({limit})")
        return self


class Storage(meta.ApiModel):
    """Sizes above which a warning is given; nothing is stopped for them. null: no warning."""

    home: rules.Space | None = Field(default=None, description="Of the owner's home directory.")
    layer: rules.Space | None = Field(
        default=None, description="Of what a container wrote outside its mounts, its log included."
    )


class Preset(meta.ApiModel):
    """What defaults, groups, users and grants may set of a workspace."""

    resources: fields.Given[workspace.Resources] = Field(default=None, description="Limits of the container.")
    gpu: fields.Given[workspace.Gpu] = Field(default=None, description="GPUs.")
    lifecycle: fields.Given[workspace.Lifecycle] = Field(default=None, description="Stops and replacements.")
    security: fields.Given[workspace.Security] = Field(default=None, description="Privileges and identity.")
    priority: fields.Given[Priority] = Field(
        default=None, description="Place in queues, 1 to 100; the higher is served first."
    )
    storage: fields.Given[Storage] = Field(default=None, description="Sizes above which a warning is given.")


class Group(Preset):
    """What the members of a group have in common."""

    members: fields.Given[fields.UniqueItems[fields.Login]] = Field(default=None, description="Login names.")
    members_file: fields.Given[fields.RelativeFile] = Field(
        default=None,
        description="A file with one login name a line, relative to the policy; # begins a comment.",
    )
    host_groups: fields.Given[fields.UniqueItems[fields.Login]] = Field(
        default=None, description="Groups of the host (getent group) whose members belong to this one."
    )
    quotas: fields.Given[Quotas] = Field(default=None, description="Caps on each member.")
    aggregate: fields.Given[Aggregate] = Field(
        default=None, description="Limits on each member's workspaces together, never on the group's sum."
    )


class User(Preset):
    """What one person has besides, and why."""

    quotas: fields.Given[Quotas] = Field(default=None, description="Caps on this owner.")
    aggregate: fields.Given[Aggregate] = Field(
        default=None, description="Limits on this owner's workspaces together."
    )
    uid: fields.Given[rules.Uid] = Field(
        default=None, description="User id, in place of what the host's accounts say."
    )
    gid: fields.Given[rules.Uid] = Field(default=None, description="Group id, likewise.")
    home: fields.Given[fields.AbsolutePath] = Field(default=None, description="Home directory, likewise.")
    reason: fields.Given[fields.Line] = Field(default=None, description="Why there is an exception.")
    approved_by: fields.Given[fields.Login] = Field(default=None, description="Who allowed it.")
    expires: fields.Given[fields.Timestamp] = Field(
        default=None, description="When it ends, a quoted time with its zone."
    )

    @model_validator(mode="after")
    def _ids_together(self) -> Self:
        if (self.uid is None) != (self.gid is None):
            raise fields.refusal("uid and gid belong together; write both or neither")
        return self


class Grant(Preset):
    """An approved exception for a time. Of two grants that set one field, the one that ends later counts."""

    name: fields.Label = Field(description="Unique within the policy; messages and logs name it.")
    users: fields.Given[fields.UniqueItems[fields.Login]] = Field(
        default=None, description="Who has it, by login name."
    )
    groups: fields.Given[fields.UniqueItems[fields.Label]] = Field(
        default=None, description="Groups whose members have it."
    )
    quotas: fields.Given[Quotas] = Field(default=None, description="Caps on each of these owners.")
    aggregate: fields.Given[Aggregate] = Field(
        default=None, description="Limits on each of these owners' workspaces together."
    )
    reason: fields.Line = Field(description="Why there is an exception.")
    approved_by: fields.Login = Field(description="Who allowed it.")
    starts: fields.Given[fields.Timestamp] = Field(
        default=None, description="When it begins, a quoted time with its zone; absent: at once."
    )
    expires: fields.Timestamp = Field(description="When it ends, a quoted time with its zone.")

    @model_validator(mode="after")
    def _is_somebodys(self) -> Self:
        if not (self.users or self.groups):
            raise fields.refusal("name users or groups that have the grant")
        if self.starts is not None and self.starts >= self.expires:
            raise fields.refusal("starts must be before expires")
        return self


_OF_A_GRANT: Final = frozenset({*Preset.model_fields, "quotas", "aggregate"})


def contradiction(first: Grant, second: Grant) -> str:
    """Path of a field that two grants set to different values; empty where they set none."""
    return _differing(first, second, _OF_A_GRANT)


def _differing(first: meta.ApiModel, second: meta.ApiModel, among: AbstractSet[str]) -> str:
    for name in sorted(first.model_fields_set & second.model_fields_set & among):
        one, other = getattr(first, name), getattr(second, name)
        path = type(first).model_fields[name].alias or name
        if isinstance(one, meta.ApiModel) and isinstance(other, meta.ApiModel):
            below = _differing(one, other, one.model_fields_set)
            if below:
                return f"{path}.{below}"
        elif one != other:
            return path
    return ""
