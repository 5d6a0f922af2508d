"""What a metric is: name, type, labels, help, and label values known beforehand.

Refuses to know one: `instruments` has the list, and `slices` its part about them.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PREFIX: Final = "wharfinger_"
"""Of every name."""


class Kind(StrEnum):
    """How a metric behaves."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One metric.

    Attributes:
        name: without the prefix, with the suffix of its unit.
        known: for each label the values known beforehand; their series start at 0. Empty: none are.
        buckets: upper bounds in seconds, of a histogram.
        passing: read from the last pass at each scrape, so that what is gone vanishes.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    known: tuple[tuple[str, ...], ...] = ()
    buckets: tuple[float, ...] = ()
    passing: bool = False

    @property
    def full_name(self) -> str:
        """The name that is published."""
        return PREFIX + self.name

    def known_sets(self) -> Iterator[tuple[str, ...]]:
        """The label sets whose series start at 0."""
        return itertools.product(*self.known) if self.known else iter(())


_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def escape(value: str) -> str:
    """A label's value as it stands between quotes."""
    return value.translate(_ESCAPES)


def counter(name: str, text: str, *labels: str, known: tuple[tuple[str, ...], ...] = ()) -> Instrument:
    """Return one that counts what happens."""
    return Instrument(name, Kind.COUNTER, text, labels, known)


def gauge(name: str, text: str, *labels: str, known: tuple[tuple[str, ...], ...] = ()) -> Instrument:
    """Return one that is set."""
    return Instrument(name, Kind.GAUGE, text, labels, known)


def passing(name: str, text: str, *labels: str) -> Instrument:
    """Return one that is read off the last pass."""
    return Instrument(name, Kind.GAUGE, text, labels, passing=True)


def histogram(
    name: str, text: str, *labels: str, buckets: tuple[float, ...], known: tuple[tuple[str, ...], ...] = ()
) -> Instrument:
    """Return one that sorts seconds into buckets."""
    return Instrument(name, Kind.HISTOGRAM, text, labels, known, buckets)
