"""The tour notices when a line does not do what it should."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.dev import demo, stage


class Script(stage.Stage):
    """A stage whose answers are given, each once, the last one for ever."""

    def __init__(self, root: Path, *answers: stage.Typed) -> None:
        super().__init__(root, "unix:///nowhere")
        self._answers: Iterator[stage.Typed] = iter(answers)
        self._last = stage.Typed(0, "", "")

    def type(self, line: str) -> stage.Typed:
        self._last = next(self._answers, self._last)
        return self._last


def test_a_line_that_fails_ends_the_tour(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tour = demo.Tour(Script(tmp_path, stage.Typed(3, "", "wharf: not found\n")))
    with pytest.raises(demo.WrongError, match="`wharf get ws x` ended with 3, not with 0"):
        tour.type("wharf get ws x")
    assert capsys.readouterr().out == "$ wharf get ws x\nwharf: not found\n"


def test_a_line_that_says_something_else_ends_the_tour(tmp_path: Path) -> None:
    tour = demo.Tour(Script(tmp_path, stage.Typed(0, "False\n", "")))
    with pytest.raises(demo.WrongError, match="does not say '\\^True'"):
        tour.type("wharf get ws x", "^True")


def test_a_look_is_repeated_until_it_says_what_it_should(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = (stage.Typed(0, "False\n", ""), stage.Typed(1, "", ""), stage.Typed(0, "True\n", ""))
    tour = demo.Tour(Script(tmp_path, *answers))
    assert tour.see("wharf get ws x", "^True") == "True"
    assert capsys.readouterr().out == "$ wharf get ws x\nTrue\n"


def test_an_expected_failure_is_none(tmp_path: Path) -> None:
    tour = demo.Tour(Script(tmp_path, stage.Typed(1, "f.yaml:7:1: wrong\n", "")))
    assert tour.type("wharf validate f.yaml", ":7:1:", code=1) == "f.yaml:7:1: wrong"


def test_a_container_that_was_replaced_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(demo.WrongError, match="not restarted: before 'a', after 'b'"):
        demo.Tour(Script(tmp_path)).same("a", "b", "not restarted")
