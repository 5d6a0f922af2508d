"""No text, however made, makes the loader raise, stall or lose its place."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.api.images import ImageCatalog
from controller.api.policy import ResourcePolicy
from controller.api.workspace import Workspace
from controller.sources import loader, positions
from tests.fuzz import mutations, samples

MODELS = (Workspace, ResourcePolicy, ImageCatalog)


def _check(text: bytes, model: type[Workspace | ResourcePolicy | ImageCatalog] = Workspace) -> None:
    """Either a model or findings that point into the text; within 50 ms of processor time."""
    cost = float("inf")
    for _ in range(3):
        begun = time.thread_time()
        result = loader.parse_document(text, "a.yaml", model)
        cost = min(cost, time.thread_time() - begun)
    assert cost < 0.05
    if isinstance(result, loader.Rejection):
        lines = text.decode("utf-8", "replace").count("\n") + text.count(b"\r") + 1
        assert 1 <= len(result.findings) <= positions.MAX_FINDINGS
        assert all(1 <= finding.line <= lines + 1 and finding.column >= 1 for finding in result.findings)
        assert all(finding.message for finding in result.findings)


@given(st.binary(max_size=2000))
def test_any_bytes(text: bytes) -> None:
    _check(text)


@given(st.text(max_size=2000))
def test_any_text(text: str) -> None:
    _check(text.encode("utf-8", "surrogatepass"))


@given(st.lists(st.sampled_from([*mutations.TOKENS, " ", "\n", "\n  ", ": ", "- "]), max_size=200))
def test_any_words(words: list[str]) -> None:
    _check("".join(words).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("kind", sorted(mutations.RANDOM.keys() - {"giants"}))
@given(st.integers(min_value=0), st.sampled_from(MODELS))
def test_broken_specs(kind: str, seed: int, model: type[Workspace | ResourcePolicy | ImageCatalog]) -> None:
    _check(mutations.RANDOM[kind](random.Random(seed)), model)


def test_the_whole_example_is_valid_and_no_proper_part_of_it_is_taken_for_it() -> None:
    whole = loader.parse_document(samples.SEED_TEXT, "a.yaml", Workspace)
    assert isinstance(whole, loader.Parsed), whole
    terminated = samples.SEED_TEXT + b"...\n"
    for end in range(len(terminated) - 1):
        part = loader.parse_document(terminated[:end], "a.yaml", Workspace)
        assert isinstance(part, loader.Rejection) or not part.terminated


def test_every_flipped_bit_is_survived() -> None:
    for place in range(len(samples.SEED_TEXT)):
        text = bytearray(samples.SEED_TEXT)
        text[place] ^= 1 << (place % 8)
        result = loader.parse_document(bytes(text), "a.yaml", Workspace)
        assert isinstance(result, loader.Parsed | loader.Rejection)
