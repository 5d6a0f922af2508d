"""What a person is told after asking for something: that it is so, what holds it, or that it takes longer.

It judges one workspace object; it decides nothing and repeats nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import click

from controller.api import quantities
from controller.cli import control, exits, trees

_POLL_SECONDS: Final = 0.2
_NOT_SEEN: Final = "the controller has not acted on it yet"
_SOON: Final = frozenset({"NotYetListening", "Starting"})
_PARKED: Final = frozenset({"ChangePending", "Paced", "Pinned"})
_FAILURES: Final = frozenset({"CrashLoop", "BackingOff", "Unhealthy", "InternalError"})


class Length(click.ParamType[timedelta]):
    """A length of time as people write it in specs: `60s`, `5m`."""

    name = "duration"

    def convert(
        self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """The length; a bare number is refused with what to write."""
        if isinstance(value, timedelta):
            return value
        try:
            return quantities.parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a wait ended: the workspace's object (empty if it is unknown), and whether before the time-out."""

    item: trees.Object
    in_time: bool


def wait(client: control.Client, name: str, body: trees.Object, timeout: timedelta) -> Ending:
    """Wait until the controller has nothing left to do for a workspace now, or for at most `timeout`.

    `body` says what is waited for; if that is the digest of a spec file, the workspace may yet be unknown.

    Raises:
        exits.Failure: there is no such workspace, or no controller.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    while True:
        left = max(0.0, deadline - time.monotonic())
        item = _ask(client, name, {**body, "timeout": left})
        in_time = time.monotonic() < deadline
        if not in_time or not _starts(item):
            return Ending(item, in_time)
        time.sleep(min(_POLL_SECONDS, left))


def _ask(client: control.Client, name: str, request: trees.Object) -> trees.Object:
    longest = timedelta(seconds=float(trees.text(request, "timeout")))
    try:
        found = client.post("workspaces", name, "wait", body=request, wait=longest).value
    except exits.Failure as failure:
        if failure.code is exits.ExitCode.NOT_FOUND and "digest" in request:
            return {}
        raise
    return found if isinstance(found, Mapping) else {}


def _starts(item: trees.Json) -> bool:
    """Whether its container runs and will soon be ready, if all goes well."""
    return trees.condition(item, "Ready").get("reason") in _SOON


def judge(ending: Ending) -> exits.Failure | None:
    """What keeps a workspace from being as it was asked to be; None where nothing does."""
    item = ending.item
    ready = trees.condition(item, "Ready")
    accepted = trees.condition(item, "SpecAccepted")
    verdict, reason = (trees.text(item, "status", "decision", key) for key in ("verdict", "reason"))
    if accepted.get("status") == "False":
        return exits.Failure(exits.ExitCode.REFUSED, _because("the file is not in force", accepted))
    if verdict == "Hold":
        code = exits.ExitCode.UNREACHABLE if reason == "EngineUnavailable" else exits.ExitCode.REFUSED
        return exits.Failure(code, _because("held", trees.at(item, "status", "decision")))
    is_at_rest = verdict == "Keep" or reason in _PARKED
    if ready.get("status") == "True" and is_at_rest:
        return None if ending.in_time else exits.Failure(exits.ExitCode.TIMED_OUT, _NOT_SEEN)
    decision = trees.at(item, "status", "decision")
    if reason in _FAILURES or trees.condition(item, "Stalled"):
        return exits.Failure(exits.ExitCode.ERROR, _because("failed", decision))
    because = ready if is_at_rest or not item else decision
    return exits.Failure(exits.ExitCode.TIMED_OUT, _because("not ready yet", because) if item else _NOT_SEEN)


def notice(item: trees.Object) -> str:
    """What a person should know of a workspace although nothing is wrong: a change that waits; or nothing."""
    decision = trees.at(item, "status", "decision")
    return _because("accepted", decision) if trees.text(decision, "reason") in _PARKED else ""


def _because(outcome: str, told: trees.Json) -> str:
    """`held: ImageUnknown: no image "x" in the catalog`."""
    parts = [outcome, trees.text(told, "reason", default=""), trees.text(told, "message", default="")]
    return ": ".join(filter(None, parts))
