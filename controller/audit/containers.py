"""Knows what must never be true of containers: who holds what, which run is met, how many of them run.

Refuses to ask why something was done; that is in `causes`.
"""

from collections.abc import Iterator, Mapping

from controller.audit import tracing
from controller.audit.evidence import Evidence, Happening, Standing
from controller.audit.finding import Violation


def exclusive_units(evidence: Evidence) -> Iterator[Violation]:
    """S1: no two workspaces' running containers hold one unit.

    A unit is what only one can have, such as a host port; a whole GPU has the units of all its slices.
    """
    holders: dict[str, Standing] = {}
    for standing in evidence.standings:
        if not standing.running or not standing.owned:
            continue
        for unit in standing.units:
            holder = holders.setdefault(unit, standing)
            if holder.workspace != standing.workspace:
                message = f"{unit} is held by {holder.name} and by {standing.name}, and both run"
                yield Violation("S1", evidence.at, standing.workspace, message)


def only_ours(evidence: Evidence) -> Iterator[Violation]:
    """S5: what a controller does, it does to a container with a valid claim, of the workspace it means."""
    for happening in tracing.by_controller(evidence):
        if not happening.claim_known:
            continue
        if not happening.workspace:
            message = f"{happening.what} of {_text(happening)}, which is not ours"
            yield Violation("S5", happening.at, happening.name, message)
            continue
        deed = tracing.deed(tracing.chain(evidence, happening.intent), happening)
        meant = deed.facts.get("workspace") if deed else happening.workspace
        if meant != happening.workspace:
            message = f"{happening.what} of {_text(happening)}, which was meant for {meant}"
            yield Violation("S5", happening.at, happening.workspace, message)


def claims_unknown(evidence: Evidence) -> str:
    """Say of how many things nobody can tell any more to whose container they were done."""
    gone = sum(1 for happening in tracing.by_controller(evidence) if not happening.claim_known)
    return f"{gone} actions were on containers that are gone" if gone else ""


def the_very_run(evidence: Evidence) -> Iterator[Violation]:
    """S6: a start, a stop or a removal meets the run that its deed expects; for a start, the one before it.

    A look is not a lock: a run that began after the executor had compared is met by the call all the same,
    and is no violation (docs/known-flaws.md).
    """
    for happening in tracing.by_controller(evidence, "start", "stop", "destroy"):
        deed = tracing.deed(tracing.chain(evidence, happening.intent), happening)
        expected = deed.facts.get("expected") if deed else None
        if not happening.run_known or not isinstance(expected, Mapping) or _began_since(happening):
            continue
        run = tracing.moment(expected.get("started_at")), expected.get("pid")
        if run != (happening.started_at, happening.pid):
            message = (
                f"{happening.what} of {_text(happening)} met the run since {happening.started_at}, pid "
                f"{happening.pid}; expected was since {run[0]}, pid {run[1]}"
            )
            yield Violation("S6", happening.at, happening.workspace, message)


def _began_since(happening: Happening) -> bool:
    compared, began = happening.compared_at, happening.started_at
    return compared is not None and began is not None and began >= compared


def runs_unknown(evidence: Evidence) -> str:
    """Say that nobody looked at the runs that calls met."""
    if all(happening.run_known for happening in tracing.by_controller(evidence, "start", "stop", "destroy")):
        return ""
    return "the Engine does not tell which run a call met"


def one_runs(evidence: Evidence) -> Iterator[Violation]:
    """S7: a controller starts no container while another of the same workspace runs.

    A predecessor that is put aside runs on until its successor is made; the chain that starts the successor
    stops it first. So two run together only where somebody else starts one of them, which no controller can
    prevent: what began after the executor had compared (or, where nobody can tell, after the look) is no
    violation, and neither is a call of a dead controller that the Engine carries out late. Whatever the
    current controller itself began is.
    """
    for happening in tracing.by_controller(evidence, "start"):
        if evidence.epoch is not None and happening.epoch not in {None, evidence.epoch}:
            continue
        for other in _beside(evidence, happening):
            message = f"{happening.name} was started while {other.name} ran"
            yield Violation("S7", happening.at, happening.workspace, message)


def _beside(evidence: Evidence, started: Happening) -> Iterator[Standing]:
    """Return the containers that ran when this one was started and run now, where that could be known."""
    if not started.workspace or not _runs(evidence, started.container_id):
        return
    for other in evidence.standings:
        ours = other.owned and other.workspace == started.workspace and other.running
        if ours and other.container_id != started.container_id and _could_be_known(evidence, started, other):
            yield other


def _runs(evidence: Evidence, container_id: str) -> bool:
    return any(one.running and one.container_id == container_id for one in evidence.standings)


def _could_be_known(evidence: Evidence, started: Happening, other: Standing) -> bool:
    begun = tracing.latest(evidence, "start", other.container_id)
    began = begun.at if begun else other.started_at
    if began is not None and began > started.at:
        return False  # it is the later one, and judged as such
    if begun is not None and begun.by == tracing.CONTROLLER and begun.epoch == started.epoch:
        return True
    decided = tracing.decided_at(started, tracing.chain(evidence, started.intent))
    return began is None or began < (started.compared_at or decided)


def looked_before_start(evidence: Evidence) -> Iterator[Violation]:
    """S8: a start rests on a look that began after its container was made."""
    for happening in tracing.by_controller(evidence, "start"):
        made = tracing.latest(evidence, "create", happening.container_id)
        if made is None or happening.seen_at is None or happening.seen_at >= made.at:
            continue
        message = (
            f"{_text(happening)} was made at {made.at} and started on a look that began {happening.seen_at}"
        )
        yield Violation("S8", happening.at, happening.workspace, message)


def looks_before_starts_unknown(evidence: Evidence) -> str:
    """Say that it is not known when the looks began that starts rest on."""
    if all(happening.seen_at is not None for happening in tracing.by_controller(evidence, "start")):
        return ""
    return "the journal does not tell when the look began that a start rests on"


def beneath_roots(evidence: Evidence) -> Iterator[Violation]:
    """S13: what is mounted into a container of ours lies beneath the allowed roots."""
    roots = evidence.roots
    if roots is None:
        return
    inside = tuple(f"{root.rstrip('/')}/" for root in roots)
    for standing in evidence.standings:
        if not standing.owned or standing.kept:
            continue
        for source in standing.binds:
            path = f"{source}/"
            if not path.startswith(inside) or "/../" in path:
                message = f"{standing.name} mounts {source}, which lies beneath none of {', '.join(roots)}"
                yield Violation("S13", evidence.at, standing.workspace, message)


def roots_unknown(evidence: Evidence) -> str:
    """Say that the roots are not known."""
    return "no policy tells which roots are allowed" if evidence.roots is None else ""


def _text(happening: Happening) -> str:
    return f"{happening.name} ({happening.container_id[:12]})"
