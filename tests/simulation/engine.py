"""Knows the Engine's ground truth: the simulated Engine, with who did what to which run of which container.

It refuses to know the controller but by the word of who asks; ownership is judged by the claim alone.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controller.api import labels
from controller.audit.evidence import Happening, Standing
from controller.planning import claims
from tests.support.sim_container import SimContainer
from tests.support.sim_engine import SimEngine

if TYPE_CHECKING:
    from tests.simulation.gpu_verdicts import Sight
    from tests.simulation.slice_verdicts import SliceSight

TOLD = frozenset({"create", "start", "stop", "die", "destroy", "rename", "update", "pause", "unpause"})
MEANT = {
    "create_container": "create",
    "start": "start",
    "stop": "stop",
    "remove": "destroy",
    "rename": "rename",
    "update": "update",
    "unpause": "unpause",
}
"""What a controller's call is for; whatever else the Engine tells of is part of it."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for a call.

    Attributes:
        by: `controller`, `person`, `engine`, `process`.
        epoch, intent: of the controller and its chain; None for others.
        what: its call is for.
        sight: what was known of the GPUs when it was decided; None where no devices are given by it.
        slices: likewise of the slices; None where there are none.
        late: whoever asked for it has given it up.
        seen_at: when the look began on which it was decided, in true time.
        asked_at, compared_at: when the call was sent, and when the run was read that was compared before.
    """

    by: str
    epoch: int | None = None
    intent: int | None = None
    seen_at: datetime | None = None
    asked_at: datetime | None = None
    compared_at: datetime | None = None
    what: str = ""
    sight: "Sight | None" = None
    slices: "SliceSight | None" = None
    late: bool = False


PROCESS = Asker("process")
PERSON = Asker("person")
ENGINE = Asker("engine")


@dataclass
class _Run:
    """The latest run of a container; `first` and `began` are the true times of its first one and of this."""

    started: datetime | None = None
    pid: int = 0
    first: datetime | None = None
    began: datetime | None = None
    ended: datetime | None = None
    pid_before: int = 0

    def had_begun(self, compared_at: datetime | None) -> bool:
        """Whether it ever ran; what began after the comparison does not count, as a look is not a lock."""
        return self.first is not None and (compared_at is None or self.first <= compared_at)

    def compared(self, at: datetime | None) -> datetime | None:
        """The time of a comparison by the clock by which this run began, whatever was done to the clock."""
        if at is None or self.began is None or self.started is None:
            return at
        return self.started + (at - self.began)

    def met(self, at: datetime) -> int:
        """The pid that a call met which ended it at this very moment, or came later."""
        return self.pid_before if self.ended == at else self.pid


class WatchedEngine(SimEngine):
    """One Engine whose every change is witnessed.

    `clock` is the wall clock of its host; `true_time` never steps.

    Attributes:
        asker: who asks for what is done now.
        happenings: all that happened, in order.
        events: published and not delivered yet: kind, action, actor id.
        written: bytes that users hold in a container's layer, by id.
        changed: containers may stand otherwise than when this was last cleared.
        odd_accounts: what is wrong with an account of the host, by login name: gone, changed or silent.
        on_gpus: is told of each creation and start, and who asked for it; None on a host without GPUs.
        cgroup_version: 1 or 2. `on_limits`: is told of each container that was given limits.
    """

    def __init__(self, clock: Callable[[], datetime], true_time: Callable[[], datetime], key: bytes) -> None:
        self.asker = PROCESS
        self.happenings: list[Happening] = []
        self.written: dict[str, int] = {}
        self.pending: deque[tuple[str, str, str]] = deque()
        self.changed = True
        self.odd_accounts: dict[str, str] = {}
        self.on_gpus: Callable[[SimContainer, str, Asker], None] | None = None
        self.cgroup_version = 1
        self.on_limits: Callable[[SimContainer], None] = lambda _: None
        self.true_time = true_time
        self._key = key
        self._runs: dict[str, _Run] = {}
        self._owners: dict[str, str] = {}
        self._bearers: dict[str, str] = {}
        super().__init__(clock)
        self.events.publish = self._heard  # type: ignore[method-assign]

    def _heard(self, kind: str, action: str, actor_id: str, attributes: dict[str, str]) -> None:
        """Keep an event for its delivery, which the scheduler chooses."""
        del attributes
        self.pending.append((kind, action, actor_id))

    def publish(self, container: SimContainer, action: str, **attributes: str) -> None:
        if action == "create":
            self._bearers.setdefault(container.config["Labels"].get(labels.INSTANCE, ""), container.id)
        super().publish(container, action, **attributes)
        self.changed = True
        if action in TOLD:
            self._witness(container, action)
        if action in {"start", "update"}:
            self.on_limits(container)

    def info(self) -> dict[str, Any]:
        return {**super().info(), "CgroupVersion": str(self.cgroup_version)}

    def _witness(self, container: SimContainer, what: str) -> None:
        run = self._runs.setdefault(container.id, _Run())
        by = self.asker.by
        if by == "process" or what == self.asker.what or (by != "controller" and what != "die"):
            self._tell(container, what, run)
        if what == "start":
            now = self.true_time()
            self._runs[container.id] = _Run(container.started, container.pid, run.first or now, now)
        elif what == "die":
            run.ended, run.pid_before, run.pid = self.true_time(), run.pid, 0
        if what in {"create", "destroy"}:
            self._owners.clear()
        if self.on_gpus is not None:
            self.on_gpus(container, what, self.asker)

    def shows_running(self, container: SimContainer) -> bool:
        """Whether the list has a container as one that runs or may."""
        row = self._replica.get(container.id)
        return row is not None and row["State"] not in {"created", "exited"}

    def _tell(self, container: SimContainer, what: str, run: _Run) -> None:
        by = self.asker
        self.happenings.append(
            Happening(
                at=self.true_time(),
                what=what,
                container_id=container.id,
                name=container.name,
                workspace=self.owner(container),
                by=by.by,
                epoch=by.epoch,
                intent=by.intent,
                started_at=run.started,
                pid=run.met(self.true_time()),
                ever_ran=run.had_begun(by.compared_at),
                bytes_held=self.written.get(container.id, 0),
                seen_at=by.seen_at,
                asked_at=by.asked_at,
                compared_at=run.compared(by.compared_at),
            )
        )

    def owner(self, container: SimContainer) -> str:
        """The workspace by a valid claim, else empty; all but the first with an instance are copies."""
        known = self._owners.get(container.id)
        if known is None:
            given = container.config["Labels"]
            first = self._bearers.get(given.get(labels.INSTANCE, "")) == container.id
            owned = first and claims.is_ours(self._key, given)
            known = self._owners[container.id] = given[labels.WORKSPACE] if owned else ""
        return known

    def standings(self, retained: frozenset[str]) -> tuple[Standing, ...]:
        """Every container as it is; `retained` are those that the ledger keeps."""
        return tuple(self._standing(container, retained) for container in self.containers.values())

    def _standing(self, container: SimContainer, retained: frozenset[str]) -> Standing:
        workspace = self.owner(container)
        given = container.config["Labels"]
        aside = labels.retained_name(workspace, given.get(labels.INSTANCE, container.id))
        mounts: list[dict[str, Any]] = container.host_config.get("Mounts") or []
        return Standing(
            container_id=container.id,
            name=container.name,
            workspace=workspace,
            owned=bool(workspace),
            running=container.running,
            kept=container.id in retained or container.name == aside,
            started_at=container.started,
            pid=container.pid,
            units=frozenset(f"port/{port}" for port in container.host_ports()),
            binds=tuple(mount["Source"] for mount in mounts),
        )

    # what happens by itself

    def die(self, container: SimContainer, code: int, *, heard: bool = True) -> None:
        """The main process ends; nobody is told of it while the Engine is down."""
        waiting = len(self.pending)
        self.asker = PROCESS
        self.end(container, code)
        if not heard:
            while len(self.pending) > waiting:
                self.pending.pop()

    def rise(self, *, kills: bool) -> None:
        """Start the daemon anew; without live restore it kills what survived it, and says so to nobody."""
        self.asker, self.live_restore = ENGINE, not kills
        before = [container for container in self.containers.values() if container.running]
        self.restart()
        for container in before:
            if not container.running:
                run = self._runs[container.id]
                self._tell(container, "die", run)
                run.ended, run.pid = None, 0
        self.pending.clear()
        self.down, self.changed, self.live_restore = False, True, True
