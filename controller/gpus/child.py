"""Knows how to ask the reader's process with a deadline, and to be rid of it when it does not answer.

Refuses to wait for it: a process that hangs in the driver cannot even be killed, so it is left to itself, and
collected if it ever ends.
"""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

COMMAND: Final = (sys.executable, "-m", "controller.gpus.reader")
CODE: Final = Path(__file__).resolve().parents[2]
"""Where it runs, so that it is of this version, whatever the directory that the controller was begun in."""
MOST_ABANDONED: Final = 4
"""So many that hang are left to themselves; as long as there are that many, no other one is started."""
_FAREWELL: Final = 0.2
"""Seconds for a process to end that is killed; one that hangs in the driver takes longer, or for ever."""
_LARGEST_ANSWER: Final = 64 * 2**20
_PIECE: Final = 65536

_abandoned: list[subprocess.Popen[bytes]] = []


class SilentError(Exception):
    """The reader did not answer in time, or cannot be started because too many hang; the text says which."""


class EndedError(Exception):
    """The reader ended, or said what is no answer; the text says which."""


class Child:
    """One process of the reader. `ask` is for one thread; `kill` may be called from any.

    Raises:
        SilentError: so many hang that no other one is started.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        _abandoned[:] = [one for one in _abandoned if one.poll() is None]
        if len(_abandoned) >= MOST_ABANDONED:
            raise SilentError(f"{len(_abandoned)} processes that asked the driver hang in it")
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=CODE,
            env=dict(environment),
            bufsize=0,
            start_new_session=True,
        )
        self._rest = b""

    def ask(self, wait: float, patience: float) -> Mapping[str, Any]:
        """Return the answer to a request that may take `wait` seconds, and `patience` more.

        Raises:
            SilentError: there was none in time.
            EndedError: there will be none.
        """
        assert self._process.stdin is not None
        deadline = time.monotonic() + wait + patience
        try:
            self._process.stdin.write(json.dumps({"wait": wait}).encode() + b"\n")
        except (OSError, ValueError) as error:
            raise EndedError("the process that asks the driver ended") from error
        answer = json.loads(self._line(deadline, wait + patience))
        if not isinstance(answer, dict):
            raise EndedError("the process that asks the driver said what is no answer")
        return answer

    def _line(self, deadline: float, length: float) -> bytes:
        out = self._process.stdout
        assert out is not None
        with selectors.DefaultSelector() as selector:
            try:
                selector.register(out, selectors.EVENT_READ)
            except ValueError as error:
                raise EndedError("the process that asks the driver was ended") from error
            while b"\n" not in self._rest:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise SilentError(f"the driver did not answer within {length:.0f} s")
                piece = os.read(out.fileno(), _PIECE)
                if not piece or len(self._rest) > _LARGEST_ANSWER:
                    raise EndedError("the process that asks the driver ended")
                self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def kill(self) -> None:
        """End it, now or whenever the driver lets it go; nobody waits for that."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def close(self) -> None:
        """End it and forget it; for the thread that asks."""
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(_FAREWELL)
        except subprocess.TimeoutExpired:
            _abandoned.append(self._process)
