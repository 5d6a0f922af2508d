"""What the slices of owners are called, for each driver, and whose slice a name is of.

Refuses two owners one name: each mapping can be turned round. Sources: systemd.slice(5) and
systemd-escape(1) for the one, the kernel's names of cgroup files for the other.
"""

import re
from typing import Final

from controller.api.config import SliceDriver
from controller.model.slices import ROOT

_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.")
"""What systemd-escape(1) leaves as it is; a dash would begin another level. No login begins with a dot."""
_CODE: Final = re.compile(r"\\x([0-9a-f]{2})")
_TAKEN: Final = re.compile(
    r"(?:_.*|tasks|notify_on_release|release_agent|"
    r"(?:cgroup|cpu|cpuacct|cpuset|memory|pids|io|blkio|devices|freezer|hugetlb|misc|rdma|dmem|irq|"
    r"net_cls|net_prio|perf_event|debug)\..*)"
)
"""What the kernel calls files of its own in each cgroup, and what is marked because of that."""


def parent(driver: SliceDriver, root: str, owner: str) -> str:
    r"""Return what a container's parent is called to the Engine: `wharf-a\x2db.slice`, or `/wharf/a-b`.

    Empty without a driver; for `ROOT` the slice above all. `driver` is never AUTO.
    """
    match driver:
        case SliceDriver.SYSTEMD:
            return f"{root}.slice" if owner == ROOT else f"{root}-{_escaped(owner)}.slice"
        case SliceDriver.CGROUPFS:
            return f"/{root}" if owner == ROOT else f"/{root}/{_marked(owner)}"
        case _:
            return ""


def owner_of(driver: SliceDriver, root: str, name: str) -> str | None:
    """Return whose slice a parent's name is of, None for nobody's: only what `parent` returns is owned."""
    if driver is SliceDriver.SYSTEMD:
        inner = name.removeprefix(f"{root}-").removesuffix(".slice")
        owner = _CODE.sub(lambda found: chr(int(found[1], 16)), inner)
    else:
        inner = name.removeprefix(f"/{root}/")
        owner = inner.removeprefix("_") if _TAKEN.fullmatch(inner) else inner
    if name == parent(driver, root, ROOT):
        return ROOT
    return owner if owner and parent(driver, root, owner) == name else None


def _escaped(owner: str) -> str:
    return "".join(one if one in _PLAIN else f"\\x{ord(one):02x}" for one in owner)


def _marked(owner: str) -> str:
    return f"_{owner}" if _TAKEN.fullmatch(owner) else owner
