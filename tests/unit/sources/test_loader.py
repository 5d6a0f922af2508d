"""A file as a model: every refusal names its place and what was expected."""

from typing import Annotated, Literal

import pydantic
import pytest
from pydantic.alias_generators import to_camel

from controller.api.workspace import Workspace
from controller.sources import findings, loader
from tests.support import specfiles


def _refused(text: bytes) -> list[str]:
    result = loader.parse_document(text, "a.yaml", Workspace)
    assert isinstance(result, loader.Rejection), result
    return [str(finding) for finding in result.findings]


def test_a_valid_file_becomes_a_model_with_its_name_and_lines() -> None:
    text = specfiles.workspace("alice", "  resources:\n    memory: 64m\n...\n")
    result = loader.parse_document(text, "a.yaml", Workspace)
    assert isinstance(result, loader.Parsed)
    assert result.name == result.value.metadata.name == "alice"
    assert result.place == findings.Position(4, 9)
    assert result.lines["spec.resources.memory"] == 7
    assert result.terminated


@pytest.mark.parametrize(
    ("body", "place", "words"),
    [
        ("  memory_reservation: 1g\n", "6:3: spec.memory_reservation: ", "unknown key"),
        ("  desiredstate: Stopped\n", "6:3: spec.desiredstate: ", 'did you mean "desiredState"?'),
        (
            "  resources: {memory_reservation: 3g}\n",
            "6:15: spec.resources.memory_reservation: ",
            'did you mean "memoryReservation"?',
        ),
        ("  resources: {memory: 64}\n", "6:23: spec.resources.memory: ", 'write "64g"'),
        ("  lifecycle: {stopGrace: 60}\n", "6:26: spec.lifecycle.stopGrace: ", 'write "60s"'),
        ("  env: {A: 1}\n", "6:12: spec.env.A: ", 'write A: "1"'),
        ("  owner: 1234\n", "6:10: spec.owner: ", 'write owner: "1234"'),
        ("  desiredState: stopped\n", "6:17: spec.desiredState: ", "one of Running, Stopped"),
        ("  mounts: [{name: a, target: /b}]\n", "6:12: spec.mounts[0].source: ", "missing key"),
        (
            "  mounts:\n    - {name: a, source: /a, target: /b, create: yes}\n",
            "7:49: spec.mounts[0].create: ",
            "write true",
        ),
        ("  services: [{name: a, port: '22'}]\n", "6:30: spec.services[0].port: ", "write 22 without quotes"),
        ("  command: sleep\n", "6:12: spec.command: ", "expected a list"),
        ("  []\n", "5:1: spec: ", "expected a mapping"),
    ],
)
def test_a_wrong_spec_is_refused_where_it_is_wrong(body: str, place: str, words: str) -> None:
    refused = _refused(specfiles.workspace("alice", body))
    matching = [line for line in refused if line.startswith(f"a.yaml:{place}")]
    assert matching, refused
    assert words in matching[0]


def test_several_mistakes_are_told_at_once_and_in_order() -> None:
    refused = _refused(specfiles.workspace("alice", "  nix: 1\n  env: {A: 1, B: 2}\n  gpu: {count: 0}\n"))
    assert [line.split(":")[1] for line in refused] == ["6", "7", "7", "8"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"a: 1\n", "apiVersion: missing key; expected `apiVersion: wharfinger.dev/v1`"),
        (b"apiVersion: v1\nkind: Workspace\n", 'apiVersion: expected "wharfinger.dev/v1", found "v1"'),
        (b"apiVersion: wharfinger.dev/v1\nkind: Pod\n", 'kind: expected "Workspace", found "Pod"'),
        (b"[]\n", "expected a mapping"),
        (b"hello\n", "expected a mapping"),
    ],
)
def test_kind_and_version_are_looked_at_first(text: bytes, words: str) -> None:
    assert any(words in line for line in _refused(text))


def test_a_refused_file_still_says_whom_it_is_about() -> None:
    result = loader.parse_document(specfiles.workspace("alice", "  nix: 1\n"), "a.yaml", Workspace)
    assert isinstance(result, loader.Rejection)
    assert result.name == "alice"


class _Cat(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", alias_generator=to_camel)
    kind: Literal["cat"]
    life_count: int


class _Dog(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", alias_generator=to_camel)
    kind: Literal["dog"]


class _Zoo(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", alias_generator=to_camel)
    animals: tuple[Annotated[_Cat | _Dog, pydantic.Field(discriminator="kind")], ...] = ()
    either: dict[str, int | _Dog] = {}


def test_names_of_union_members_do_not_appear_in_paths() -> None:
    text = b"animals:\n  - {kind: dog}\n  - {kind: cat, lifeCount: x}\neither: {a: {kind: dog, age: 3}}\n"
    result = loader.parse_document(text, "a.yaml", _Zoo)
    assert isinstance(result, loader.Rejection)
    shown = [str(finding) for finding in result.findings]
    assert shown[0].startswith("a.yaml:3:28: animals[1].lifeCount: expected a whole number")
    assert shown[1].startswith("a.yaml:4:25: either.a.age: unknown key")
    assert len(shown) == 2
