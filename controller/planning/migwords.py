"""Knows how changes of MIG instances are told: in words, and as commands of nvidia-smi to copy.

Refuses to run any, and to choose.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from controller.model.mig import Change, Create, Destroy, Layout, NoLayout, SwitchOn

_UNKNOWN: Final = "ID"


def words(change: Change) -> str:
    """Return one change as a sentence without a full stop."""
    match change:
        case SwitchOn(gpu):
            return f"switch on the MIG mode of {gpu}, which nobody holds"
        case Destroy(gpu, instance):
            names = f" ({', '.join(instance.uuids)})" if instance.uuids else ""
            return f"destroy the free {instance.profile} at slice {instance.start} of {gpu}{names}"
        case Create(gpu, profile, start):
            return f"create a {profile} at slice {start} of {gpu}"


def commands(layout: Layout) -> tuple[str, ...]:
    """Return the lines for a shell that make the changes, GPU by GPU."""
    gpus = dict.fromkeys(change.gpu for change in layout.changes)
    return tuple(
        line for gpu in gpus for line in _of_gpu(gpu, [one for one in layout.changes if one.gpu == gpu])
    )


def _of_gpu(gpu: str, changes: Sequence[Change]) -> Iterator[str]:
    if any(isinstance(change, SwitchOn) for change in changes):
        yield f"nvidia-smi -i {gpu} -mig 1"
    destroyed = [change.instance for change in changes if isinstance(change, Destroy)]
    for one in destroyed:
        number = one.number
        if number is None:
            place = f"{one.profile} at {one.start}:{one.size}"
            yield f"# {_UNKNOWN} of the {place} is told by: nvidia-smi mig -i {gpu} -lgi"
        if one.uuids:
            yield f"nvidia-smi mig -i {gpu} -dci -gi {_UNKNOWN if number is None else number}"
        yield f"nvidia-smi mig -i {gpu} -dgi -gi {_UNKNOWN if number is None else number}"
    created = [f"{change.profile}:{change.start}" for change in changes if isinstance(change, Create)]
    if created:
        yield f"nvidia-smi mig -i {gpu} -cgi {','.join(created)} -C"


def reasons(none: NoLayout) -> tuple[str, ...]:
    """Return why the requests cannot be satisfied, a line each."""
    return tuple(f"{name}: {reason}" for name, said in none.reasons.items() for reason in said)
