"""Knows what a workspace really gets: defaults, class, group, user and spec, folded in the contract's order.

Refuses to look anything up: accounts are arguments, and what cannot be resolved is a refusal with a reason.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import cast

from controller.api import policy as policies
from controller.api import quantities, workspace
from controller.api.conditions import Reason
from controller.model import effective
from controller.model.desired import AcceptedPolicy, AcceptedSpec
from controller.model.effective import Effective, Refusal
from controller.model.observed import Account, Limits
from controller.model.plan import NotEnforced
from controller.model.status import EffectiveValue
from controller.planning import choice, identity, layers, security
from controller.planning.layers import Layer, Value

DEFAULT_SHM = 64 * 2**20
"""The Engine's own size of /dev/shm, bytes, where nobody says one."""

_NO_LINES: Mapping[str, int] = {}


def owner_of(spec: workspace.Workspace) -> str:
    """Login name of the owner: as written, else the workspace's name."""
    return spec.spec.owner or spec.metadata.name


def resolve(accepted: AcceptedSpec, policy: AcceptedPolicy, account: Account | None) -> Effective | Refusal:
    """Fold everything that is said about a workspace into what it gets, or say why it gets nothing.

    `account` is the owner's, None where neither the host nor the ledger knows one.
    """
    stack = _stack(accepted, policy, account)
    if isinstance(stack, Refusal):
        return stack
    values = layers.fold(stack)
    for path, default in workspace.CONTRACT_DEFAULTS.items():
        values.setdefault(path, Value(default, "default"))
    refusal = (
        security.refusal(values)
        or identity.refusal(values, owner_of(accepted.workspace), account)
        or _target_refusal(values)
    )
    image = choice.choose(values, policy)
    if refusal or isinstance(image, Refusal):
        return refusal or cast("Refusal", image)
    if image.layer is not None:
        values = layers.beneath(values, image.layer)
    return _build(accepted, policy, account, values, image)


def _stack(
    accepted: AcceptedSpec, policy: AcceptedPolicy, account: Account | None
) -> tuple[Layer, ...] | Refusal:
    spec, rules = accepted.workspace, policy.policy.spec
    owner = owner_of(spec)
    groups = [name for name, group in rules.groups.items() if owner in (group.members or ())]
    ordered = [name for name in rules.group_order if name in groups] or groups
    if len(groups) > 1 and ordered is groups:
        return Refusal(Reason.AMBIGUOUS_GROUP, f"{owner} is in the groups {', '.join(sorted(groups))}")
    preset = _class_layer(spec, rules, owner, account)
    if isinstance(preset, Refusal):
        return preset
    stack = [Layer("policy defaults", rules.defaults, _NO_LINES, "")]
    stack += [preset] if preset else []
    stack += [Layer(f"policy group {name}", rules.groups[name], _NO_LINES, "") for name in ordered[:1]]
    if owner in rules.users:
        stack.append(Layer(f"policy user {owner}", rules.users[owner], _NO_LINES, ""))
    stack.append(Layer(accepted.file, spec.spec, accepted.lines, "spec."))
    return tuple(stack)


def _class_layer(
    spec: workspace.Workspace, rules: policies.PolicySpec, owner: str, account: Account | None
) -> Layer | Refusal | None:
    name = spec.spec.class_name or rules.default_class
    if name is None:
        return None
    found = rules.classes.get(name)
    if found is None:
        known = ", ".join(sorted(rules.classes)) or "none"
        return Refusal(Reason.CLASS_UNKNOWN, f'class "{name}" is not in the policy; it has: {known}')
    needed = layers.placeholders(found) & {"{uid}", "{home}"}
    if needed and account is None:
        return Refusal(
            Reason.ACCOUNT_UNKNOWN,
            f'class "{name}" uses {", ".join(sorted(needed))}, and this host knows no account "{owner}"',
        )
    replacements = {"{owner}": owner, "{name}": spec.metadata.name}
    if account is not None:
        replacements |= {"{uid}": str(account.uid), "{home}": account.home}
    return Layer(f"policy class {name}", layers.fill(found, replacements), _NO_LINES, "")


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


def _build(
    accepted: AcceptedSpec,
    policy: AcceptedPolicy,
    account: Account | None,
    values: Mapping[str, Value],
    image: choice.Chosen,
) -> Effective | Refusal:
    def one(path: str) -> object:
        value = values.get(path)
        return None if value is None else value.value

    rules, spec = policy.policy.spec, accepted.workspace
    run_as_owner = one("security.runAs") is workspace.RunAs.OWNER
    return Effective(
        workspace=accepted.name,
        owner=owner_of(spec),
        class_name=spec.spec.class_name or rules.default_class or "",
        running=one("desiredState") is workspace.DesiredState.RUNNING,
        image=image.reference,
        command=cast("tuple[str, ...] | None", one("command")),
        env=tuple(sorted(cast("Mapping[str, str]", one("env") or {}).items())),
        secrets=_secrets(values),
        init=one("init") is workspace.InitMode.ENGINE,
        pull=cast("workspace.PullPolicy", one("pull")),
        limits=_limits(one("resources.memory"), one("resources.swap"), values),
        shm=cast("int | None", one("resources.shm")) or DEFAULT_SHM,
        mounts=tuple(_mount(m) for m in cast("tuple[workspace.Mount, ...]", one("mounts") or ())),
        mount_roots=tuple(rules.mount_roots),
        nosuid_mounts=not run_as_owner and not rules.allow_suid_mounts,
        services=tuple(_service(s) for s in cast("tuple[workspace.Service, ...]", one("services") or ())),
        port_profile=cast("policies.PortProfile | None", one("portProfile")) or policies.PortProfile.VM,
        run_as_owner=run_as_owner,
        open_network=one("network.isolation") is workspace.Isolation.OPEN,
        stop_grace=cast("timedelta", one("lifecycle.stopGrace")),
        changes=cast("workspace.ChangePolicy", one("lifecycle.changes")),
        account=account,
        not_enforced=tuple(_not_enforced(values)),
        notes=image.notes,
        values=_words(values),
    )


def _secrets(values: Mapping[str, Value]) -> tuple[tuple[str, str], ...]:
    found = values.get("secrets")
    given = cast("tuple[workspace.SecretRef, ...]", found.value if found else ())
    return tuple((secret.name, secret.file) for secret in given)


def _limits(memory: object, swap: object, values: Mapping[str, Value]) -> Limits:
    def number(path: str) -> int | None:
        value = values.get(f"resources.{path}")
        return None if value is None else cast("int | None", value.value)

    cpuset = values.get("resources.cpuset")
    unlimited_swap = memory is None or swap is None
    reservation = number("memoryReservation")
    if reservation is not None and memory is not None:
        reservation = min(reservation, cast("int", memory))
    return Limits(
        nano_cpus=number("cpus"),
        cpuset=None if cpuset is None else cast("str | None", cpuset.value),
        memory=cast("int | None", memory),
        memory_reservation=reservation,
        memory_swap=None if unlimited_swap else cast("int", memory) + cast("int", swap),
        pids=number("pids"),
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
    published = (service.expose or workspace.Expose.PORT) is workspace.Expose.PORT
    return effective.Service(service.name, service.port, published, service.host_port)


def _not_enforced(values: Mapping[str, Value]) -> list[NotEnforced]:
    found = [
        NotEnforced(f"spec.{path}", f"{path} (from {values[path].origin}) is not enforced by this version")
        for path in ("lifecycle.idleTimeout", "lifecycle.maxRuntime")
        if values[path].value is not None
    ]
    services = values.get("services")
    for service in cast("tuple[workspace.Service, ...]", services.value if services else ()):
        if service.expose is workspace.Expose.HOSTNAME:
            path = f"spec.services.{service.name}.expose"
            found.append(NotEnforced(path, f"{path}: Hostname publishes nothing in this version"))
    return found


def _words(values: Mapping[str, Value]) -> tuple[EffectiveValue, ...]:
    return tuple(
        EffectiveValue(path, _word(path, value.value), value.origin) for path, value in sorted(values.items())
    )


def _word(path: str, value: object) -> str:
    match value:
        case None:
            return "null"
        case timedelta():
            return quantities.format_duration(value)
        case int() if path == "resources.cpus":
            return quantities.format_cpus(value)
        case int() if path in {
            "resources.memory",
            "resources.memoryReservation",
            "resources.swap",
            "resources.shm",
        }:
            return quantities.format_bytes(value)
        case tuple():
            return ", ".join(str(getattr(item, "name", item)) for item in value)
        case workspace.ImageRef():
            return value.alias or value.reference or value.name or ""
        case Mapping():
            return ", ".join(sorted(str(key) for key in value))
        case _:
            return str(value)
