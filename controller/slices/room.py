"""Looks at the slices of one host and carries out what is decided for them, by whichever driver.

Refuses to choose limits, and to take from a slice what runs in it.
"""

import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from controller.api.conditions import Reason
from controller.api.config import SliceDriver
from controller.model import errors, slicenames
from controller.model.actions import SliceAction
from controller.model.observed import Seen, Unseen
from controller.model.outcomes import Failed, Outcome, Skipped, Succeeded
from controller.model.slices import ROOT, Question, SliceView
from controller.slices import bus, disks, refusals, systemd
from controller.slices.carrying import Carrier, Systemd
from controller.slices.groups import PROC
from controller.slices.looking import Look
from controller.slices.refusals import NotNowError

FRESH: Final = timedelta(seconds=1)
"""A look that is younger is given again, if the same is asked and nothing was done since."""


class Room:
    """The slices of one host; it may be asked and told from any thread.

    Attributes of construction:
        proc, sys: where the kernel tells of processes and of disks.
        units: systemd; None: that of this host, once it is needed.
    """

    def __init__(self, proc: Path = PROC, sys: Path = disks.SYS, units: Systemd | None = None) -> None:
        self._look = Look(proc, sys)
        self._carrier = Carrier(proc, sys, lambda: self._look.above, self._systemd)
        self._units = units
        self._lock = threading.Lock()
        self._latest: tuple[Question, int, Seen[SliceView] | Unseen] | None = None
        self._done = 0

    def observe(self, question: Question, now: datetime) -> Seen[SliceView] | Unseen:
        """Look at all slices; a host on which nobody makes any is seen, and has none."""
        if question.driver is SliceDriver.NONE:
            return Seen(SliceView(), now)
        with self._lock:
            before = None if self._latest is None else self._latest[2]
            if (
                self._latest is not None
                and self._latest[:2] == (question, self._done)
                and isinstance(before, Seen)
                and timedelta() <= now - before.at < FRESH
            ):
                return before
            found = self._observe(question, now)
            if isinstance(found, Unseen) and isinstance(before, Unseen):
                found = replace(found, since=before.since)
            self._latest = (question, self._done, found)
            return found

    def execute(self, action: SliceAction) -> Outcome:
        """Carry out one action. Raises nothing on the kernel's account."""
        begin = time.monotonic()
        self._count()
        try:
            changed = self._carrier.carry_out(action)
        except NotNowError as error:
            return Skipped(action, time.monotonic() - begin, str(error))
        except OSError as error:
            return _fail(action, time.monotonic() - begin, refusals.translate(error))
        except (ValueError, LookupError) as error:
            return _fail(action, time.monotonic() - begin, _not_understood(error))
        except errors.EffectError as error:
            return _fail(action, time.monotonic() - begin, error)
        finally:
            self._count()
        return Succeeded(action, time.monotonic() - begin, already=not changed)

    def files(self) -> tuple[str, ...]:
        """Return what the last look read, by path."""
        with self._lock:
            return self._look.files()

    def writable(self, question: Question) -> str:
        """Return why the controller cannot set limits, empty if it can; nothing is written to find out."""
        if question.driver is SliceDriver.NONE:
            return ""
        try:
            if question.driver is SliceDriver.SYSTEMD:
                self._systemd().path(slicenames.parent(question.driver, question.root, ROOT))
            return self._carrier.writable()
        except errors.EffectError as error:
            return error.message

    def _observe(self, question: Question, now: datetime) -> Seen[SliceView] | Unseen:
        failure: errors.EffectError
        try:
            return Seen(self._look.look(question, now), now)
        except OSError as error:
            failure = refusals.translate(error)
        except (ValueError, LookupError) as error:
            failure = _not_understood(error)
        except errors.EffectError as error:
            failure = error
        self._look.forget()
        return Unseen(Reason.NOT_SEEN, f"slices: {failure.message}", now)

    def _systemd(self) -> Systemd:
        with self._lock:
            if self._units is None:
                self._units = systemd.Driver(bus.Bus(), self._carrier.populated)
            return self._units

    def _count(self) -> None:
        """Let no look that began before now count any more."""
        with self._lock:
            self._done += 1


def _not_understood(error: ValueError | LookupError) -> errors.EffectError:
    return errors.Retryable(Reason.SLICE_REFUSED, f"a file of the kernel's is not understood: {error}")


def _fail(action: SliceAction, seconds: float, error: errors.EffectError) -> Outcome:
    if error.reason is Reason.CHANGED_MEANWHILE:
        return Skipped(action, seconds, error.message)
    return Failed(
        action,
        seconds,
        error.reason,
        error.message,
        retryable=isinstance(error, errors.Retryable),
        unknown=error.reason is Reason.OUTCOME_UNKNOWN,
    )
