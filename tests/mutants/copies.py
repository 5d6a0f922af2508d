"""Knows how a copy of the tree is made, broken by a patch, and tested by the tests that are in it.

It refuses to touch the tree itself, and to call a run of tests green or red that did not happen.
"""

import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.mutants import patches

OPTIONS = ("-x", "-q", "--tb=no", "-p", "no:randomly", "-p", "no:cacheprovider", "--hypothesis-seed=1")
WITHOUT = "not engine and not full and not gpu"
"""Mutants are tried without a real Engine and without the tests that take minutes."""

_FIRST = re.compile(r"^(?:FAILED|ERROR) (tests/.*?)(?: - .*)?$", re.MULTILINE)
_GREEN, _RED = 0, 1
"""What pytest exits with when all tests passed, and when one failed; anything else is no answer."""


class NoAnswerError(Exception):
    """A patch does not apply, or pytest could not run what it was asked for; the message has its words."""


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """One run of tests.

    Attributes:
        failed: the first test that failed, or, where they hung, what was asked for; None if all passed.
        seconds: by the clock on the wall.
    """

    failed: str | None
    seconds: float
    hung: bool = False


def tracked_files() -> tuple[str, ...]:
    """The tree without what git ignores, by path below it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=patches.ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    names = listed.stdout.split("\0")
    return tuple(name for name in names if name and (patches.ROOT / name).is_file())


def copy_tree(files: Sequence[str], place: Path) -> None:
    """Copy these files of the tree, as they are now, to a directory."""
    for name in files:
        target = place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(patches.ROOT / name, target)


def apply(patch: Path, place: Path) -> None:
    """Break a copy; raises NoAnswerError where the patch does not fit it any more."""
    _change(patch, place)


def mend(patch: Path, place: Path) -> None:
    """Take the bug out of a broken copy again."""
    _change(patch, place, "--reverse")


def _change(patch: Path, place: Path, *options: str) -> None:
    tried = _git_apply(patch, place, *options)
    if tried.returncode:
        raise NoAnswerError(f"{patch.name} does not apply any more: {tried.stderr.strip()}")


def fits(patch: Path, place: Path) -> str:
    """Why a patch cannot be applied to a tree, or nothing; changes nothing."""
    return _git_apply(patch, place, "--check").stderr.strip()


def _git_apply(patch: Path, place: Path, *options: str) -> subprocess.CompletedProcess[str]:
    apart = {**os.environ, "GIT_CEILING_DIRECTORIES": str(place.parent)}
    command = ["git", "apply", *options, str(patch)]
    return subprocess.run(command, cwd=place, env=apart, check=False, capture_output=True, text=True)


def check_imports(place: Path) -> None:
    """Make sure that a copy's tests test the copy; raises NoAnswerError."""
    program = "import controller, tests.support.world as world; print(controller.__file__, world.__file__)"
    command = [sys.executable, "-c", program]
    found = subprocess.run(
        command, cwd=place, env=_environment(place), check=True, capture_output=True, text=True
    )
    if any(not Path(path).is_relative_to(place) for path in found.stdout.split()):
        raise NoAnswerError(f"the copy in {place} would test {found.stdout.strip()}")


def run(place: Path, tests: Sequence[str], patience: float, without: Iterable[str] = ()) -> Run:
    """Run tests in a copy, up to the first that fails; what takes longer than `patience` seconds fails.

    Tests in `without` are left out.

    Raises:
        NoAnswerError: there are no such tests, or they cannot even be collected.
    """
    begun = time.monotonic()
    left_out = [f"--deselect={test}" for test in without]
    command = [sys.executable, "-m", "pytest", *OPTIONS, "-m", WITHOUT, *left_out, *tests]
    process = subprocess.Popen(
        command,
        cwd=place,
        env=_environment(place),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return Run(tests[0], time.monotonic() - begun, hung=True)
    seconds = time.monotonic() - begun
    if process.returncode == _GREEN:
        return Run(None, seconds)
    first = _FIRST.search(output)
    if process.returncode != _RED or first is None:
        raise NoAnswerError(f"pytest ended with {process.returncode} on {' '.join(tests)}:\n{output[-2000:]}")
    return Run(first[1], seconds)


def _environment(place: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "WHARF_"))}
    return {**kept, "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "400"}
