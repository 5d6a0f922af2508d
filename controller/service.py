"""Knows how questions and orders over the control socket are answered: from the last report, by the ledger.

Refuses to act on anything but the ledger: an order is written down, and the next pass carries it out.
"""

import pwd
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, TypeVar

from controller import __version__, accounting, changes, collecting, cordons, settling
from controller.api.conditions import Reason
from controller.model import errors
from controller.model.memory import BackOff, Memory, Pause, Suspension
from controller.model.status import Event, PassReport, WorkspaceStatus
from controller.reporting import control
from controller.status import gpus, images, owners, planned, records, slices, story, wording
from controller.surroundings import NoSlices, Slices

T = TypeVar("T")

ACCEPTED: control.Json = {"accepted": True}


class Ledger(changes.Ledger, cordons.Ledger, Protocol):
    """What of the ledger people's orders touch."""

    def events(self, subject: str | None, limit: int) -> tuple[Event, ...]:
        """Return the latest events."""

    def intents(self, workspace: str | None, limit: int) -> Sequence[story.Chain]:
        """Return the latest chains."""

    def suspend(self, workspace: str, suspension: Suspension) -> None:
        """Write a person's word on whether it shall run."""

    def clear_suspension(self, workspace: str) -> None:
        """Take that word back."""

    def request_restart(self, workspace: str, at: datetime) -> None:
        """Write that a person wants a restart."""

    def set_backoff(self, workspace: str, backoff: BackOff | None) -> None:
        """Write when a workspace is tried again."""

    def pause(self, workspace: str | None, pause: Pause) -> None:
        """Write a pause."""

    def resume(self, workspace: str | None) -> None:
        """Write its end."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What of the configuration answers need.

    Attributes:
        low_watermark: percent of the Engine's disk.
        slice_root: name of the slice above all.
    """

    mode: str
    engine: str
    spec_dir: Path
    stale_after: timedelta
    low_watermark: int = 80
    slice_root: str = "wharf"


class Inquiries(changes.Inquiries, collecting.Inquiries, Protocol):
    """Single questions to the Engine."""


class Service:
    """Answers from the report that was published last. `wake` makes the next pass come at once."""

    def __init__(
        self,
        ledger: Ledger,
        inquiries: Inquiries,
        clock: Callable[[], datetime],
        wake: Callable[[], None],
        facts: Facts,
        around: Slices | None = None,
    ) -> None:
        self._ledger = ledger
        self._inquiries = inquiries
        self._clock = clock
        self._wake = wake
        self._facts = facts
        self._slices = around or NoSlices()
        self._shares = accounting.Shares()
        self._report: PassReport | None = None
        self._ordered: dict[str, datetime] = {}
        self._lock = threading.Lock()
        self.errands = collecting.Errands()

    def publish(self, report: PassReport) -> None:
        """Answer from this report from now on."""
        self._shares.note(report)
        self._report = report

    # health

    def why_not_ready(self) -> str:
        """Why not, in a sentence; empty when it is ready."""
        report = self._report
        if report is None:
            return "no pass has been made yet"
        for part, reason, message in report.unseen:
            return f"{part}: {reason}: {message}"
        age = self._clock() - report.at
        if age > self._facts.stale_after:
            return f"the last complete pass is {age.total_seconds():.0f} s old"
        return ""

    # questions

    def version(self) -> control.Json:
        """Version and mode of the controller."""
        return {"version": __version__, "mode": self._facts.mode, "engine": self._facts.engine}

    def workspaces(self) -> control.Json:
        """All workspaces, by name."""
        report = self._last()
        found = (report.statuses[name] for name in sorted(report.statuses))
        return {"items": [wording.object_of(status, report.slices) for status in found]}

    def workspace(self, name: str) -> control.Json:
        """One workspace's object."""
        return _plain(wording.object_of(self._status(name), self._last().slices))

    def plan(self) -> control.Json:
        """What would be done now."""
        report = self._last()
        return _plain(planned.plan_object(report.plan, report.statuses))

    def story(self, name: str) -> control.Json:
        """Why a workspace is as it is."""
        return _plain(
            story.story_object(
                self._status(name),
                self._memory(),
                self._ledger.intents(name, story.CHAINS),
                self._ledger.events(name, story.EVENTS),
            )
        )

    def events(self, subject: str | None, limit: int) -> control.Json:
        """Latest events."""
        return {"items": [records.event_object(event) for event in self._ledger.events(subject, limit)]}

    def retained(self) -> control.Json:
        """Kept containers."""
        memory = self._memory()
        sizes = self._inquiries.layer_sizes(memory.retained)
        return {"items": records.retained_objects(memory, sizes)}

    def adoptable(self, name: str) -> control.Json:
        """The container on a name, as somebody must see it before it is adopted."""
        found = changes.candidate(self._ledger, self._inquiries, name, self._clock())
        return _plain(records.adoptable_object(found.container, found.workspace, owned=found.owned))

    def ports(self) -> control.Json:
        """Port blocks and grants."""
        return _plain(records.ports_object(self._memory()))

    def user(self, name: str) -> control.Json:
        """What an owner may have and has."""
        report = self._last()
        try:
            return _plain(owners.user_object(report, name, self._shares.cpus()))
        except KeyError:
            for part, reason, message in report.unseen:
                if part == "policy":  # without it nobody is known
                    raise control.Unavailable(reason, message) from None
            raise control.NotFound(f'nobody knows a user "{name}"') from None

    def images(self) -> control.Json:
        """The catalog's images."""
        return {"items": images.image_objects(self._last(), self._memory())}

    def gpus(self) -> control.Json:
        """All GPUs."""
        return _plain(gpus.gpus_object(self._last().gpus))

    def slices(self) -> control.Json:
        """All slices."""
        return _plain(slices.slices_object(self._last(), self._shares.cpus()))

    def usage(self) -> control.Json:
        """What is used right now."""
        root = self._facts.slice_root
        return _plain(accounting.look(self._last(), self._slices, root, self._clock()))

    def garbage(self) -> control.Json:
        """Every image, and why it stays or that it would go for room."""
        low, now = self._facts.low_watermark, self._clock()
        found = collecting.look(self._last(), self._inquiries, self._memory(), low, now)
        return {**found, "underWay": self.errands.room_wanted(now) is not None}

    def collection(self) -> control.Json:
        """Whether images are being removed for room."""
        return {"underWay": self.errands.room_wanted(self._clock()) is not None}

    def settled(self, name: str, awaited: control.Awaited) -> tuple[bool, control.Json]:
        """Whether what is awaited has settled, and the workspace's object now."""
        report = self._last()
        status = report.statuses.get(name)
        if status is None:
            if awaited.digest is not None:
                return False, {}
            raise control.NotFound(f'there is no workspace "{name}"')
        with self._lock:
            ordered = self._ordered.get(name)
        looked = ordered is None or report.at > ordered
        settled = settling.has_settled(status, awaited, report, self._facts.spec_dir)
        return looked and settled, _plain(wording.object_of(status, report.slices))

    # orders

    def start(self, name: str, caller: control.Caller) -> control.Json:
        """Ask for a workspace to run, whatever its spec says."""
        word = _said(self._status(name))

        def write(order: changes.Order) -> None:
            if word == "Running":
                self._ledger.clear_suspension(name)
            else:
                wish = Suspension(running=True, desired_state=word, at=order.at, by=order.by)
                self._ledger.suspend(name, wish)
            self._ledger.set_backoff(name, None)

        self._order(name, caller, write)
        return ACCEPTED

    def stop(self, name: str, caller: control.Caller) -> control.Json:
        """Ask for a workspace to be stopped."""
        word = _said(self._status(name))
        self._order(
            name,
            caller,
            lambda order: self._ledger.suspend(
                name, Suspension(running=False, desired_state=word, at=order.at, by=order.by)
            ),
        )
        return ACCEPTED

    def restart(self, name: str, caller: control.Caller) -> control.Json:
        """Ask for one stop and start."""
        status = self._status(name)
        if not status.desired_running:
            raise control.Refused(Reason.STOPPED, f"{name} is to be stopped; `wharf start {name}` starts it")

        def write(order: changes.Order) -> None:
            self._ledger.set_backoff(name, None)
            self._ledger.request_restart(name, order.at)

        self._order(name, caller, write)
        return ACCEPTED

    def pause(self, workspace: str | None, reason: str, caller: control.Caller) -> control.Json:
        """No automatic mutation of one workspace, or (None) of the host."""
        if workspace is not None:
            self._status(workspace)
        self._order(
            workspace,
            caller,
            lambda order: self._ledger.pause(workspace, Pause(reason, order.at, order.by)),
        )
        return ACCEPTED

    def resume(self, workspace: str | None, caller: control.Caller) -> control.Json:
        """The end of a pause."""
        self._order(workspace, caller, lambda _: self._ledger.resume(workspace))
        return ACCEPTED

    def approve(self, name: str, caller: control.Caller) -> control.Json:
        """Let a held or parked change go."""
        status = self._status(name)
        fresh = self._order(name, caller, lambda order: changes.approve(self._ledger, status, order))
        return {**ACCEPTED, "already": not fresh}

    def delete(self, name: str, caller: control.Caller) -> control.Json:
        """Take that a person took the spec file away."""
        self._order(name, caller, lambda order: changes.delete(self._ledger, name, order))
        return ACCEPTED

    def rollback(self, name: str, caller: control.Caller) -> control.Json:
        """Put the newest kept container back."""
        status = self._status(name)
        kept = self._order(name, caller, lambda order: changes.roll_back(self._ledger, status, order))
        return {**ACCEPTED, "container": kept.name}

    def forget(self, container: str, caller: control.Caller) -> control.Json:
        """Remove a kept container."""
        kept = self._order(None, caller, lambda order: changes.forget(self._ledger, container, order))
        return {**ACCEPTED, "container": kept.name}

    def adopt(self, name: str, container_id: str, caller: control.Caller) -> control.Json:
        """Declare a container ours."""
        found = self._order(
            None,
            caller,
            lambda order: changes.adopt(self._ledger, self._inquiries, name, container_id, order),
        )
        return {**ACCEPTED, "workspace": found.workspace, "already": found.owned}

    def collect(self, caller: control.Caller) -> control.Json:
        """Ask for unused images to go until there is room."""
        del caller
        low, memory = self._facts.low_watermark, self._memory()
        needed = collecting.ask(self.errands, self._last(), memory, low, self._clock())
        self._wake()
        return {**ACCEPTED, "needed": needed}

    def cordon(self, name: str, reason: str, caller: control.Caller, *, drain: bool) -> control.Json:
        """Take a GPU out of use."""
        status = self._last().gpus
        uuid = cordons.find(status, self._memory(), name)
        self._order(
            None, caller, lambda order: cordons.cordon(self._ledger, uuid, reason, order, drain=drain)
        )
        return {**ACCEPTED, "uuid": uuid, "workspaces": cordons.told_to_leave(status, uuid)}

    def uncordon(self, name: str, caller: control.Caller) -> control.Json:
        """Let a GPU be granted again."""
        memory = self._memory()
        status = self._last().gpus
        uuid = cordons.find(status, memory, name)
        before = memory.cordons.get(uuid)
        done = self._order(None, caller, lambda order: cordons.uncordon(self._ledger, uuid, before, order))
        still = cordons.still_out_of_use(status, memory, uuid)
        return {**ACCEPTED, "uuid": uuid, "already": not done, "outOfUse": still}

    def wake(self, caller: control.Caller) -> control.Json:
        """Look at everything now."""
        del caller
        self._wake()
        return {}

    def _order(self, name: str | None, caller: control.Caller, write: Callable[[changes.Order], T]) -> T:
        """Write an order down and have it carried out by the next pass."""
        at = self._clock()
        try:
            result = write(changes.Order(_person(caller), at))
        except errors.EffectError as error:
            raise control.Unavailable(error.reason, error.message) from error
        with self._lock:
            self._ordered[name or ""] = at
        self._wake()
        return result

    def _last(self) -> PassReport:
        if self._report is None:
            raise control.Unavailable(Reason.NOT_SEEN, "the controller has not made its first pass yet")
        return self._report

    def _status(self, name: str) -> WorkspaceStatus:
        status = self._last().statuses.get(name)
        if status is None:
            raise control.NotFound(f'there is no workspace "{name}"')
        return status

    def _memory(self) -> Memory:
        return self._ledger.recall(b"", self._clock())


def _said(status: WorkspaceStatus) -> str:
    """What spec, class and defaults say of whether it shall run."""
    found = (value.value for value in status.effective if value.path == "desiredState")
    return next(found, "Running")


def _person(caller: control.Caller) -> str:
    try:
        return pwd.getpwuid(caller.uid).pw_name
    except KeyError:
        return f"uid {caller.uid}"


def _plain(value: object) -> control.Json:
    assert isinstance(value, Mapping)
    return value
