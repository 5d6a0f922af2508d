"""Knows plan files: what goes wrong at which request to the Engine, in words that any rig can act on.

It refuses to act: the proxy does so before a real Engine, the simulator before its own. A plan file is a YAML
list; the order of its faults does not matter.

    - on: {operation: POST containers/start, nth: 2}      # the third start
      boundary: applied                                   # the Engine has done it, nobody was told
      do: kill-controller
    - on: {path: /containers/json*, nth: 0, times: 5}     # the first five lists
      boundary: received
      do: answer
      status: 503
"""

import enum
import fnmatch
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

import pydantic
import yaml

CHANGES = "[!GH]*"
"""Pattern of the operations that may change something: all but GET and HEAD."""


class Boundary(enum.Enum):
    """Where on its way a request is met."""

    RECEIVED = "received"
    """The controller has sent it; the Engine has not heard of it."""
    APPLIED = "applied"
    """The Engine has done it and has worded its whole answer; the controller has not got a byte of it."""
    ANSWERED = "answered"
    """The controller has got the whole answer."""


class Deed(enum.Enum):
    """What is done there."""

    DELAY = "delay"
    """It goes on after `seconds`."""
    DROP = "drop"
    """The connection ends without an answer."""
    TIMEOUT = "timeout"
    """Nothing comes for as long as the controller waits."""
    ANSWER = "answer"
    """The controller gets `status` and `message` in place of the Engine's answer."""
    TRUNCATE = "truncate"
    """The controller gets the answer's first `at_byte` bytes, head included; then the connection ends."""
    KILL_CONTROLLER = "kill-controller"
    """The controller is killed, without a chance to tidy up; the request goes no further."""
    KILL_ENGINE = "kill-engine"
    """The Engine is killed, and whoever runs the rig starts it again; the request goes no further."""


LEGAL = {
    Boundary.RECEIVED: frozenset(Deed) - {Deed.TRUNCATE},
    Boundary.APPLIED: frozenset(Deed),
    Boundary.ANSWERED: frozenset({Deed.KILL_CONTROLLER, Deed.KILL_ENGINE}),
}
"""What can be done at each boundary."""


class Trigger(pydantic.BaseModel):
    """Which requests are met: those that match both patterns, by their number among them.

    Attributes:
        operation: shell pattern over `name_of`: `POST containers/start`, `DELETE containers`, `CHANGES`.
        path: shell pattern over path and query below the API's version: `/containers/*/stop*`.
        nth: number of the first one that is met, from 0.
        times: how many are met in a row.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    operation: str = "*"
    path: str = "*"
    nth: int = pydantic.Field(default=0, ge=0)
    times: int = pydantic.Field(default=1, ge=1)

    def matches(self, method: str, path: str) -> bool:
        """Whether a request counts; `path` is below the API's version, its query included."""
        named = fnmatch.fnmatchcase(name_of(method, path), self.operation)
        return named and fnmatch.fnmatchcase(path, self.path)

    def is_due(self, number: int) -> bool:
        """Whether the request of this number, from 0 among those that match, is met."""
        return self.nth <= number < self.nth + self.times


class Fault(pydantic.BaseModel):
    """One thing that goes wrong.

    Attributes:
        seconds: of `delay`.
        status, message: of `answer`.
        at_byte: of `truncate`; 0 is as `drop`.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    on: Trigger
    boundary: Boundary
    do: Deed
    seconds: float = pydantic.Field(default=1.0, gt=0)
    status: Literal[409, 500, 503] = 500
    message: str = "fault"
    at_byte: int = pydantic.Field(default=0, ge=0)

    @pydantic.field_validator("status", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        return int(value) if isinstance(value, str) and value.isdigit() else value

    @pydantic.model_validator(mode="after")
    def _possible(self) -> Self:
        if self.do not in LEGAL[self.boundary]:
            raise ValueError(f"{self.do.value} is not possible at {self.boundary.value}")
        return self


Plan = tuple[Fault, ...]
_PLAN = pydantic.TypeAdapter(Plan)


class Course:
    """How far a plan has come: so many requests matched each of its faults."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._seen = [0] * len(plan)

    def meet(self, method: str, path: str) -> dict[Boundary, Fault]:
        """Take note of a request; the faults that are due at it, the plan's first at each boundary."""
        due: dict[Boundary, Fault] = {}
        for place, fault in enumerate(self._plan):
            if fault.on.matches(method, path):
                self._seen[place] += 1
                if fault.on.is_due(self._seen[place] - 1):
                    due.setdefault(fault.boundary, fault)
        return due


def missed(plan: Plan, done: Sequence[Fault]) -> list[str]:
    """What of a plan was not done as often as it says, a line for each fault."""
    times = Counter(done)
    return [
        f"{times[fault]} of {fault.on.times} times: {word((fault,))}"
        for fault in plan
        if times[fault] != fault.on.times
    ]


def name_of(method: str, path: str) -> str:
    """`POST containers/stop` for `POST /containers/3f…/stop?t=1`, `DELETE containers` for any removal."""
    parts = [part for part in urlsplit(path).path.split("/") if part]
    if method == "DELETE":
        return f"{method} {parts[0]}"
    return f"{method} {'/'.join(parts[:1] + parts[1:][-1:])}"


def parse(text: str) -> Plan:
    """The faults of a plan file's text.

    Raises:
        ValueError: it is not a plan; the message names the place.
    """
    try:
        # Every scalar is a text: `on` is no truth value here.
        content = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - it makes texts, lists and mappings only
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {error}") from error
    return _PLAN.validate_python(content or ())


def load(path: Path) -> Plan:
    """The faults of a plan file; errors as in `parse`."""
    return parse(path.read_text(encoding="utf-8"))


def word(plan: Plan) -> str:
    """The text of a plan file: `parse` gives the same plan again."""
    faults = [fault.model_dump(mode="json", exclude_defaults=True) for fault in plan]
    return str(yaml.safe_dump(faults, sort_keys=False))
