"""Strict YAML: what is read, what is refused, and where."""

import pytest

from controller.model import paths
from controller.sources import findings, positions


def _value(text: str) -> positions.Value:
    document = positions.parse(text.encode(), "a.yaml")
    assert isinstance(document, positions.Document), [str(finding) for finding in document]
    return document.value


def _findings(text: bytes) -> list[str]:
    found = positions.parse(text, "a.yaml")
    assert isinstance(found, tuple)
    return [str(finding) for finding in found]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("null", None),
        ("true", True),
        ("false", False),
        ("0", 0),
        ("-12", -12),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("no", "no"),
        ("Yes", "Yes"),
        ("NULL", "NULL"),
        ("~", "~"),
        ("True", "True"),
        ("0123", "0123"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("22:22", "22:22"),
        ("2024-01-02", "2024-01-02"),
        (".5", ".5"),
        (".inf", ".inf"),
        ("+1", "+1"),
        ("'1'", "1"),
        ('"true"', "true"),
        ('""', ""),
        ("|-\n  two\n  lines", "two\nlines"),
    ],
)
def test_a_scalar_is_typed_by_json_syntax_alone(written: str, meant: positions.Value) -> None:
    value = _value(f"a: {written}\n")
    assert value == {"a": meant}
    assert isinstance(value, dict)
    assert type(value["a"]) is type(meant)


def test_keys_are_always_text() -> None:
    assert _value("1: a\ntrue: b\nno: c\n") == {
        "1": "a",
        "true": "b",
        "no": "c",
    }


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (b"", "a.yaml:1:1: ", "empty"),
        (b"# only a comment\n", "a.yaml:1:1: ", "empty"),
        (b"---\n", "a.yaml:2:1: ", "empty"),
        (b"a:\nb: 1\n", "a.yaml:1:3: a: ", "no value"),
        (b"a: 1\nb: 2\na: 3\n", "a.yaml:3:1: a: ", "duplicate key; first given at line 1"),
        (b'a: 1\n"a": 3\n', "a.yaml:2:1: a: ", "duplicate key"),
        (b"x:\n  - {a: 1, a: 2}\n", "a.yaml:2:12: x[0].a: ", "duplicate key"),
        (b"a: &x 1\n", "a.yaml:1:4: a: ", "anchors (&x)"),
        (b"&x a: 1\n", "a.yaml:1:1: a: ", "anchors (&x)"),
        (b"b: *x\n", "a.yaml:1:4: b: ", "aliases (*x)"),
        (b"a: {<<: {b: 1}}\n", 'a.yaml:1:5: a["<<"]: ', "merge keys"),
        (b"a: !!str x\n", "a.yaml:1:4: a: ", "tags"),
        (b"a: !!python/object/apply:os.system [id]\n", "a.yaml:1:4: a: ", "tags"),
        (b"a: ! x\n", "a.yaml:1:4: a: ", "tags"),
        (b"a: 1\n---\nb: 2\n", "a.yaml:2:1: ", "second document"),
        (b"a: 1\n...\nb: 2\n", "a.yaml:3:1: ", "second document"),
        (b"%YAML 1.1\n---\na: 1\n", "a.yaml:1:1: ", "directives"),
        (b"? [a]\n: b\n", "a.yaml:1:3: ", "cannot be a key"),
        (b"a: 1\n'': b\n", 'a.yaml:2:1: [""]: ', "empty key"),
        (b"a: \x00\n", "a.yaml:1:4: ", "U+0000"),
        (b"a: b\n\x1b[0m: c\n", "a.yaml:2:1: ", "U+001B"),
        (b'a: "\\0"\n', "a.yaml:1:4: a: ", "control characters"),
        (b"\xef\xbb\xbfa: 1\n", "a.yaml:1:1: ", "U+FEFF"),
        (b"a: 1\nb: \xff\n", "a.yaml:2:4: ", "not UTF-8"),
        ("a: 1\n".encode("utf-16"), "a.yaml:1:1: ", "not UTF-8"),
        (b"a: [1\n", "a.yaml:2:1: ", "not YAML"),
        (b"a: 'x\n", "a.yaml:2:1: ", "not YAML"),
        (b"a:\n\t- b\n", "a.yaml:2:1: ", "not YAML"),
        (b"a: " + b"9" * 5000 + b"\n", "a.yaml:1:4: a: ", "too large"),
        (b"a: 1e999\n", "a.yaml:1:4: a: ", "too large"),
        (b"[" * 60000, "a.yaml:1:21: ", "nested deeper than 20"),
        (b"a: " + b"x" * 65536 + b"\n", "a.yaml:1:1: ", "64 KiB"),
        (b"- a\n" * 12000, "a.yaml:10000:3: ", "more than 10000"),
    ],
)
def test_what_is_refused_names_its_place(text: bytes, place: str, words: str) -> None:
    first = _findings(text)[0]
    assert first.startswith(place), first
    assert words in first


def test_all_findings_are_told_up_to_a_limit() -> None:
    assert len(_findings(b"a: &x 1\na: !t 2\nb: 1\nb: 2\n")) == 4
    flood = b"".join(b"k%d: &a%d 1\n" % (number, number) for number in range(500))
    assert len(_findings(flood)) == positions.MAX_FINDINGS


def test_exactly_64_kib_and_20_levels_are_read() -> None:
    text = b"a: " + b"x" * (positions.MAX_BYTES - 4) + b"\n"
    assert len(text) == positions.MAX_BYTES
    assert isinstance(positions.parse(text, "a.yaml"), positions.Document)
    assert isinstance(positions.parse(b"[" * 20 + b"]" * 20, "a.yaml"), positions.Document)


def test_every_key_and_value_has_its_place() -> None:
    document = positions.parse("ä: {b: 1}\nc:\n  - d\n  - e: f\n".encode(), "a.yaml")
    assert isinstance(document, positions.Document)
    assert document.keys[("ä", "b")] == findings.Position(1, 5)
    assert document.values[("ä", "b")] == findings.Position(1, 8)
    assert document.values[("c", 0)] == findings.Position(3, 5)
    assert document.keys[("c", 1, "e")] == findings.Position(4, 5)
    assert document.values[("c", 1, "e")] == findings.Position(4, 8)


@pytest.mark.parametrize(
    ("text", "terminated"),
    [
        (b"a: 1\n...\n", True),
        (b"a: 1\n...", True),
        (b"a: 1\r\n...\r\n", True),
        (b"a: 1\n", False),
        (b"a: |\n  1\n  ..", False),
        (b"a: ...\n", False),
        (b"a: |\n  ...\n", False),
    ],
)
def test_the_end_is_certain_only_after_the_line_of_dots(text: bytes, terminated: bool) -> None:
    document = positions.parse(text, "a.yaml")
    assert isinstance(document, positions.Document)
    assert document.terminated is terminated


def test_paths_are_written_as_people_write_them() -> None:
    assert paths.render_path(("spec", "mounts", 0, "source")) == "spec.mounts[0].source"
    assert paths.render_path(("metadata", "labels", 'a."b')) == 'metadata.labels["a.\\"b"]'
    assert paths.render_path((0, "a")) == "[0].a"
    assert paths.render_path(()) == ""


@pytest.mark.parametrize(
    "text", ["1e3", "1E+5", "12", "0815", "0.5", "yes", "null", "~", "2027-03-31", "a: b", ""]
)
def test_a_text_that_is_written_is_read_as_the_same_text(text: str) -> None:
    found = positions.parse(positions.dump({"a": text}).encode(), "f")
    assert isinstance(found, positions.Document)
    assert found.value == {"a": text}
