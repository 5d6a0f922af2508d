"""Each action as one line for people: a verb first, then what it is done to.

Refuses values of environment variables: names are enough to understand a plan.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from controller.api import quantities
from controller.model import actions, observed, slices
from controller.model.template import Template

_OF_BYTES: Final = frozenset(
    {
        slices.SliceLimit.MEMORY,
        slices.SliceLimit.MEMORY_HIGH,
        slices.SliceLimit.MEMORY_LOW,
        slices.SliceLimit.SWAP,
    }
)


def describe(action: actions.Action) -> str:
    """One line without the workspace's name: `stop workspace-alice (grace 60s)`."""
    tell = _TOLD_AT_LENGTH.get(type(action))
    return tell(action) if tell else _PHRASES[type(action)].format(a=action)


def limits_in_words(limits: observed.Limits) -> str:
    """Limits that are set, as `cpus 0.5, memory 64m`; `unlimited` where none is."""
    return ", ".join(_limits(limits)) or "unlimited"


def _limits(limits: observed.Limits) -> Iterator[str]:
    if limits.nano_cpus is not None:
        yield f"cpus {quantities.format_cpus(limits.nano_cpus)}"
    if limits.cpuset is not None:
        yield f"cpuset {limits.cpuset}"
    for name in ("memory", "memory_reservation", "memory_swap"):
        value = getattr(limits, name)
        if value is not None:
            yield f"{name} {quantities.format_bytes(value)}"
    if limits.pids is not None:
        yield f"pids {limits.pids}"


def slice_limits_in_words(limits: slices.SliceLimits) -> str:
    """What a slice is limited to, as `cpus 1, memory 400m`; `no limits` where nothing is."""
    said = (
        f"{limit} {_slice_limit(limit, getattr(limits, name))}"
        for limit, name in slices.FIELDS.items()
        if getattr(limits, name) != getattr(slices.UNLIMITED, name)
    )
    return ", ".join(said) or "no limits"


def _slice_limit(limit: slices.SliceLimit, value: Any) -> str:  # noqa: ANN401 - the fields differ
    match limit:
        case slices.SliceLimit.CPUS:
            return quantities.format_cpus(value)
        case slices.SliceLimit.IO:
            return " ".join(one.path for one in value)
        case _ if limit in _OF_BYTES:
            return quantities.format_bytes(value)
        case _:
            return str(value)


def _template(template: Template) -> Iterator[str]:
    yield from _privileges(template)
    yield f"network {template.network}"
    if template.user:
        yield f"user {template.user}"
    yield from _limits(template.limits)
    yield f"shm {quantities.format_bytes(template.shm)}"
    for port in template.ports:
        yield f"port {port.host_ip}:{port.host_port} to {port.container_port}"
    for bind in template.binds:
        yield f"mount {bind.source} at {bind.target}" + (" read-only" if bind.read_only else "")
    if template.env:
        yield "env " + " ".join(name for name, _ in template.env)
    if template.command:
        yield f"command {template.command[0]}"


def _privileges(template: Template) -> Iterator[str]:
    if template.privileged:
        yield "PRIVILEGED"
    if template.runtime is not None:
        yield f"runtime {template.runtime}"
    if template.gpus is not None:
        yield f"gpus {' '.join(template.gpus.uuids)} by {template.gpus.driver}"


def _create(action: actions.Action) -> str:
    assert isinstance(action, actions.CreateContainer)
    return f"create {action.name} from {action.template.image} ({', '.join(_template(action.template))})"


def _start(action: actions.Action) -> str:
    assert isinstance(action, actions.StartContainer)
    return f"start {action.name}" + (f" (gpus {' '.join(action.gpus)})" if action.gpus else "")


def _update(action: actions.Action) -> str:
    assert isinstance(action, actions.UpdateLimits)
    return f"update {action.name} to {limits_in_words(action.limits)}"


def _set_slice(action: actions.Action) -> str:
    assert isinstance(action, actions.SetSlice)
    return f"set slice {action.name} to {slice_limits_in_words(action.limits)}"


def _limit_cgroup(action: actions.Action) -> str:
    assert isinstance(action, actions.LimitCgroup)
    high = "unlimited" if action.memory_high is None else quantities.format_bytes(action.memory_high)
    parts = () if action.limits is None else _limits(action.limits)
    return f"limit the cgroup of {action.name} to {', '.join([*parts, f'memory_high {high}'])}"


def _write_secrets(action: actions.Action) -> str:
    assert isinstance(action, actions.WriteSecrets)
    return "write secrets " + (" ".join(name for name, _ in action.secrets) or "(none)")


def _prepare_mount(action: actions.Action) -> str:
    assert isinstance(action, actions.PrepareMount)
    made = f" (made for {action.uid}:{action.gid} if missing)" if action.create else ""
    return f"prepare mount {action.mount} from {action.source}{made}"


def _remove_image(action: actions.Action) -> str:
    assert isinstance(action, actions.RemoveImage)
    return f"remove image {action.image_id:.19} ({', '.join(action.references) or 'without a name'})"


def _grant(action: actions.Action) -> str:
    assert isinstance(action, actions.GrantPorts)
    blocks = [
        f"ports {block.base}-{block.base + block.size - 1} of {block.pool} to {block.owner}"
        for block in action.blocks
    ]
    return "grant " + ", ".join(
        [*blocks, *(f"port {grant.port} to {grant.service}" for grant in action.grants)]
    )


def _return(action: actions.Action) -> str:
    assert isinstance(action, actions.ReturnPorts)
    given = ", ".join(f"port {grant.port} of {grant.service}" for grant in action.grants)
    return f"give back {given}"


def _end_replacement(action: actions.Action) -> str:
    assert isinstance(action, actions.EndReplacement)
    return "end replacement" if action.failed is None else f"give up replacement ({action.failed.message})"


def _end_rollback(action: actions.Action) -> str:
    assert isinstance(action, actions.EndRollback)
    return "end roll-back" if action.pin is None else f"end roll-back and pin {action.pin.container_id:.12}"


_TOLD_AT_LENGTH: Final[Mapping[type, Callable[[actions.Action], str]]] = {
    actions.CreateContainer: _create,
    actions.StartContainer: _start,
    actions.UpdateLimits: _update,
    actions.SetSlice: _set_slice,
    actions.LimitCgroup: _limit_cgroup,
    actions.PrepareMount: _prepare_mount,
    actions.WriteSecrets: _write_secrets,
    actions.RemoveImage: _remove_image,
    actions.GrantPorts: _grant,
    actions.ReturnPorts: _return,
    actions.EndReplacement: _end_replacement,
    actions.EndRollback: _end_rollback,
}

_PHRASES: Final[Mapping[type, str]] = {
    actions.PullImage: "pull {a.reference}",
    actions.EnsureNetwork: "create network {a.name}",
    actions.StopContainer: "stop {a.name} (grace {a.grace.seconds}s)",
    actions.UnpauseContainer: "unpause {a.name}",
    actions.RenameContainer: "rename {a.old_name} to {a.new_name}",
    actions.RemoveContainer: "remove {a.name}",
    actions.ClearRestartPolicy: "clear restart policy of {a.name}",
    actions.ConnectNetwork: "connect {a.name} to network {a.network}",
    actions.WriteRoute: "write route {a.file}",
    actions.RemoveRoute: "remove route {a.file}",
    actions.RemoveSlice: "remove slice {a.name}",
    actions.RecordRestarts: "record restart {a.restarts.count}",
    actions.RecordLimits: "record limits of {a.given.container_id:.12}",
    actions.RetainContainer: "retain {a.name} ({a.reason})",
    actions.ForgetRetained: "forget retained {a.container_id:.12}",
    actions.ForgetWorkspace: "forget {a.workspace}",
    actions.CompleteRestart: "complete restart",
    actions.BeginReplacement: "begin replacement of {a.replacement.old_id:.12}",
    actions.BeginRollback: "begin roll-back to {a.rollback.to_id:.12}",
}
