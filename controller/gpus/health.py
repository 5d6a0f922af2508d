"""Knows what ails the devices: what lasts at each look, and what was reported not long ago.

Refuses to put a device out of use: which trouble is the device's fault, and for how long, planning says.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from controller.gpus.inventory import Counters, Reading
from controller.model.gpus import Ailment, Trouble

REPORTED_FOR: Final = timedelta(minutes=2)
"""What was reported stays in view this long, so that no pass misses it."""
_XID: Final = 0x8
"""Type of such an event in nvml.h; the others that are asked for are double-bit errors of memory."""

_Key = tuple[str, Ailment, str]


class Health:
    """What was seen before, by which a look tells what is new. For one thread."""

    def __init__(self) -> None:
        self._lasting: dict[_Key, Trouble] = {}
        self._reported: dict[tuple[str, Ailment, int | None], Trouble] = {}  # in the order of their times
        self._ecc: dict[str, int] = {}

    def troubles(
        self, reading: Reading, events: Iterable[Mapping[str, Any]], now: datetime
    ) -> tuple[Trouble, ...]:
        """Return what ails the devices as of this look."""
        lasting = {}
        for found in self._found(reading, now):
            key = found.uuid, found.ailment, found.message
            lasting[key] = self._lasting.get(key, found)
        self._lasting = lasting
        for event in events:
            if event["uuid"]:
                self._report(_reported(event["uuid"], event["type"], event["data"], now))
        self._count(reading.counters, now)
        recent = self._reported.items()
        self._reported = {key: one for key, one in recent if abs(now - one.at) < REPORTED_FOR}
        return (*lasting.values(), *self._reported.values())

    def _report(self, trouble: Trouble) -> None:
        """Keep the latest report of each kind: a device that fails for good may make thousands a minute."""
        key = trouble.uuid, trouble.ailment, trouble.code
        self._reported.pop(key, None)
        self._reported[key] = trouble

    def _found(self, reading: Reading, now: datetime) -> list[Trouble]:
        found = [
            Trouble(uuid, Ailment.LOST, f"the driver cannot reach it ({why})", now)
            for uuid, why in reading.lost.items()
        ]
        for uuid, counters in reading.counters.items():
            found += [Trouble(uuid, ailment, words, now) for ailment, words in _states(counters)]
        return found

    def _count(self, counters: Mapping[str, Counters], now: datetime) -> None:
        """Report errors that came since the look before; the first look only learns how many there were."""
        for uuid, one in counters.items():
            before, count = self._ecc.get(uuid), one.ecc
            if count is None:
                continue
            if before is not None and count > before:
                words = f"{count - before} errors of memory that could not be corrected"
                self._report(Trouble(uuid, Ailment.ECC, words, now, lasts=False))
            self._ecc[uuid] = count


def _states(counters: Counters) -> list[tuple[Ailment, str]]:
    states = (
        (counters.failed, Ailment.REMAP, "a row of memory could not be remapped"),
        (counters.remapping, Ailment.REMAP, "rows of memory wait for a reset to be remapped"),
        (counters.retiring, Ailment.ECC, "pages of memory wait for a reset to be retired"),
    )
    return [(ailment, words) for is_so, ailment, words in states if is_so]


def _reported(uuid: str, kind: int, data: int, now: datetime) -> Trouble:
    if kind == _XID:
        return Trouble(uuid, Ailment.XID, f"the driver reported XID {data}", now, code=data, lasts=False)
    words = "the driver reported an error of memory that could not be corrected"
    return Trouble(uuid, Ailment.ECC, words, now, lasts=False)
