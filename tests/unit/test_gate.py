from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import pytest

from controller.api.conditions import Reason
from controller.gate import Gate, Occupied
from controller.model import errors
from controller.model.images import ImageStore
from controller.model.observed import EngineView, Layer, Seen, Unseen

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Engine:
    """An Engine that has an id, or does not answer."""

    def __init__(self) -> None:
        self.id: str | None = "one"
        self.entered: list[str] = []
        self.looks = 0

    def identify(self) -> str:
        if self.id is None:
            raise errors.Retryable(Reason.ENGINE_UNAVAILABLE, "it is away")
        return self.id

    def observe(self, references: frozenset[str], now: datetime) -> Seen[EngineView] | Unseen:
        self.looks += 1
        return Seen(EngineView(self.identify(), {}, {}, {}, {}, 1, 1), now)

    def layers(self, ids: Iterable[str]) -> Mapping[str, Layer]:
        return {container_id: Layer(0, ()) for container_id in ids}

    def images(self, references: Iterable[str], now: datetime) -> ImageStore | Unseen:
        return ImageStore({}, {}, dict.fromkeys(references))

    def gate(self) -> Gate:
        return Gate(self, self.identify, self.entered.append)


def test_the_lock_is_taken_once_and_before_the_first_look() -> None:
    engine = Engine()
    gate = engine.gate()
    assert isinstance(gate.observe(frozenset(), NOW), Seen)
    gate.observe(frozenset(), NOW)
    assert engine.entered == ["one"]
    assert gate.engine_id == "one"


def test_an_engine_that_is_away_is_unseen_and_nothing_is_locked() -> None:
    engine = Engine()
    engine.id = None
    gate = engine.gate()
    seen = gate.observe(frozenset(), NOW)
    assert isinstance(seen, Unseen)
    assert seen.message == "it is away"
    assert not engine.entered
    engine.id = "one"
    assert isinstance(gate.observe(frozenset(), NOW), Seen)


def test_another_engine_behind_the_socket_is_not_followed() -> None:
    engine = Engine()
    gate = engine.gate()
    gate.observe(frozenset(), NOW)
    engine.id = "two"
    seen = gate.observe(frozenset(), NOW)
    assert isinstance(seen, Unseen)
    assert "restart the controller" in seen.message
    assert engine.entered == ["one"]


def test_who_finds_the_lock_taken_does_not_look() -> None:
    engine = Engine()

    def enter(engine_id: str) -> None:
        raise Occupied(f"process 7 has {engine_id}")

    gate = Gate(engine, engine.identify, enter)
    with pytest.raises(Occupied, match="process 7"):
        gate.observe(frozenset(), NOW)
    assert engine.looks == 0
