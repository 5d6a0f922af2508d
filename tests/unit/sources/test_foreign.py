"""Other systems' YAML: read as they read it, with places, and nothing that runs or never ends."""

import pytest

from controller.model.desired import Finding
from controller.sources import foreign


def root(text: str) -> foreign.Node:
    tree = foreign.parse(text.encode(), "limits.yaml")
    assert isinstance(tree, foreign.Tree), tree
    return tree.root


def plain(node: foreign.Node) -> object:
    if isinstance(node.value, tuple):
        return [plain(item) for item in node.value]
    if isinstance(node.value, dict):
        return {key: plain(value) for key, value in node.value.items()}
    return node.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: yes\nb: off\nc: 1_000\nd: 0.5\ne:\nf: ~\ng: 'no'\n", [True, False, 1000, 0.5, None, None, "no"]),
        ("a: 2026-10-01\nb: 2026-10-01T00:00:00Z\nc: 48h\n", ["2026-10-01", "2026-10-01T00:00:00Z", "48h"]),
        ("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}\n", [{"b": 1}, {"b": 1}, {"b": 1, "e": 2}]),
        ("a: &x {b: 1}\nd: {<<: *x, b: 2}\n", [{"b": 1}, {"b": 2}]),
        ("a:\n  # only a comment\nb: []\n", [None, []]),
    ],
)
def test_values_are_what_the_other_system_read(text: str, expected: list[object]) -> None:
    found = plain(root(text))
    assert isinstance(found, dict)
    assert list(found.values()) == expected


def test_keys_and_items_know_their_place_and_their_text() -> None:
    (group,) = root("groups:\n  ml:\n    members: [alice,\n      0123]\n").children()
    members = group.children()[0].children()[0]
    assert (members.place.line, members.place.column, members.key) == (3, 5, "members")
    first, second = members.children()
    assert (first.place.line, second.place.line, second.text, second.value) == (3, 4, "0123", 83)
    assert second.path == ("groups", "ml", "members", 1)
    assert str(second.finding("no login")) == "limits.yaml:4:7: groups.ml.members[1]: no login"


def test_leaves_are_all_that_holds_something_or_is_empty() -> None:
    leaves = [leaf.path for leaf in root("a: 1\nb: {c: {}, d: [x, []]}\ne:\n").leaves()]
    assert leaves == [("a",), ("b", "c"), ("b", "d", 0), ("b", "d", 1), ("e",)]


def test_a_key_that_is_given_twice_counts_the_last_time_and_is_told() -> None:
    tree = foreign.parse(b"memory: 32g\nmemory: 64g\n", "f")
    assert isinstance(tree, foreign.Tree)
    assert plain(tree.root) == {"memory": "64g"}
    assert [(node.place.line, node.text) for node in tree.repeats] == [(1, "32g")]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n...\n"])
def test_an_empty_file_is_null(text: str) -> None:
    assert root(text).value is None


def merged(times: int) -> str:
    """A mapping in which a merge key doubles the number of keys so many times."""
    text = "{k: 1}"
    for number in range(times):
        text = f"{{<<: [&a{number} {text}, *a{number}]}}"
    return f"a: {text}\n"


def test_merge_keys_within_merge_keys_are_read() -> None:
    assert plain(root(merged(10))) == {"a": {"k": 1}}
    assert plain(root("a: &a {b: 1, <<: *a}\n")) == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, "tag"),
        ("a: 1\nb: !!python/name:os.system ''\n", 2, "tag"),
        ("a: 1\nb: [1\n", 3, "not YAML"),
        ("a: 1\n---\nb: 2\n", 2, "not YAML"),
        ("a: &x [*x]\n", 1, "nested deeper"),
        ("a: 1\n? [b]\n: 1\n", 2, "key"),
        (f"n: {'9' * 5000}\n", 1, "not YAML"),
        ("a: &a [" + "x, " * 500 + "]\n" + "b: &b [" + "*a, " * 500 + "]\n", 1, "values in one file"),
        (merged(60), 1, "values in one file"),
        ("a: \x01\n", 1, "not YAML"),
        ("#" * (foreign.MAX_BYTES + 1), 1, "1 MiB"),
    ],
    ids=["object", "name", "open", "second", "endless", "key", "digits", "bomb", "merge", "control", "large"],
)
def test_what_cannot_be_read_is_one_finding(text: str, line: int, words: str) -> None:
    found = foreign.parse(text.encode(), "f")
    assert isinstance(found, Finding)
    assert words in found.message
    assert found.line == line


def test_bytes_that_are_no_text_are_a_finding() -> None:
    assert isinstance(foreign.parse(b"\xff\xfe\xfd: \xc3\x28", "f"), Finding)
