"""Makes one look at the GPUs after another: asks the reader, checks what it says, remembers what was known.

Refuses to raise: what could not be looked at is Unseen, with the reason. A mismatch of driver and library is
seen all the same: nothing can be asked then, but it is known what there was, and what runs goes on.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from controller.api.conditions import Reason
from controller.gpus import child, inventory, presence
from controller.gpus.health import Health
from controller.gpus.inventory import Reading
from controller.gpus.processes import Processes
from controller.model.gpus import GpuView, Process
from controller.model.observed import Unseen

PATIENCE: Final = 10.0
"""Seconds that the driver has for an answer."""
SIMULATED: Final = "SIMULATED "
"""How the product's name of a device begins that is none."""
_MISMATCH: Final = "LIB_RM_VERSION_MISMATCH"
_NO_LIBRARY: Final = "LIBRARY_NOT_FOUND"
_TRIES: Final = 2
"""At a look: a reader that says that the library was replaced is followed by another one at once."""


class Looker:
    """Looks at the devices of NVIDIA's driver. For one thread, but for `interrupt`.

    Attributes of construction:
        processes: says whose a process is.
        clock: the time of day.
        environment: of the reader's process.
        patience: seconds that the driver has for an answer.
    """

    def __init__(
        self,
        processes: Processes,
        clock: Callable[[], datetime],
        environment: Mapping[str, str] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._processes = processes
        self._clock = clock
        self._environment = os.environ if environment is None else environment
        self._patience = patience
        self._child: child.Child | None = None
        self._health = Health()
        self._before = GpuView()

    def absent(self) -> bool:
        """Whether there is no GPU of NVIDIA here, as far as can be told without asking the driver."""
        return not presence.anything(self._environment)

    @property
    def connected(self) -> bool:
        """Whether the reader answers; if not, each look begins a new one, which takes some of the host."""
        return self._child is not None

    def look(self, wait: float) -> GpuView | Unseen:
        """Wait up to `wait` seconds for a device to report something, then look."""
        try:
            answer = self._ask(wait)
            error = answer.get("error")
            if error is not None:
                return self._failed(error["call"], error["code"])
            reading = inventory.read(answer, self._before, self._processes.pid_max())
            return self._view(reading, answer["events"])
        except child.SilentError as silent:
            return self._unseen(str(silent))
        except inventory.GarbageError as garbage:
            words = f"the driver's library gave no answer that can be true: {garbage}"
            return Unseen(Reason.NOT_SEEN, words, self._clock())
        except child.EndedError as ended:
            return self._unseen(str(ended))
        except Exception as defect:  # noqa: BLE001 - the one guard of a look: the next one is made all the same
            return self._unseen(f"the GPUs cannot be looked at: {type(defect).__name__}: {defect}")

    def interrupt(self) -> None:
        """End the reader's process, from any thread: a look that is under way ends at once."""
        under_way = self._child
        if under_way is not None:
            under_way.kill()

    def close(self) -> None:
        """End the reader's process; another look would begin another one."""
        self._forget()

    def _ask(self, wait: float) -> Mapping[str, Any]:
        for _ in range(_TRIES):
            if self._child is None:
                self._child, wait = child.Child(self._environment), 0.0
            answer = self._child.ask(wait, self._patience)
            if not answer.get("replaced"):
                return answer
            self._forget()
        raise child.EndedError("the library is being replaced")

    def _forget(self) -> None:
        former, self._child = self._child, None
        if former is not None:
            former.close()

    def _failed(self, call: str, code: str) -> GpuView | Unseen:
        self._forget()
        if code == _MISMATCH:
            words = "driver and library differ: the driver was upgraded and the host was not restarted since"
            return replace(self._before, processes=None, use={}, mismatch=words)
        if code == _NO_LIBRARY and not presence.has_driver():
            return GpuView()
        return Unseen(Reason.NOT_SEEN, f"the driver's library says {code} ({call})", self._clock())

    def _unseen(self, message: str) -> Unseen:
        self._forget()
        return Unseen(Reason.NOT_SEEN, message, self._clock())

    def _view(self, reading: Reading, events: list[Mapping[str, Any]]) -> GpuView:
        found = reading.processes
        described = None if found is None else (*self._processes.describe(found), *self._left(reading))
        view = GpuView(
            devices=reading.devices,
            processes=described,
            use=reading.use,
            troubles=self._health.troubles(reading, events, self._clock()),
            driver=reading.driver,
            library=reading.library,
            simulated=any(one.model.startswith(SIMULATED) for one in reading.devices.values()),
        )
        self._before = view
        return view

    def _left(self, reading: Reading) -> list[Process]:
        """Those of a device that cannot be reached are there for as long as the kernel shows them."""
        lost = {uuid for uuid, device in reading.devices.items() if device.whole in reading.lost}
        known = [one for one in self._before.processes or () if one.device in lost]
        return [one for one in known if self._processes.exists(one.pid)]
