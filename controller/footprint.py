"""Knows how little memory and processor time the process may take; refuses to know what it takes them for."""

import ctypes
import gc
from typing import Final

MALLOC_OPTIONS: Final = ((-8, 1), (-3, 65536), (-1, 65536))
"""M_ARENA_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of the GNU C library, bytes."""
GC_THRESHOLDS: Final = (20_000, 20, 50)
"""Objects, and collections of the younger generation, between two collections of garbage."""


def keep_small() -> None:
    """Give what a look at a large fleet took back to the kernel, and look for cyclic garbage less often.

    One arena for all threads, and a mapping of its own for each answer of the Engine's: mallopt(3), where the
    C library has it. A look makes many objects and no cycles.
    """
    gc.set_threshold(*GC_THRESHOLDS)
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune is not None:
        for option, value in MALLOC_OPTIONS:
            tune(option, value)
