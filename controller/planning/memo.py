"""Knows the results of pure functions for arguments that are the very same objects as before.

Refuses equality: comparing large values would cost more than computing again, so identity is the key.
"""

from collections.abc import Callable
from operator import is_
from typing import Generic, TypeVar

R = TypeVar("R")


class Memo(Generic[R]):
    """Remembers one result for each key, as long as the arguments stay the same objects."""

    def __init__(self) -> None:
        self._results: dict[str, tuple[tuple[object, ...], R]] = {}

    def get(self, key: str, arguments: tuple[object, ...], compute: Callable[[], R]) -> R:
        """Return the remembered result, or compute it. `arguments` must be all that `compute` reads."""
        known = self._results.get(key)
        if known is not None and len(known[0]) == len(arguments) and all(map(is_, known[0], arguments)):
            return known[1]
        result = compute()
        self._results[key] = (arguments, result)
        return result

    def keep_only(self, keys: frozenset[str]) -> None:
        """Forget what was remembered for other keys."""
        if not self._results.keys() <= keys:
            self._results = {key: found for key, found in self._results.items() if key in keys}
