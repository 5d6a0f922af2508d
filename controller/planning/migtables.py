"""Knows which MIG instances each GPU model can be divided into, and where they may begin, as data.

Refuses to know any host. The rows are those of NVIDIA's "Multi-Instance GPU User Guide", chapter "Supported
MIG Profiles" (docs.nvidia.com/datacenter/tesla/mig-user-guide); on a host, `nvidia-smi mig -lgipp` prints the
starts and `-lgip` the counts. Slices are slices of memory: instances exclude each other where they overlap,
and the starts are such that the slices of computing then suffice, too.
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of instance of one GPU model.

    Attributes:
        compute: slices of computing.
        size: slices of memory.
        starts: memory slices at which it may begin.
        media: it has the GPU's media extensions, which one instance of a GPU can have.
    """

    name: str
    compute: int
    size: int
    starts: tuple[int, ...]
    media: bool = False


@dataclass(frozen=True)
class Table:
    """What one GPU model can be divided into.

    Attributes:
        title: of the model, for people.
        compute: slices of computing of the whole GPU.
        memory: slices of memory of the whole GPU.
        profiles: by name, from small to large.
    """

    title: str
    compute: int
    memory: int
    profiles: Mapping[str, Profile]

    @functools.cached_property
    def places(self) -> tuple[tuple[int, ...], ...]:
        """Where an instance may lie, as bits, for each profile; large ones first."""
        large_first = sorted(self.profiles.values(), key=lambda one: (one.size, one.compute), reverse=True)
        return tuple(tuple(mask(start, one.size) for start in one.starts) for one in large_first)


def mask(start: int, size: int) -> int:
    """Return the slices of an instance as bits."""
    return ((1 << size) - 1) << start


def _table(title: str, compute: int, memory: int, *profiles: Profile) -> Table:
    return Table(title, compute, memory, {one.name: one for one in profiles})


def _sevenths(title: str, small: str, double: str, half: str, whole: str) -> Table:
    """A GPU of seven slices of computing and eight of memory; the names of its sizes of memory."""
    return _table(
        title,
        7,
        8,
        Profile(f"1g.{small}", 1, 1, (0, 1, 2, 3, 4, 5, 6)),
        Profile(f"1g.{small}+me", 1, 1, (0, 1, 2, 3, 4, 5, 6), media=True),
        Profile(f"1g.{double}", 1, 2, (0, 2, 4, 6)),
        Profile(f"2g.{double}", 2, 2, (0, 2, 4)),
        Profile(f"3g.{half}", 3, 4, (0, 4)),
        Profile(f"4g.{half}", 4, 4, (0,)),
        Profile(f"7g.{whole}", 7, 8, (0,), media=True),
    )


_A30: Final = _table(
    "A30",
    4,
    4,
    Profile("1g.6gb", 1, 1, (0, 1, 2, 3)),
    Profile("1g.6gb+me", 1, 1, (0, 1, 2, 3), media=True),
    Profile("2g.12gb", 2, 2, (0, 2)),
    Profile("2g.12gb+me", 2, 2, (0, 2), media=True),
    Profile("4g.24gb", 4, 4, (0,), media=True),
)

_BY_NAME: Final = (
    (r"\bA30\b", _A30),
    (r"\bA100\b.*\b40GB\b", _sevenths("A100 40GB", "5gb", "10gb", "20gb", "40gb")),
    (r"\bA100\b.*\b80GB\b", _sevenths("A100 80GB", "10gb", "20gb", "40gb", "80gb")),
    (r"\bH100 NVL\b", _sevenths("H100 NVL", "12gb", "24gb", "47gb", "94gb")),
    (r"\bH100( PCIe$|.* 80GB\b)", _sevenths("H100 80GB", "10gb", "20gb", "40gb", "80gb")),
    (r"\bH200\b", _sevenths("H200", "18gb", "35gb", "71gb", "141gb")),
)
"""The driver's name of a product tells its model and, where there are several, its memory."""

TABLES: Final = tuple(table for _, table in _BY_NAME)
"""Every model whose rules are known."""


def table_of(model: str) -> Table | None:
    """Return the rules of a product by the driver's name of it; None where they are not known here."""
    return next((table for pattern, table in _BY_NAME if re.search(pattern, model)), None)
