"""Says whether there is anything of an NVIDIA driver on this host, by files alone.

Refuses to load the driver's library and to touch a device, so it can be asked anywhere and at any time.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

LIBRARY: Final = "libnvidia-ml.so.1"
"""The one of NVML; the name by which pynvml loads it."""
_CACHE: Final = Path("etc/ld.so.cache")
_USUAL: Final = ("lib", "usr/lib", "lib64", "usr/lib64")
"""Where the dynamic linker looks besides; see ld.so(8)."""
_KERNEL: Final = Path("proc/driver/nvidia")


def anything(environment: Mapping[str, str], root: Path = Path("/")) -> bool:
    """Whether the library, the kernel's driver or a node of it is here."""
    return has_driver(root) or any(_libraries(environment, root))


def has_driver(root: Path = Path("/")) -> bool:
    """Whether the kernel has the driver, or a node of it is there."""
    return (root / _KERNEL).exists() or any((root / "dev").glob("nvidia*"))


def _libraries(environment: Mapping[str, str], root: Path) -> Iterator[bool]:
    """Whether a place in which the linker looks has the library; its cache names those of other places."""
    for folder in environment.get("LD_LIBRARY_PATH", "").split(":"):
        yield bool(folder) and os.path.lexists(Path(folder) / LIBRARY)
    try:
        yield LIBRARY.encode() in (root / _CACHE).read_bytes()
    except OSError:
        yield False
    for usual in _USUAL:
        yield os.path.lexists(root / usual / LIBRARY)
