"""What a person is told after asking for something: that it is so, what holds it, or that it takes longer.

It judges one workspace object; it decides nothing and repeats nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import click

from controller.api import quantities
from controller.cli import control, exits, trees

_POLL_SECONDS: Final = 0.2
_SOON: Final = frozenset({"NotYetListening", "Starting"})
_PARKED: Final = frozenset({"ChangePending"})
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


def wait(client: control.Client, name: str, body: trees.Object, timeout: timedelta) -> trees.Object:
    """The workspace's object once there is nothing left to wait for, or at the time-out.

    `body` says what is waited for; if that is the digest of a spec file, the workspace may yet be unknown.

    Raises:
        exits.Failure: there is no such workspace, or no controller.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    while True:
        left = max(0.0, deadline - time.monotonic())
        try:
            request = {**body, "timeout": left}
            found = client.post("workspaces", name, "wait", body=request, wait=timedelta(seconds=left)).value
        except exits.Failure as failure:
            if failure.code is not exits.ExitCode.NOT_FOUND or "digest" not in body or not left:
                raise
        else:
            item = trees.at(found, "workspace")
            if not left or (trees.at(found, "settled") and not _starts(item)):
                return item if isinstance(item, Mapping) else {}
        time.sleep(min(_POLL_SECONDS, left))


def _starts(item: trees.Json) -> bool:
    """Whether its container runs and will soon be ready, if all goes well."""
    return trees.condition(item, "Ready").get("reason") in _SOON


def judge(item: trees.Object) -> exits.Failure | None:
    """What keeps a workspace from being as it was asked to be; None where nothing does."""
    ready = trees.condition(item, "Ready")
    accepted = trees.condition(item, "SpecAccepted")
    verdict, reason = (trees.text(item, "status", "decision", key) for key in ("verdict", "reason"))
    if accepted.get("status") == "False":
        return exits.Failure(exits.ExitCode.REFUSED, _because("the file is not in force", accepted))
    if verdict == "Hold":
        code = exits.ExitCode.UNREACHABLE if reason == "EngineUnavailable" else exits.ExitCode.REFUSED
        return exits.Failure(code, _because("held", trees.at(item, "status", "decision")))
    if ready.get("status") == "True" and (verdict in {"Keep", trees.NONE} or reason in _PARKED):
        return None
    decision = trees.at(item, "status", "decision")
    if reason in _FAILURES or trees.condition(item, "Stalled"):
        return exits.Failure(exits.ExitCode.ERROR, _because("failed", decision))
    because = decision if verdict not in {"Keep", trees.NONE} else ready
    return exits.Failure(exits.ExitCode.TIMED_OUT, _because("not ready yet", because))


def notice(item: trees.Object) -> str:
    """What a person should know of a workspace although nothing is wrong: a change that waits; or nothing."""
    decision = trees.at(item, "status", "decision")
    return _because("accepted", decision) if trees.text(decision, "reason") in _PARKED else ""


def _because(outcome: str, told: trees.Json) -> str:
    """`held: ImageUnknown: no image "x" in the catalog`."""
    parts = [outcome, trees.text(told, "reason", default=""), trees.text(told, "message", default="")]
    return ": ".join(filter(None, parts))
