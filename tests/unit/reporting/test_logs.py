"""Log lines as a person or a machine gets them."""

import io
import json
import logging
import os
import pty
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import pytest
import structlog

from controller.api.config import LogFormat, LogLevel
from controller.reporting import logs
from tests.support import reports

Configure = Callable[..., io.StringIO]


@pytest.fixture
def counted() -> list[str]:
    return []


@pytest.fixture
def configure(counted: list[str]) -> Iterator[Configure]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def set_up(
        form: LogFormat = LogFormat.AUTO,
        least: LogLevel = LogLevel.INFO,
        stream: TextIO | None = None,
        journal: str = "",
    ) -> io.StringIO:
        written = io.StringIO()
        options = logs.LogOptions(form, least, journal, "1.2.3")
        logs.configure(options, stream or written, lambda: reports.NOW, counted.append)
        return written

    yield set_up
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(written: io.StringIO) -> list[Mapping[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def log() -> structlog.stdlib.BoundLogger:
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("controller.test")
    return logger


def test_a_line_is_one_object_with_the_known_keys(configure: Configure, counted: list[str]) -> None:
    written = configure()
    with structlog.contextvars.bound_contextvars(pass_id=7):
        log().info("decision", workspace="alice", reason="AsSpecified", verdict="Keep")
    (line,) = lines(written)
    assert line == {
        "timestamp": "2026-11-22T12:00:00.000000Z",
        "level": "info",
        "logger": "controller.test",
        "event": "decision",
        "pass_id": 7,
        "workspace": "alice",
        "reason": "AsSpecified",
        "service.name": "wharfinger",
        "service.version": "1.2.3",
        "verdict": "Keep",
    }
    assert counted == ["info"]


def test_an_exception_is_told_with_its_trace(configure: Configure) -> None:
    written = configure()
    try:
        int("a\nb")
    except ValueError:
        log().exception("request_failed")
    (line,) = lines(written)
    assert (line["exception.type"], line["exception.message"]) == (
        "ValueError",
        "invalid literal for int() with base 10: 'a\\nb'",
    )
    assert "test_logs.py" in line["exception.stacktrace"]
    assert "exc_info" not in line


def test_secrets_are_hidden_however_deep(configure: Configure) -> None:
    written = configure()
    log().info(
        "x",
        api_token="hunter2",
        env={"DB_PASSWORD": "hunter2", "TZ": "UTC", "list": [{"SECRET_KEY": "hunter2"}]},
        url="https://me:hunter2@host/",
        passwords=["hunter2"],
    )
    assert "hunter2" not in written.getvalue()
    assert lines(written)[0]["env"]["TZ"] == "UTC"


def test_libraries_speak_in_the_same_form_from_warning_on(configure: Configure) -> None:
    written = configure(least=LogLevel.DEBUG)
    logging.getLogger("urllib3.connectionpool").info("Starting new connection")
    logging.getLogger("docker.utils").warning("odd %s", "thing")
    (line,) = lines(written)
    assert (line["logger"], line["event"], line["message"]) == (
        "docker.utils",
        "library_message",
        "odd thing",
    )


def test_the_level_is_respected(configure: Configure, counted: list[str]) -> None:
    written = configure(least=LogLevel.WARNING)
    log().info("quiet")
    log().warning("loud")
    assert [line["event"] for line in lines(written)] == ["loud"]
    assert counted == ["warning"]


def test_the_journal_gets_priorities(configure: Configure, tmp_path: Path) -> None:
    with (tmp_path / "journal").open("w+", encoding="utf-8") as stream:
        found = os.fstat(stream.fileno())
        configure(stream=stream, journal=f"{found.st_dev}:{found.st_ino}")
        log().error("bad")
        log().info("fine")
        stream.seek(0)
        bad, fine = stream.read().splitlines()
    assert bad.startswith("<3>{")
    assert fine.startswith("<6>{")
    assert json.loads(fine[3:])["event"] == "fine"


def test_another_stream_than_the_journal_gets_none(configure: Configure, tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+", encoding="utf-8") as stream:
        configure(stream=stream, journal="1:2")
        log().info("fine")
        stream.seek(0)
        assert stream.read().startswith("{")


def test_a_terminal_gets_text_for_people(configure: Configure) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        configure(stream=stream)
        log().info("decision", workspace="alice")
        text = os.read(ours, 4096).decode()
    os.close(ours)
    assert "decision" in text
    assert "alice" in text
    assert not text.startswith("{")


def test_a_console_can_be_asked_for(configure: Configure) -> None:
    written = configure(form=LogFormat.CONSOLE)
    log().info("decision", workspace="alice")
    assert "workspace=alice" in written.getvalue()


def test_a_storm_is_counted_and_not_written() -> None:
    clock = [0.0]
    storms = logs.Storms(lambda: clock[0])

    def passed(event: str) -> Mapping[str, Any] | None:
        try:
            return dict(storms(None, "", {"event": event, "level": "info", "detail": clock[0]}))
        except structlog.DropEvent:
            return None

    written = [line for line in (passed("same") for _ in range(logs.REPEATS + 30)) if line]
    assert len(written) == logs.REPEATS
    assert "repeats" in written[-1]
    assert "repeats" not in written[0]
    assert passed("another") is not None
    clock[0] = logs.WINDOW
    after = passed("same")
    assert after is not None
    assert after["suppressed"] == 30
    again = passed("same")
    assert again is not None
    assert "suppressed" not in again
