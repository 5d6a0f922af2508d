"""Knows what becomes of a container that others dispute its GPUs, that holds them for nothing, or lost them.

Refuses to remove a container that ever ran, and to stop one unless a person lets it.
"""

from datetime import timedelta
from typing import Final

from controller.api import labels
from controller.api.conditions import Reason
from controller.model.memory import Cause
from controller.model.observed import Container, ContainerState
from controller.model.plan import Decision, Verdict
from controller.planning import chains, devices, obstacles
from controller.planning.case import Case

LONGEST_CONTEST: Final = timedelta(seconds=8)
"""Two containers that were made for one device at once do not both give way at the same time."""


def has_run(container: Container) -> bool:
    """Tell whether a container ever ran, so that its writable layer may hold something."""
    return container.state is not ContainerState.CREATED or container.started_at is not None


def give_way(case: Case, container: Container, rival: str) -> Decision:
    """Withdraw a container that never ran, each after a time of its own: who is alone then may start.

    Nobody wins by having been first: what was made last may be seen first.
    """
    instance = container.labels.get(labels.INSTANCE, "") or container.id
    patience = timedelta(seconds=1) + (LONGEST_CONTEST - timedelta(seconds=1)) * (
        int(instance[:8], 16) / 2**32
    )
    due = container.created + patience
    message = f"{rival} claims its devices, too"
    if case.now < due <= case.now + LONGEST_CONTEST:
        text = f"{message}; it gives way at {due:%H:%M:%S}"
        return case.decide(Verdict.WAIT, Reason.GPU_CONTENDED, text, retry_at=due)
    gone = chains.discard(case, container)
    return case.decide(Verdict.UPDATE, Reason.GPU_CONTENDED, f"{message}; it gives way", actions=gone)


def released(case: Case, why: str) -> Decision | None:
    """A container that never ran and is not to be started keeps its devices from others: it goes."""
    container = case.ours.main
    if container is None or has_run(container) or not devices.of(container):
        return None
    gone = chains.discard(case, container)
    return case.decide(Verdict.UPDATE, Reason.GPU_RELEASED, why, actions=gone)


def unreachable(case: Case) -> Decision | None:
    """It cannot open its devices any more: its next start gives them back, at once if a person lets it."""
    if case.gear is None or not case.gear.lost:
        return None
    message = case.gear.lost
    if case.approved:
        hold = obstacles.host(case) or obstacles.own_devices(case)
        return hold or case.decide(
            Verdict.STOP,
            Reason.GPU_ACCESS_LOST,
            f"{message}; it is started again at once",
            actions=(*chains.mounts(case), *chains.stop(case, case.container)),
            disrupts=True,
            cause=Cause.EDITED,
        )
    live = chains.repair(case)
    return case.decide(
        Verdict.UPDATE if live else Verdict.WAIT,
        Reason.GPU_ACCESS_LOST,
        f"{message}; its next start gives it back, or `wharf approve {case.name}` at once",
        actions=live,
    )
