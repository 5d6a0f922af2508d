"""Knows the results of pure functions for arguments that are the very same objects as before.

Refuses equality: comparing large values would cost more than computing again, so identity is the key.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

R = TypeVar("R")


class Memo(Generic[R]):
    """Remembers one result for each key, as long as the arguments stay the same objects."""

    def __init__(self) -> None:
        self._results: dict[str, tuple[tuple[object, ...], R]] = {}

    def get(self, key: str, arguments: tuple[object, ...], compute: Callable[[], R]) -> R:
        """Return the remembered result, or compute it. `arguments` must be all that `compute` reads."""
        known = self._results.get(key)
        if known is not None and all(a is b for a, b in zip(known[0], arguments, strict=True)):
            return known[1]
        result = compute()
        self._results[key] = (arguments, result)
        return result

    def keep_only(self, keys: frozenset[str]) -> None:
        """Forget what was remembered for other keys."""
        for key in self._results.keys() - keys:
            del self._results[key]
