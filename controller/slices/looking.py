"""Looks at all slices of a host, and at the containers in them: one reading of each file in a look.

Refuses to write, and to show a slice of which a file cannot be read as one without that limit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from controller.api.config import SliceDriver
from controller.model import slicenames
from controller.model.slices import ROOT, ContainerUse, Question, Slice, SliceView, Use
from controller.slices import cgroupfs, disks, files, groups, reading, strangers, use
from controller.slices.groups import PROC, Group, Hierarchies, Where
from controller.slices.kernel import Host, Kernel, examine
from controller.slices.reading import Reader

_EXAMINED: Final = timedelta(seconds=30)
"""What the kernel can is looked at again after that long: disks get other schedulers, swap is switched on."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What a process's table says of the container that it is in."""

    table: str
    group: Group
    where: Where | None


class Look:
    """Looks again and again; one thread at a time.

    Attributes of construction:
        proc, sys: where the kernel tells of processes and of disks.
    """

    def __init__(self, proc: Path = PROC, sys: Path = disks.SYS) -> None:
        self._proc = proc
        self._sys = sys
        self._reader = Reader()
        self._watch = strangers.Watch()
        self._hierarchies: Hierarchies | None = None
        self._above: Mapping[str, str] = {}
        self._known: dict[str, _Known] = {}
        self._groups: dict[str, Group] = {}
        self._place: tuple[SliceDriver, str] | None = None
        self._kernel: Kernel | None = None
        self._asked: tuple[object, ...] = ()
        self._examined_at = datetime.min.replace(tzinfo=UTC)

    def hierarchies(self) -> Hierarchies:
        """Return where cgroups are. Raises `errors.Retryable` if they cannot be found."""
        if self._hierarchies is None:
            self._hierarchies = groups.find(self._proc)
        return self._hierarchies

    @property
    def above(self) -> Mapping[str, str]:
        """What is above the slices, by controller, as the containers that were seen last tell."""
        return self._above

    def files(self) -> tuple[str, ...]:
        """Return which files are open since the last look."""
        return self._reader.files()

    def forget(self) -> None:
        """Find everything anew at the next look."""
        self._hierarchies, self._kernel, self._known, self._groups = None, None, {}, {}
        self._reader.close()

    def look(self, question: Question, now: datetime) -> SliceView:
        """Look at all slices.

        Raises:
            errors.Retryable: the cgroups cannot be found.
            OSError, ValueError: a file cannot be read, or says what no kernel says.
        """
        self._reader.begin()
        try:
            self._locate(question)
            kernel = self._examine(question, now)
            return self._view(question, kernel, now)
        finally:
            self._reader.end()

    def _locate(self, question: Question) -> None:
        """Find out in which cgroup each container is, and what is above the slices."""
        if (question.driver, question.root) != self._place:
            self._place = (question.driver, question.root)
            self._known, self._groups, self._above, self._kernel = {}, {}, {}, None
        hierarchies, before = self.hierarchies(), self._known
        self._known, above = {}, None
        for container, pid in question.running.items():
            table = self._reader.read(f"{self._proc}/{pid}/cgroup")
            if not table:
                continue
            known = before.get(container)
            if known is None or known.table != table:
                known = _Known(
                    table,
                    hierarchies.of_container(table, container),
                    hierarchies.above(table, question.driver, question.root, container),
                )
            self._known[container] = known
            above = above or (known.where.above if known.where else None)
        if above is None and not self._above and question.driver is SliceDriver.SYSTEMD:
            above = hierarchies.of_systemd(self._reader.read(f"{self._proc}/1/cgroup") or "")
        if above is not None and above != self._above:
            self._above, self._groups, self._kernel = above, {}, None

    def _examine(self, question: Question, now: datetime) -> Kernel:
        asked = (question.driver, question.root, question.paths)
        if self._kernel is None or asked != self._asked or now - self._examined_at > _EXAMINED:
            top = self._group(question, ROOT)
            host = Host(self.hierarchies(), self._above, (top,), self._sys, self._proc)
            self._kernel, self._asked, self._examined_at = examine(host, question), asked, now
        return self._kernel

    def _view(self, question: Question, kernel: Kernel, now: datetime) -> SliceView:
        top, below = self._owners(question)
        containers, inside = self._containers(kernel)
        slices, strange = {}, {}
        for owner in (*((ROOT,) if top else ()), *below.values()):
            group = self._group(question, owner)
            known = set(below) if owner == ROOT else inside.get(owner, set())
            slices[owner] = self._slice(question, owner, group, kernel)
            strange[owner] = strangers.within(group.main(), known, self._proc)
        settled = self._watch.settle(strange, now)
        for owner in settled.keys() - {ROOT}:
            slices[owner] = replace(slices[owner], strangers=settled[owner])
        return replace(kernel.view, slices=slices, containers=containers, strangers=settled.get(ROOT, ()))

    def _owners(self, question: Question) -> tuple[bool, Mapping[str, str]]:
        """Whether the slice above all is there, and the owners of those below it, by their folders' names."""
        folders = self._group(question, ROOT).all()
        names = {child.rpartition("/")[2] for folder in folders for child in cgroupfs.children(folder)}
        owned = ((name, groups.owner_of(question.driver, question.root, name)) for name in sorted(names))
        there = any(Path(folder).is_dir() for folder in folders)
        return there, {name: owner for name, owner in owned if owner is not None}

    def _group(self, question: Question, owner: str) -> Group:
        name = slicenames.parent(question.driver, question.root, owner)
        if name not in self._groups:
            path = groups.path_of(question.driver, name)
            self._groups[name] = self.hierarchies().below(self._above, path)
        return self._groups[name]

    def _containers(self, kernel: Kernel) -> tuple[dict[str, ContainerUse], dict[str, set[str]]]:
        """Return what containers use, by id, and the names of their folders by owner."""
        found: dict[str, ContainerUse] = {}
        inside: dict[str, set[str]] = {}
        for container, known in self._known.items():
            group, owner = known.group, known.where.owner if known.where else None
            if not group.folders:
                continue
            used = use.read_use(self._reader.read, group, kernel.stacked, inner=False)
            if used == Use():
                continue  # it ended meanwhile
            high = reading.number(self._reader.read(group.file("memory", "memory.high")))
            found[container] = ContainerUse(used, owner, high)
            if owner is not None:
                inside.setdefault(owner, set()).add(group.main().rpartition("/")[2])
        return found, inside

    def _slice(self, question: Question, owner: str, group: Group, kernel: Kernel) -> Slice:
        used = use.read_use(self._reader.read, group, kernel.stacked, inner=True)
        name = slicenames.parent(question.driver, question.root, owner)
        return Slice(
            owner=owner,
            name=name,
            limits=files.read_limits(self._reader.read, group, kernel.terms),
            use=used,
            populated=bool(used.pids) or self._populated(groups.path_of(question.driver, name)),
        )

    def _populated(self, path: str) -> bool:
        """Whether something is in any of a slice's cgroups, one that no process is counted in included."""
        return any(map(cgroupfs.populated, self.hierarchies().everywhere(self._above, path)))
