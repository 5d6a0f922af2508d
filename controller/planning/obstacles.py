"""Knows what stands in the way of a start on this host: mounts, ports, network, slice, disk, image, GPUs.

Refuses to remove an obstacle: it is named, with what a person can do about it.
"""

from datetime import timedelta

from controller.api import labels
from controller.api.conditions import Reason
from controller.api.workspace import PullPolicy
from controller.model import slices
from controller.model.observed import Container, EngineView, Unseen
from controller.model.plan import Decision, HostFinding, Verdict
from controller.planning import chains, devices
from controller.planning.case import Case, Rules
from controller.planning.gear import Shortage

BUSY_LOOK = timedelta(seconds=2)
"""How soon a container that the Engine is busy with is looked at again."""


def busy(case: Case, message: str) -> Decision:
    """Wait for the Engine, which is at work on the container or cannot tell about it."""
    return case.decide(Verdict.WAIT, Reason.CONTAINER_BUSY, message, retry_at=case.now + BUSY_LOOK)


def beside(case: Case) -> Decision | None:
    """Another container of the workspace runs that is no predecessor: somebody renamed or started it."""
    others = [c for c in case.ours.strays(case.memory) if c.running]
    if not others:
        return None
    message = f"{others[0].name} ({others[0].id[:12]}) is of this workspace and runs; stop or remove it"
    return case.decide(Verdict.HOLD, Reason.CONTAINER_BUSY, message)


def host(case: Case) -> Decision | None:
    """Find the first obstacle on the host, the image apart."""
    rules = (_account, _quotas, _mounts, _secrets, _ports, _network, _runtime, limits)
    return next((found for rule in rules if (found := rule(case)) is not None), None)


def _account(case: Case) -> Decision | None:
    """Find that the owner's account is gone, or is another one."""
    found = case.account_trouble
    return None if found is None else case.decide(Verdict.HOLD, *found)


def _quotas(case: Case) -> Decision | None:
    """What runs beyond its owner's quotas is not stopped for a start that could not be made."""
    if case.beyond is None:
        return None
    message = f"{case.beyond.message}; it runs on, and could not be started again"
    return case.decide(Verdict.HOLD, case.beyond.reason, message)


def _mounts(case: Case) -> Decision | None:
    main = case.ours.main
    made_with = {bind.target for bind in main.configuration.binds} if main is not None else frozenset()
    for mount in case.design.effective.mounts:
        check = case.scene.host.mounts.get((case.name, mount.name))
        if check is None or check.obstacle is None:
            continue
        missing = check.obstacle.reason is Reason.MOUNT_MISSING
        if missing and not mount.required and mount.target not in made_with:
            continue
        return case.decide(Verdict.HOLD, check.obstacle.reason, check.obstacle.message)
    return None


def _secrets(case: Case) -> Decision | None:
    found = case.scene.host.secrets.get(case.name)
    return None if found is None else case.decide(Verdict.HOLD, found.reason, found.message)


def _ports(case: Case) -> Decision | None:
    """Find ports of ours on which somebody else listens; while a container of ours runs it is that one."""
    listeners = case.scene.host.listeners
    if listeners is None or case.ours.running():
        return None
    taken = [p.host_port for p in case.design.template.ports if p.host_port in listeners]
    if not taken:
        return None
    message = f"another process listens on port {', '.join(map(str, taken))} of the host"
    return case.decide(Verdict.HOLD, Reason.PORT_TAKEN, message)


def _network(case: Case) -> Decision | None:
    name = case.design.template.network
    network = case.scene.view.networks.get(name)
    if network is None:
        return case.decide(Verdict.WAIT, Reason.NETWORK_PENDING, f'the network "{name}" is made first')
    private = name == labels.NETWORK_PRIVATE
    wrong = network.driver != "bridge" or (private and network.subnet != case.scene.rules.subnet)
    if not wrong and network.inter_container is not private:
        return None
    traffic = "on" if network.inter_container else "off"
    message = (
        f'the network "{name}" is there with other settings ({network.driver}, '
        f"{network.subnet or 'no subnet'}, traffic between containers {traffic}); "
        "remove it and it is made anew"
    )
    return case.decide(Verdict.HOLD, Reason.NETWORK_UNUSABLE, message)


def _runtime(case: Case) -> Decision | None:
    wanted, view = case.design.template.runtime, case.scene.view
    if wanted is None or wanted in view.runtimes:
        return None
    message = (
        f'the Engine has no runtime "{wanted}" (the policy\'s dockerInDockerRuntime); it has: '
        f"{', '.join(sorted(view.runtimes)) or 'none'}"
    )
    return case.decide(Verdict.HOLD, Reason.RUNTIME_MISSING, message)


def limits(case: Case) -> Decision | None:
    """Find that the owner's slice must be made or set before a start, or cannot have its limits."""
    status = case.scene.slices
    promised = None if case.ours.running() else status.promised.get(case.name)
    if promised is not None:
        return case.decide(Verdict.HOLD, Reason.MEMORY_PROMISED, promised)
    slice_ = status.owners.get(case.design.effective.owner)
    if slice_ is None:
        return None
    if slice_.refused:
        message = f"the limits of {slice_.owner} cannot be enforced here: {slice_.refused}"
        return case.decide(Verdict.HOLD, Reason.LIMIT_UNENFORCEABLE, message)
    if not slice_.waits:
        return None
    failed = case.memory.backoffs.get(slices.subject(slice_.owner))
    due = None if failed is None or failed.next_attempt <= case.now else failed.next_attempt
    return case.decide(Verdict.WAIT, Reason.SLICE_PENDING, slice_.waits, retry_at=due)


def parent(case: Case, container: Container) -> Decision | None:
    """Find that the Engine starts nothing in the slice that a container was made for: its driver changed."""
    made_for = container.configuration.cgroup_parent
    if case.scene.view.cgroup_driver != "systemd" or not made_for or made_for.endswith(".slice"):
        return None
    why = f"{container.name} was made for {made_for}, and the Engine, whose cgroups systemd makes now"
    main = container is case.ours.main
    anew = f"; `wharf approve {case.name}` has it made anew" if main else ""
    message = f"{why}, starts nothing there{anew}"
    return case.decide(Verdict.HOLD, Reason.CHANGE_PENDING, message)


def kept(case: Case, container: Container) -> Decision | None:
    """Find what keeps a kept container from its start, as far as it was seen: networks and ports of its own.

    The sources of its mounts are checked by `chains.sources`.
    """
    unfit = parent(case, container)
    if unfit is not None:
        return unfit
    gone = sorted(container.configuration.networks - case.scene.view.networks.keys())
    if gone:
        message = f'the kept container is of the network "{gone[0]}", which is gone'
        return case.decide(Verdict.HOLD, Reason.NETWORK_UNUSABLE, message)
    held = {port.host_port for ours in case.ours.running() for port in ours.configuration.ports}
    wanted = {port.host_port for port in container.configuration.ports} - held
    taken = sorted(wanted & (case.scene.host.listeners or frozenset()))
    if taken:
        message = f"another process listens on port {', '.join(map(str, taken))} of the kept container"
        return case.decide(Verdict.HOLD, Reason.PORT_TAKEN, message)
    return None


def space(case: Case) -> Decision | None:
    """The Engine's disk is too full for a pull or a new container; one that cannot be seen holds nothing."""
    disk = case.scene.view.disk
    if isinstance(disk, Unseen) or not disk.pressed:
        return None
    message = (
        f"the disk of {disk.path} is {disk.percent} % full and nothing new is made above "
        f"{case.scene.rules.high_watermark} %; make room, for example with `wharf gc`"
    )
    return case.decide(Verdict.HOLD, Reason.DISK_PRESSURE, message)


def pressure(view: EngineView, rules: Rules) -> tuple[HostFinding, ...]:
    """Say once for the whole host that its disk is too full."""
    disk = view.disk
    if isinstance(disk, Unseen) or not disk.pressed:
        return ()
    message = (
        f"the disk is fuller than disk.highWatermark ({rules.high_watermark} %): nothing is pulled and no "
        "container is made; what runs goes on"
    )
    return (HostFinding(Reason.DISK_PRESSURE, disk.path, message),)


def new(case: Case) -> Decision | None:
    """Find what stands in the way of a new container."""
    return host(case) or space(case) or image(case) or granted(case)


def anew(case: Case) -> Decision | None:
    """Find what stands in the way of a container in place of one that never ran, which takes no more room."""
    return host(case) or image(case) or granted(case)


def is_short(case: Case) -> bool:
    """Tell whether a new container cannot have its devices."""
    return case.gear is not None and case.gear.lack is not None


def granted(case: Case) -> Decision | None:
    """A new container is made with the devices that it shall have, or not at all."""
    return _short(case, case.gear.lack if case.gear is not None else None)


def own_devices(case: Case) -> Decision | None:
    """A container that is there can only be started with its own devices."""
    if case.gear is not None:
        return _short(case, case.gear.own_lack)
    own = devices.of(case.ours.main) if case.ours.main is not None else ()
    if not own:
        return None
    message = f"needs {', '.join(own)}, with which its container was made; this host has no GPUs any more"
    return case.decide(Verdict.WAIT, Reason.OWN_GPU_BUSY, message)


def _short(case: Case, lack: Shortage | None) -> Decision | None:
    return None if lack is None else case.decide(lack.verdict, lack.reason, lack.message)


def image(case: Case) -> Decision | None:
    """Pull before anything else; a reference that was never looked up is looked up first."""
    effective, images = case.design.effective, case.scene.view.images
    if effective.image not in images:
        return case.decide(Verdict.WAIT, Reason.IMAGE_PENDING, f"{effective.image} is looked up")
    if images[effective.image] is not None:
        return None
    if effective.pull is PullPolicy.NEVER:
        message = f"{effective.image} is not on this host and pull is Never"
        return case.decide(Verdict.HOLD, Reason.IMAGE_UNAVAILABLE, message)
    full = space(case)
    if full is not None:
        return full
    verdict = Verdict.CREATE if case.ours.main is None else Verdict.UPDATE
    message = f"{effective.image} is pulled first"
    return case.decide(verdict, Reason.IMAGE_MISSING, message, actions=chains.pull(case))
