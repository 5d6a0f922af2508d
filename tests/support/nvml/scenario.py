"""Writes what the simulated driver's library answers: devices, instances, processes, faults, hangs, events.

It refuses to make sense: a scenario may say what no driver should, such as a process without a number.
The file has one record a line, `kind<TAB>key=value<TAB>…`, and is replaced as a whole whenever it changes.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

VARIABLE = "NVML_SCENARIO"
"""In which the library looks for the path of its scenario."""
SIMULATED = "SIMULATED "
"""How the name of every product begins."""
GIB = 2**30

CODES = {
    "UNINITIALIZED": 1,
    "INVALID_ARGUMENT": 2,
    "NOT_SUPPORTED": 3,
    "NO_PERMISSION": 4,
    "NOT_FOUND": 6,
    "INSUFFICIENT_SIZE": 7,
    "INSUFFICIENT_POWER": 8,
    "DRIVER_NOT_LOADED": 9,
    "TIMEOUT": 10,
    "IRQ_ISSUE": 11,
    "LIBRARY_NOT_FOUND": 12,
    "FUNCTION_NOT_FOUND": 13,
    "CORRUPTED_INFOROM": 14,
    "GPU_IS_LOST": 15,
    "RESET_REQUIRED": 16,
    "OPERATING_SYSTEM": 17,
    "LIB_RM_VERSION_MISMATCH": 18,
    "IN_USE": 19,
    "MEMORY": 20,
    "NO_DATA": 21,
    "INSUFFICIENT_RESOURCES": 23,
    "ARGUMENT_VERSION_MISMATCH": 25,
    "NOT_READY": 27,
    "GPU_NOT_FOUND": 28,
    "INVALID_STATE": 29,
    "UNKNOWN": 999,
}
"""The library's error codes, by the names of nvml.h without NVML_ERROR_."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A whole GPU. What is None is not supported by it.

    Attributes:
        name: the product's, without the word SIMULATED.
        memory, used: bytes.
        busy: percent.
        bus: PCI address.
        energy: millijoules.
        mig: MIG mode, 0 or 1.
        ecc: errors that could not be corrected, since the driver was loaded.
        retiring: 1 while pages wait for a reset to be retired.
        remapping, remapfailed: 1 while rows wait for a reset to be remapped, and where they could not be.
        told: what it says of its UUID in place of the truth.
    """

    uuid: str
    name: str = "H100 80GB HBM3"
    memory: int | None = 80 * GIB
    used: int = 0
    busy: int | None = 0
    minor: int | None = 0
    bus: str | None = None
    energy: int | None = None
    mig: int | None = None
    ecc: int | None = 0
    retiring: int | None = None
    remapping: int | None = 0
    remapfailed: int = 0
    told: str | None = None

    def line(self) -> str:
        return _line("gpu", self, name=SIMULATED + self.name)


@dataclass(frozen=True, slots=True)
class Mig:
    """A MIG instance: a compute instance `ci` of the GPU instance `gi`.

    Attributes:
        profile: such as `1g.10gb`, or `1c.2g.20gb` for a part of a GPU instance.
        start, size: memory slices; None: the driver does not tell.
        named: the driver says the profile in the name, as newer ones do.
    """

    uuid: str
    parent: str
    profile: str
    gi: int
    ci: int = 0
    memory: int | None = None
    used: int = 0
    start: int | None = None
    size: int | None = None
    named: bool = True

    def line(self) -> str:
        found = re.fullmatch(r"(?:(\d)c\.)?(\d)g\.(\d+)gb.*", self.profile)
        assert found, self.profile
        compute, slices, memory = found.groups()
        return _line(
            "mig",
            self,
            name=SIMULATED + (f"H100 80GB HBM3 MIG {self.profile}" if self.named else "H100 80GB HBM3"),
            slices=slices,
            compute=compute or slices,
            memory=self.memory or int(memory) * GIB * 19 // 20,
        )


@dataclass(frozen=True, slots=True)
class Process:
    """A process on a device, a whole one or an instance; any numbers at all.

    Attributes:
        memory: bytes; None: not available.
        mode: `compute`, `graphics` or `mps`.
    """

    device: str
    pid: int
    memory: int | None = 2**20
    mode: str = "compute"

    def line(self) -> str:
        return _line("process", self)


@dataclass(frozen=True, slots=True)
class Fault:
    """A call fails, of one device or of all.

    Attributes:
        call: such as `nvmlDeviceGetName`, with or without `_v2`; `*` for all.
        code: a key of `CODES`.
    """

    call: str
    code: str
    device: str | None = None

    def line(self) -> str:
        return _line("fault", self, code=CODES[self.code])


@dataclass(frozen=True, slots=True)
class Hang:
    """A call does not return for as long as this is in the scenario."""

    call: str
    device: str | None = None

    def line(self) -> str:
        return _line("hang", self)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the driver reports once: an XID, or `data` of another type of nvml.h."""

    device: str
    data: int
    type: int = 8

    def line(self) -> str:
        return _line("event", self)


@dataclass(frozen=True, slots=True)
class Scenario:
    """All that the library knows.

    Attributes:
        gpus: in the order of their indexes.
        events: in the order in which they come; a later scenario has those of the earlier ones, too.
        count: of devices, where it is to be a wrong one.
    """

    gpus: tuple[Gpu, ...] = ()
    migs: tuple[Mig, ...] = ()
    processes: tuple[Process, ...] = ()
    faults: tuple[Fault, ...] = ()
    hangs: tuple[Hang, ...] = ()
    events: tuple[Event, ...] = ()
    driver: str = "550.54.15"
    library: str = "12.550.54.15"
    count: int | None = None

    def text(self) -> str:
        return "".join(line + "\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        yield _join("driver", {"version": self.driver, "library": self.library})
        if self.count is not None:
            yield _join("count", {"value": self.count})
        for gpu in self.gpus:
            yield gpu.line()
        for mig in self.migs:
            yield mig.line()
        for process in self.processes:
            yield process.line()
        for fault in self.faults:
            yield fault.line()
        for hang in self.hangs:
            yield hang.line()
        for number, event in enumerate(self.events, 1):
            yield f"{event.line()}\tseq={number}"

    def write(self, path: Path) -> None:
        """Makes it what the library answers from now on."""
        new = path.with_name(f".{path.name}.{os.getpid()}")
        new.write_text(self.text(), encoding="utf-8")
        new.rename(path)


def _line(kind: str, record: Gpu | Mig | Process | Fault | Hang | Event, **others: object) -> str:
    values = {item.name: getattr(record, item.name) for item in fields(record)}
    return _join(kind, values | others)


def _join(kind: str, values: dict[str, object]) -> str:
    texts = {key: str(value) for key, value in values.items() if value is not None}
    assert not any(c in text for text in texts.values() for c in "\t\n"), values
    return "\t".join((kind, *(f"{key}={text}" for key, text in texts.items())))
