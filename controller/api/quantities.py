"""What sizes, processor shares, durations and processor sets mean, and how each is written.

A quantity is read from text alone: a bare number has no unit, and guessing one would be wrong for somebody.
"""

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Final

import durationpy
from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from controller.api import fields

SIZE_PATTERN: Final = r"^[0-9]+(\.[0-9]+)?([bB]|[kKmMgGtTpP]([iI]?[bB]?))$"
CPUS_PATTERN: Final = r"^[0-9]+(\.[0-9]{1,9})?$"
DURATION_PATTERN: Final = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+$"
CPUSET_PATTERN: Final = r"^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$"

NANO: Final = 1_000_000_000
MAX_BYTES: Final = 2**63 - 1
MAX_CPUS: Final = 65536
MAX_DURATION: Final = dt.timedelta(days=36500)

_UNITS: Final = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}
_SIZE = re.compile(SIZE_PATTERN)
_CPUS = re.compile(CPUS_PATTERN)
_DURATION = re.compile(DURATION_PATTERN)
_CPUSET = re.compile(CPUSET_PATTERN)
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_LONGEST_TEXT = 64
_DAYS_FROM = 4


def parse_bytes(text: str) -> int:
    """Return the bytes that `text` means to Docker: `32g`, `32gb` and `32Gi` are 32 x 2^30.

    Raises:
        ValueError: no unit, a sign, an exponent, or more than 2^63 - 1 bytes; the message says what to write.
    """
    if _NUMBER.fullmatch(text):
        hint = "0b" if not text.strip("0.") else f"{text[:_LONGEST_TEXT]}g"
        raise ValueError(f'a size needs its unit: write "{hint}" (units b, k, m, g, t, p)')
    match = _SIZE.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
    if not match:
        raise ValueError(
            f'"{text[:_LONGEST_TEXT]}" is not a size; write a number and a unit, such as "512m" or "32g"'
        )
    number = text.rstrip("bBkKmMgGtTpPiI")
    value = int(Decimal(number) * _UNITS[text[len(number)].lower()])
    if value > MAX_BYTES:
        raise ValueError(f'"{text}" is more than any machine has')
    return value


def format_bytes(value: int) -> str:
    """Render bytes with the largest unit that divides them; `parse_bytes` reads the same number back."""
    unit = next(unit for unit in reversed(_UNITS) if value % _UNITS[unit] == 0) if value else "b"
    return f"{value // _UNITS[unit]}{unit}"


def parse_cpus(text: str) -> int:
    """Return billionths of a processor: "0.5" is 500,000,000.

    Raises:
        ValueError: not a decimal number with at most nine places, zero, or more than 65,536 processors.
    """
    if len(text) > _LONGEST_TEXT or not _CPUS.fullmatch(text):
        raise ValueError(
            f'"{text[:_LONGEST_TEXT]}" is not a number of processors; write it like "8" or "0.5"'
        )
    value = int(Decimal(text) * NANO)
    if not 0 < value <= MAX_CPUS * NANO:
        raise ValueError(
            f'"{text}" processors are not possible; write more than "0" and at most "{MAX_CPUS}"'
        )
    return value


def format_cpus(value: int) -> str:
    """Render billionths of a processor as a decimal number; `parse_cpus` reads the same number back."""
    whole, rest = divmod(value, NANO)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")


def parse_duration(text: str) -> dt.timedelta:
    """Return the length of time: units ms, s, m, h, d (24 h) and w (7 d), also combined: `1h30m`.

    Raises:
        ValueError: no unit, a sign, another unit (months and years vary), or over 36,500 days.
    """
    if _NUMBER.fullmatch(text):
        raise ValueError(
            f'a duration needs its unit: write "{text[:_LONGEST_TEXT]}s" (units ms, s, m, h, d, w)'
        )
    if len(text) > _LONGEST_TEXT or not _DURATION.fullmatch(text):
        raise ValueError(f'"{text[:_LONGEST_TEXT]}" is not a duration; write it like "90s", "1h30m" or "7d"')
    try:
        value: dt.timedelta = durationpy.from_str(text)
    except durationpy.DurationError as error:
        raise ValueError(f'"{text}" is not a duration: {error}') from error
    if value > MAX_DURATION:
        raise ValueError(f'"{text}" is longer than {MAX_DURATION.days}d; write null for no limit')
    if value % dt.timedelta(milliseconds=1):
        raise ValueError(f'"{text}" is finer than a millisecond; write whole milliseconds, such as "300ms"')
    return value


def format_duration(value: dt.timedelta) -> str:
    """Render a duration to the millisecond: whole days from 4 up as days, all else as hours, minutes, ..."""
    if value.days >= _DAYS_FROM and value == dt.timedelta(days=value.days):
        return f"{value.days}d"
    rest = value // dt.timedelta(milliseconds=1)
    parts: list[str] = []
    for unit, length in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_cpuset(text: str) -> str:
    """Return a list of processors in canonical form, sorted and joined: "3,0-1,2" is "0-3".

    Raises:
        ValueError: not numbers and ascending ranges, or a processor above 65,535.
    """
    if not _CPUSET.fullmatch(text) or len(text) > 4 * _LONGEST_TEXT:
        raise ValueError(
            f'"{text[:_LONGEST_TEXT]}" is not a set of processors; write it like "0-7" or "0,2,4-6"'
        )
    members: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if low > high or high >= MAX_CPUS:
            raise ValueError(f'"{part}" is not a range of processors; write the smaller number first')
        members.update(range(low, high + 1))
    return _join_ranges(sorted(members))


def _join_ranges(members: list[int]) -> str:
    ranges: list[tuple[int, int]] = []
    for member in members:
        if ranges and ranges[-1][1] == member - 1:
            ranges[-1] = (ranges[-1][0], member)
        else:
            ranges.append((member, member))
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)


def _from_text(parse: Callable[[str], object], example: str) -> BeforeValidator:
    def validate(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise fields.refusal(f'expected text such as "{example}", found {fields.found(value)}')
        try:
            parsed = parse(str(value))
        except ValueError as error:
            raise fields.refusal(str(error)) from error
        if not isinstance(value, str):  # digits that happen to be right, as in `cpus: 8`, but are no text
            raise fields.refusal(f'expected text such as "{example}"; write "{value}" (with the quotes)')
        return parsed

    return BeforeValidator(validate)


ByteSize = Annotated[
    int,
    _from_text(parse_bytes, "32g"),
    PlainSerializer(format_bytes, return_type=str),
    WithJsonSchema({"type": "string", "pattern": SIZE_PATTERN}),
]
"""A number of bytes, at least 0."""

NanoCpus = Annotated[
    int,
    _from_text(parse_cpus, "0.5"),
    PlainSerializer(format_cpus, return_type=str),
    WithJsonSchema({"type": "string", "pattern": CPUS_PATTERN}),
]
"""Billionths of a processor, more than 0."""

Duration = Annotated[
    dt.timedelta,
    _from_text(parse_duration, "48h"),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN}),
]
"""A length of time, at least 0."""

CpuSet = Annotated[
    str,
    _from_text(parse_cpuset, "0-7"),
    WithJsonSchema({"type": "string", "pattern": CPUSET_PATTERN}),
]
"""Processors by number, in canonical form."""
