"""Where systemd puts a slice among the cgroups, by its name alone.

Refuses to ask systemd. Sources: systemd.slice(5), and cg_escape() of systemd's for names of the kernel's.
"""

import re
from typing import Final

_SUFFIX: Final = ".slice"
_KERNELS: Final = re.compile(
    r"[_.].*|tasks|notify_on_release|release_agent|"
    r"(?:cgroup|cpu|cpuacct|cpuset|io|blkio|memory|devices|pids)\..*"
)
"""Names of folders that systemd marks, since the kernel has, or may have, files of such names."""


def control_group(name: str) -> str:
    r"""Return the path below systemd's root: `/wharf.slice/wharf-a\x2db.slice` for `wharf-a\x2db.slice`."""
    return "".join(f"/{_marked(unit)}" for unit in levels(name))


def levels(name: str) -> list[str]:
    """Return the slice and those that it is in, the outermost first."""
    parts = name.removesuffix(_SUFFIX).split("-")
    return ["-".join(parts[: depth + 1]) + _SUFFIX for depth in range(len(parts))]


def _marked(unit: str) -> str:
    return f"_{unit}" if _KERNELS.fullmatch(unit) else unit
