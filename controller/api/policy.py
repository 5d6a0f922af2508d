"""What the administrator decides for everybody: defaults, groups, users, classes, quotas, ports, mount roots.

It knows the shape and what contradicts itself; who gets what is decided in planning.
"""

import enum
import ipaddress
import itertools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from controller.api import fields, meta, workspace
from controller.api.hostnames import Hostnames
from controller.api.presets import (
    Aggregate,
    Enforcement,
    Grant,
    Group,
    LimitName,
    Preset,
    Quotas,
    User,
    contradiction,
)


class PortProfile(enum.StrEnum):
    """A table of fixed offsets of well-known services in an owner's block of host ports."""

    VM = "vm"
    PORTAL = "portal"


PORT_OFFSETS: Final[Mapping[PortProfile, Mapping[str, int]]] = MappingProxyType(
    {
        PortProfile.VM: MappingProxyType(
            {"ssh": 22, "vnc": 0, "novnc": 1, "code": 2, "jupyter": 3, "tensorboard": 4, "rdp": 5}
        ),
        PortProfile.PORTAL: MappingProxyType({"jupyter": 0, "tensorboard": 1, "ssh": 2}),
    }
)
"""Where a named service lies in its owner's block, by port profile."""

FIRST_FREE_OFFSET: Final = 30
"""Services without an offset of their own take the lowest free one from here up."""


def _check_address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise fields.refusal(f'"{text}" is not an IP address, such as 0.0.0.0') from None


def _check_root(path: str) -> str:
    if path == "/":
        raise fields.refusal(
            '"/" would allow every directory of the host; name the directories that users may mount'
        )
    return path


Address = Annotated[fields.Text, AfterValidator(_check_address)]
MountRoot = Annotated[fields.AbsolutePath, AfterValidator(_check_root)]


class GpuRules(meta.ApiModel):
    """How GPUs are given to everybody."""

    sharers: fields.Count = Field(
        default=4,
        description="How many workspaces of gpu.mode Shared one device takes; each counts that part of it in "
        "quotas.",
    )
    allow_all: fields.UniqueItems[fields.Login] = Field(
        default=(), description="Who may use gpu.mode All, by login name."
    )


class WorkspaceClass(workspace.Template):
    """A preset for workspaces; in its strings {owner}, {name}, {uid} and {home} are replaced."""

    port_profile: fields.Given[fields.Choice[PortProfile]] = Field(
        default=None, description="Fixed offsets of well-known services in the owner's block of host ports."
    )


class PortPool(meta.ApiModel):
    """A range of host ports that is dealt out in blocks, one block an owner."""

    name: fields.Label = Field(description="Unique within the policy.")
    first: fields.Port = Field(alias="from", description="First port.")
    last: fields.Port = Field(alias="to", description="Last port.")
    block: fields.Count = Field(default=100, description="Ports for each owner.")
    bind: Address = Field(
        default="0.0.0.0",  # noqa: S104 - the published default; Docker's own
        description="Host address on which they are published. Docker's rules pass by a host firewall.",
    )
    services: fields.UniqueItems[fields.Label] = Field(
        default=(), description="Only services of these names; empty: all that no other pool names."
    )

    @model_validator(mode="after")
    def _range_holds_a_block(self) -> Self:
        size = self.last - self.first + 1
        if size < 1:
            raise fields.refusal(f"from ({self.first}) must be at most to ({self.last})")
        if self.block > size:
            raise fields.refusal(
                f"block ({self.block}) must be at most the {size} ports from {self.first} to {self.last}"
            )
        return self


class Privilege(meta.ApiModel):
    """Why somebody may have containers that are root on the host."""

    reason: fields.Line = Field(description="Why.")
    approved_by: fields.Login = Field(description="Who allowed it.")
    expires: fields.Given[fields.Timestamp] = Field(
        default=None, description="When it ends, a quoted time with its zone; absent: never."
    )


class PolicySpec(meta.ApiModel):
    """The administrator's decisions. Order: defaults, class, group, user, workspace; then quotas cap."""

    default_class: fields.Given[fields.Label] = Field(
        default=None, description="The class of a workspace that names none; absent: no class."
    )
    defaults: Preset = Field(default=Preset(), description="What holds where nothing more special is said.")
    quotas: Quotas = Field(default=Quotas(), description="Caps on every owner.")
    aggregate: Aggregate = Field(
        default=Aggregate(), description="Limits on every owner's workspaces together."
    )
    groups: fields.NamedTable[fields.Label, Group] = Field(
        default_factory=fields.nothing, description="Groups by name."
    )
    group_order: fields.UniqueItems[fields.Label] = Field(
        default=(), description="Which group counts for a user in several: the first of these."
    )
    users: fields.NamedTable[fields.Login, User] = Field(
        default_factory=fields.nothing, description="Users by login name."
    )
    classes: fields.NamedTable[fields.Label, WorkspaceClass] = Field(
        default_factory=fields.nothing, description="Classes by name."
    )
    port_pools: fields.Items[PortPool] = Field(default=(), description="Host ports.")
    mount_roots: fields.UniqueItems[MountRoot] = Field(
        default=(),
        description="A mount's source must resolve beneath one of these; empty: mounts are refused.",
    )
    allow_suid_mounts: bool = Field(
        default=False,
        description="Allow mount roots without nosuid,nodev where root can run in a container.",
    )
    require_catalog: bool = Field(default=False, description="Only approved images of the catalog.")
    grants: fields.Items[Grant] = Field(default=(), description="Approved exceptions for a time.")
    enforce: fields.NamedTable[fields.Choice[LimitName], fields.Choice[Enforcement]] = Field(
        default_factory=fields.nothing,
        description="When a limit that was tightened reaches a running workspace; absent: at its next start.",
    )
    privileged: fields.NamedTable[fields.Login, Privilege] = Field(
        default_factory=fields.nothing,
        description="Who may use security.profile Privileged, by login name. It is root on the host.",
    )
    docker_in_docker_runtime: fields.Line | None = Field(
        default=None,
        description="The Engine's runtime for security.profile DockerInDocker, such as sysbox-runc; "
        "null: the profile is refused.",
    )
    gpus: GpuRules = Field(default=GpuRules(), description="How GPUs are given.")
    hostnames: Hostnames | None = Field(
        default=None, description="The names of services with expose: Hostname; null: they are not published."
    )

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        if self.default_class is not None and self.default_class not in self.classes:
            raise fields.refusal(f'defaultClass names "{self.default_class}", which is not among classes')
        for group in self.group_order:
            if group not in self.groups:
                raise fields.refusal(f'groupOrder names "{group}", which is not among groups')
        for grant in self.grants:
            for group in grant.groups or ():
                if group not in self.groups:
                    raise fields.refusal(
                        f'the grant "{grant.name}" names the group "{group}", which is not among groups'
                    )
        return self

    @model_validator(mode="after")
    def _grants_differ(self) -> Self:
        names = [grant.name for grant in self.grants]
        for name in names:
            if names.count(name) > 1:
                raise fields.refusal(f'two grants are called "{name}"')
        return self

    @model_validator(mode="after")
    def _later_grants_win(self) -> Self:
        """Of two grants for somebody the one that ends later counts; as one they must not disagree."""
        for first, second in itertools.combinations(self.grants, 2):
            if first.expires != second.expires or not self._holders(first) & self._holders(second):
                continue
            path = contradiction(first, second)
            if path:
                raise fields.refusal(
                    f'the grants "{first.name}" and "{second.name}" end at the same time and differ in {path}'
                    "; let the one that shall count end later"
                )
        return self

    def _holders(self, grant: Grant) -> frozenset[tuple[str, str]]:
        """Return groups and login names that have a grant, as far as the file tells."""
        groups = grant.groups or ()
        members = {
            login for name in groups if name in self.groups for login in self.groups[name].members or ()
        }
        named = {("group", name) for name in groups}
        return frozenset(named | {("user", login) for login in {*members, *(grant.users or ())}})

    @model_validator(mode="after")
    def _pools_are_apart(self) -> Self:
        names = [pool.name for pool in self.port_pools]
        if len(set(names)) < len(names):
            raise fields.refusal("two port pools have one name")
        pools = sorted(self.port_pools, key=lambda pool: pool.first)
        for lower, upper in itertools.pairwise(pools):
            if upper.first <= lower.last:
                raise fields.refusal(
                    f'the port pools "{lower.name}" and "{upper.name}" overlap at {upper.first}'
                )
        return self


class ResourcePolicy(meta.ApiModel):
    """The administrator's decisions for everybody on the host."""

    api_version: Literal["wharfinger.dev/v1"] = Field(description="The version of this format.")
    kind: Literal["ResourcePolicy"] = Field(description="The kind of this document.")
    metadata: meta.ObjectMeta = Field(description="Who it is.")
    spec: PolicySpec = Field(description="The decisions.")
