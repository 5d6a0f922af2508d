"""What a person is told after asking for something: that it is so, what holds it, or that it takes longer.

It judges one workspace object; it decides nothing and repeats nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import click

from controller.api import quantities
from controller.cli import control, exits, trees

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
    """The workspace's object once the controller has nothing left to do for it now, or at the time-out.

    `body` says what is waited for, such as the digest of a spec file.
    """
    request = {**body, "timeout": timeout.total_seconds()}
    found = client.post("workspaces", name, "wait", body=request, wait=timeout).value
    return found if isinstance(found, Mapping) else {}


def judge(item: trees.Object, timeout: timedelta) -> exits.Failure | None:
    """What keeps a workspace from being as it was asked to be; None where nothing does."""
    ready = trees.condition(item, "Ready")
    accepted = trees.condition(item, "SpecAccepted")
    verdict = trees.text(item, "status", "decision", "verdict")
    if accepted.get("status") == "False":
        return exits.Failure(exits.ExitCode.REFUSED, _because("the file is not in force", accepted))
    if verdict == "Hold":
        return exits.Failure(exits.ExitCode.REFUSED, _because("held", trees.at(item, "status", "decision")))
    if ready.get("status") == "True" and verdict in {"Keep", trees.NONE}:
        return None
    decision = trees.at(item, "status", "decision")
    if trees.text(decision, "reason") in _FAILURES or trees.condition(item, "Stalled"):
        return exits.Failure(exits.ExitCode.ERROR, _because("failed", decision))
    waited = f"not ready after {quantities.format_duration(timeout)}"
    because = decision if verdict not in {"Keep", trees.NONE} else ready
    return exits.Failure(exits.ExitCode.TIMED_OUT, _because(waited, because))


def _because(outcome: str, told: trees.Json) -> str:
    """`held: ImageUnknown: no image "x" in the catalog`."""
    parts = [outcome, trees.text(told, "reason", default=""), trees.text(told, "message", default="")]
    return ": ".join(filter(None, parts))
