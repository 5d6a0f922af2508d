"""Knows how calls to the simulated Engine go wrong by a plan file: each deed as the proxy does it.

It refuses what only bytes can tell: a stream cut amid its lines, an answer without a body cut short.
"""

import json
from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

from controller.engine.transport import Answer, Request, Silence, UnansweredError
from tests.simulation.carrier import APPLIED, SENT, Call, Wire
from tests.simulation.engine import WatchedEngine
from tests.support import plans
from tests.support.plans import Boundary, Deed, Fault
from tests.support.proxy import Hands

AT: Final = {SENT: Boundary.RECEIVED, APPLIED: Boundary.APPLIED}
"""The boundary at which a call of this phase stands."""


class InexpressibleError(Exception):
    """The simulated Engine cannot do what a plan says, and does not do something like it instead."""


class PlannedWire(Wire):
    """A wire that follows a plan.

    Attributes:
        struck: the faults that were done, in order.
        requests: names of all changing requests, in order.
    """

    def __init__(
        self, engine: WatchedEngine, monotonic: Callable[[], float], plan: plans.Plan, hands: Hands
    ) -> None:
        super().__init__(engine, monotonic)
        self.struck: list[Fault] = []
        self.requests: list[str] = []
        self._course = plans.Course(plan)
        self._hands = hands
        self._due: dict[Call, dict[Boundary, Fault]] = {}
        self._unheard: set[Call] = set()

    def advance(self, call: Call) -> str:
        """Bring a call past its next boundary, or do what is planned there; what happened, in a word."""
        if call not in self._due:
            self._due[call] = self._count(call)
        if call.resume is None:
            return super().advance(call)
        if call in self._unheard:
            self.answer(call, UnansweredError(Silence.TIMEOUT, "planned: no answer came in time"))
            return "times out"
        due = self._due[call]
        fault = due.pop(AT[call.phase], None) if call.phase in AT else None
        if fault is not None:
            return self._do(call, fault)
        answered = call.phase == APPLIED
        done = super().advance(call)
        if answered and Boundary.ANSWERED in due:
            return f"{done}, {self._do(call, due.pop(Boundary.ANSWERED))}"
        return done

    def _count(self, call: Call) -> dict[Boundary, Fault]:
        path = path_of(call.request)
        if call.mutates:
            self.requests.append(plans.name_of(call.request.method, path))
        return self._course.meet(call.request.method, path)

    def _do(self, call: Call, fault: Fault) -> str:
        self.struck.append(fault)
        match fault.do:
            case Deed.DELAY:
                if fault.seconds >= call.request.timeout:
                    raise InexpressibleError(f"nobody waits {fault.seconds} s for {call.request.path}")
                call.due = self._monotonic() + fault.seconds
            case Deed.DROP:
                self._break(call)
            case Deed.TIMEOUT:
                self._unheard.add(call)
                call.due = self._monotonic() + call.request.timeout
            case Deed.ANSWER:
                self.answer(call, Answer(fault.status, {"message": fault.message}))
            case Deed.TRUNCATE:
                _cut(call, fault.at_byte)
                self._break(call)
            case Deed.KILL_CONTROLLER | Deed.KILL_ENGINE:
                self._hands[fault.do]()
        return f"planned: {fault.do.value}"

    def _break(self, call: Call) -> None:
        self.answer(call, UnansweredError(Silence.BROKEN, "planned: the connection ended"))


def path_of(request: Request) -> str:
    """Path and query below the API's version, as they go over a socket."""
    return f"{request.path}?{urlencode(request.query)}" if request.query else request.path


def _cut(call: Call, at_byte: int) -> None:
    """Return if an answer cut there has lost something that the controller needs.

    Raises:
        InexpressibleError: not surely.
    """
    if at_byte == 0:
        return
    if not isinstance(call.result, Answer):
        raise InexpressibleError(f"{call.request.path} is no answer that can be cut")
    if at_byte >= len(json.dumps(call.result.body or "")):
        raise InexpressibleError(f"the answer to {call.request.path} may be whole in {at_byte} bytes")
