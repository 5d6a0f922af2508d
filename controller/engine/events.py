"""Knows how to keep reading the Engine's events, whatever becomes of the connection.

It refuses to interpret: of an event it passes on Type, Action and Actor.ID and nothing else, since labels of
a container overwrite all other attributes. It only reads, so that the Engine, which waits for slow readers,
never waits for this one.

A window is a stream that the Engine itself ends after 60 s. The next one begins 2 s before that end, so that
a window that ended in time is followed without a gap and nothing is reported. Every other end (early, silent,
garbage, an Engine that was away) is a loss: once the next stream is open, `on_reconnect` is called.
"""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from controller.engine import calls, parsing, transport
from controller.model import errors

WINDOW = timedelta(seconds=60)
OVERLAP = timedelta(seconds=2)
MARGIN = timedelta(seconds=5)
"""How far before the Engine's present a stream begins after a loss."""
LONGEST_DELAY = 5.0
FIRST_DELAY = 0.2
STOP_DEADLINE = 1.0

Note = Callable[[str, str, str], None]


class EventReader:
    """One thread that reads one Engine's events.

    Attributes of construction:
        client_factory: makes a client of the thread's own.
        note: Type, Action and Actor.ID of each event; must return at once.
        on_reconnect: events may have been lost.
        heartbeat: called at each window and each event.
        window: length of a stream.
    """

    def __init__(
        self,
        client_factory: Callable[[], calls.EngineClient],
        note: Note,
        on_reconnect: Callable[[], None],
        heartbeat: Callable[[], None],
        window: timedelta = WINDOW,
    ) -> None:
        self._client_factory = client_factory
        self._note = note
        self._on_reconnect = on_reconnect
        self._heartbeat = heartbeat
        self._window = window
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._stream: transport.Stream | None = None
        self._thread = threading.Thread(target=self._run, name="engine-events", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End within a second."""
        self._stopping.set()
        with self._lock:
            if self._stream is not None:
                self._stream.close()
        if self._thread.is_alive():
            self._thread.join(STOP_DEADLINE)

    @property
    def connected(self) -> bool:
        """Whether a stream is open now."""
        with self._lock:
            return self._stream is not None

    def _run(self) -> None:
        client = self._client_factory()
        until: datetime | None = None
        delay = FIRST_DELAY
        while not self._stopping.is_set():
            self._heartbeat()
            previous, until = until, None
            try:
                until = self._read_window(client, previous)
            except (errors.EffectError, transport.UnansweredError):
                self._stopping.wait(delay)
                delay = min(2 * delay, LONGEST_DELAY)
                continue
            delay = FIRST_DELAY if until is not None else min(2 * delay, LONGEST_DELAY)
            if until is None:
                self._stopping.wait(delay)
        client.close()

    def _read_window(self, client: calls.EngineClient, previous: datetime | None) -> datetime | None:
        """Read one stream to its end; the time at which it was due to end, or None if it ended early."""
        present = parsing.parse_facts(client.info()).time
        until = present + self._window
        lost = previous is None or abs(present - previous) > MARGIN
        begin = time.monotonic()
        since = present - MARGIN if lost or previous is None else previous - OVERLAP
        stream = client.events(since, until)
        if not self._hold(stream):
            return None
        try:
            if lost:
                self._on_reconnect()
            for event in stream:
                self._pass_on(event)
        finally:
            self._let_go()
        in_time = time.monotonic() - begin >= self._window.total_seconds() - OVERLAP.total_seconds() / 2
        return until if in_time else None

    def _pass_on(self, event: transport.Row) -> None:
        self._heartbeat()
        kind, action = event.get("Type"), event.get("Action")
        actor = event.get("Actor")
        actor_id = actor.get("ID") if isinstance(actor, dict) else None
        if isinstance(kind, str) and isinstance(action, str) and isinstance(actor_id, str):
            self._note(kind, action, actor_id)

    def _hold(self, stream: transport.Stream) -> bool:
        """Keep the stream where `stop` can close it; False if that is asked for already."""
        with self._lock:
            if self._stopping.is_set():
                stream.close()
                return False
            self._stream = stream
            return True

    def _let_go(self) -> None:
        with self._lock:
            if self._stream is not None:
                self._stream.close()
            self._stream = None
