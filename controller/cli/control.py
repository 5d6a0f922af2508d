"""The control API of a running controller, asked over its unix socket.

It knows addresses, time-outs and what an error means for the exit code; what an answer contains is for its
caller to know.
"""

import email.utils
import http.client
import json
import socket
import urllib.parse
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from controller.cli import exits, trees

REQUEST_TIMEOUT: Final = timedelta(seconds=30)
_SPARE: Final = timedelta(seconds=5)
_ERROR_FROM: Final = 400


class UnreachableError(exits.Failure):
    """No controller answers at the socket."""

    def __init__(self, message: str) -> None:
        super().__init__(exits.ExitCode.UNREACHABLE, message)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the controller said, and when by its own clock."""

    value: trees.Json
    at: datetime


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket in place of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Client:
    """Asks the controller whose socket is `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, *parts: str, **query: str) -> Answer:
        """Read what lies at `/v1/` and the parts of the path.

        Raises:
            UnreachableError: no controller answers.
            exits.Failure: it answered an error, or not in time.
        """
        return self._ask("GET", parts, query, None, REQUEST_TIMEOUT)

    def post(self, *parts: str, body: trees.Object | None = None, wait: timedelta = timedelta()) -> Answer:
        """Ask for something to be done; the answer may take `wait` longer than an ordinary one.

        Raises:
            UnreachableError: no controller answers.
            exits.Failure: it answered an error, or not in time.
        """
        return self._ask("POST", parts, {}, dict(body or {}), max(REQUEST_TIMEOUT, wait + _SPARE))

    def _ask(
        self,
        method: str,
        parts: tuple[str, ...],
        query: dict[str, str],
        body: trees.Object | None,
        timeout: timedelta,
    ) -> Answer:
        url = "/v1/" + "/".join(urllib.parse.quote(part, safe="") for part in parts)
        url += f"?{urllib.parse.urlencode(query)}" if query else ""
        content = None if body is None else json.dumps(body).encode()
        connection = _Connection(self._path, timeout.total_seconds())
        try:
            connection.request(method, url, content, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return _read(response, response.read())
        except (OSError, http.client.HTTPException) as error:
            raise _translate(error, self._path, timeout) from error
        finally:
            connection.close()


def _translate(error: Exception, path: Path, timeout: timedelta) -> exits.Failure:
    """What a failed call means for the person who made it."""
    match error:
        case TimeoutError():
            seconds = f"{timeout.total_seconds():.0f}s"
            return exits.Failure(
                exits.ExitCode.TIMED_OUT, f"the controller did not answer within {seconds} ({path})"
            )
        case PermissionError():
            return exits.Failure(
                exits.ExitCode.NOT_PERMITTED, f"{path}: not permitted; ask the controller as root"
            )
        case FileNotFoundError() | ConnectionRefusedError():
            return UnreachableError(f"the controller is not running (nothing answers at {path})")
        case _:
            return UnreachableError(f"the controller broke off ({path}: {error})")


def _read(response: http.client.HTTPResponse, content: bytes) -> Answer:
    try:
        value = trees.parse(content)
    except ValueError as error:
        raise exits.Failure(
            exits.ExitCode.ERROR, f"the controller's answer ({response.status}) is not JSON: {error}"
        ) from error
    if response.status >= _ERROR_FROM:
        raise _refusal(response.status, value)
    return Answer(value, _moment(response.headers.get("Date", "")))


def _refusal(status: int, value: trees.Json) -> exits.Failure:
    reason = trees.text(value, "error", "reason", default="")
    message = trees.text(value, "error", "message", default=f"the controller answered {status}")
    return exits.Failure(exits.of_status(status), f"{message} ({reason})" if reason else message)


def _moment(date: str) -> datetime:
    """The time of an answer, from its Date header (RFC 9110, 6.6.1); year 1 where it has none."""
    try:
        return email.utils.parsedate_to_datetime(date).astimezone(UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
