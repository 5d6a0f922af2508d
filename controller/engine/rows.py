"""Knows how a JSON array reads one object at a time: a list of many containers is never in memory as a whole.

It refuses to know what the objects mean.
"""

import json
import re
from collections.abc import Iterator

from controller.engine import transport

_SPACE = re.compile(r"[ \t\n\r]*")
_decode = json.JSONDecoder().raw_decode


def read(content: bytes) -> Iterator[transport.Row]:
    """The objects of an array, in order.

    Raises:
        transport.UnansweredError: it is not an array of objects; those before the error were given.
    """
    try:
        yield from _objects(content.decode())
    except ValueError as error:
        message = f"the Engine's list cannot be read: {error}"
        raise transport.UnansweredError(transport.Silence.BROKEN, message) from error


def _objects(text: str) -> Iterator[transport.Row]:
    at = _after(text, "[", _beyond_space(text, 0))
    if text.startswith("]", at):
        return _end(text, at)
    while True:
        row, at = _decode(text, at)
        if not isinstance(row, dict):
            raise ValueError(f"not an object: {row!r:.80}")  # noqa: TRY004 - garbage is garbage, of whatever type
        yield row
        at = _beyond_space(text, at)
        if not text.startswith(",", at):
            return _end(text, at)
        at = _beyond_space(text, at + 1)


def _end(text: str, at: int) -> None:
    end = _after(text, "]", at)
    if end != len(text):
        raise ValueError(f"something follows its end at {end}")


def _after(text: str, sign: str, at: int) -> int:
    if not text.startswith(sign, at):
        raise ValueError(f"no {sign} at {at}")
    return _beyond_space(text, at + 1)


def _beyond_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()
