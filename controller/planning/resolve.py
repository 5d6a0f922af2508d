"""Knows what a workspace really gets: what policy and spec say of it, in the contract's order, and capped.

Refuses to look anything up: accounts are arguments, and what cannot be resolved is a refusal with a reason.
"""

import functools
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, NamedTuple, cast

from controller.api import policy as policies
from controller.api import workspace
from controller.api.conditions import Reason
from controller.model import effective
from controller.model.desired import AcceptedSpec
from controller.model.effective import Effective, Refusal
from controller.model.observed import AccountSeen, Limits
from controller.model.plan import NotEnforced
from controller.planning import caps, choice, identity, layers, origins, security, wishes
from controller.planning.layers import Layer
from controller.planning.origins import WORKSPACE, Value
from controller.planning.standing import Base, Profile, Standing


def owner_of(spec: workspace.Workspace) -> str:
    """Login name of the owner: as written, else the workspace's name."""
    return spec.spec.owner or spec.metadata.name


def resolve(accepted: AcceptedSpec, standing: Standing, account: AccountSeen) -> Effective | Refusal:
    """Fold everything that is said about a workspace into what it gets, or say why it gets nothing.

    `account` is the owner's, as the ledger or else the host knows it.
    """
    spec = accepted.workspace
    owner = owner_of(spec)
    place = standing.profile(owner)
    if isinstance(place, Refusal):
        return place
    base = standing.base(spec.spec.class_name, place)
    if isinstance(base, Refusal):
        return base
    who = identity.person(spec, standing.policy.policy.spec, owner, account)
    values = base.filled({"{owner}": owner, "{name}": accepted.name, **who.replacements()})
    layers.lay_over(values, Layer(accepted.file, WORKSPACE, spec.spec, accepted.lines, "spec.").values())
    image = choice.choose(values, standing.policy)
    if isinstance(image, choice.Chosen) and image.layer is not None:
        layers.lay_beneath(values, image.layer.values())
    caps.apply(values, place.caps)
    refusal = (
        identity.class_refusal(base.class_name, base.needs, who)
        or security.refusal(values, owner, standing.policy.policy.spec, standing.privilege(owner))
        or wishes.refusal(values, owner, standing.policy.policy.spec.gpus)
        or identity.refusal(values, who)
        or _target_refusal(values)
    )
    if refusal or isinstance(image, Refusal):
        return refusal or cast("Refusal", image)
    return _build(_Given(accepted, standing, place, base, who), values, image)


def _target_refusal(values: Mapping[str, Value]) -> Refusal | None:
    """Spec and class may each be right, and together mount two things at one place."""
    found = values.get("mounts")
    names: dict[str, str] = {}
    for mount in cast("tuple[workspace.Mount, ...]", found.value if found else ()):
        other = names.setdefault(mount.target, mount.name)
        if other != mount.name:
            message = f'spec.mounts: "{other}" of the class and "{mount.name}" are both at {mount.target}'
            return Refusal(Reason.SPEC_REJECTED, message)
    return None


class _Given(NamedTuple):
    """What a workspace is made of, beside its values."""

    accepted: AcceptedSpec
    standing: Standing
    place: Profile
    base: Base
    who: identity.Person

    @property
    def rules(self) -> policies.PolicySpec:
        """The policy in force."""
        return self.standing.policy.policy.spec


_NOTHING: Final = origins.by_default(None)


def _one(values: Mapping[str, Value], path: str) -> object:
    return values.get(path, _NOTHING)[0]


def _build(given: _Given, values: Mapping[str, Value], image: choice.Chosen) -> Effective:
    one, (accepted, _, place, base, who) = functools.partial(_one, values), given
    user = who.account if one("security.runAs") is workspace.RunAs.OWNER else None
    profile = cast("workspace.SecurityProfile", one("security.profile"))
    return Effective(
        workspace=accepted.name,
        owner=owner_of(accepted.workspace),
        class_name=cast("str | None", one("class")) or "",
        running=one("desiredState") is workspace.DesiredState.RUNNING,
        image=image.reference,
        command=cast("tuple[str, ...] | None", one("command")),
        env=tuple(sorted(cast("Mapping[str, str]", one("env") or {}).items())),
        secrets=_secrets(values),
        init=one("init") is workspace.InitMode.ENGINE,
        pull=cast("workspace.PullPolicy", one("pull")),
        limits=_limits(values),
        shm=cast("int", one("resources.shm")),
        mounts=tuple(_mount(m) for m in cast("tuple[workspace.Mount, ...]", one("mounts") or ())),
        mount_roots=given.rules.mount_roots,
        nosuid_mounts=not given.rules.allow_suid_mounts and security.root_can_run(profile, user),
        services=tuple(_service(s) for s in cast("tuple[workspace.Service, ...]", one("services") or ())),
        port_profile=cast("policies.PortProfile | None", one("portProfile")) or policies.PortProfile.VM,
        run_as_owner=user is not None,
        open_network=one("network.isolation") is workspace.Isolation.OPEN,
        stop_grace=cast("timedelta", one("lifecycle.stopGrace")),
        changes=cast("workspace.ChangePolicy", one("lifecycle.changes")),
        account=who.account,
        ids_stated=who.stated,
        profile=profile,
        runtime=security.runtime(profile, given.rules),
        not_enforced=tuple(_not_enforced(values)),
        notes=image.notes,
        gpu=wishes.wish(values, given.rules.gpus),
        gpu_hold=cast("timedelta", one("lifecycle.gpuHold")),
        quotas=place.quotas,
        priority=cast("int", one("priority")),
        storage_home=cast("int | None", one("storage.home")),
        storage_layer=cast("int | None", one("storage.layer")),
        words=origins.Words(values, base.wording),
    )


def _secrets(values: Mapping[str, Value]) -> tuple[tuple[str, str], ...]:
    found = values.get("secrets")
    given = cast("tuple[workspace.SecretRef, ...]", found.value if found else ())
    return tuple((secret.name, secret.file) for secret in given)


def _limits(values: Mapping[str, Value]) -> Limits:
    def number(path: str) -> int | None:
        return cast("int | None", _one(values, path))

    memory, swap = number("resources.memory"), number("resources.swap")
    return Limits(
        nano_cpus=number("resources.cpus"),
        cpuset=cast("str | None", _one(values, "resources.cpuset")),
        memory=memory,
        memory_reservation=number("resources.memoryReservation"),
        memory_swap=None if memory is None or swap is None else memory + swap,
        pids=number("resources.pids"),
    )


def _mount(mount: workspace.Mount) -> effective.Mount:
    return effective.Mount(
        name=mount.name,
        source=mount.source,
        target=mount.target,
        read_only=mount.mode is workspace.MountMode.READ_ONLY,
        create=bool(mount.create),
        required=mount.required is not False,
    )


def _service(service: workspace.Service) -> effective.Service:
    expose = service.expose or workspace.Expose.PORT
    return effective.Service(
        service.name,
        service.port,
        published=expose is workspace.Expose.PORT,
        host_port=service.host_port,
        named=expose is workspace.Expose.HOSTNAME,
    )


def _not_enforced(values: Mapping[str, Value]) -> list[NotEnforced]:
    return [
        NotEnforced(f"spec.{path}", f"{path} (from {values[path].origin}) is not enforced by this version")
        for path in ("lifecycle.idleTimeout", "lifecycle.maxRuntime")
        if values[path].value is not None
    ]
