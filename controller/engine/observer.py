"""Knows what the Engine holds now: one list a pass, and as few inspects as keep every answer young enough.

It refuses to decide, and to take "no answer" for "not there": a container that is listed and could not be
inspected is named in `EngineView.unknown`.

An inspect reads the Engine's live state; the list reads a copy that may lag or, after a full disk, be wrong
until the next success. So the inspect counts, and while the two disagree on whether a container runs, it is
inspected at every pass. Events (`note`) only choose what to inspect; spread inspects make good a lost one.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from controller.api import labels
from controller.api.conditions import Reason
from controller.engine import bystanders, calls, images, names, parsing, transport
from controller.model import actions, errors, observed, outcomes
from controller.model.images import ImageStore

FRESH = timedelta(minutes=10)
"""A container that started less than this ago has its listening ports read at every pass, until all of its
published ones are among them."""
INSPECT_BUDGET = 20.0
"""Seconds a pass gives to inspects in all; what is left over is unknown until the next pass."""

ReadLimits = Callable[[int], observed.Limits]
ReadListening = Callable[[int], frozenset[int]]
ReadDisk = Callable[[str, datetime], observed.Disk | observed.Unseen]


@dataclass(frozen=True, slots=True)
class _Known:
    """A container as last inspected, with the list's row of that pass."""

    row: parsing.Listed
    container: observed.Container
    agrees: bool


class Observer:
    """Looks at one Engine. `observe` is for one thread; `note` and `forget` for any.

    Attributes of construction:
        inspect_interval: every container is inspected at least this often, spread evenly.
        resync_interval: the usual time between passes; bounds how many inspects one pass makes up for.
        read_limits, read_listening: what the kernel says of a host pid; may raise `errors.EffectError`.
        read_disk: how full the file system is that holds the Engine's data.
        arrived: when an image came to this host.
        gpus: whether it matters now which containers of others use GPUs.
    """

    def __init__(  # noqa: PLR0913 - one for each part of the host that is looked at
        self,
        client: calls.EngineClient,
        inspect_interval: timedelta,
        resync_interval: timedelta,
        read_limits: ReadLimits,
        read_listening: ReadListening,
        *,
        read_disk: ReadDisk = lambda _path, _now: observed.NOT_LOOKED_AT,
        arrived: images.Arrived = lambda _root, _id: None,
        gpus: Callable[[], bool] = lambda: False,
    ) -> None:
        self._client = client
        self._interval = inspect_interval
        self._resync = resync_interval
        self._read_limits = read_limits
        self._read_listening = read_listening
        self._read_disk = read_disk
        self._arrived = arrived
        self._bystanders = bystanders.Bystanders(client, gpus)
        self._lock = threading.Lock()
        self._noted: set[str] = set()
        self._forgotten = True
        self._known: dict[str, _Known] = {}  # in the order of their last inspects, oldest first
        self._names = names.Names(client, inspect_interval)
        self._facts: parsing.HostFacts | None = None
        self._facts_at = datetime.min.replace(tzinfo=UTC)
        self._silent: set[str] = (
            set()
        )  # did not answer their last inspect: asked last, as they cost the most time
        self._credit = 0.0
        self._last: datetime | None = None
        self._unseen: observed.Unseen | None = None

    def note(self, kind: str, action: str, actor_id: str) -> bool:
        """An event's Type, Action and Actor.ID: what it names is looked at by the next pass.

        False if it is not worth a pass: a health check, for example, is two events every few seconds.
        """
        if kind == "container" and not action.startswith(("exec_", "top", "attach", "resize")):
            with self._lock:
                self._noted.add(actor_id)
            return True
        if kind in {"image", "network"}:
            self._names.note(kind, action)
            return True
        return False

    def note_own(self, action: actions.EngineAction | actions.LimitCgroup, outcome: outcomes.Outcome) -> None:
        """An action of ours was tried: the next pass looks at what it was to change, event or no event."""
        if isinstance(outcome, outcomes.Failed) and outcome.reason is Reason.NETWORK_PENDING:
            self._names.note("network", "missing")
        match action:
            case actions.EnsureNetwork():
                self._names.note("network", "create")
            case actions.PullImage() | actions.RemoveImage():
                self._names.note("image", "pull")
            case actions.CreateContainer():
                pass  # the list has it, or its event
            case _:
                with self._lock:
                    self._noted.add(action.container_id)

    def forget(self) -> None:
        """The connection was lost: nothing that was seen before counts any more."""
        with self._lock:
            self._forgotten = True

    def observe(
        self, references: frozenset[str], now: datetime
    ) -> observed.Seen[observed.EngineView] | observed.Unseen:
        """The Engine as it is; Unseen if it does not list its containers.

        Args:
            references: images to look up beside those of the containers that are found.
            now: recorded as the time of what is read.
        """
        try:
            view = self._look(references, now)
        except errors.EffectError as error:
            since = self._unseen.since if self._unseen is not None else now
            self._unseen = observed.Unseen(error.reason, error.message, since)
            return self._unseen
        self._unseen = None
        return observed.Seen(view, now)

    def layers(self, ids: Iterable[str]) -> Mapping[str, observed.Layer]:
        """What the writable layers of stopped containers hold; those that cannot be read are left out."""
        found: dict[str, observed.Layer] = {}
        for container_id in ids:
            try:
                size = self._client.layer_size(container_id)
                changed = self._client.layer_changes(container_id)
            except errors.EffectError:
                continue
            if size is not None:
                found[container_id] = observed.Layer(size, changed)
        return found

    def images(self, references: Iterable[str], now: datetime) -> ImageStore | observed.Unseen:
        """All images, and what the references mean."""
        return images.look(self._client, references, self._arrived, now)

    def _look(self, references: frozenset[str], now: datetime) -> observed.EngineView:
        noted = self._take_notes()
        facts, rows, others = self._list(now)
        for gone in self._known.keys() - rows.keys():
            del self._known[gone]
        self._silent &= rows.keys()
        moved = self._moved_references(rows)
        deadline = time.monotonic() + INSPECT_BUDGET
        unknown = self._inspect(rows, self._to_inspect(rows, noted, now), now, deadline)
        self._reread_listening(now)
        containers = {known.container.id: known.container for known in self._known.values()}
        wanted = references | {container.image_id for container in containers.values()}
        resolved = self._names.look(wanted, moved, rows.values(), now)
        return observed.EngineView(
            engine_id=facts.engine_id,
            containers=containers,
            images={reference: resolved.images.get(reference) for reference in references},
            image_details=resolved.details,
            networks=resolved.networks,
            total_memory=facts.memory,
            total_cpus=facts.cpus,
            unknown=unknown,
            runtimes=facts.runtimes,
            default_runtime=facts.default_runtime,
            disk=self._read_disk(facts.data_root, now),
            bystanders=self._bystanders.look(others, facts.default_runtime, deadline, now),
            cdi=facts.cdi,
            cgroup_driver=facts.cgroup_driver,
            cgroup_version=facts.cgroup_version,
        )

    def _list(
        self, now: datetime
    ) -> tuple[parsing.HostFacts, dict[str, parsing.Listed], list[transport.Row]]:
        """Facts of the host, our rows by id, and the rows of others."""
        try:
            if self._facts is None or not timedelta(0) <= now - self._facts_at < self._interval:
                self._facts, self._facts_at = parsing.parse_facts(self._client.info()), now
            ours, others = dict[str, parsing.Listed](), list[transport.Row]()
            for row in self._client.list_containers():
                if _is_ours(row):
                    ours[row["Id"]] = parsing.parse_listed(row)
                else:
                    others.append({field: row[field] for field in bystanders.FIELDS})
        except errors.EffectError:
            self.forget()  # it may have been restarted meanwhile
            raise
        return self._facts, ours, others

    def _take_notes(self) -> set[str]:
        with self._lock:
            noted, self._noted = self._noted, set()
            forgotten, self._forgotten = self._forgotten, False
        if forgotten:
            self._known.clear()
            self._names.forget()
            self._bystanders.forget()
            self._facts = None
        return noted

    def _to_inspect(self, rows: dict[str, parsing.Listed], noted: set[str], now: datetime) -> list[str]:
        """Ids in order: new, named and changed ones, then the oldest as far as the spread allows."""
        due = {
            container_id
            for container_id, row in rows.items()
            if container_id in noted
            or (known := self._known.get(container_id)) is None
            or not known.agrees
            or known.row != row
        }
        oldest = [container_id for container_id in self._known if container_id not in due]
        ids = [*sorted(due), *oldest[: self._spread(len(rows), now)]]
        return sorted(ids, key=self._silent.__contains__)

    def _spread(self, count: int, now: datetime) -> int:
        """How many to inspect merely for their age: their share of the time since the last pass."""
        elapsed = self._resync if self._last is None else max(now - self._last, timedelta(0))
        self._last = now
        self._credit += count * (elapsed / self._interval)
        most = math.ceil(count * (self._resync / self._interval))
        share = min(int(self._credit + 1e-9), most)
        self._credit = min(self._credit - share, float(most))
        return share

    def _inspect(
        self, rows: dict[str, parsing.Listed], ids: list[str], now: datetime, deadline: float
    ) -> frozenset[str]:
        """Inspect these; the names of those that are there and did not answer."""
        unknown: set[str] = set()
        for container_id in ids:
            row = rows[container_id]
            try:
                if time.monotonic() > deadline:
                    raise errors.Retryable(Reason.NOT_SEEN, "no time was left for this container")
                inspected = self._client.inspect_container(container_id)
            except errors.EffectError:
                unknown.add(row.name)
                self._doubt(row)
                continue
            self._silent.discard(container_id)
            self._known.pop(container_id, None)
            if inspected is not None:
                self._known[container_id] = self._remember(row, inspected, now)
        return frozenset(unknown)

    def _doubt(self, row: parsing.Listed) -> None:
        """Of a container that does not answer only its name is still known: that is the list's to tell."""
        self._silent.add(row.id)
        known = self._known.get(row.id)
        if known is not None:
            named = replace(known.container, name=row.name)
            self._known[row.id] = replace(known, container=named, agrees=False)

    def _remember(self, row: parsing.Listed, inspected: transport.Row, now: datetime) -> _Known:
        pid = int(inspected["State"].get("Pid") or 0)
        limits = _kernel(self._read_limits, pid, now)
        listening = _kernel(self._read_listening, pid, now)
        container = parsing.parse_container(inspected, now, limits, listening)
        listed = row.state in {"running", "paused", "restarting"}
        return _Known(row, container, agrees=listed == container.running)

    def _reread_listening(self, now: datetime) -> None:
        """Read the ports of those that started lately; a container without a change stays the same object."""
        for container_id, known in self._known.items():
            container = known.container
            if container.inspected_at == now or container.pid == 0 or container.started_at is None:
                continue
            if now - container.started_at > FRESH or _answers(container):
                continue
            listening = _kernel(self._read_listening, container.pid, now)
            if listening != container.listening and not _both_unseen(listening, container.listening):
                self._known[container_id] = replace(known, container=replace(container, listening=listening))

    def _moved_references(self, rows: dict[str, parsing.Listed]) -> set[str]:
        """References whose containers the list now shows under another image name: their tag moved."""
        return {
            known.container.configuration.image
            for container_id, known in self._known.items()
            if rows[container_id].image != known.row.image
        }


def _kernel(read: Callable[[int], observed.T], pid: int, now: datetime) -> observed.T | observed.Unseen:
    if pid == 0:
        return observed.Unseen(Reason.NOT_SEEN, "the container does not run", now)
    try:
        return read(pid)
    except errors.EffectError as error:
        return observed.Unseen(error.reason, error.message, now)


def _answers(container: observed.Container) -> bool:
    """Whether it listens on every port that it publishes, and publishes one."""
    published = {port.container_port for port in container.configuration.ports}
    return (
        bool(published)
        and not isinstance(container.listening, observed.Unseen)
        and published <= container.listening
    )


def _both_unseen(one: object, other: object) -> bool:
    return isinstance(one, observed.Unseen) and isinstance(other, observed.Unseen)


def _name(row: transport.Row) -> str:
    return str((row["Names"] or [""])[0]).removeprefix("/")


def _is_ours(row: transport.Row) -> bool:
    """Ours by label or by name; which of them are truly ours is for planning to say."""
    return labels.WORKSPACE in (row["Labels"] or {}) or _name(row).startswith(labels.container_name(""))
