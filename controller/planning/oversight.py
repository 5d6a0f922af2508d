"""Knows who uses which GPU, and who of them was granted it: what is granted is held against what is seen.

Refuses to do anything about it: it is told.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from controller.api.conditions import Reason
from controller.model.effective import Effective
from controller.model.gpus import Bystander, Device, GpuView, Process, Use
from controller.model.gpustatus import (
    NO_GPUS,
    DeviceStatus,
    Foreign,
    GpuStatus,
    User,
    Waiter,
    WorkspaceGpus,
)
from controller.model.memory import Memory
from controller.model.observed import NO_GPUS as NO_DEVICES
from controller.model.observed import Container, EngineView, Observed, Seen, Unseen
from controller.model.plan import Decision, HostFinding, Plan
from controller.planning import devices, fencing, inventory
from controller.planning.claimed import Claim
from controller.planning.holdings import Holdings

_NOT_OURS: Final = "container "
"""With this begin the words for holders that are containers of others."""


@dataclass(frozen=True, slots=True)
class Sight:
    """All that is told from, of one pass.

    Attributes:
        held: who holds what.
        memory: with the fences that hold as of this pass.
        waits: since when workspaces wait for devices.
        clean_after: how long a device must be without trouble until its fence ends.
    """

    gpus: Seen[GpuView] | Unseen
    engine: EngineView | None
    held: Holdings
    memory: Memory
    waits: Mapping[str, datetime]
    decisions: Mapping[str, Decision]
    clean_after: timedelta


def oversee(sight: Sight) -> GpuStatus:
    """Tell of all devices who holds and who uses them."""
    memory, seen = sight.memory, sight.gpus
    waiting = tuple(_waiting(sight.waits, sight.decisions))
    if isinstance(seen, Unseen):
        return GpuStatus(unseen=seen, waiting=waiting)
    view = seen.value
    known = {*view.devices, *(claim.uuid for claim in sight.held.claims), *memory.cordons, *memory.fences}
    if not known and not waiting and not view.mismatch:
        return NO_GPUS
    users = None if view.processes is None else _Users(sight, view).all()
    by_device: dict[str, list[Claim]] = {}
    for claim in sight.held.claims:
        by_device.setdefault(claim.uuid, []).append(claim)
    told = [_device(uuid, sight, view, by_device.get(uuid, ()), users) for uuid in known]
    return GpuStatus(
        devices=tuple(sorted(told, key=_place)),
        waiting=waiting,
        driver=view.driver,
        library=view.library,
        mismatch=view.mismatch,
        simulated=view.simulated,
    )


def overseen(
    held: Holdings | None, observed: Observed, memory: Memory, plan: Plan, clean_after: timedelta
) -> GpuStatus:
    """Tell of all devices after a pass; `held` is None where there are none, or nobody could look."""
    before = memory.fences if memory.fences or plan.fences else {}
    now = {**before, **{fence.uuid: fence for fence in plan.fences}}
    fences = {uuid: fence for uuid, fence in now.items() if uuid not in plan.fences_ended}
    engine = observed.engine.value if isinstance(observed.engine, Seen) else None
    if held is None:
        if observed.gpus is NO_DEVICES and not memory.cordons and not fences:
            return NO_GPUS
        held = Holdings(blind="" if engine else "the Engine could not be looked at")
    memory = replace(memory, fences=fences)
    return oversee(
        Sight(
            observed.gpus,
            engine,
            held,
            memory,
            memory.gpu_waits if plan.gpu_waits is None else plan.gpu_waits,
            plan.decisions,
            clean_after,
        )
    )


def of_workspace(
    wanted: Effective | None,
    container: Container | None,
    status: GpuStatus,
    waiting_since: datetime | None,
    gpus: Seen[GpuView] | Unseen,
) -> WorkspaceGpus | None:
    """Tell what one workspace wants and has; None where that is nothing. `gpus` is what was seen of them."""
    wish = wanted.gpu if wanted else None
    uuids = devices.of(container) if container else ()
    if wish is None and not uuids:
        return None
    view = gpus.value if isinstance(gpus, Seen) else GpuView()
    probed = view.access.get(container.id) if container else None
    return WorkspaceGpus(
        wish=wish,
        uuids=uuids,
        devices=tuple(view.devices[uuid] for uuid in uuids if uuid in view.devices),
        waiting_since=waiting_since,
        access=probed.state if probed else None,
        simulated=status.simulated,
        unseen=status.unseen,
    )


def findings(status: GpuStatus) -> Iterator[HostFinding]:
    """Say who uses devices without a grant, once for each of them, and which devices."""
    found: dict[tuple[Foreign | None, str], dict[str, None]] = {}
    for user in status.foreign:
        someone = f"processes of {user.user}" if user.user else f"process {user.pid} ({user.command})"
        found.setdefault((user.foreign, user.who or someone), {})[user.device] = None
    for (kind, who), uuids in sorted(found.items()):
        listed = ", ".join(uuids)
        words = {
            Foreign.HOST: f"outside of any container, use {listed}",
            Foreign.CONTAINER: f"has {listed}",
            Foreign.WORKSPACE: f"uses {listed}, granted to another workspace",
            Foreign.UNASSIGNED: f"uses {listed}, which it was not granted",
        }
        assert kind is not None, "what was granted is none of these"
        yield HostFinding(Reason.GPU_FOREIGN_USE, who, words[kind])


def _waiting(waits: Mapping[str, datetime], decisions: Mapping[str, Decision]) -> Iterator[Waiter]:
    for name, since in sorted(waits.items(), key=lambda wait: (wait[1], wait[0])):
        decision = decisions.get(name)
        yield Waiter(name, since, decision.message if decision else "")


def _place(told: DeviceStatus) -> tuple[bool, tuple[int, ...], str]:
    index = told.device.index
    numbers = tuple(int(part) for part in index.split(":")) if index.replace(":", "").isdigit() else ()
    return not told.there, numbers, told.device.uuid


def _device(
    uuid: str,
    sight: Sight,
    view: GpuView,
    claims: Sequence[Claim],
    users: Mapping[str, tuple[User, ...]] | None,
) -> DeviceStatus:
    memory = sight.memory
    device = view.devices.get(uuid) or Device(uuid, "", 0)
    fence = memory.fences.get(device.whole)
    return DeviceStatus(
        device=device,
        there=uuid in view.devices,
        holders=tuple(dict.fromkeys(claim.holder for claim in claims)),
        workspaces=tuple(dict.fromkeys(claim.workspace for claim in claims if claim.workspace)),
        users=None if users is None else users.get(uuid, ()),
        use=view.use.get(uuid, Use()),
        troubles=tuple(trouble for trouble in view.troubles if trouble.uuid == device.whole),
        cordon=memory.cordons.get(uuid) or memory.cordons.get(device.whole),
        fence=fence,
        fence_ends=None if fence is None else fencing.until(fence, sight.clean_after),
        doubt=sight.held.blind,
    )


class _Users:
    """Finds out who uses devices, by device."""

    def __init__(self, sight: Sight, view: GpuView) -> None:
        self._view, self._claims = view, sight.held.claims
        self._memory = sight.memory
        self._containers = sight.engine.containers if sight.engine else {}
        strangers = sight.engine.bystanders if sight.engine else {}
        self._strangers: Mapping[str, Bystander] = {} if isinstance(strangers, Unseen) else strangers
        self._holders: dict[str, set[str]] = {}
        for claim in self._claims:
            self._holders.setdefault(claim.uuid, set()).add(claim.workspace)

    def all(self) -> Mapping[str, tuple[User, ...]]:
        found: dict[str, list[User]] = {}
        for user in (self._of_process(process) for process in self._view.processes or ()):
            found.setdefault(user.device, []).append(user)
        for claim in self._claims:
            of_it = found.setdefault(claim.uuid, [])
            is_container = not claim.workspace and claim.holder.startswith(_NOT_OURS)
            if is_container and not any(user.who == claim.holder for user in of_it):
                of_it.append(User(claim.uuid, claim.holder, foreign=Foreign.CONTAINER))
        return {uuid: tuple(sorted(of_it, key=_order)) for uuid, of_it in found.items()}

    def _of_process(self, process: Process) -> User:
        who, workspace, foreign = self._who(process)
        return User(
            process.device,
            who,
            workspace,
            process.user,
            process.pid,
            process.command,
            process.memory,
            foreign,
        )

    def _who(self, process: Process) -> tuple[str, str, Foreign | None]:
        identifier = process.container_id
        container, stranger = self._containers.get(identifier), self._strangers.get(identifier)
        if container is not None and inventory.is_ours(self._memory, identifier, container.labels):
            name = inventory.workspace_of(container, self._memory)
            return (
                f"workspace {name}",
                name,
                self._unless_granted(name, devices.of(container), process.device),
            )
        if stranger is None and container is not None:
            return f'container "{container.name}" (not ours)', "", Foreign.CONTAINER
        if stranger is not None:
            return f'container "{stranger.name}" (not ours)', "", Foreign.CONTAINER
        if identifier:
            return f"container {identifier[:12]} (not ours)", "", Foreign.CONTAINER
        return "", "", Foreign.HOST

    def _unless_granted(self, name: str, own: Iterable[str], uuid: str) -> Foreign | None:
        """A process in a MIG instance may be seen on the whole GPU, and is there by right."""
        known = self._view.devices
        if any(uuid in {one, known[one].whole if one in known else one} for one in own):
            return None
        return Foreign.WORKSPACE if self._holders.get(uuid, set()) - {name, ""} else Foreign.UNASSIGNED


def _order(user: User) -> tuple[str, str, int]:
    return user.who, user.user, user.pid or 0
