"""Knows what can go wrong with one call on its way to the Engine and back; each fault by a name.

It refuses to choose the call's moment: a fault strikes a call that is where it wants it, or waits for one.
"""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from controller.engine.transport import Answer, Silence
from tests.simulation.carrier import APPLIED, RECEIVED, SENT, Call
from tests.simulation.process import Process
from tests.simulation.scenario import Disturb

if TYPE_CHECKING:
    from tests.simulation.world import World

Want = Callable[[Call], bool]


def _call_fault(name: str, want: Want, strike: Callable[["World", random.Random, Call], str]) -> Disturb:
    """Strike a call that is under way and is as wanted, else the next one that is."""

    def act(world: "World", chance: random.Random) -> str | None:
        found = [call for call in world.wire.calls if call.resume is not None and want(call)]
        if found:
            return strike(world, chance, chance.choice(found))
        world.armed.append((name, want, lambda call: strike(world, chance, call)))
        return None

    act.__name__ = name
    return act


def _said(call: Call) -> str:
    return call.request.operation


def _fail(world: "World", _: random.Random, call: Call) -> str:
    world.wire.fail(call, Silence.BROKEN)
    return _said(call)


def _time_out(world: "World", chance: random.Random, call: Call) -> str:
    call.due = max(call.due, world.monotonic() + chance.choice((0.0, 1.0, 20.0)))
    world.wire.fail(call, Silence.TIMEOUT)
    return _said(call)


def _delay(world: "World", chance: random.Random, call: Call) -> str:
    seconds = chance.choice((0.5, 3.0, 8.0, 25.0))
    call.due = max(call.due, world.monotonic() + seconds)
    return f"{_said(call)} for {seconds} s"


def _refuse(world: "World", _: random.Random, call: Call) -> str:
    call.phase = SENT
    world.wire.answer(call, Answer(500, {"message": "context deadline exceeded"}))
    return _said(call)


def _err(world: "World", _: random.Random, call: Call) -> str:
    world.wire.answer(call, Answer(500, {"message": "error while writing: no space left on device"}))
    return _said(call)


def _ghost(world: "World", _: random.Random, call: Call) -> str:
    call.phase = SENT
    text = (
        f'Conflict. The container name "/{call.request.query["name"]}" is already in use by container '
        f'"{"e" * 64}". You have to remove (or rename) that container to be able to reuse that name.'
    )
    world.wire.answer(call, Answer(409, {"message": text}))
    return call.request.query["name"]


def _kill_caller(world: "World", chance: random.Random, call: Call) -> str:
    assert isinstance(call.owner, Process)
    text = f"{_said(call)}, {call.phase}"
    world.kill(call.owner)
    world.after(chance.choice((0.1, 1.0, 30.0)), world.boot_controller, "boot")
    return text


CALL_FAULTS: Final = (
    # a request is lost on its way: nothing happens, and nobody says so
    _call_fault("lose_request", lambda call: call.phase == SENT, _fail),
    # the controller gives up waiting; the Engine carries the call out all the same (AP1)
    _call_fault("time_out", lambda call: call.phase == RECEIVED, _time_out),
    # the Engine did it, and its answer is lost
    _call_fault("lose_answer", lambda call: call.phase == APPLIED and call.mutates, _fail),
    _call_fault("lose_view", lambda call: call.phase == APPLIED and not call.mutates, _fail),
    # a call hangs for a while where it is: an answer may be old when it comes
    _call_fault("delay", lambda call: call.mutates, _delay),
    _call_fault("delay_view", lambda call: not call.mutates, _delay),
    # the Engine answers 500, and did nothing, or did it
    _call_fault("refuse", lambda call: call.phase != APPLIED, _refuse),
    _call_fault("err_and_do", lambda call: call.phase == APPLIED and call.mutates, _err),
    # a name is reserved for a container that is not there (AP3)
    _call_fault(
        "ghost_name", lambda call: call.phase != APPLIED and _said(call) == "create_container", _ghost
    ),
    # the controller is killed with a call sent, received or carried out
    _call_fault("kill_at_call", lambda call: call.mutates, _kill_caller),
)
