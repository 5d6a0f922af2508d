"""Knows how the simulated Engine brings signals to a process, and what a process makes of them.

It refuses to be kinder than a kernel: PID 1 without a handler takes KILL alone.
"""

import re
from typing import TYPE_CHECKING

from controller.engine import transport
from controller.engine.transport import Answer
from tests.support.sim_container import SimContainer

if TYPE_CHECKING:
    from tests.support.sim_engine import SimEngine

KILL, TERM = 9, 15
NUMBERS = {"KILL": KILL, "TERM": TERM, "HUP": 1, "INT": 2, "USR1": 10, "USR2": 12}
KILLED = 128


def error(status: int, message: str) -> Answer:
    return Answer(status, {"message": message})


def kill(engine: "SimEngine", request: transport.Request, name: str) -> Answer:
    """A signal, KILL by default; a wrong one is refused before the container is looked for."""
    word = request.query.get("signal") or "KILL"
    number = int(word) if word.isdigit() else NUMBERS.get(word.upper().removeprefix("SIG"))
    if number is None:
        return error(400, f"Invalid signal: {word}")
    container = engine.find(name)
    if container is None:
        return error(404, f"Cannot kill container: {name}: No such container: {name}")
    if not container.running:
        return error(409, f"Cannot kill container: {name}: Container {container.id} is not running")
    send(engine, container, number)
    return Answer(204, None)


def stop(engine: "SimEngine", request: transport.Request, container: SimContainer) -> Answer:
    """TERM, and after the grace KILL."""
    if not container.running:
        return Answer(304, None)
    end_softly(engine, container, float(request.query.get("t", container.config["StopTimeout"])))
    return Answer(204, None)


def end_softly(engine: "SimEngine", container: SimContainer, grace: float = 0.0) -> None:
    """TERM, and after a grace in seconds KILL."""
    if send(engine, container, TERM):
        engine.seconds += 0.1
    else:
        engine.seconds += grace
        send(engine, container, KILL)
    engine.publish(container, "stop")


def send(engine: "SimEngine", container: SimContainer, number: int) -> bool:
    """A person's signal, which thaws what is frozen; whether the process ended."""
    container.by_hand = True
    engine.publish(container, "kill", signal=str(number))
    code = _effect(container, number)
    if container.status == "paused":
        thaw(engine, container)
    if code is not None and container.running:
        engine.end(container, code)
    return not container.running


def thaw(engine: "SimEngine", container: SimContainer) -> None:
    """Let a frozen process go on, and end if it was killed meanwhile."""
    container.status = "running"
    engine.publish(container, "unpause")
    engine.checkpoint(container)
    if container.doom is not None:
        engine.end(container, container.doom)


def _effect(container: SimContainer, number: int) -> int | None:
    """The exit code that a signal leads to; None if the process lives on."""
    if number == KILL:
        return KILLED + KILL
    if number == TERM and container.heeds_term:
        return container.term_code
    if container.host_config.get("Init") and not re.search(r"trap", " ".join(container.arguments)):
        return KILLED + number
    return None
