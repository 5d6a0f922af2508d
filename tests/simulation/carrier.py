"""Knows a call's way to the Engine and back: sent, received, applied, answered, each a moment of its own.

It refuses to choose the moments: the scheduler advances calls, and faults strike them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from controller.engine import transport
from controller.engine.transport import Answer, Request, Silence, Stream, UnansweredError
from tests.simulation.engine import Asker, WatchedEngine
from tests.support.sim_container import SimContainer

READS = "GET"
SENT, RECEIVED, APPLIED = "sent", "received", "applied"


@dataclass(eq=False)
class Call:
    """One call under way.

    Attributes:
        owner: the controller process that sent it.
        resume: gives its result to who waits for it; None when nobody waits any more.
        due: monotonic time before which the Engine has not carried it out.
    """

    request: Request
    asker: Asker
    owner: object
    resume: Callable[[Any], None] | None
    opens_stream: bool = False
    phase: str = SENT
    result: Any = None
    due: float = 0.0
    applied_at: datetime | None = None

    @property
    def mutates(self) -> bool:
        return self.request.method != READS


class Wire:
    """All calls under way between any controller and one Engine; `monotonic` gives seconds."""

    def __init__(self, engine: WatchedEngine, monotonic: Callable[[], float]) -> None:
        self.engine = engine
        self.calls: list[Call] = []
        self._monotonic = monotonic

    def ready(self) -> list[Call]:
        """Calls that can be advanced now."""
        now = self._monotonic()
        return [call for call in self.calls if call.due <= now]

    def advance(self, call: Call) -> str:
        """Bring a call past its next boundary; what happened, in a word."""
        if call.phase == SENT and call.mutates:
            return self._receive(call)
        if call.phase in {SENT, RECEIVED}:
            return self._apply(call)
        return self.answer(call, call.result)

    def _receive(self, call: Call) -> str:
        call.phase = RECEIVED
        if call.request.operation == "stop":
            call.due = self._monotonic() + self._time_to_stop(call.request)
        return RECEIVED

    def _time_to_stop(self, request: Request) -> float:
        container = self.engine.find(request.path.split("/")[2])
        if container is None or not container.running:
            return 0.0
        return 0.1 if container.heeds_term else float(request.query.get("t", "10"))

    def _apply(self, call: Call) -> str:
        """Carry a call out, and before it those on the same container that were received and given up.

        The Engine serves the calls on one container in turn, under its lock: what was not answered in time
        may come late, but not after what was asked later. A stop waits for the program outside of the lock.
        """
        for earlier in self._given_up_before(call):
            self._carry_out(earlier)
        return self._carry_out(call)

    def _given_up_before(self, call: Call) -> list[Call]:
        container = self._container(call)
        return [
            other
            for other in self.calls
            if other is not call
            and other.resume is None
            and other.phase == RECEIVED
            and (other.due <= self._monotonic() or other.request.operation != "stop")
            and container is not None
            and self._container(other) is container
        ]

    def _container(self, call: Call) -> SimContainer | None:
        """The container that a call changes."""
        parts = call.request.path.split("/")
        return self.engine.find(parts[2]) if call.mutates and parts[1] == "containers" else None

    def _carry_out(self, call: Call) -> str:
        self.engine.asker = call.asker if call.resume else replace(call.asker, late=True)
        carry: Callable[[Request], Any] = self.engine.stream if call.opens_stream else self.engine.call
        try:
            call.result = carry(call.request)
        except UnansweredError as silence:
            call.result = silence
        call.phase, call.applied_at = APPLIED, self.engine.true_time()
        if call.resume is None:
            self.calls.remove(call)
        return APPLIED

    def answer(self, call: Call, result: Any) -> str:  # noqa: ANN401 - an answer, a stream or an error
        """Give who waits this result, and be done with the call unless the Engine has it still."""
        resume, call.resume = call.resume, None
        if call.phase != RECEIVED:
            self.calls.remove(call)
        assert resume is not None
        resume(result)
        return "answered"

    def fail(self, call: Call, silence: Silence) -> None:
        """Who waits hears nothing; what the Engine received it carries out all the same (AP1)."""
        self.answer(call, UnansweredError(silence, f"planned: {silence}"))

    def abandon(self, owner: object) -> None:
        """Those who wait are dead: what was received is carried out all the same, the rest is not."""
        for call in [call for call in self.calls if call.owner is owner]:
            call.resume = None
            if call.phase != RECEIVED:
                self.calls.remove(call)

    def settle(self) -> None:
        """Whatever nobody waits for is carried out now, or never."""
        while given_up := [call for call in self.calls if call.resume is None]:
            self._apply(given_up[0])

    def cut(self) -> None:
        """The Engine died: whatever it had not carried out it forgets, and nobody gets an answer."""
        for call in list(self.calls):
            if call in self.calls:
                call.phase = APPLIED
                if call.resume is None:
                    self.calls.remove(call)
                else:
                    self.answer(call, UnansweredError(Silence.BROKEN, "the Engine went away"))


class Carrier:
    """A `transport.Transport` whose callers wait as greenlets.

    `park` gives the thread away with a call and returns its result; `asker` names who asks.
    """

    def __init__(
        self, wire: Wire, park: Callable[[Call], Any], asker: Callable[[Request], Asker], owner: object
    ) -> None:
        self._wire = wire
        self._park = park
        self._asker = asker
        self._owner = owner

    def call(self, request: Request) -> Answer:
        answer = self._carry(request, opens_stream=False)
        assert isinstance(answer, Answer)
        return answer

    def stream(self, request: Request) -> Stream | Answer:
        opened: Stream | Answer = self._carry(request, opens_stream=True)
        return opened

    def close(self) -> None:
        """Nothing is open."""

    def _carry(self, request: Request, *, opens_stream: bool) -> Any:  # noqa: ANN401 - likewise
        if self._wire.engine.down:
            raise UnansweredError(Silence.REFUSED, "connection refused")
        call = Call(request, self._asker(request), self._owner, None, opens_stream)
        self._wire.calls.append(call)
        result = self._park(call)
        if isinstance(result, UnansweredError):
            raise result
        return result


_: Callable[..., transport.Transport] = Carrier
