"""How log lines look and where they go; lines of libraries look the same.

Refuses secrets (values under names that promise one), and storms (repeats are counted, not written).
"""

import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from controller.api import secrecy
from controller.api.config import LogFormat, LogLevel

_LIBRARIES: Final = ("docker", "urllib3", "requests", "aiohttp", "asyncio", "watchfiles")
_PRIORITIES: Final = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
_FIRST: Final = ("timestamp", "level", "logger", "event", "pass_id", "workspace", "reason", "message")

REPEATS: Final = 20
"""How many lines that differ in nothing but details are written in one window."""
WINDOW: Final = 10.0
"""Seconds of a window."""
_KIND: Final = ("logger", "level", "event", "workspace", "reason", "action", "file", "subject")
_MOST_SUBJECTS: Final = 4096


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What the log shall look like.

    Attributes:
        journal: value of JOURNAL_STREAM, empty without one: whether the stream is the journal's.
        version: of the controller, on every JSON line.
        color: whether a terminal may be painted.
    """

    format: LogFormat
    level: LogLevel
    journal: str
    version: str
    color: bool = True


def configure(
    options: LogOptions, stream: TextIO, now: Callable[[], datetime], count: Callable[[str], None]
) -> None:
    """Send all log lines of the process to `stream`; `count` gets the level of each."""
    console = options.format is LogFormat.CONSOLE or (options.format is LogFormat.AUTO and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _Stamp(now),
        redact,
        Storms(time.monotonic),
        _Count(count),
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared[:3], _foreign_event, *shared[3:]],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(options, stream, console=console),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=options.level.upper(), force=True)
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _renderers(options: LogOptions, stream: TextIO, *, console: bool) -> list[Processor]:
    if console:
        return [structlog.dev.ConsoleRenderer(colors=options.color and stream.isatty())]
    render: Processor = _JsonLine(options.version)
    return [_Prefixed(render)] if is_journal(options.journal, stream) else [render]


def is_journal(journal: str, stream: TextIO) -> bool:
    """Whether the stream is the journal that JOURNAL_STREAM (`device:inode`) names; systemd.exec(5)."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return journal == f"{found.st_dev}:{found.st_ino}"


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hide every value under a name that promises a secret, however deep."""
    return {key: _redacted(key, value) for key, value in event.items()}


def _redacted(key: str, value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _redacted(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(key, inner) for inner in value]
    if isinstance(value, str):
        return secrecy.shown(key, value)
    return secrecy.HIDDEN if secrecy.names_a_secret(key) and not isinstance(value, bool | None) else value


def _foreign_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A library's line: its text is a message, the event a constant."""
    event["message"] = event["event"]
    event["event"] = "library_message"
    return event


class Storms:
    """Lets a few lines of a kind through in each window; the next window says how many were not written."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[tuple[object, ...], tuple[float, int]] = {}

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Pass a line on, or drop it."""
        kind = tuple(event.get(name) for name in _KIND)
        with self._lock:
            now = self._clock()
            begun, seen = self._windows.get(kind, (now, 0))
            suppressed = 0
            if now - begun >= WINDOW:
                suppressed, begun, seen = max(0, seen - REPEATS), now, 0
            self._windows[kind] = (begun, seen + 1)
            if len(self._windows) > _MOST_SUBJECTS:
                self._forget(now)
        if seen >= REPEATS:
            raise structlog.DropEvent
        if suppressed:
            event["suppressed"] = suppressed
        elif seen == REPEATS - 1:
            event["repeats"] = "further ones are counted, not written"
        return event

    def _forget(self, now: float) -> None:
        self._windows = {kind: seen for kind, seen in self._windows.items() if now - seen[0] < WINDOW}


class _Stamp:
    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        stamp = self._now().astimezone(UTC).isoformat(timespec="microseconds")
        event["timestamp"] = stamp.replace("+00:00", "Z")
        return event


class _Count:
    def __init__(self, count: Callable[[str], None]) -> None:
        self._count = count

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        self._count(str(event["level"]))
        return event


class _JsonLine:
    """One object a line, the keys that everybody reads first; names of the rest as in OpenTelemetry."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._render = structlog.processors.JSONRenderer(default=str, ensure_ascii=False)

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str | bytes:
        line = {key: event.pop(key) for key in _FIRST if key in event}
        line |= {"service.name": "wharfinger", "service.version": self._version}
        line |= _exception(event.pop("exc_info", None))
        return self._render(logger, method, line | dict(event))


def _exception(given: object) -> dict[str, str]:
    info = sys.exc_info() if given is True else given
    error = info[1] if isinstance(info, tuple) else info
    if not isinstance(error, BaseException):
        return {}
    return {
        "exception.type": type(error).__name__,
        "exception.message": str(error),
        "exception.stacktrace": "".join(traceback.format_exception(error)),
    }


class _Prefixed:
    """The priority before each line, as the journal reads it; sd-daemon(3)."""

    def __init__(self, render: Processor) -> None:
        self._render = render

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        priority = _PRIORITIES.get(str(event.get("level")), _PRIORITIES["info"])
        return f"<{priority}>{self._render(logger, method, event)!s}"
