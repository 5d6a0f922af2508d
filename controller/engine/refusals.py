"""Knows what the Engine's refusals mean: one table from HTTP status and text to our two errors.

It refuses to guess: what no row knows is told in the Engine's own words, and a 500 is unknown, never "gone".
The texts were seen on Engines 20.10 and 26.1.
"""

import re
from dataclasses import dataclass

from controller.api.conditions import Reason
from controller.engine import transport
from controller.model import errors


@dataclass(frozen=True, slots=True)
class Row:
    """One known case. The first row that matches counts; a status of 0 matches any.

    Attributes:
        terminal: the spec or the host must change first.
    """

    status: int
    text: str
    reason: Reason
    terminal: bool = False

    def matches(self, answer: transport.Answer) -> bool:
        """Whether this row knows the answer."""
        return self.status in {0, answer.status} and re.search(self.text, answer.message) is not None


TABLE: tuple[Row, ...] = (
    Row(0, r"client version .* is too (old|new)", Reason.ENGINE_UNAVAILABLE),
    # names and states
    Row(409, r"is already in use by container", Reason.NAME_TAKEN),
    Row(409, r"removal of container .* is already in progress", Reason.CONTAINER_BUSY),
    Row(0, r"is marked for removal", Reason.CONTAINER_BUSY),
    Row(0, r"is restarting, wait until", Reason.CONTAINER_BUSY),
    Row(409, r"cannot remove (a running|a paused|container|.*is running)", Reason.CHANGED_MEANWHILE),
    Row(0, r"cannot start a paused container", Reason.CHANGED_MEANWHILE),
    Row(404, r"[Nn]o such container", Reason.CHANGED_MEANWHILE),
    # what a container is made from
    Row(404, r"[Nn]o such image|manifest .*unknown|not found: manifest", Reason.IMAGE_UNAVAILABLE),
    Row(404, r"^network .* not found|[Nn]o such network", Reason.NETWORK_PENDING),
    Row(0, r"bind source path does not exist", Reason.MOUNT_MISSING),
    Row(0, r"port is already allocated|address already in use", Reason.PORT_TAKEN),
    Row(
        0, r"Pool overlaps with other one|could not find an available", Reason.NETWORK_UNUSABLE, terminal=True
    ),
    # what gives a container its GPUs
    Row(0, r"could not select device driver", Reason.GPU_NOT_ATTACHED),
    Row(0, r"CDI device injection|inject CDI devices|GPU vendor from CDI", Reason.GPU_NOT_ATTACHED),
    Row(0, r"nvidia-(container-(cli|runtime)|ctk|cdi-hook)", Reason.GPU_NOT_ATTACHED),
    # what a limit of memory is to be, and more is in use: version 1 of the cgroups
    Row(0, r"unable to set memory limit to", Reason.MEMORY_LOWERING),
    # what a container is to be in: slices.driver of the configuration is not the Engine's
    Row(400, r"cgroup-parent for systemd cgroup", Reason.LIMIT_UNENFORCEABLE, terminal=True),
    # what the kernel says of a limit that does not fit into the slice above, until that is put right
    Row(0, r"unable to apply cgroup configuration|error setting cgroup config", Reason.REFUSED_BY_ENGINE),
    # what the runtime says of the program
    Row(400, r"OCI runtime create failed", Reason.REFUSED_BY_ENGINE, terminal=True),
    Row(0, r"OCI runtime create failed|cannot set property|failed to write", Reason.REFUSED_BY_ENGINE),
    # by status alone
    Row(400, r"", Reason.REFUSED_BY_ENGINE, terminal=True),
    Row(403, r"", Reason.REFUSED_BY_ENGINE, terminal=True),
    Row(404, r"", Reason.REFUSED_BY_ENGINE),
    Row(409, r"", Reason.REFUSED_BY_ENGINE),
    Row(0, r"", Reason.OUTCOME_UNKNOWN),
)


def translate(answer: transport.Answer) -> errors.EffectError:
    """The error that an answer of status 400 or above stands for."""
    row = next(row for row in TABLE if row.matches(answer))
    message = answer.message.strip() or f"the Engine answered {answer.status}"
    return errors.Terminal(row.reason, message) if row.terminal else errors.Retryable(row.reason, message)


def translate_read(answer: transport.Answer) -> errors.EffectError:
    """The same for a call that changes nothing: an internal error then leaves no outcome unknown."""
    error = translate(answer)
    if error.reason is Reason.OUTCOME_UNKNOWN:
        return errors.Retryable(Reason.ENGINE_UNAVAILABLE, error.message)
    return error


def translate_silence(silence: transport.UnansweredError) -> errors.EffectError:
    """The error of a changing call without an answer: unknown, unless the request certainly was not taken."""
    if silence.silence in {transport.Silence.REFUSED, transport.Silence.UNSUPPORTED}:
        return errors.Retryable(Reason.ENGINE_UNAVAILABLE, silence.message)
    return errors.Retryable(Reason.OUTCOME_UNKNOWN, silence.message)


def translate_read_silence(silence: transport.UnansweredError) -> errors.EffectError:
    """The error of a reading call without an answer."""
    return errors.Retryable(Reason.ENGINE_UNAVAILABLE, silence.message)


def translate_pull(reference: str, message: str) -> errors.EffectError:
    """The error that came inside the stream of a pull, after its 200."""
    return errors.Retryable(Reason.IMAGE_UNAVAILABLE, f"{reference} cannot be pulled: {message}")
