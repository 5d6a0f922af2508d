"""The seeded bugs fit the code that they are seeded into, and what is counted is counted right."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.mutants import __main__ as runner
from tests.mutants import copies, patches

HEAD = "Breaks: something.\nInvariants: S3 L8\nKilled by: plans/change/x\nKilled by: tests/unit\n\n"
BODY = "--- a/controller/gate.py\n+++ b/controller/gate.py\n"
MUTANTS = patches.read_all()


def test_there_are_enough_of_them_and_for_each_of_the_gravest_promises() -> None:
    assert len(MUTANTS) >= 60
    count = Counter(invariant for mutant in MUTANTS for invariant in mutant.invariants)
    assert all(count[invariant] >= 2 for invariant in patches.GRAVEST), count
    assert len({mutant.breaks for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_still_applies_and_its_killers_are_there(mutant: patches.Mutant, tmp_path: Path) -> None:
    for target in mutant.targets:
        (tmp_path / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(patches.ROOT / target, tmp_path / target)
    assert copies.fits(mutant.path, tmp_path) == ""
    copies.apply(mutant.path, tmp_path)
    assert all((tmp_path / name).read_text() != (patches.ROOT / name).read_text() for name in mutant.targets)
    for killer in mutant.killers:
        file, _, test = killer.partition("::")
        name, _, case = test.partition("[")
        assert f"def {name}(" in (patches.ROOT / file).read_text()
        if killer.startswith(patches.PLAN_TEST):
            assert (patches.ROOT / "tests/plans/cases" / case.removesuffix("]")).is_file()


def test_a_patch_that_fits_no_more_is_told(tmp_path: Path) -> None:
    (tmp_path / "controller").mkdir()
    (tmp_path / "controller/gate.py").write_text("nothing of the kind\n")
    mutant = next(one for one in MUTANTS if one.targets == ("controller/gate.py",))
    with pytest.raises(copies.NoAnswerError, match="does not apply any more"):
        copies.apply(mutant.path, tmp_path)


def test_a_head_is_read() -> None:
    mutant = patches.parse("one", Path("one.patch"), HEAD + BODY)
    assert mutant.breaks == "something."
    assert mutant.invariants == ("S3", "L8")
    assert mutant.killers == (f"{patches.PLAN_TEST}[change/x.yaml]", "tests/unit")
    assert mutant.targets == ("controller/gate.py",)
    assert mutant.is_grave


@pytest.mark.parametrize(
    "text",
    [
        BODY,
        HEAD.replace("Breaks", "Brakes") + BODY,
        HEAD.replace("S3 L8", "S17") + BODY,
        HEAD.replace("S3 L8", "") + BODY,
        HEAD,
        HEAD + BODY.replace("controller", "tests"),
    ],
    ids=["no head", "another word", "no such invariant", "no invariant", "no change", "a change of tests"],
)
def test_what_does_not_say_what_it_breaks_is_no_mutant(text: str) -> None:
    with pytest.raises(patches.HeadError):
        patches.parse("one", Path("one.patch"), text)


def _fates(killed: int, lived: int, *invariants: str) -> list[runner.Fate]:
    mutant = patches.Mutant("one", Path("one.patch"), "something", invariants, (), ())
    return [
        runner.Fate(mutant, "a test" if number < killed else None, True, 1.0)
        for number in range(killed + lived)
    ]


def test_the_tests_are_good_enough_with_nine_of_ten_and_all_of_the_gravest() -> None:
    grave, other = _fates(5, 0, "S6"), _fates(4, 1, "L1")
    assert runner.summary(grave + other) == ("killed 9 of 10, those of S1-S6: 5 of 5", True)
    assert not runner.summary(grave + _fates(3, 2, "L1"))[1]
    assert not runner.summary(_fates(99, 1, "S16", "S2"))[1]


def test_a_mutant_of_which_nobody_can_tell_is_no_success() -> None:
    (broken,) = _fates(1, 0, "S7")
    assert not runner.summary([runner.Fate(broken.mutant, None, False, 0.0, "does not apply")])[1]
