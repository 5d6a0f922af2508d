"""Knows the shape of a conversation with the Engine: a request, then an answer, a stream or nothing.

It refuses to know who answers: a socket does in production, the simulated Engine does in tests.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

Row: TypeAlias = Mapping[str, Any]
"""A JSON object of the Engine's."""


class Silence(StrEnum):
    """How an answer failed to come."""

    REFUSED = "refused"
    """Nobody took the request: it was certainly not carried out."""
    TIMEOUT = "timeout"
    """The request went out and no answer came in time: it may have been carried out."""
    BROKEN = "broken"
    """The connection ended before the answer did: it may have been carried out."""
    UNSUPPORTED = "unsupported"
    """The Engine speaks no version of its API that we speak."""


class UnansweredError(Exception):
    """A request without an answer; the original exception is the cause."""

    def __init__(self, silence: Silence, message: str) -> None:
        super().__init__(message)
        self.silence = silence
        self.message = message


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the Engine's HTTP API.

    Attributes:
        operation: name of the call for metrics.
        path: below the API version, quoted.
        body: JSON object, or None for none.
        timeout: seconds without a byte from the Engine.
        registry: name whose credentials go along, for pulls.
        rows: the answer is a list, perhaps a long one, and its body may be an iterator of its objects.
    """

    operation: str
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Row | None = None
    timeout: float = 60.0
    registry: str | None = None
    rows: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """HTTP status and decoded JSON body (None for an empty one, text where it is not JSON).

    Of a list that was asked for by its rows, iterating raises `UnansweredError` on garbage.
    """

    status: int
    body: Any

    @property
    def message(self) -> str:
        """The Engine's own words about an error."""
        if isinstance(self.body, Mapping):
            return str(self.body.get("message", self.body))
        return str(self.body or "")


class Stream(Protocol):
    """JSON values as the Engine sends them; iterating raises `UnansweredError` on loss and on garbage."""

    def __iter__(self) -> Iterator[Row]:
        """Values until the Engine ends the stream."""

    def close(self) -> None:
        """End the stream at once, from any thread."""


class Transport(Protocol):
    """Carries requests to one Engine, from any thread."""

    def call(self, request: Request) -> Answer:
        """One answer of whatever status.

        Raises:
            UnansweredError: none came.
        """

    def stream(self, request: Request) -> Stream | Answer:
        """A stream if the Engine agrees (200), else its answer.

        Raises:
            UnansweredError: none came.
        """

    def close(self) -> None:
        """Close all connections."""
