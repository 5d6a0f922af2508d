"""Knows what must come true once faults have healed: each one function over what is true and what was done.

It refuses to heal and to wait.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from controller.api.conditions import Reason
from controller.audit.evidence import Deed, Happening
from controller.audit.tracing import CONTROLLER
from controller.model.plan import Decision

NAMED_AFTER: Final = 120.0
"""Seconds after which what is not as wanted says why (L6)."""
SILENT: Final = 20.0
"""Seconds for which it may be taken for as wanted: a resync and a little."""
UPKEEP: Final = frozenset({"RemoveContainer", "ForgetRetained", "ReturnPorts"})
"""What is kept goes when its time is over, and an idle port is given back, whatever else there is to do."""


@dataclass(frozen=True, slots=True)
class Aftermath:
    """One host some time after its faults: what is true of it, and what was done since.

    Attributes:
        seconds: since they healed.
        due: seconds after which all is to be as wanted, the known waits of the product counted.
        wanted: workspaces that people want.
        poisoned: one of them that cannot be as wanted, or empty.
        amiss: why it is not as wanted, by workspace; of the poisoned one, too.
        at_work: why the controller is not at rest, or empty.
        silent: seconds for which nobody has said that something of a workspace is amiss, by workspace.
        decisions: of the last pass.
        happenings: all that happened to containers; deeds: all that was begun.
        its_slices: under which names the slices are decided about that the poisoned one has a part in.
        settled: how many of each there were when all was as wanted; None before.
    """

    seconds: float
    due: float
    wanted: tuple[str, ...]
    poisoned: str
    amiss: Mapping[str, str]
    at_work: str
    silent: Mapping[str, float]
    decisions: Mapping[str, Decision]
    happenings: Sequence[Happening] = ()
    deeds: Sequence[Deed] = ()
    its_slices: tuple[str, ...] = ()
    settled: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Promise:
    """Something that must come true.

    Attributes:
        id: such as `L1`.
        title: what is promised, in a few words.
        check: a sentence for each way in which it did not; keeps no state.
    """

    id: str
    title: str
    check: Callable[[Aftermath], Iterator[str]]


def soon_as_wanted(after: Aftermath) -> Iterator[str]:
    """L1: all is as people want it in time, nothing stays open, and then no container is changed any more."""
    starved = _starved(after)
    for name, why in _late(after).items():
        if name not in starved:
            yield _told(after, why)
    if after.at_work and after.seconds > after.due and after.settled is None:
        yield _told(after, after.at_work)
    for happening in after.happenings[after.settled[0] :] if after.settled else ():
        ours = happening.by == CONTROLLER and happening.workspace != after.poisoned
        if ours and not _is_due(after, happening):
            yield f"{happening.what} of {happening.name} although all was as wanted"


def isolated(after: Aftermath) -> Iterator[str]:
    """L2: where one cannot be as wanted, what is decided for the others is done all the same."""
    for name in _starved(after):
        yield _told(after, f"{after.amiss[name]}, and nobody does what was decided, beside {after.poisoned}")


def nothing_leaks(after: Aftermath) -> Iterator[str]:
    """L3: of what is no longer wanted nothing is left: no container in its name, no spec, no port."""
    if after.seconds > after.due:
        yield from (why for name, why in after.amiss.items() if name not in after.wanted)


def says_why(after: Aftermath) -> Iterator[str]:
    """L6: whatever is not as wanted for long has a decision that says why, or does something about it."""
    if after.seconds <= NAMED_AFTER:
        return
    for name, seconds in after.silent.items():
        if seconds > SILENT and name in after.amiss:
            yield f"{after.amiss[name]}, and nobody says so for {seconds:.0f} s"


def at_rest(after: Aftermath) -> Iterator[str]:
    """L7: nothing is begun where nothing has changed, not even what would change no container.

    One that is stuck may move late, and take its name at the proxy from a younger one of its owner.
    """
    if after.settled is None:
        return
    fresh = after.deeds[after.settled[1] :]
    upkeep = {deed.intent for deed in fresh if deed.kind in UPKEEP or _undoes(after, deed)}
    stuck = {after.poisoned, f"route/{after.poisoned}", *after.its_slices}
    if any(deed.workspace in stuck for deed in fresh):
        stuck.update(deed.workspace for deed in fresh if deed.workspace.startswith("route/"))
    for deed in fresh:
        if deed.workspace not in stuck and deed.intent not in upkeep:
            yield f"{deed.kind} for {deed.workspace} ({deed.reason}) although nothing had changed"


LIVENESS: Final = (
    Promise("L1", "All is soon as wanted, and then at rest", soon_as_wanted),
    Promise("L2", "What cannot be as wanted keeps nobody else from it", isolated),
    Promise("L3", "Nothing is left of what is no longer wanted", nothing_leaks),
    Promise("L6", "What is not as wanted says why", says_why),
    Promise("L7", "Nothing is begun where nothing has changed", at_rest),
)
"""In the order of their numbers.

L4 (what is idle stops in time) joins with idle stops, L5 (who waits longest is served first) with the queue
for devices. L8 (a crash at any effect changes nothing of the end) is test_crash_at_every_effect.py.
"""


def _undoes(after: Aftermath, deed: Deed) -> bool:
    """Tell whether it is put back what somebody changed by `docker update`, perhaps late."""
    met = str(deed.facts.get("container_id"))
    return deed.kind in {"UpdateLimits", "ClearRestartPolicy"} and _was_updated(after.happenings, met)


def silent(amiss: Mapping[str, str], decisions: Mapping[str, Decision]) -> Iterator[str]:
    """Workspaces of which something is amiss, and whose decision neither says so nor does anything."""
    for name in amiss:
        decision = decisions.get(name)
        if decision is None or not _speaks(decision):
            yield name


def _speaks(decision: Decision) -> bool:
    """Tell whether a decision says that something is amiss, or does something about it."""
    return decision.reason is not Reason.AS_SPECIFIED and bool(decision.message or decision.actions)


def _late(after: Aftermath) -> dict[str, str]:
    """What people want, could have, and have not in time: why, by workspace."""
    if after.seconds <= after.due:
        return {}
    wanted = set(after.wanted) - {after.poisoned}
    return {name: why for name, why in after.amiss.items() if name in wanted}


def _starved(after: Aftermath) -> list[str]:
    """Workspaces that have to wait beside a poisoned one although there is something to be done for them."""
    decided = after.decisions if after.poisoned else {}
    return [name for name in _late(after) if name in decided and decided[name].actions]


def _told(after: Aftermath, why: str) -> str:
    said = (f"{d.workspace}: {d.verdict} {d.reason} {d.message}" for d in after.decisions.values())
    return f"after {after.seconds:.0f} s: {why}; {'; '.join(said)}"


def _is_due(after: Aftermath, happening: Happening) -> bool:
    """Tell whether it is due only now: a kept container's time is over, or a person's update is undone."""
    if happening.what == "update":
        return _was_updated(after.happenings, happening.container_id)
    return happening.what == "destroy" and "." in happening.name


def _was_updated(happenings: Sequence[Happening], container_id: str) -> bool:
    """Tell whether somebody changed limits by hand: where the event was lost, a full look finds it later."""
    updates = (one for one in happenings if one.what == "update" and one.container_id == container_id)
    return any(one.by != CONTROLLER for one in updates)
