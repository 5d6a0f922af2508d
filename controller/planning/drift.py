"""Knows in what a container differs from its template, field by field, and how each difference is cured.

Refuses to act on it: a drift is a statement. Rules do not depend on each other's order; all are asked.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from controller.api import labels, quantities
from controller.api.conditions import DriftKind
from controller.model.gpus import VISIBLE_DEVICES, Wish
from controller.model.observed import Container, ContainerState, EngineView, Image, Limits
from controller.model.plan import Drift, Remedy
from controller.model.template import LEAST_RESERVATION, Template
from controller.planning import devices, gear, pleas
from controller.planning import template as template_module
from controller.planning.fitting import Stock

PAGE = 4096
"""The kernel keeps memory limits in whole pages, bytes."""

MAY_BE_UNREADABLE = frozenset({"memory_swap", "memory_reservation"})
"""Limits that some kernels do not account: not seeing them there is no difference."""

FIELD_REMEDIES: Mapping[str, Remedy] = {
    "image": Remedy.REPLACE,
    "hostname": Remedy.REPLACE,
    "command": Remedy.REPLACE,
    "env": Remedy.REPLACE,
    "user": Remedy.REPLACE,
    "init": Remedy.REPLACE,
    "binds": Remedy.REPLACE,
    "ports": Remedy.REPLACE,
    "network": Remedy.REPLACE,
    "shm": Remedy.REPLACE,
    "limits": Remedy.LIVE,
    "stop_grace": Remedy.LIVE,
    "capabilities": Remedy.REPLACE,
    "privileged": Remedy.REPLACE,
    "runtime": Remedy.REPLACE,
    "gpus": Remedy.REPLACE,
    "cgroup_parent": Remedy.REPLACE,
    "log_max_size": Remedy.REPORT,
    "log_max_files": Remedy.REPORT,
}
"""How a change of each field of the template reaches the container; a test fails when a field is in none."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is compared: a container, and what it should be.

    Attributes:
        wish: which GPUs it should have; the template of a workspace names none.
        stock: which GPUs the host has.
        opens: nodes of GPUs that the container may open and was not granted.
    """

    template: Template
    identity: Mapping[str, str]
    optional_targets: frozenset[str]
    container: Container
    wanted_image: str | None
    image: Image | None
    total_memory: int
    total_cpus: int
    default_runtime: str = ""
    wish: Wish | None = None
    stock: Stock = gear.EMPTY
    opens: tuple[str, ...] = ()


def subject(  # noqa: PLR0913 - a comparison has this many sides
    template: Template,
    identity: Mapping[str, str],
    optional_targets: frozenset[str],
    container: Container,
    view: EngineView,
    *,
    wish: Wish | None = None,
    stock: Stock = gear.EMPTY,
    opens: tuple[str, ...] = (),
) -> Subject:
    """Bundle a comparison; `optional_targets` are mounts that may be missing."""
    return Subject(
        template,
        identity,
        optional_targets,
        container,
        view.images.get(template.image),
        view.image_details.get(container.image_id),
        view.total_memory,
        view.total_cpus,
        view.default_runtime,
        wish,
        stock,
        opens,
    )


def detect(case: Subject) -> tuple[Drift, ...]:
    """Return every difference but those of state, in a fixed order."""
    found = [drift for rule in RULES for drift in rule(case)]
    if not any(drift.remedy is Remedy.REPLACE for drift in found):
        found += _template_hash(case)
    return tuple(found)


def _image(case: Subject) -> Iterator[Drift]:
    made_from = case.container.configuration.image
    if case.wanted_image is None and made_from != case.template.image:
        yield Drift(DriftKind.IMAGE, "image", made_from, case.template.image, Remedy.REPLACE)
    if case.wanted_image is not None and case.wanted_image != case.container.image_id:
        observed, desired = _short(case.container.image_id), _short(case.wanted_image)
        yield Drift(DriftKind.IMAGE, case.template.image, observed, desired, Remedy.REPLACE)


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]


def _env(case: Subject) -> Iterator[Drift]:
    observed, desired = dict(case.container.configuration.env), dict(case.template.env)
    base = dict(case.image.env) if case.image is not None else {}
    if devices.has_any(case.container):  # what the variable says then is said as `gpu`
        observed, desired, base = (_without_gpus(env) for env in (observed, desired, base))
    if case.image is not None:
        for name in sorted(observed.keys() - desired.keys() - base.keys()):
            yield Drift(DriftKind.ENV, name, observed[name], "<unset>", Remedy.REPLACE)
    for name, value in sorted({**base, **desired}.items()):
        if observed.get(name) != value:
            yield Drift(DriftKind.ENV, name, observed.get(name, "<unset>"), value, Remedy.REPLACE)


def _without_gpus(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name != VISIBLE_DEVICES}


def _command(case: Subject) -> Iterator[Drift]:
    observed, template = case.container.configuration, case.template
    command = template.command or (case.image.command if case.image else observed.command)
    if observed.command != command:
        yield Drift(
            DriftKind.COMMAND, "command", " ".join(observed.command), " ".join(command), Remedy.REPLACE
        )
    user = template.user or (case.image.user if case.image else observed.user)
    if observed.user != user:
        yield Drift(DriftKind.COMMAND, "user", observed.user or "<unset>", user or "<unset>", Remedy.REPLACE)
    if observed.init != template.init:
        yield Drift(DriftKind.COMMAND, "init", str(observed.init), str(template.init), Remedy.REPLACE)
    if observed.hostname != template.hostname:
        yield Drift(DriftKind.COMMAND, "hostname", observed.hostname, template.hostname, Remedy.REPLACE)


def _mounts(case: Subject) -> Iterator[Drift]:
    observed = {bind.target: bind for bind in case.container.configuration.binds}
    desired = {bind.target: bind for bind in case.template.binds}
    for target in sorted(observed.keys() | desired.keys()):
        before, after = observed.get(target), desired.get(target)
        if before == after or (before is None and target in case.optional_targets):
            continue
        texts = [
            f"{b.source}{' (read only)' if b.read_only else ''}" if b else "<none>" for b in (before, after)
        ]
        yield Drift(DriftKind.MOUNTS, target, texts[0], texts[1], Remedy.REPLACE)


def _ports(case: Subject) -> Iterator[Drift]:
    observed, desired = set(case.container.configuration.ports), set(case.template.ports)
    for port in sorted(observed ^ desired):
        text = f"{port.host_ip}:{port.host_port}"
        before, after = (text, "<none>") if port in observed else ("<none>", text)
        yield Drift(DriftKind.PORTS, str(port.container_port), before, after, Remedy.REPLACE)


def _shm(case: Subject) -> Iterator[Drift]:
    observed, desired = case.container.configuration.shm, case.template.shm
    if observed != desired:
        texts = quantities.format_bytes(observed), quantities.format_bytes(desired)
        yield Drift(DriftKind.RESOURCES, "shm", *texts, Remedy.REPLACE)


def _limits(case: Subject) -> Iterator[Drift]:
    desired, configured = case.template.limits, case.container.configuration.limits
    kernel = case.container.kernel_limits
    enforced = kernel if isinstance(kernel, Limits) else None
    for item in fields(Limits):
        want = getattr(desired, item.name)
        for source in (enforced, configured):
            have = getattr(source, item.name) if source is not None else want
            unreadable = source is enforced and have is None and item.name in MAY_BE_UNREADABLE
            if unreadable or same_limit(item.name, have, want, _unlimited(item.name, case)):
                continue
            texts = _limit_text(item.name, have), _limit_text(item.name, want)
            yield Drift(DriftKind.RESOURCES, item.name, *texts, Remedy.LIVE)
            break


def _unlimited(name: str, case: Subject) -> int | str | None:
    """Return what is written where a limit is to be taken away: the host's total."""
    total = case.total_memory
    match name:
        case "cpuset":
            return quantities.parse_cpuset(f"0-{max(case.total_cpus - 1, 0)}")
        case "nano_cpus":
            return case.total_cpus * quantities.NANO
        case "memory":
            return total
        case "memory_swap":
            return (case.template.limits.memory or total) + total
        case _:
            return None


def same_limit(name: str, have: object, want: object, unlimited: int | str | None) -> bool:
    """Tell whether an observed limit means the same as a desired one.

    Unlimited is written as the host's total, so that much or more is the same as None. No guaranteed memory
    is written as the least that the Engine takes.
    """
    if name == "cpuset":
        return (have or unlimited) == (want or unlimited)
    if name == "memory_reservation" and want is None and isinstance(have, int):
        return have <= LEAST_RESERVATION
    left, right = (
        value if isinstance(value, int) and (not isinstance(unlimited, int) or value < unlimited) else None
        for value in (have, want)
    )
    if name.startswith("memory") and left is not None and right is not None:
        return left // PAGE == right // PAGE
    return left == right


def _limit_text(name: str, value: object) -> str:
    if not isinstance(value, int):
        return "unlimited" if value is None else str(value)
    if name.startswith("memory"):
        return quantities.format_bytes(value)
    return quantities.format_cpus(value) if name == "nano_cpus" else str(value)


def _labels(case: Subject) -> Iterator[Drift]:
    for name in labels.COMPARED:
        if name in {labels.TEMPLATE_HASH, labels.GPUS}:
            continue  # they are compared by rules of their own
        before, after = case.container.labels.get(name, "<unset>"), case.identity[name]
        if before != after:
            yield Drift(DriftKind.LABELS, name, before or "<empty>", after or "<empty>", Remedy.REPLACE)


def _template_hash(case: Subject) -> Iterator[Drift]:
    before, version = case.container.labels.get(labels.TEMPLATE_HASH, ""), _version(case)
    if version not in template_module.PROJECTIONS:
        return
    current = version == template_module.HASH_VERSION
    after = case.identity[labels.TEMPLATE_HASH] if current else template_module.digest(case.template, version)
    if before != after:
        yield Drift(DriftKind.LABELS, labels.TEMPLATE_HASH, before[:15], after[:15], Remedy.REPLACE)


def _version(case: Subject) -> str:
    """Which rendering a container was made with: what that did not know of is not compared."""
    return case.container.labels.get(labels.TEMPLATE_HASH, "").partition(":")[0]


def _security(case: Subject) -> Iterator[Drift]:
    observed, template = case.container.configuration, case.template
    if observed.privileged != template.privileged:
        texts = ["yes" if privileged else "no" for privileged in (observed.privileged, template.privileged)]
        yield Drift(DriftKind.SECURITY, "privileged", texts[0], texts[1], Remedy.REPLACE)
    if _version(case) != "v1" and observed.capabilities != template.capabilities:
        texts = [
            "<default>" if names is None else " ".join(names) or "<none>"
            for names in (observed.capabilities, template.capabilities)
        ]
        yield Drift(DriftKind.SECURITY, "capabilities", texts[0], texts[1], Remedy.REPLACE)
    wanted = template.runtime or case.default_runtime
    if observed.runtime != wanted and (template.runtime is not None or any(_template_hash(case))):
        yield Drift(DriftKind.SECURITY, "runtime", observed.runtime, wanted, Remedy.REPLACE)


def _gpus(case: Subject) -> Iterator[Drift]:
    """Which devices it has is compared with what is asked for; how they reach it is not."""
    own = devices.of(case.container)
    has = devices.has_any(case.container)
    if case.opens:
        yield Drift(DriftKind.GPU, "rules", ", ".join(case.opens), "<none>", Remedy.REPORT)
    observed = ", ".join(own) or ("others" if has else "<none>")
    if case.wish is None:
        if has:
            yield Drift(DriftKind.GPU, "devices", observed, "<none>", Remedy.REPLACE)
        return
    if not gear.fits(case.stock, case.wish, own):
        yield Drift(DriftKind.GPU, "devices", observed, pleas.what(case.wish), Remedy.REPLACE)
        return
    given = devices.other_than(case.container, own, case.stock.devices)
    if given:
        yield Drift(DriftKind.GPU, "devices", f"{observed}, {given}", observed, Remedy.REPLACE)


def _restart_policy(case: Subject) -> Iterator[Drift]:
    policy = case.container.configuration.restart_policy
    if policy not in {"", "no"}:
        yield Drift(DriftKind.RESTART_POLICY, "restart", policy, "no", Remedy.LIVE)


def _network(case: Subject) -> Iterator[Drift]:
    configuration, wanted = case.container.configuration, case.template.network
    if configuration.network_mode != wanted:
        yield Drift(DriftKind.NETWORK, "network", configuration.network_mode, wanted, Remedy.REPLACE)
    elif wanted not in configuration.networks:
        yield Drift(DriftKind.NETWORK, "network", "<disconnected>", wanted, Remedy.LIVE)
    for name in sorted(configuration.networks - {wanted, configuration.network_mode}):
        yield Drift(DriftKind.NETWORK, name, "connected", "<none>", Remedy.REPORT)


RULES = (
    _image,
    _env,
    _command,
    _mounts,
    _ports,
    _shm,
    _security,
    _limits,
    _labels,
    _gpus,
    _restart_policy,
    _network,
)
"""All of them are asked, in this order."""


def of_orphan(container: Container) -> tuple[Drift, ...]:
    """Return the difference of a container that no spec asks for."""
    return (Drift(DriftKind.ORPHAN, "container", container.name, "<none>", Remedy.REPORT),)


def of_state(container: Container | None, *, should_run: bool) -> tuple[Drift, ...]:
    """Return the difference between a container's state and whether it should run."""
    if container is None:
        return (
            (Drift(DriftKind.MISSING, "container", "<none>", "running", Remedy.LIVE),) if should_run else ()
        )
    if should_run and container.state is not ContainerState.RUNNING:
        return (Drift(DriftKind.STATE, "state", container.state.value, "running", Remedy.LIVE),)
    if not should_run and container.running:
        return (Drift(DriftKind.STATE, "state", container.state.value, "stopped", Remedy.LIVE),)
    return ()
