"""A spec directory as somebody proposes it: every file is meant as it reads, and what is missing shall go.

It refuses to be the directory of a controller: there, a file that vanished may be an accident.
"""

import dataclasses
import datetime as dt
from typing import Final

from controller.model.desired import SpecScan
from controller.model.observed import Seen, Unseen
from controller.sources import directory

_LONG_ENOUGH: Final = dt.timedelta(minutes=1)
"""Longer than any file has to read the same before it is believed."""


class Proposal:
    """Looks at a directory of specs that nobody is writing to; `grace` is that of deletions."""

    def __init__(self, path: str, grace: dt.timedelta) -> None:
        self._directory = directory.SpecDirectory(path, dt.timedelta())
        self._grace = grace

    def observe(self, now: dt.datetime) -> Seen[SpecScan] | Unseen:
        """One scan, with all of its files settled and complete, and its gaps older than the grace."""
        first = self._directory.observe(now - _LONG_ENOUGH)
        found = self._directory.observe(now) if isinstance(first, Seen) else first
        if isinstance(found, Unseen):
            return found
        scan = found.value
        files = {name: dataclasses.replace(file, terminated=True) for name, file in scan.files.items()}
        return Seen(dataclasses.replace(scan, files=files, deliberate=True), now - self._grace)
