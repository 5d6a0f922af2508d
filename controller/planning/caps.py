"""Knows how an owner's quotas cap what one of that owner's workspaces gets.

Refuses to count: what all workspaces of an owner have together is decided elsewhere.
"""

from typing import Final

from controller.planning import origins
from controller.planning.origins import Origin, Value

CAPPED: Final = ("cpus", "memory", "shm", "pids")
"""What one workspace can never have more of than its owner may have in all."""
_MEMORY: Final = "resources.memory"
_RESERVATION: Final = "resources.memoryReservation"


def apply(values: dict[str, Value], quotas: dict[str, Value]) -> None:
    """Lower what is above its quota, in place; unlimited is above every quota."""
    for name in CAPPED:
        cap = quotas.get(name)
        if cap is not None and cap.value is not None:
            _lower(values, f"resources.{name}", cap)
    memory = values.get(_MEMORY)
    if memory is not None and _is_above(values.get(_RESERVATION, memory), memory.value):
        file, line, rule, _ = memory.origin
        besides = f"at most memory, {_was(_RESERVATION, values[_RESERVATION])}"
        values[_RESERVATION] = Value(memory.value, Origin(file, line, rule, besides))


def _lower(values: dict[str, Value], path: str, cap: Value) -> None:
    had = values.get(path)
    if had is not None and had.value is not None and not _is_above(had, cap.value):
        return
    file, line, rule, _ = cap.origin
    shown = rule if rule == "quotas" else f"quotas of {rule}"
    besides = "was unlimited" if had is None else _was(path, had)
    values[path] = Value(cap.value, Origin(file, line, shown, besides))


def _is_above(value: Value, limit: object) -> bool:
    return isinstance(value.value, int) and isinstance(limit, int) and value.value > limit


def _was(path: str, value: Value) -> str:
    return f"was {origins.word(path, value.value)} by {value.origin}"
