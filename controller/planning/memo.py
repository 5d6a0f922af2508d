"""Knows the results of pure functions for arguments that are the very same objects as before.

Refuses equality there: comparing large values would cost more than computing again, so identity is the key.
What makes values anew at every look can give those that are equal the same identity.
"""

from collections.abc import Callable, Mapping
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


class Same(Generic[R]):
    """Gives a value that equals the one of last time as that very object, for each key."""

    def __init__(self) -> None:
        self._known: Mapping[str, R] = {}

    def of(self, values: Mapping[str, R]) -> Mapping[str, R]:
        """Return these values, with the objects of last time where they are equal."""
        known = self._known
        self._known = {
            key: known[key] if key in known and known[key] == value else value
            for key, value in values.items()
        }
        return self._known
