"""Sizes, processors, durations and processor sets: what is read, what is refused, and both ways agree."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.api import quantities


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("32g", 34_359_738_368),
        ("32gb", 34_359_738_368),
        ("32Gi", 34_359_738_368),
        ("32GiB", 34_359_738_368),
        ("512b", 512),
        ("0b", 0),
        ("1k", 1024),
        ("6m", 6 * 2**20),
        ("1.5g", 3 * 2**29),
        ("1t", 2**40),
        ("1p", 2**50),
    ],
)
def test_sizes_mean_what_docker_means(text: str, value: int) -> None:
    assert quantities.parse_bytes(text) == value


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("64", 'write "64g"'),
        ("0", 'write "0b"'),
        ("1.5", 'write "1.5g"'),
        ("-1g", '"512m"'),
        ("1e3b", '"512m"'),
        ("", '"512m"'),
        ("g", '"512m"'),
        ("32 g", '"512m"'),
        ("32x", '"512m"'),
        ("32gg", '"512m"'),
        ("٣g", '"512m"'),
        ("5g\n", '"512m"'),
        ("9999999p", "more than any machine"),
        ("1" * 200 + "g", '"512m"'),
    ],
)
def test_what_is_no_size_is_refused_with_what_to_write(text: str, needed: str) -> None:
    with pytest.raises(ValueError, match=r"size|machine") as caught:
        quantities.parse_bytes(text)
    assert needed in str(caught.value)
    assert len(str(caught.value)) < 200


@given(st.integers(min_value=0, max_value=quantities.MAX_BYTES))
def test_a_written_size_reads_as_itself(value: int) -> None:
    assert quantities.parse_bytes(quantities.format_bytes(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0b"), (1, "1b"), (2**30, "1g"), (100 * 2**30, "100g"), (2**30 + 1024, "1048577k")],
)
def test_sizes_are_written_with_the_largest_unit_that_divides_them(value: int, text: str) -> None:
    assert quantities.format_bytes(value) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [("8", 8_000_000_000), ("0.5", 500_000_000), ("0.000000001", 1), ("1.25", 1_250_000_000)],
)
def test_processors_are_exact_to_the_billionth(text: str, value: int) -> None:
    assert quantities.parse_cpus(text) == value


@pytest.mark.parametrize(
    "text", ["0", "0.0", "-1", "+1", "1e3", "", ".5", "1.", "0.0000000001", "8 ", "nan", "65537"]
)
def test_what_is_no_number_of_processors_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        quantities.parse_cpus(text)


@given(st.integers(min_value=1, max_value=quantities.MAX_CPUS * quantities.NANO))
def test_written_processors_read_as_themselves(value: int) -> None:
    assert quantities.parse_cpus(quantities.format_cpus(value)) == value


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("48h", 172_800),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("1h30m", 5400),
        ("1d12h", 129_600),
        ("300ms", 0.3),
        ("1.5h", 5400),
        ("0s", 0),
    ],
)
def test_durations_have_units_and_combine(text: str, seconds: float) -> None:
    assert quantities.parse_duration(text) == dt.timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("48", 'write "48s"'),
        ("0", 'write "0s"'),
        ("-5m", '"90s"'),
        ("+5m", '"90s"'),
        ("1y", '"90s"'),
        ("1mo", '"90s"'),
        ("1mm", '"90s"'),
        ("5us", '"90s"'),
        ("1h 30m", '"90s"'),
        ("1h,30m", '"90s"'),
        ("h", '"90s"'),
        ("", '"90s"'),
        ("1.2.3s", '"90s"'),
        ("0.0001s", "finer than a millisecond"),
        ("99999999w", "write null"),
    ],
)
def test_what_is_no_duration_is_refused_with_what_to_write(text: str, needed: str) -> None:
    with pytest.raises(ValueError, match=r"duration|null|millisecond") as caught:
        quantities.parse_duration(text)
    assert needed in str(caught.value)


@given(st.integers(min_value=0, max_value=quantities.MAX_DURATION // dt.timedelta(milliseconds=1)))
def test_a_written_duration_reads_as_itself(milliseconds: int) -> None:
    value = dt.timedelta(milliseconds=milliseconds)
    assert quantities.parse_duration(quantities.format_duration(value)) == value


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("0-7", "0-7"), ("3,0-1,2", "0-3"), ("5", "5"), ("0,2,4-6", "0,2,4-6"), ("1,1", "1")],
)
def test_processor_sets_have_one_form(text: str, canonical: str) -> None:
    assert quantities.parse_cpuset(text) == canonical


@pytest.mark.parametrize("text", ["", "7-0", "a", "0-", ",1", "0--3", "-1", "0, 1", "0-4000000000"])
def test_what_is_no_processor_set_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        quantities.parse_cpuset(text)


@given(st.sets(st.integers(min_value=0, max_value=40), min_size=1))
def test_a_processor_set_names_exactly_its_members(members: set[int]) -> None:
    canonical = quantities.parse_cpuset(",".join(map(str, members)))
    named: set[int] = set()
    for part in canonical.split(","):
        first, _, last = part.partition("-")
        named |= set(range(int(first), int(last or first) + 1))
    assert named == members
    assert quantities.parse_cpuset(canonical) == canonical


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    for parse in (
        quantities.parse_bytes,
        quantities.parse_cpus,
        quantities.parse_duration,
        quantities.parse_cpuset,
    ):
        try:
            parse(text)
        except ValueError as refusal:
            assert str(refusal)  # noqa: PT017 - any other exception is the failure
