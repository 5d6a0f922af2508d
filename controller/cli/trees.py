"""Ways through the plain JSON objects that the control API, the ledger's view and the specs are shown as.

It knows the shape of no object and raises for none: what is not there is absent, or the caller's default.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"
Object: TypeAlias = Mapping[str, Json]

NONE = "<none>"


def parse(text: bytes) -> Json:
    """The JSON value in `text`.

    Raises:
        ValueError: it is not JSON.
    """
    value: Json = json.loads(text)
    return value


def at(value: Json, *path: str) -> Json:
    """What lies at the path of keys below `value`; None where a key is missing."""
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value


def text(value: Json, *path: str, default: str = NONE) -> str:
    """What lies at the path, as one word or line for people; `default` for what is absent, null or empty."""
    found = at(value, *path)
    match found:
        case None | "":
            return default
        case bool():
            return json.dumps(found)
        case str() | int() | float():
            return str(found)
        case _:
            return json.dumps(found)


def each(value: Json, *path: str) -> tuple[Object, ...]:
    """The objects in the list at the path; nothing else that may be there."""
    found = at(value, *path)
    if not isinstance(found, Sequence) or isinstance(found, str):
        return ()
    return tuple(item for item in found if isinstance(item, Mapping))


def name_of(value: Json) -> str:
    """The `metadata.name` of an object, or its plain `name`, or the number of a port."""
    paths = (("metadata", "name"), ("name",), ("port",))
    return next((found for path in paths if (found := text(value, *path, default=""))), "")


def condition(value: Json, kind: str) -> Object:
    """The condition of that type of a workspace object; empty where it is absent."""
    for found in each(value, "status", "conditions"):
        if found.get("type") == kind:
            return found
    return {}
