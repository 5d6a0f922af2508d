"""Knows which kept containers go: those that a person wants removed, and old ones that hold nothing of worth.

Refuses to remove a container with anything in its writable layer but logs and caches, one that runs, one
that may be needed to undo a replacement, and by itself one that somebody renamed.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from controller.api.conditions import Reason
from controller.model import actions
from controller.model.memory import Memory, Retained
from controller.model.observed import Container, EngineView, Layer
from controller.model.plan import Decision, Verdict
from controller.planning.case import expected, main_name

LOOK_AGAIN = timedelta(minutes=10)
"""The layer of a kept container that stays is looked into once more after this long."""
EXPENDABLE_BYTES = 64 * 2**20
"""A writable layer larger than this stays, whatever is in it."""
EXPENDABLE = ("/var/log", "/var/cache", "/var/tmp", "/tmp", "/run", "/root/.cache")  # noqa: S108 - names, not files
"""Logs and caches: what a program can make again."""


def expired(memory: Memory, retain: timedelta, now: datetime) -> tuple[str, ...]:
    """Return the kept containers that may go by themselves if their layers hold nothing, oldest first."""
    due = [kept for kept in memory.retained.values() if now - kept.at >= retain and not _needed(kept, memory)]
    return tuple(kept.container_id for kept in sorted(due, key=lambda kept: (kept.at, kept.container_id)))


def next_looks(due: Iterable[str], looked: Mapping[str, datetime], now: datetime) -> tuple[str, ...]:
    """Return whose layers are looked into next: who never was comes first, so that nobody is in the way.

    `looked` says when each was looked into last; a time of the future is one of a clock that was set back.
    """
    never = [one for one in due if one not in looked]
    again = [one for one in due if one in looked and not timedelta(0) <= now - looked[one] < LOOK_AGAIN]
    return (*never, *sorted(again, key=lambda one: looked[one]))


def upkeep(
    view: EngineView, layers: Mapping[str, Layer], memory: Memory, retain: timedelta, now: datetime
) -> tuple[Decision, ...]:
    """Decide for each kept container whether it goes; those of a paused workspace stay."""
    old = frozenset(expired(memory, retain, now))
    free = (kept for kept in memory.retained.values() if kept.workspace not in memory.pauses)
    found = (_decide(kept, view, layers, memory, old) for kept in free)
    return tuple(decision for decision in found if decision is not None)


def _decide(
    kept: Retained, view: EngineView, layers: Mapping[str, Layer], memory: Memory, old: frozenset[str]
) -> Decision | None:
    container = view.containers.get(kept.container_id)
    if container is None:
        if kept.name in view.unknown or main_name(kept.workspace) in view.unknown:
            return None
        return _remove(kept, None, Reason.CONTAINER_MISSING, "somebody removed it")
    in_use = container.running or container.name == main_name(kept.workspace) or _needed(kept, memory)
    if in_use or container.name in view.unknown:
        return None
    if kept.container_id in memory.forget_requests:
        return _remove(kept, container, Reason.FORGET_REQUESTED, "a person asked for it")
    layer = layers.get(kept.container_id)
    due = kept.container_id in old and container.name == kept.name
    if due and layer is not None and is_expendable(container, layer):
        message = (
            f"kept since {kept.at:%Y-%m-%d %H:%M}, and its writable layer holds nothing but logs and caches"
        )
        return _remove(kept, container, Reason.RETENTION_OVER, message)
    return None


def _needed(kept: Retained, memory: Memory) -> bool:
    """Tell whether it is the way back from a replacement, or on its way back."""
    replacement, rollback = memory.replacements.get(kept.workspace), memory.rollbacks.get(kept.workspace)
    return (replacement is not None and replacement.old_id == kept.container_id) or (
        rollback is not None and rollback.to_id == kept.container_id
    )


def _remove(kept: Retained, container: Container | None, reason: Reason, message: str) -> Decision:
    forget = actions.ForgetRetained(kept.workspace, kept.container_id)
    gone: tuple[actions.Action, ...] = (forget,)
    if container is not None:
        remove = actions.RemoveContainer(kept.workspace, container.id, container.name, expected(container))
        gone = (remove, forget)
    return Decision(
        workspace=f"retained/{kept.name}",
        verdict=Verdict.REMOVE,
        reason=reason,
        message=message,
        actions=gone,
        container_id=kept.container_id,
        key=f"retained/{kept.container_id}",
    )


def is_expendable(container: Container, layer: Layer) -> bool:
    """Tell whether a writable layer holds nothing that a person could miss."""
    if layer.size > EXPENDABLE_BYTES or not layer.complete:
        return False
    targets = [bind.target for bind in container.configuration.binds]
    return all(_is_expendable_path(path, targets) for path in layer.changed)


def _is_expendable_path(path: str, targets: list[str]) -> bool:
    """Logs and caches, the directories above them, and the empty directories that mounts lie on."""
    if "/.cache/" in path or any(_lies_in(path, place) for place in EXPENDABLE):
        return True
    return any(_lies_in(place, path) for place in (*EXPENDABLE, *targets))


def _lies_in(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip("/") + "/")
