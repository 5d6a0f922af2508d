"""What `make fuzz` tries for minutes, as far as it fits into seconds: what needs no chance, and a sample."""

import itertools
import random
from pathlib import Path

import pytest

from controller.sources import loader, positions
from tests.fuzz import __main__ as fuzzing
from tests.fuzz import judging, mutations, samples

FLIPS = 300
"""Of each sample."""


@pytest.fixture
def judge(tmp_path: Path) -> judging.Judge:
    return judging.Judge(tmp_path)


def escapes(judge: judging.Judge) -> list[str]:
    return [escape for tally in judge.tallies.values() for escape in tally.escapes]


def test_the_samples_are_valid() -> None:
    assert len(samples.texts()) >= 5
    for name, text in samples.texts().items():
        assert isinstance(loader.parse_document(text, name, samples.model_of(text)), loader.Parsed)


def test_every_kind_of_file_is_among_the_samples() -> None:
    assert {samples.model_of(text) for text in samples.texts().values()} == set(samples.MODELS)


@pytest.mark.parametrize("name", sorted(samples.texts()))
def test_every_prefix_is_survived(judge: judging.Judge, name: str) -> None:
    for place, text in mutations.prefixes(samples.texts()[name]):
        judge.try_text("prefixes", place, text)
    assert escapes(judge) == []
    assert judge.figures().inputs == len(samples.texts()[name])


@pytest.mark.parametrize("name", sorted(samples.texts()))
def test_flipped_bytes_are_survived(judge: judging.Judge, name: str) -> None:
    every = list(mutations.flips(samples.texts()[name]))
    assert len({text for _, text in every}) == 9 * len(samples.texts()[name])
    for place, text in random.Random(name).sample(every, FLIPS):
        judge.try_text("flips", place, text)
    assert escapes(judge) == []


@pytest.mark.parametrize("name", sorted(samples.giants()))
def test_a_text_at_the_limits_is_read_in_time(judge: judging.Judge, name: str) -> None:
    judge.try_text("giants", name, samples.giants()[name])
    assert escapes(judge) == []


def test_giants_are_near_one_of_the_limits_and_beyond_none() -> None:
    for name, text in samples.giants().items():
        document = positions.parse(text, "a.yaml")
        assert isinstance(document, positions.Document), (name, document)
        count = len(document.keys) + len(document.values)
        assert len(text) > positions.MAX_BYTES * 0.9 or count > positions.MAX_NODES * 0.9, name


def test_the_same_seed_gives_the_same_texts() -> None:
    first, second = (list(itertools.islice(fuzzing.by_chance("7"), 50)) for _ in range(2))
    assert first == second
    assert {kind for kind, _, _ in first} == mutations.RANDOM.keys()


def test_what_breaks_a_rule_is_told(judge: judging.Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object) -> None:
        raise ValueError("boom")

    monkeypatch.setattr(loader, "parse_document", explode)
    judge.try_text("bytes", "one", b"a: 1")
    monkeypatch.undo()
    monkeypatch.setattr(judging, "SMALL_SECONDS", 0.0)
    judge.try_text("bytes", "two", b"a: 1")
    monkeypatch.undo()
    monkeypatch.setattr(judging, "_is_bystander_untouched", lambda *_: False)
    judge.try_text("tokens", "three", b"a: 1")
    assert escapes(judge) == [
        "one: ValueError: boom",
        f"two: took {judge.tallies['bytes'].slowest_ms:.0f} ms",
        "three: another workspace was touched",
    ]
    assert judge.figures().escapes == 3
    assert not judge.report()["ok"]
