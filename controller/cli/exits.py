"""The exit codes of the command, and the one way in which a command ends early.

It knows numbers and messages; what went wrong is judged where it happens.
"""

import enum
from typing import Final


class ExitCode(enum.IntEnum):
    """What the command tells a script; the numbers are published and never change."""

    OK = 0
    ERROR = 1
    PENDING = 2
    """`plan` only: something would be done."""
    NOT_FOUND = 3
    NOT_PERMITTED = 4
    REFUSED = 5
    """Refused by policy, or held until a person acts."""
    TIMED_OUT = 6
    UNREACHABLE = 7
    """The controller or the Engine does not answer."""
    USAGE = 64
    INTERRUPTED = 130


class Failure(Exception):  # noqa: N818 - it names what a user meets, not a defect
    """The command cannot go on: `message` (of one or more lines) for the person, `code` for the script."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


_BY_STATUS: Final = {
    400: ExitCode.ERROR,
    403: ExitCode.NOT_PERMITTED,
    404: ExitCode.NOT_FOUND,
    408: ExitCode.TIMED_OUT,
    409: ExitCode.REFUSED,
    503: ExitCode.UNREACHABLE,
    504: ExitCode.TIMED_OUT,
}


def of_status(status: int) -> ExitCode:
    """The exit code for an HTTP status of the control API; what is not in the table is an error."""
    return _BY_STATUS.get(status, ExitCode.ERROR)
