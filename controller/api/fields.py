"""The kinds of value that the API's models are built from, and the wording of their refusals.

It knows no kind of document and repairs no value: what is not right is refused, with what to write.
"""

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

T = TypeVar("T")
K = TypeVar("K")

DNS_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_LOGIN = r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE = (
    rf"(?:[A-Za-z0-9.-]+(?::[0-9]+)?/)?{_COMPONENT}(?:/{_COMPONENT})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
DIGEST = r"sha256:[0-9a-f]{64}"
_TIMESTAMP = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:Z|[+-][0-9]{2}:[0-9]{2})"

MAX_COUNT = 2**31 - 1
PLACEHOLDERS = ("{owner}", "{name}", "{uid}", "{home}")


def refusal(message: str) -> PydanticCustomError:
    """Return the error that carries `message` unchanged to the person who wrote the value."""
    return PydanticCustomError("refused", "{message}", {"message": message})


def found(value: object) -> str:
    """Name a value's kind as a person who writes YAML would: "a list", "null", "the number 3"."""
    match value:
        case None:
            return "null"
        case bool():
            return json.dumps(value)
        case int() | float():
            return f"the number {value}"
        case str():
            return f'"{value}"'
        case list() | tuple():
            return "a list"
        case _:
            return "a mapping"


def _require_text(value: object) -> object:
    if isinstance(value, str):
        if "\0" in value:
            raise refusal("a NUL character cannot be passed on; remove it")
        return value
    if isinstance(value, bool | int | float):
        text = json.dumps(value)
        raise refusal(f'a string is expected, found {found(value)}; write "{text}" (with the quotes)')
    hint = '; write "" for an empty string' if value is None else ""
    raise refusal(f"a string is expected, found {found(value)}{hint}")


def matching(pattern: str, expected: str) -> Callable[[str], str]:
    """Return a validator of text that matches the whole of `pattern`; a placeholder counts as a letter.

    `expected` completes the sentence "... is not ...".
    """
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(blank_placeholders(text)):
            raise refusal(f'"{text}" is not {expected}')
        return text

    return check


def blank_placeholders(text: str) -> str:
    """Replace each placeholder by a letter (`{home}` by a path), so that the rest can be checked."""
    text = text.replace("{home}", "/x")
    for placeholder in PLACEHOLDERS:
        text = text.replace(placeholder, "x")
    return text


class NotNull:
    """Marks a field that may be left out but not be null: absent means inherit; null would mean nothing."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Put the refusal of null before the field's own validation."""
        return core_schema.no_info_before_validator_function(_refuse_null, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Leave null out of the published schema."""
        published = handler(schema)
        choices = [choice for choice in published.get("anyOf", []) if choice != {"type": "null"}]
        if len(choices) != 1:
            return published
        rest = {key: value for key, value in published.items() if key != "anyOf"}
        return {**choices[0], **rest}


def _refuse_null(value: object) -> object:
    if value is None:
        raise refusal(
            "null means unlimited or never, which this field cannot be; leave the key out to inherit"
        )
    return value


def nothing() -> Mapping[K, T]:
    """Return an empty read-only mapping, for fields that are empty when left out."""
    return MappingProxyType({})


def _freeze(value: Mapping[K, T]) -> Mapping[K, T]:
    return MappingProxyType(dict(value))


def _thaw(value: Mapping[K, T]) -> dict[K, T]:
    return dict(value)


def _parse_timestamp(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(_TIMESTAMP, value):
        try:
            return dt.datetime.fromisoformat(value)
        except ValueError as error:
            raise refusal(f'"{value}" is no date: {error}') from error
    raise refusal(
        f'a quoted time with its zone is expected, such as "2027-03-31T00:00:00Z", found {found(value)}'
    )


def format_timestamp(moment: dt.datetime) -> str:
    """Render an aware time in UTC to the second, with the letter Z."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _parse_decimal(value: object) -> object:
    if not isinstance(value, str):
        raise refusal(f'a quoted decimal number is expected, such as "1.5", found {found(value)}')
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", value):
        raise refusal(f'"{value}" is not a decimal number with at most three places, such as "1.5"')
    return Decimal(value)


def _format_decimal(value: Decimal) -> str:
    return f"{value:f}"


def _check_path(path: str) -> str:
    text = blank_placeholders(path)
    if not text.startswith("/"):
        raise refusal(f'"{path}" is not an absolute path; begin it with /')
    if text != "/" and any(part in {"", ".", ".."} for part in text[1:].split("/")):
        raise refusal(f'"{path}" must be written in full: without "..", ".", "//" and a "/" at the end')
    return path


def _check_relative_file(path: str) -> str:
    text = blank_placeholders(path)
    if text.startswith("/") or any(part in {"", ".", ".."} for part in text.split("/")):
        raise refusal(f'"{path}" must be a relative path without "..", ".", "//" and a "/" at the end')
    return path


def _check_unique(items: tuple[T, ...]) -> tuple[T, ...]:
    seen: set[T] = set()
    for item in items:
        if item in seen:
            raise refusal(f'"{item}" is named twice')
        seen.add(item)
    return items


Text = Annotated[str, BeforeValidator(_require_text)]
Line = Annotated[Text, AfterValidator(matching(r"[^\x00-\x1f\x7f]+", "one line of text"))]
Label = Annotated[
    Text,
    AfterValidator(
        matching(DNS_LABEL, "a name of lower-case letters, digits and inner dashes, such as alice-batch")
    ),
    Field(min_length=1, max_length=40, json_schema_extra={"pattern": f"^{DNS_LABEL}$"}),
]
Login = Annotated[
    Text,
    AfterValidator(matching(_LOGIN, "a login name (letters, digits, _ . @ + -, not beginning with . or -)")),
    Field(json_schema_extra={"pattern": f"^{_LOGIN}$"}),
]
ImageName = Annotated[
    Text,
    AfterValidator(
        matching(
            _REFERENCE, "an image reference, such as python:3.11-slim or registry.example/team/image:tag"
        )
    ),
    Field(max_length=512),
]
Digest = Annotated[
    Text,
    AfterValidator(matching(DIGEST, 'a digest, "sha256:" and 64 hexadecimal digits')),
    Field(json_schema_extra={"pattern": f"^{DIGEST}$"}),
]
AbsolutePath = Annotated[Text, AfterValidator(_check_path), Field(max_length=4096)]
RelativeFile = Annotated[Text, AfterValidator(_check_relative_file), Field(max_length=4096)]
Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]
Timestamp = Annotated[
    dt.datetime,
    BeforeValidator(_parse_timestamp),
    PlainSerializer(format_timestamp, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
DecimalText = Annotated[
    Decimal,
    BeforeValidator(_parse_decimal),
    PlainSerializer(_format_decimal, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,3})?$"}),
]

Given = Annotated[T | None, NotNull()]
"""A field that may be left out (inherit) but not be null."""

Choice = Annotated[T, Field(strict=False)]
"""A member of an enumeration, written as its value."""

Items = Annotated[tuple[T, ...], Field(strict=False)]
"""A list; kept as a tuple."""

UniqueItems = Annotated[tuple[T, ...], Field(strict=False), AfterValidator(_check_unique)]
"""A list without repetitions; kept as a tuple."""

Table = Annotated[Mapping[str, T], AfterValidator(_freeze), PlainSerializer(_thaw)]
"""A mapping by any text; read-only after validation."""

NamedTable = Annotated[Mapping[K, T], AfterValidator(_freeze), PlainSerializer(_thaw)]
"""A mapping by names with rules of their own; read-only after validation."""
