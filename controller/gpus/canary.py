"""Knows which running containers cannot open their GPUs any more although the devices are there.

It refuses to touch what runs in them: a child tries from their cgroups (see `canary_probe`), has a deadline,
and is left behind where it hangs. What ails a device itself is somebody else's to find: it is UNKNOWN here.
"""

import contextlib
import errno
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

from controller.gpus import canary_places as places
from controller.model.gpus import Access, AccessState

ROUND: Final = 10.0
"""Seconds between two trials of a container whose rules did not change."""
BEAT: Final = 2.0
"""Seconds between two looks at the rules."""
DEADLINE: Final = 5.0
"""Seconds that a child may take for all containers of a round."""
MOST_HUNG: Final = 4
"""So many that the driver holds are left to themselves; as long as there are that many, no other is sent."""
PROBE: Final = Path(__file__).with_name("canary_probe.py")
_PREFIX = "wharfinger-canary-"
DEV: Final = Path("/dev")
_GPU = re.compile(r"/dev/nvidia\d+")
_REFUSED = frozenset({errno.EPERM, errno.EACCES})

Answer: TypeAlias = Mapping[str, Any]
"""Of the child for one container."""


@dataclass(frozen=True, slots=True)
class Run:
    """A container from a start to its end.

    Attributes:
        began: of its process, which tells it from a later one with the same number.
        nodes: name, major and minor number of what it had in /dev when it was first seen; None before that.
        opened: names of the nodes that could be opened once since then.
        rules: what its cgroup listed right before it was tried last.
        tried: when that was, on the monotonic clock; None: it is to be tried now.
        access: what came of it; None where it has no nodes.
    """

    pid: int
    began: int
    nodes: tuple[tuple[str, int, int], ...] | None = None
    opened: frozenset[str] = frozenset()
    rules: str = ""
    tried: float | None = None
    access: Access | None = None


class Canary:
    """Tries the containers that it watches. `watch` and `access` may be called from any thread.

    Attributes of construction:
        directory: where it may make nodes of devices that the host has none of.
        on_change: called when a container's access is another than before.
        drivers: major numbers of the devices that are opened; others are only asked about.
        dev: where the host has its nodes.
    """

    def __init__(
        self,
        directory: Path,
        clock: Callable[[], datetime],
        on_change: Callable[[], None] = lambda: None,
        *,
        drivers: Callable[[], Iterable[int]] = places.driver_numbers,
        probe: Path = PROBE,
        dev: Path = DEV,
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._on_change = on_change
        self._drivers = drivers
        self._probe = probe
        self._dev = dev
        self._wanted: Mapping[str, int] = {}
        self._any = threading.Event()
        self._runs: dict[str, Run] = {}
        self._access: Mapping[str, Access] = {}
        self._hung: dict[str, subprocess.Popen[bytes]] = {}
        self._late: set[str] = set()
        """Those at which a probe ended early: they come last, so that they keep nobody from being tried."""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gpu-canary", daemon=True)

    def start(self) -> None:
        """Begin to try; without a container to be watched it costs nothing."""
        self._thread.start()

    def stop(self) -> None:
        """End; a child that is under way ends by itself."""
        self._end.set()
        self._any.set()

    def watch(self, running: Mapping[str, int]) -> None:
        """From now on these and no others: host pid of the main process by container id."""
        self._wanted = dict(running)
        if running:
            self._any.set()

    def access(self) -> Mapping[str, Access]:
        """What was found last, by container id; a container that was not tried yet is not in it."""
        return self._access

    def _run(self) -> None:
        _sweep(self._directory)
        while True:
            self._any.wait()
            if self._end.is_set():
                return
            self.try_once(time.monotonic())
            self._end.wait(BEAT)

    def try_once(self, moment: float) -> None:
        """Look; after a defect of our own nothing is known, and the next look is made all the same."""
        try:
            self.look(moment)
        except Exception as defect:  # noqa: BLE001 - the one guard of a look: somebody has to tell of it
            access = _unknown(self._clock(), f"the trial failed: {type(defect).__name__}: {defect}")
            self._runs = {key: replace(run, access=access) for key, run in self._runs.items()}
            self._publish()

    def look(self, moment: float) -> None:
        """Try those that are due at this moment of the monotonic clock."""
        wanted = self._wanted
        if not wanted:
            self._any.clear()
            if self._wanted:  # somebody came meanwhile
                self._any.set()
        self._runs = {key: run for key, pid in wanted.items() if (run := self._run_of(key, pid)) is not None}
        self._hung = {key: child for key, child in self._hung.items() if child.poll() is None}
        self._late &= wanted.keys()
        due = dict(sorted(self._due(moment), key=lambda one: one[0] in self._late))
        at = self._clock()
        for key, answer in self._ask(due).items():
            self._runs[key] = judge(replace(self._runs[key], tried=moment), answer, at)
        self._publish()

    def _run_of(self, container_id: str, pid: int) -> Run | None:
        began = places.began(pid)
        if began is None:
            return None
        known = self._runs.get(container_id)
        return known if known is not None and (known.pid, known.began) == (pid, began) else Run(pid, began)

    def _due(self, moment: float) -> Iterable[tuple[str, places.Place]]:
        """Yield those to be tried now, and say of those that cannot be why."""
        for key, run in list(self._runs.items()):
            if key in self._hung:
                continue
            try:
                place = places.find(key, run.pid)
            except places.StandsStillError:
                continue  # what was found last counts until it goes on
            except places.NoPlaceError as none:
                self._runs[key] = replace(run, access=_unknown(self._clock(), str(none)))
                continue
            rules = place.read_rules()
            if run.tried is None or moment - run.tried >= ROUND or rules != run.rules:
                self._runs[key] = replace(run, rules=rules, tried=None)
                yield key, place

    def _ask(self, due: Mapping[str, places.Place]) -> Mapping[str, Answer]:
        """Let a child try these; where it ends early, those after the one at fault have no answer yet."""
        if not due:
            return {}
        if len(self._hung) >= MOST_HUNG:
            return {key: {"error": f"{len(self._hung)} probes hang in the driver"} for key in due}
        try:
            directory = _workshop(self._directory) / f"{_PREFIX}{os.getpid()}"
        except OSError as error:
            return {key: {"error": f"no probe can be sent: {error}"} for key in due}
        try:
            answers, failure = self._send(due, directory)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        self._late -= answers.keys()
        at_fault = next((key for key in due if key not in answers), None)
        if at_fault is None:
            return answers
        self._late.add(at_fault)
        return {**answers, at_fault: {"error": failure}}

    def _send(self, due: Mapping[str, places.Place], directory: Path) -> tuple[Mapping[str, Answer], str]:
        """Answers by id, and what is to be said of the first without one."""
        order = {
            "dev": str(self._dev),
            "directory": str(directory),
            "drivers": list(self._drivers()),
            "targets": [
                {
                    "id": key,
                    "pid": self._runs[key].pid,
                    "procs": str(place.procs),
                    "home": str(place.home),
                    "nodes": self._runs[key].nodes,
                }
                for key, place in due.items()
            ],
        }
        try:
            child = subprocess.Popen(  # noqa: S603 - this interpreter, a file of ours
                [sys.executable, "-I", "-S", str(self._probe)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            return {}, f"no probe can be sent: {error}"
        try:
            told, complaint = child.communicate(json.dumps(order).encode(), timeout=DEADLINE)
        except subprocess.TimeoutExpired as late:
            child.kill()  # it may not heed that for as long as the driver holds it: nobody waits for it
            for pipe in filter(None, (child.stdout, child.stderr)):
                pipe.close()
            answers = _read(late.stdout or b"")
            self._hung[next((key for key in due if key not in answers), "")] = child
            return answers, f"the probe did not answer within {DEADLINE:.0f} s"
        words = complaint.decode(errors="replace").strip().splitlines()
        return _read(told), f"the probe failed: {words[-1] if words else child.returncode}"

    def _publish(self) -> None:
        found = {key: run.access for key, run in self._runs.items() if run.access is not None}
        before, self._access = self._access, found
        if _states(before) != _states(found):
            self._on_change()


def judge(run: Run, answer: Answer, at: datetime) -> Run:
    """What a child's answer says of a container, and what is known of its nodes from now on.

    A node that never opened while others do was hardly given: a container may make nodes as it likes. Where
    none ever did, they were taken away before they were first tried.
    """
    if "error" in answer:
        return replace(run, access=_unknown(at, str(answer["error"])))
    nodes = tuple((str(name), int(major), int(minor)) for name, major, minor in answer["nodes"])
    others = {f"/dev/{name}" for name in answer["others"]}
    run = replace(run, nodes=nodes)
    if not nodes and not others:
        return replace(run, access=None)
    tried = [
        (f"/dev/{name}", int(outside), int(inside))
        for (name, _, _), outside, inside in zip(nodes, answer["outside"], answer["inside"], strict=True)
    ]
    ailing = {path: outside for path, outside, _ in tried if outside}
    refused = {path: inside for path, outside, inside in tried if not outside and inside in _REFUSED}
    failed = {path: inside for path, outside, inside in tried if not outside and inside not in {0, *_REFUSED}}
    opened = run.opened | {path for path, outside, inside in tried if not outside and not inside}
    opens = others | {path for path, _, inside in tried if not inside and _GPU.fullmatch(path)}
    lost = {path: number for path, number in refused.items() if path in opened or not opened}
    state, message = AccessState.OK, ""
    if lost:
        state, message = AccessState.LOST, _words(lost)
    elif ailing:
        state, message = AccessState.UNKNOWN, f"not even outside of the container: {_words(ailing)}"
    elif failed or refused:
        state, message = AccessState.UNKNOWN, _words(failed or refused)
    return replace(run, opened=opened, access=Access(state, at, message, tuple(sorted(opens))))


def _words(found: Mapping[str, int]) -> str:
    return ", ".join(f"{path} cannot be opened: {os.strerror(number)}" for path, number in found.items())


def _unknown(at: datetime, message: str) -> Access:
    return Access(AccessState.UNKNOWN, at, message)


def _states(access: Mapping[str, Access]) -> Mapping[str, tuple[object, ...]]:
    return {key: (one.state, one.message, one.opens) for key, one in access.items()}


def _read(told: bytes) -> dict[str, Answer]:
    """Answers by id; of a child that was ended the last line may be a part of one."""
    answers: dict[str, Answer] = {}
    for line in told.splitlines(keepends=True):
        if line.endswith(b"\n"):
            answer = json.loads(line)
            answers[str(answer["id"])] = answer
    return answers


def _workshop(directory: Path) -> Path:
    """Where nodes can be made that can be opened: /run usually is mounted `nodev`, /dev cannot be."""
    return DEV if os.statvfs(directory).f_flag & os.ST_NODEV else directory


def _sweep(directory: Path) -> None:
    """Remove what a canary left that was ended in the middle of a round."""
    with contextlib.suppress(OSError):  # a round says that nothing can be made there
        for left in _workshop(directory).glob(_PREFIX + "*"):
            shutil.rmtree(left, ignore_errors=True)
