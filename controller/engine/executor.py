"""Knows how each action on the Engine is carried out: one call, compared before with what it expects.

It refuses to choose and to look anything up that the action does not carry. What the action expects of a
container (full id, start time, pid) is compared by one inspect before the call; a difference is `Skipped`.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import assert_never

from controller.api import labels, quantities
from controller.api.conditions import Reason
from controller.engine import calls, images, parsing, templates, transport
from controller.model import actions, errors, observed, outcomes

ReadLimits = Callable[[int], observed.Limits]
ReadMemoryUse = Callable[[int], int | None]
Owns = Callable[[str, Mapping[str, str]], bool]
_MISSING = "the container is gone"


class _ChangedError(Exception):
    """The object is not as the action expects."""


class EngineExecutor:
    """Carries out actions on one Engine, from any thread.

    Attributes of construction:
        read_limits: what the kernel enforces on a host pid; raises `errors.EffectError` if it cannot be read.
        read_memory_use: bytes that its cgroup holds; None if they cannot be read.
        owns: whether a container of this id, with these labels, is ours; no other one keeps us from a start.
        on_progress: reference and one line of a pull's progress.
    """

    def __init__(
        self,
        client: calls.EngineClient,
        read_limits: ReadLimits,
        read_memory_use: ReadMemoryUse,
        owns: Owns,
        on_progress: Callable[[str, transport.Row], None] = lambda _reference, _row: None,
    ) -> None:
        self._client = client
        self._read_limits = read_limits
        self._read_memory_use = read_memory_use
        self._owns = owns
        self._on_progress = on_progress
        self._facts: parsing.HostFacts | None = None

    def execute(self, action: actions.EngineAction) -> outcomes.Outcome:
        """Carry out one action. Raises nothing on the Engine's account; our own defects pass through."""
        begin = time.monotonic()
        try:
            changed = self._carry_out(action)
        except _ChangedError as change:
            return outcomes.Skipped(action, time.monotonic() - begin, str(change))
        except errors.EffectError as error:
            return _fail(action, time.monotonic() - begin, error)
        return outcomes.Succeeded(action, time.monotonic() - begin, already=not changed)

    def _carry_out(self, action: actions.EngineAction) -> bool:  # noqa: C901, PLR0912 - one case for each word
        """Whether anything had to be done."""
        match action:
            case actions.PullImage():
                return self._client.pull(
                    action.reference, lambda row: self._on_progress(action.reference, row)
                )
            case actions.EnsureNetwork():
                return _unless(
                    "already exists", lambda: self._client.create_network(templates.render_network(action))
                )
            case actions.CreateContainer():
                return self._create(action)
            case actions.StartContainer():
                return self._start(action)
            case actions.StopContainer():
                return self._stop(action)
            case actions.UnpauseContainer():
                return _unless("is not paused", lambda: self._client.unpause(action.container_id))
            case actions.RenameContainer():
                return self._rename(action)
            case actions.RemoveContainer():
                return self._remove(action)
            case actions.UpdateLimits():
                return self._update_limits(action)
            case actions.ClearRestartPolicy():
                self._client.update(action.container_id, templates.NO_RESTART)
                return True
            case actions.RemoveImage():
                return self._remove_image(action)
            case actions.ConnectNetwork():
                return _unless(
                    "already exists in network",
                    lambda: self._client.connect_network(action.network, action.container_id),
                )
            case _:
                assert_never(action)

    def _create(self, action: actions.CreateContainer) -> bool:
        try:
            self._client.create_container(action.name, templates.render_container(action))
        except errors.EffectError as error:
            if error.reason is not Reason.NAME_TAKEN:
                raise
            holder = self._client.inspect_container(action.name)
            instance = action.labels.get(labels.INSTANCE)
            if holder is None or (holder["Config"].get("Labels") or {}).get(labels.INSTANCE) != instance:
                raise
            return False
        return True

    def _start(self, action: actions.StartContainer) -> bool:
        row = self._client.inspect_container(action.container_id)
        if row is None:
            raise _ChangedError(_MISSING)
        if _runs(row):
            return False
        _compare(action.expected, row)
        if row["Name"] != f"/{action.name}":
            raise _ChangedError(f"the container has another name now: {row['Name']}")
        other = self._running_beside(action)
        if other:
            raise _ChangedError(f"another container of the workspace runs: {other[:12]}")
        return self._client.start(action.container_id)

    def _running_beside(self, action: actions.StartContainer) -> str:
        """Return the id of another container of the workspace that runs; a copy of one is not ours.

        The list tells which there are. Whether they run is inspected: the list may lag after a full disk.
        """
        rows = self._client.list_containers(f"{labels.WORKSPACE}={action.workspace}")
        marks = {str(row["Id"]): row.get("Labels") or {} for row in rows}
        times = Counter(found.get(labels.INSTANCE) for found in marks.values())
        for other, found in marks.items():
            ours = times[found.get(labels.INSTANCE)] == 1 and self._owns(other, found)
            if other == action.container_id or not ours:
                continue
            row = self._client.inspect_container(other)
            if row is not None and _runs(row):
                return other
        return ""

    def _stop(self, action: actions.StopContainer) -> bool:
        row = self._client.inspect_container(action.container_id)
        if row is None or not _runs(row):
            return False
        _compare(action.expected, row)
        return self._client.stop(action.container_id, action.grace)

    def _rename(self, action: actions.RenameContainer) -> bool:
        try:
            return _unless(
                "same name as its current name",
                lambda: self._client.rename(action.container_id, action.new_name),
            )
        except errors.EffectError as error:
            if error.reason is not Reason.NAME_TAKEN:
                raise
            holder = self._client.inspect_container(action.new_name)
            if holder is None or holder["Id"] != action.container_id:
                raise
            return False

    def _remove(self, action: actions.RemoveContainer) -> bool:
        row = self._client.inspect_container(action.container_id)
        if row is None:
            return False
        _compare(action.expected, row)
        try:
            self._client.remove(action.container_id)
        except errors.EffectError as error:
            if error.reason is Reason.CONTAINER_BUSY or "No such container" in error.message:
                return False  # somebody else's removal is under way or over
            raise
        return True

    def _remove_image(self, action: actions.RemoveImage) -> bool:
        try:
            return images.remove(self._client, action)
        except LookupError as change:
            raise _ChangedError(str(change)) from change

    def _update_limits(self, action: actions.UpdateLimits) -> bool:
        row = self._client.inspect_container(action.container_id)
        if row is None:
            raise _ChangedError(_MISSING)
        _compare(action.expected, row)
        if _runs(row):
            self._refuse_to_kill(action.limits, int(row["State"]["Pid"]))
        if self._facts is None:
            self._facts = parsing.parse_facts(self._client.info())
        facts = self._facts
        body = templates.render_update(action.limits, row["HostConfig"], facts)
        self._client.update(action.container_id, body)
        differing = templates.differing_limits(action.limits, self._read_back(action.container_id), facts)
        if differing:
            raise errors.Retryable(Reason.NOT_APPLIED, f"not applied: {', '.join(differing)}")
        return True

    def _refuse_to_kill(self, limits: observed.Limits, pid: int) -> None:
        """Raise if memory would be limited to less than is in use: version 2 of the cgroups kills then.

        It is an error and no change meanwhile: where nobody else sees the use, it would be tried for ever.
        """
        had = self._read_limits(pid).memory
        if limits.memory is None or (had is not None and had <= limits.memory):
            return
        use = self._read_memory_use(pid)
        if use is None:
            raise errors.Retryable(Reason.NOT_SEEN, f"what process {pid} uses of memory cannot be read")
        if use >= limits.memory:
            used, least = (quantities.format_bytes(value) for value in (use, limits.memory))
            message = f"{used} of memory are in use, which is not less than {least}"
            raise errors.Retryable(Reason.MEMORY_LOWERING, message)

    def _read_back(self, container_id: str) -> observed.Limits:
        """What the kernel enforces, or, where nothing runs, what the Engine will ask of it."""
        row = self._client.inspect_container(container_id)
        if row is None:
            raise _ChangedError(_MISSING)
        if _runs(row):
            return self._read_limits(int(row["State"]["Pid"]))
        return parsing.parse_limits(row["HostConfig"])


def _runs(row: transport.Row) -> bool:
    return bool(row["State"]["Running"])


def _compare(expected: actions.Expected, row: transport.Row) -> None:
    """Raise unless the container is in the run that the action was planned for."""
    state = row["State"]
    found = actions.Expected(
        _runs(row), parsing.parse_time(state.get("StartedAt")), int(state.get("Pid") or 0)
    )
    if found != expected:
        raise _ChangedError(f"the container changed: expected {_text(expected)}, found {_text(found)}")


def _text(run: actions.Expected) -> str:
    return f"{'running' if run.running else 'stopped'} since {run.started_at}, pid {run.pid}"


def _unless(already: str, call: Callable[[], None]) -> bool:
    """Whether the call did something: a refusal with these words says that there was nothing to do."""
    try:
        call()
    except errors.EffectError as error:
        if already in error.message:
            return False
        raise
    return True


def _fail(action: actions.EngineAction, seconds: float, error: errors.EffectError) -> outcomes.Outcome:
    if error.reason is Reason.CHANGED_MEANWHILE:
        return outcomes.Skipped(action, seconds, error.message)
    return outcomes.Failed(
        action,
        seconds,
        error.reason,
        error.message,
        retryable=isinstance(error, errors.Retryable),
        unknown=error.reason is Reason.OUTCOME_UNKNOWN,
    )
