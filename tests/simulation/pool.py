"""Knows small numbers for values: equal values of plain data have one number, and one object stands for them.

It refuses to guess what is equal: every field counts, and a type that it does not know is an error.
"""

from copy import copy
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Generic, TypeVar, cast

V = TypeVar("V")
PLAIN = (str, int, float, bytes, datetime, timedelta, Enum, type(None))


class Pool:
    """Numbers plain data: dataclasses, mappings, tuples and sets of such, and what is in `PLAIN`."""

    def __init__(self) -> None:
        self._numbers: dict[object, int] = {}
        self._known: dict[int, int] = {}
        self._objects: list[object] = []
        self._fields: dict[type, tuple[str, ...]] = {}

    def number(self, value: object) -> int:
        """Return the number of all that equals a value; the first one seen is kept for good."""
        number = self._known.get(id(value))
        if number is not None:
            return number
        key = self._key(value)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._objects)
            kept = self._rebuilt(value)
            self._objects.append(kept)
            self._known[id(kept)] = number
        return number

    def kept(self, number: int) -> object:
        """Return the one object that stands for all values of a number; its parts are such objects too."""
        return self._objects[number]

    def _part(self, value: object) -> Any:  # noqa: ANN401 - of whatever type the part is
        return self._objects[self.number(value)]

    def _rebuilt(self, value: object) -> object:
        """Return an equal value of parts that are kept, so that they are known by what they are next time."""
        names = self._fields.get(type(value))
        if names is not None:
            rebuilt = copy(value)
            for name in names:
                object.__setattr__(rebuilt, name, self._part(getattr(value, name)))
            return rebuilt
        if isinstance(value, dict):
            return {self._part(name): self._part(item) for name, item in value.items()}
        if isinstance(value, tuple):
            return tuple(self._part(item) for item in value)
        return value

    def _key(self, value: object) -> object:
        kind = type(value)
        names = self._fields.get(kind)
        if names is not None:
            return (kind, *[self.number(getattr(value, name)) for name in names])
        if isinstance(value, PLAIN):
            return kind, value
        if isinstance(value, dict):
            # the order counts: where there is one, what decides may follow it
            return kind, *[(self.number(name), self.number(item)) for name, item in value.items()]
        if isinstance(value, tuple):
            return kind, *[self.number(item) for item in value]
        if isinstance(value, frozenset):
            return kind, frozenset(self.number(item) for item in value)
        if is_dataclass(kind):
            self._fields[kind] = tuple(field.name for field in fields(kind))
            return self._key(value)
        raise TypeError(f"{kind.__name__} is no plain data")


class Shelf(Generic[V]):
    """The values of one type, by numbers from 0 in the order in which they were first seen."""

    def __init__(self, pool: Pool) -> None:
        self.values: list[V] = []
        self._pool = pool
        self._places: dict[int, int] = {}

    def place(self, value: V) -> int:
        """Return the place of a value; it is put there if no equal one is."""
        number = self._pool.number(value)
        place = self._places.get(number)
        if place is None:
            place = self._places[number] = len(self.values)
            self.values.append(cast("V", self._pool.kept(number)))
        return place
