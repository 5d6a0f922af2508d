"""Knows what must never be seen on the Engine, looks for it all the time, and keeps what it saw.

It refuses to act: the run asks it after each round.
"""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.rig import ALIVE, WORKSPACE, Rig, Row, ViolationError, name_of

STEP = 0.2
PATIENCE = 2.0


class Watch:
    """Lists all containers again and again.

    Attributes:
        looks: how many lists there were.
        doubled, removed: how often two containers of one workspace ran, and one that ran was taken away.
        findings: what was seen and must not be.
        changes: what differed from one list to the next, for the story.
    """

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._ever_ran: dict[str, str] = {}
        self._last: dict[str, tuple[str, str]] = {}
        self.looks = 0
        self.doubled = 0
        self.removed = 0
        self.findings: list[str] = []
        self.changes: list[str] = []
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """End it; the rig's `over` is set."""
        self._rig.over.set()
        self._thread.join()

    def judge(self) -> None:
        """Raises: ViolationError: something was seen that must not be."""
        if self.findings:
            raise ViolationError("; ".join(self.findings))

    def _watch(self) -> None:
        while not self._rig.over.wait(STEP):
            rows = self._rig.rows(PATIENCE)
            if rows is not None:
                self.looks += 1
                self.look(rows)

    def look(self, rows: Sequence[Row]) -> None:
        """One list of all containers."""
        self._note({row["Id"]: (name_of(row), row["State"]) for row in rows})
        self._ever_ran |= {row["Id"]: name_of(row) for row in rows if row["State"] != "created"}
        vanished = self._ever_ran.keys() - {row["Id"] for row in rows} - self._rig.lost
        for container in vanished:
            self.removed += 1
            self.findings.append(f"{self._ever_ran.pop(container)} {container[:12]} ran, and was removed")
        for name in self._rig.names:
            alive = [row["Id"] for row in rows if row["Labels"][WORKSPACE] == name and row["State"] in ALIVE]
            if len(alive) > 1 and all(self._lives(container) for container in alive):
                self.doubled += 1
                self.findings.append(f"{name} ran twice: {alive}")

    def _lives(self, container: str) -> bool:
        """Whether it truly has a process: a list may be late."""
        pid = self._rig.inspect(container).get("State", {}).get("Pid", 0)
        return bool(pid) and Path("/proc", str(pid)).exists()

    def _note(self, now: dict[str, tuple[str, str]]) -> None:
        for container in now.keys() | self._last.keys():
            before, after = self._last.get(container), now.get(container)
            if before != after:
                at = time.strftime("%H:%M:%S", time.gmtime())
                self.changes.append(f"{at} {container[:12]} {before} -> {after}")
        self._last = now
