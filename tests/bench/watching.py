"""Knows what the Engine has told so far: its events, with the time at which each arrived here.

It refuses to poll: a list costs the Engine work that would be measured along.
"""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any

import docker

from tests.bench import keeper


@dataclasses.dataclass(frozen=True)
class Event:
    """One event: what, the container's name, when it arrived (monotonic) and was (epoch), in seconds."""

    action: str
    name: str
    arrived: float
    at: float


class Watch:
    """Reads one Engine's container events in a thread until closed."""

    def __init__(self, base_url: str) -> None:
        self._client: Any = docker.APIClient(base_url=base_url, version="auto", timeout=3600)
        self._stream = self._client.events(decode=True, filters={"type": ["container", "network"]})
        self._changed = threading.Condition()
        self._events: list[Event] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(Exception):  # the end of the stream is the end of the watch
            for event in self._stream:
                name = event["Actor"]["Attributes"].get("name", "")
                one = Event(event["Action"], name, time.monotonic(), event["timeNano"] / 1e9)
                with self._changed:
                    self._events.append(one)
                    self._changed.notify_all()

    def mark(self) -> int:
        """A place in the stream: events after it are those from now on."""
        with self._changed:
            return len(self._events)

    def since(self, mark: int) -> list[Event]:
        """Events after a mark."""
        with self._changed:
            return self._events[mark:]

    def wait(
        self, mark: int, matches: Callable[[Event], bool], count: int = 1, deadline: float = 120.0
    ) -> Event:
        """Wait for the `count`-th event after a mark that matches.

        Raises:
            BenchError: it did not come.
        """
        end = time.monotonic() + deadline
        with self._changed:
            while True:
                found = [event for event in self._events[mark:] if matches(event)]
                if len(found) >= count:
                    return found[count - 1]
                left = end - time.monotonic()
                if left <= 0:
                    seen = [(event.action, event.name) for event in self._events[mark:]][-20:]
                    raise keeper.BenchError(
                        f"{len(found)} of {count} events in {deadline:.0f} s; the last: {seen}"
                    )
                self._changed.wait(left)

    def close(self) -> None:
        """End it."""
        self._stream.close()
        self._thread.join(5)
        self._client.close()
