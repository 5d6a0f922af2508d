"""A run of tests in a guest is called good only when tests were run there, and all of them were well."""

from pathlib import Path

import pytest

from deploy.dev import guest
from tests.systemd import __main__ as runner

SETUP = guest.SETUPS["v2-systemd"]


def result(tests: int, *, failures: int = 0, errors: int = 0, skipped: int = 0) -> str:
    counts = f'tests="{tests}" failures="{failures}" errors="{errors}" skipped="{skipped}" time="2.5"'
    return f"<testsuites><testsuite {counts}/></testsuites>"


@pytest.mark.parametrize(
    ("ended", "left", "good", "says"),
    [
        ((0, 9.0), result(3), True, "booted in 9.0 s, 3 tests in 2 s, 0 not well"),
        ((1, 9.0), result(3, failures=1), False, "1 not well, exit code 1; see "),
        ((0, 9.0), result(3, skipped=1), False, "1 not well"),
        ((0, 9.0), result(0), False, "0 tests"),
        ((5, 9.0), None, False, "0 tests in 0 s, 0 not well, exit code 5"),
        ((1, 9.0), "<testsuites>", False, "0 tests"),
        ((None, 9.0), result(3), False, "did not end; see "),
        ((None, None), None, False, "did not boot; see "),
    ],
)
def test_a_run_is_judged_by_what_it_left(
    ended: tuple[int | None, float | None],
    left: str | None,
    good: bool,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if left is not None:
        (tmp_path / runner.RESULT).write_text(left)
    monkeypatch.setattr(guest, "run", lambda *_: guest.Outcome(*ended, tmp_path))
    judged, line = runner.play(SETUP, [])
    assert judged == good
    assert says in line
