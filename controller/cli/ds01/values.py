"""What a value of a DS01 limits file means, in the policy's units; None is null, which is unlimited or never.

It knows no key. Each function raises ValueError, with what to write, where a value has no certain meaning.
"""

import datetime as dt
import math
import re
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Final

from controller.api import fields, quantities, rules
from controller.sources.foreign import Node

_PERCENT: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)%")
_THOUSANDTH: Final = Decimal("0.001")
_CPUS_OF_PERCENT: Final = 100


class UnclearError(ValueError):
    """A value has no certain meaning; the message says what to write."""


def number_of_bytes(node: Node) -> int | None:
    """A size as Docker and systemd mean it; a bare number is bytes, and a negative one is no limit."""
    value = node.value
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UnclearError(f"a size such as 32g is expected, found {fields.found(value)}")
    text = node.text
    if re.fullmatch(r"-[0-9]+", text):
        return None
    size = int(text) if re.fullmatch(r"[0-9]+", text) else quantities.parse_bytes(text)
    if 0 < size < rules.MIN_MEMORY or size > quantities.MAX_BYTES:
        raise UnclearError(
            f"{text} is {size} bytes, which cannot be meant; write a size with its unit, such as 32g"
        )
    return size


def processors(node: Node) -> int | None:
    """Billionths of a processor, from a number of cores."""
    return None if node.value is None else quantities.parse_cpus(format(_number(node), "f"))


def processors_of_percent(node: Node) -> int | None:
    """Billionths of a processor, from a share of time as systemd writes it: 100% is one."""
    if node.value is None:
        return None
    found = _PERCENT.fullmatch(node.text)
    if not found:
        raise UnclearError(f'a share such as "800%" is expected, which is 8 processors, found "{node.text}"')
    return quantities.parse_cpus(format(Decimal(found[1]) / _CPUS_OF_PERCENT, "f"))


def count(node: Node) -> int | None:
    """A whole number of things, 0 or more."""
    if node.value is None:
        return None
    found = _number(node)
    if found != found.to_integral_value() or not 0 <= found <= fields.MAX_COUNT:
        raise UnclearError(f"a whole number is expected, found {node.text}")
    return int(found)


def tasks(node: Node) -> int | None:
    """A number of processes; Docker and systemd take none, 0 and less for no limit."""
    if node.value is None or node.text.lower() == "infinity" or _number(node) <= 0:
        return None
    return count(node)


def gpu_equivalents(node: Node) -> str | None:
    """A number of whole GPUs with at most three places, rounded down; "all" is no limit."""
    if node.value is None or node.text.lower() == "all":
        return None
    found = _number(node)
    if found < 0 or found > fields.MAX_COUNT:
        raise UnclearError(f"a number of GPUs is expected, found {node.text}")
    rounded = found.quantize(_THOUSANDTH, rounding=ROUND_DOWN).normalize()
    return format(rounded, "f")


def hours(node: Node) -> dt.timedelta | None:
    """A length of time under a key that names hours; text may bring its own unit."""
    if isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return _positive(dt.timedelta(seconds=round(float(_number(node)) * 3600)))
    return length(node)


def hold(node: Node) -> dt.timedelta | None:
    """A length of time for which something is kept, under a key that names hours or minutes.

    None at all is the shortest that the policy has.
    """
    if isinstance(node.value, int | float) and not isinstance(node.value, bool):
        unit = 60 if node.key.endswith("_m") else 3600
        return _positive(dt.timedelta(seconds=round(float(_number(node)) * unit)) or dt.timedelta(seconds=1))
    return length(node)


def length(node: Node) -> dt.timedelta | None:
    """A length of time under a key that names no unit.

    Raises:
        ValueError: it has none itself: DS01 took such a 48 for seconds, people meant hours.
    """
    value = node.value
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise UnclearError(
            f'{node.text} has no unit: DS01 took it for seconds; write "{node.text}h" if it is hours'
        )
    if not isinstance(value, str):
        raise UnclearError(f"a length of time such as 48h is expected, found {fields.found(value)}")
    return _positive(quantities.parse_duration(value))


def seconds(node: Node) -> dt.timedelta | None:
    """A length of time under a key that names seconds."""
    if node.value is None:
        return None
    return dt.timedelta(seconds=round(float(_number(node))))


def priority(node: Node) -> int:
    """A place in queues, 1 to 100; what lies outside becomes the nearest."""
    return min(100, max(1, round(_number(node))))


def moment(node: Node) -> dt.datetime | None:
    """A time of the ISO 8601 kind; one without a zone is taken for UTC, and a day for its beginning."""
    if node.value is None:
        return None
    try:
        found = dt.datetime.fromisoformat(node.text)
    except ValueError as error:
        raise UnclearError(f'"{node.text}" is not a time; write it like 2026-12-31T00:00:00Z') from error
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def line_of_text(node: Node) -> str:
    """Free text on one line."""
    return " ".join("".join(c if c.isprintable() else " " for c in node.text).split())


def _number(node: Node) -> Decimal:
    value = node.value
    if isinstance(value, str):
        try:
            found = Decimal(value)
        except InvalidOperation as error:
            raise UnclearError(f'a number is expected, found "{value}"') from error
        if found.is_finite():
            return found
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return Decimal(str(value))
    raise UnclearError(f"a number is expected, found {fields.found(value)}")


def _positive(value: dt.timedelta) -> dt.timedelta:
    if not value:
        raise UnclearError("no time at all would stop everything at once; write null for never")
    if not dt.timedelta() < value <= quantities.MAX_DURATION:
        raise UnclearError("this length of time is not possible; write null for never")
    return value
