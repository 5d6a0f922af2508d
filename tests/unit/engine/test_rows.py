"""How an array is read one object at a time: as json reads it, and nothing but an array of objects."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.engine import rows, transport

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), max_size=4)


@given(OBJECTS, st.sampled_from([None, 0, 3]), st.booleans())
def test_rows_are_what_json_reads(values: list[dict[str, object]], indent: int | None, escaped: bool) -> None:
    content = json.dumps(values, indent=indent, ensure_ascii=escaped).encode()
    assert list(rows.read(content)) == json.loads(content) == values
    assert list(rows.read(b"\r\n\t " + content + b" \n")) == values


@given(OBJECTS, st.data())
def test_a_list_that_ends_early_or_late_is_none(values: list[dict[str, object]], data: st.DataObject) -> None:
    content = json.dumps(values, ensure_ascii=False).encode()
    early = content[: data.draw(st.integers(0, len(content) - 1))]
    late = content + data.draw(st.binary(min_size=1, max_size=4).filter(bytes.strip))
    for other in (early, late):
        with pytest.raises(transport.UnansweredError):
            list(rows.read(other))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"{}",
        b"[",
        b"[,]",
        b"[{}",
        b"[{},",
        b"[{},]",
        b"[{}{}]",
        b"[{}] []",
        b"[1]",
        b"[[]]",
        b'[{"a": }]',
        b'[{"a": "\xff"}]',
        b"<html>",
    ],
)
def test_whatever_is_no_array_of_objects_is_no_answer(content: bytes) -> None:
    with pytest.raises(transport.UnansweredError) as caught:
        list(rows.read(content))
    assert caught.value.silence is transport.Silence.BROKEN


def test_rows_before_an_error_are_given() -> None:
    found = rows.read(b'[{"Id": "a"}, {"Id": ')
    assert next(found) == {"Id": "a"}
    with pytest.raises(transport.UnansweredError):
        next(found)
