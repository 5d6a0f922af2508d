"""The texts of the command: a plan, the rows of a table, ages.

Refuses secrets: values of variables whose names promise one are hidden, in every text here.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from controller.api import secrecy
from controller.api.conditions import DriftKind
from controller.model.plan import Decision, Drift, Plan
from controller.model.slicestatus import NONE as NO_SLICES
from controller.model.slicestatus import SlicesStatus
from controller.model.status import WorkspaceStatus
from controller.status import objects, phrases

NONE: Final = "<none>"
"""Shown in a table where there is no value."""
COLUMNS: Final = ("NAME", "OWNER", "READY", "STATE", "GPU", "IDLE", "REASON", "AGE")
"""Headings of `wharf get workspaces`."""

_KIBI: Final = 1024
_EXACT_BELOW: Final = 10
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400


def render(plan: Plan) -> str:
    """A plan as text, stable and greppable: one line a decision, its drifts and actions indented beneath it.

    Ends with a newline; a plan of nothing is the empty text.
    """
    lines = [f"host: {phrases.describe(action)}" for action in plan.host_actions]
    lines += [f"host: {found.reason}: {found.subject}: {found.message}" for found in plan.findings]
    for name in sorted(plan.decisions):
        lines.extend(_decision(plan.decisions[name]))
    return "".join(f"{line}\n" for line in lines)


def _decision(decision: Decision) -> Iterator[str]:
    yield head(decision)
    for drift in decision.drifts:
        yield f"  drift {drift_in_words(drift)}"
    for gap in decision.not_enforced:
        yield f"  not enforced {gap.path}: {gap.message}"
    for note in decision.notes:
        if note.message == decision.message:
            continue  # said in the head already
        yield f"  note {note.reason}: {note.message}"
    for action in decision.actions:
        yield f"  {phrases.describe(action)}"


def head(decision: Decision) -> str:
    """`alice: Replace (SpecChanged): image differs`."""
    text = f"{decision.workspace}: {decision.verdict} ({decision.reason})"
    return f"{text}: {decision.message}" if decision.message else text


def drift_in_words(drift: Drift) -> str:
    """`env FOO a -> b`; both values are hidden where the name promises a secret."""
    before, after = drift_values(drift)
    return f"{drift.kind} {drift.field} {before} -> {after}"


def drift_values(drift: Drift) -> tuple[str, str]:
    """What is and what should be, as it may be shown."""
    if drift.kind is DriftKind.ENV:
        return secrecy.shown(drift.field, drift.observed), secrecy.shown(drift.field, drift.desired)
    return drift.observed, drift.desired


def object_of(status: WorkspaceStatus, found: SlicesStatus = NO_SLICES) -> objects.WorkspaceObject:
    """The object that `wharf get workspace NAME -o yaml` prints: plain values, camelCase.

    `found` are the slices of the pass, of which it says where the workspace is and what it uses.
    """
    return objects.workspace_object(status, found)


def row(workspace: objects.WorkspaceObject, now: datetime) -> tuple[str, ...]:
    """The cells of one workspace below `COLUMNS`, none of them empty or with a blank."""
    return (
        workspace["metadata"]["name"],
        workspace["status"]["owner"] or NONE,
        ready(workspace),
        state(workspace),
        gpus(workspace),
        NONE,
        reason(workspace),
        age(datetime.fromisoformat(workspace["metadata"]["creationTimestamp"]), now),
    )


def state(workspace: objects.WorkspaceObject) -> str:
    """What its container does, in one word: Running, Stopped, Exited, Created, Paused, Missing, Unknown."""
    container = workspace["status"].get("container")
    if _condition(workspace, "ContainerRunning").get("status") == "Unknown":
        return "Unknown"
    if container is None:
        return "Missing"
    if container["state"] == "exited" and workspace["status"]["desiredState"] == "Stopped":
        return "Stopped"
    return container["state"].capitalize()


def gpus(workspace: objects.WorkspaceObject) -> str:
    """How many GPUs it has, and how many it wants where that is another number: `1`, `0/2`, `8/all`."""
    told = workspace["status"].get("gpus")
    if told is None:
        return NONE
    wanted = told.get("wanted", {"mode": "None", "count": 0})
    has, wants = str(len(told["devices"])), str(wanted.get("count", "all"))
    text = has if has == wants else f"{has}/{wants}"
    return f"{text}:SIMULATED" if told.get("simulated") else text


def ready(workspace: objects.WorkspaceObject) -> str:
    """True, False or Unknown."""
    return _condition(workspace, "Ready").get("status", "Unknown")


def reason(workspace: objects.WorkspaceObject) -> str:
    """Why a person must act if one must, else why it is ready or not."""
    for kind in ("Stalled", "Ready"):
        condition = _condition(workspace, kind)
        if condition:
            return condition.get("reason", NONE)
    return NONE


def _condition(workspace: objects.WorkspaceObject, kind: str) -> dict[str, str]:
    for condition in workspace["status"]["conditions"]:
        if condition["type"] == kind:
            return {name: condition[name] for name in ("status", "reason", "message")}
    return {}


def size(count: int) -> str:
    """Bytes for people, to three digits: `512B`, `1.4MiB`, `23GiB`."""
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < _KIBI:
            break
        value, unit = value / _KIBI, larger
    return f"{value:.1f}{unit}" if unit != "B" and value < _EXACT_BELOW else f"{value:.0f}{unit}"


def age(since: datetime, now: datetime) -> str:
    """Time that has gone by, as kubectl writes it: 45s, 3m20s, 47m, 5h12m, 30h, 3d4h, 90d, 2y80d."""
    return duration(now - since)


def duration(length: timedelta) -> str:
    """A length of time in at most two units, never more exact than a person cares for."""
    seconds = max(0, int(length.total_seconds()))
    if seconds < 2 * _MINUTE:
        return f"{seconds}s"
    if seconds < 3 * _HOUR:
        return _two_units(seconds, (_MINUTE, "m"), (1, "s"), below=10)
    if seconds < 2 * _DAY:
        return _two_units(seconds, (_HOUR, "h"), (_MINUTE, "m"), below=8)
    if seconds < 2 * _YEAR:
        return _two_units(seconds, (_DAY, "d"), (_HOUR, "h"), below=8)
    return _two_units(seconds, (_YEAR, "y"), (_DAY, "d"), below=8)


def _two_units(seconds: int, large: tuple[int, str], small: tuple[int, str], *, below: int) -> str:
    whole, rest = divmod(seconds, large[0])
    parts = rest // small[0]
    return f"{whole}{large[1]}{parts}{small[1]}" if parts and whole < below else f"{whole}{large[1]}"
