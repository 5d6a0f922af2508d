"""The judge of the writers finds every kind of loss, and nothing where none is."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.chaos import writers
from tests.chaos.writers import FIRST
from tests.support import process


def put(path: Path, values: Iterable[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{value}\n" for value in values))


@pytest.fixture
def truth(tmp_path: Path) -> writers.Truth:
    """A workspace that has written ten values: the first six in a layer of before."""
    put(tmp_path / "data/counter", range(FIRST, FIRST + 10))
    put(tmp_path / "ack/counter", range(FIRST, FIRST + 9))
    put(tmp_path / "old/work/counter", range(FIRST, FIRST + 6))
    put(tmp_path / "new/work/counter", range(FIRST + 6, FIRST + 10))
    return writers.Truth(tmp_path)


def uppers(truth: writers.Truth, *names: str) -> dict[str, Path]:
    return {name: truth.storage / name for name in names}


def test_nothing_is_lost(truth: writers.Truth) -> None:
    for _ in range(2):
        assert truth.judge(uppers(truth, "old", "new")) == 9
    assert writers.Truth(truth.storage / "nobody").judge({}) == 0


def test_a_layer_that_a_person_took_is_not_lost_but_the_mount_is(truth: writers.Truth) -> None:
    truth.judge(uppers(truth, "old", "new"))
    truth.gone.add("old")
    assert truth.judge(uppers(truth, "new")) == 9
    put(truth.storage / "data/counter", range(FIRST, FIRST + 8))
    with pytest.raises(writers.LossError, match="on the mount"):
        truth.judge(uppers(truth, "new"))


def test_the_tail_of_a_layer_that_a_person_took_is_excused_up_to_the_next_one(truth: writers.Truth) -> None:
    put(truth.storage / "old/work/counter", range(FIRST, FIRST + 4))
    put(truth.storage / "data/counter", range(FIRST, FIRST + 4))
    put(truth.storage / "ack/counter", range(FIRST, FIRST + 4))
    truth.judge(uppers(truth, "old"))
    truth.gone.add("old")
    put(truth.storage / "data/counter", range(FIRST, FIRST + 10))
    put(truth.storage / "ack/counter", range(FIRST, FIRST + 10))
    assert truth.judge(uppers(truth, "new")) == 10
    put(truth.storage / "new/work/counter", range(FIRST + 6, FIRST + 9))
    fresh = writers.Truth(truth.storage)
    with pytest.raises(writers.LossError, match="in no layer"):
        fresh.judge(uppers(fresh, "old", "new"))


@pytest.mark.parametrize(
    ("file", "values", "why"),
    [
        ("data/counter", range(FIRST, FIRST + 8), "on the mount"),
        ("data/counter", range(FIRST + 1, FIRST + 10), "on the mount"),
        ("data/counter", [], "on the mount"),
        ("data/counter", [FIRST, FIRST + 2], "follows"),
        ("data/counter", [FIRST, FIRST], "follows"),
        ("old/work/counter", range(FIRST, FIRST + 5), "in no layer"),
        ("old/work/counter", [], "in no layer"),
        ("new/work/counter", [FIRST + 6, FIRST + 7], "in no layer"),
        ("new/work/counter", [FIRST + 6, FIRST + 8], "follows"),
    ],
)
def test_a_loss_is_found(truth: writers.Truth, file: str, values: Iterable[int], why: str) -> None:
    put(truth.storage / file, values)
    with pytest.raises(writers.LossError, match=why):
        truth.judge(uppers(truth, "old", "new"))


def test_a_layer_that_is_gone_or_shorter_than_it_was_is_found(truth: writers.Truth) -> None:
    truth.judge(uppers(truth, "old", "new"))
    with pytest.raises(writers.LossError, match=r"layer of old .* is gone"):
        truth.judge(uppers(truth, "new"))
    put(truth.storage / "new/work/counter", range(FIRST + 6, FIRST + 9))
    with pytest.raises(writers.LossError, match="was there"):
        truth.judge(uppers(truth, "old", "new"))


def test_a_torn_line_is_found(truth: writers.Truth) -> None:
    (truth.storage / "data/counter").write_text(f"{FIRST}\n{FIRST + 1}")
    with pytest.raises(writers.LossError, match="torn"):
        writers.read(truth.storage / "data/counter")
    (truth.storage / "data/counter").write_text("what?\n")
    with pytest.raises(writers.LossError, match="what"):
        writers.read(truth.storage / "data/counter")


def test_the_program_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    places = {name: tmp_path / name for name in ("data", "ack", "work")}
    for name in ("data", "ack"):
        places[name].mkdir()
    program = writers.PROGRAM
    for name, place in places.items():
        program = program.replace(f"/{name}", str(place))
    truth = writers.Truth(tmp_path)
    for run in range(1, 4):
        wanted = FIRST - 1 + 2 * run
        writer = subprocess.Popen(["busybox", "sh", "-c", program])
        try:
            process.until(lambda wanted=wanted: truth.acknowledged >= wanted, f"value {wanted}", step=0.02)  # type: ignore[misc]
        finally:
            writer.kill()
            writer.wait()
        assert truth.judge({"here": tmp_path}) >= 2 * run
    put(places["data"] / "counter", range(FIRST, truth.seen))
    put(places["ack"] / "counter", range(FIRST, truth.seen))
    again = writers.Truth(tmp_path)
    writer = subprocess.Popen(["busybox", "sh", "-c", program])
    try:
        process.until(lambda: again.acknowledged >= FIRST + 8, "it goes on", step=0.02)
    finally:
        writer.kill()
        writer.wait()
    assert again.judge({"here": tmp_path}) >= 8, "a value that only its layer has is not written there twice"
