"""What the control API offers, as a table of routes over a service, and how a question is read.

Refuses to know how requests travel and what the answers are: `http` has the sockets, the service the answers.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from controller.api.conditions import Reason

Json = Mapping[str, object]
"""An object of plain values."""

LONGEST_WAIT: Final = 600.0
"""Seconds that one question may wait for its answer."""
MOST_EVENTS: Final = 1000
"""Events in one answer."""


class ControlError(Exception):
    """A question without an answer: `status` as in HTTP, `reason` one word, `message` a sentence."""

    status = 500

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class BadRequest(ControlError):  # noqa: N818 - named as HTTP names it
    """The question cannot be read."""

    status = 400

    def __init__(self, message: str) -> None:
        super().__init__("BadRequest", message)


class Forbidden(ControlError):  # noqa: N818 - named as HTTP names it
    """The one who asks may not."""

    status = 403

    def __init__(self, message: str) -> None:
        super().__init__("Forbidden", message)


class NotFound(ControlError):  # noqa: N818 - named as HTTP names it
    """There is no such thing."""

    status = 404

    def __init__(self, message: str) -> None:
        super().__init__("NotFound", message)


class Refused(ControlError):  # noqa: N818 - named as HTTP names it
    """The state of things does not allow it."""

    status = 409

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(reason, message)


class Unavailable(ControlError):  # noqa: N818 - named as HTTP names it
    """Not now; it may be asked again."""

    status = 503

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(reason, message)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the kernel says."""

    uid: int
    pid: int


@dataclass(frozen=True, slots=True)
class Awaited:
    """What somebody waits for: that at least this generation, or this file digest, is in force and settled.

    None means whatever is in force.
    """

    generation: int | None
    digest: str | None


class ControlService(Protocol):
    """Answers questions and takes orders. Methods may block for seconds; each may raise a `ControlError`."""

    def version(self) -> Json:
        """Version and mode of the controller."""

    def workspaces(self) -> Json:
        """All workspaces: `{"items": [object, ...]}`, by name."""

    def workspace(self, name: str) -> Json:
        """One workspace's object."""

    def plan(self) -> Json:
        """What would be done now."""

    def story(self, name: str) -> Json:
        """Why a workspace is as it is: what is remembered of it, and what happened."""

    def events(self, subject: str | None, limit: int) -> Json:
        """Latest events, of one subject or of all: `{"items": [...]}`."""

    def retained(self) -> Json:
        """Kept containers: `{"items": [...]}`."""

    def ports(self) -> Json:
        """Port blocks and grants: `{"items": [...]}`."""

    def user(self, name: str) -> Json:
        """What an owner may have and has, and why."""

    def images(self) -> Json:
        """The catalog's images: `{"items": [...]}`."""

    def adoptable(self, name: str) -> Json:
        """The container on a workspace's name, or of that very name, whoever made it."""

    def approve(self, name: str, caller: Caller) -> Json:
        """Let a held or parked change of a workspace go."""

    def rollback(self, name: str, caller: Caller) -> Json:
        """Put the newest kept container of a workspace back."""

    def delete(self, name: str, caller: Caller) -> Json:
        """Take that a person took the spec file of a workspace away, so that it counts in no budget."""

    def forget(self, container: str, caller: Caller) -> Json:
        """Remove a kept container, by full id or name."""

    def adopt(self, name: str, container_id: str, caller: Caller) -> Json:
        """Declare the container that was shown for a name ours."""

    def start(self, name: str, caller: Caller) -> Json:
        """Ask for a workspace to run, whatever its spec says."""

    def stop(self, name: str, caller: Caller) -> Json:
        """Ask for a workspace to be stopped."""

    def restart(self, name: str, caller: Caller) -> Json:
        """Ask for one stop and start."""

    def pause(self, workspace: str | None, reason: str, caller: Caller) -> Json:
        """No automatic mutation of one workspace, or (None) of the host."""

    def resume(self, workspace: str | None, caller: Caller) -> Json:
        """The end of a pause."""

    def settled(self, name: str, awaited: Awaited) -> tuple[bool, Json]:
        """Whether what is awaited has settled, and the workspace's object now; answers at once."""

    def garbage(self) -> Json:
        """Every image on the Engine's disk, and why it stays or that it would go for room."""

    def collection(self) -> Json:
        """Whether images are being removed for room."""

    def collect(self, caller: Caller) -> Json:
        """Ask for unused images to go until there is room."""

    def gpus(self) -> Json:
        """All GPUs, who holds and uses each, and who waits for any."""

    def slices(self) -> Json:
        """All slices: what each owner may use together, and how it stands."""

    def usage(self) -> Json:
        """What owners and workspaces use right now."""

    def cordon(self, name: str, reason: str, caller: Caller, *, drain: bool) -> Json:
        """Take a GPU, by its UUID or a beginning of it, out of use; `drain`: who has it is told to leave."""

    def uncordon(self, name: str, caller: Caller) -> Json:
        """Let a GPU be granted again."""

    def wake(self, caller: Caller) -> Json:
        """Look at everything now."""


class Health(Protocol):
    """Knows whether the controller does its work."""

    def why_not_ready(self) -> str:
        """Why not, in a sentence; empty when it is ready."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request, read: the name in its path, its query and its body."""

    caller: Caller
    name: str
    query: Mapping[str, str]
    body: Json


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the API: how it is asked and who answers."""

    method: str
    path: str
    answer: Callable[[ControlService, Question], Json]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A question whose answer may take time: what for, and at most how many seconds."""

    awaited: Awaited
    timeout: float


WAIT_PATH: Final = "/v1/workspaces/{name}/wait"
"""The one route that waits: it answers the workspace's object, settled or at the time-out."""


def read_wait(question: Question) -> Waiting:
    """The body of a wait: `generation`, `digest` and `timeout` (seconds), each optional."""
    generation, digest = question.body.get("generation"), question.body.get("digest")
    timeout = question.body.get("timeout", 60.0)
    if generation is not None and (not isinstance(generation, int) or isinstance(generation, bool)):
        raise BadRequest("generation must be a number")
    if digest is not None and not isinstance(digest, str):
        raise BadRequest("digest must be a string")
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not math.isfinite(timeout):
        raise BadRequest("timeout must be a number of seconds")
    return Waiting(Awaited(generation, digest), min(max(float(timeout), 0.0), LONGEST_WAIT))


def _events(service: ControlService, question: Question) -> Json:
    limit = question.query.get("limit", "100")
    if not (limit.isascii() and limit.isdigit()):
        raise BadRequest("limit must be a number")
    return service.events(question.query.get("subject"), min(int(limit[:9]), MOST_EVENTS))


def _adopt(service: ControlService, question: Question) -> Json:
    name, container_id = question.body.get("name"), question.body.get("id")
    if not isinstance(name, str) or not isinstance(container_id, str):
        raise BadRequest("an adoption needs the name that was asked for and the full id that was shown")
    return service.adopt(name, container_id, question.caller)


def _workspace_of(question: Question) -> str | None:
    workspace = question.body.get("workspace")
    if workspace is not None and not isinstance(workspace, str):
        raise BadRequest("workspace must be a name, or null for the host")
    return workspace


def _pause(service: ControlService, question: Question) -> Json:
    reason = question.body.get("reason")
    if not isinstance(reason, str) or not reason.strip():
        raise BadRequest("a pause needs a reason, for those who wonder later")
    return service.pause(_workspace_of(question), reason.strip(), question.caller)


def _cordon(service: ControlService, question: Question) -> Json:
    reason, drain = question.body.get("reason"), question.body.get("drain", False)
    if not isinstance(reason, str) or not reason.strip():
        raise BadRequest("a cordon needs a reason, for those who wonder later")
    if not isinstance(drain, bool):
        raise BadRequest("drain must be true or false")
    return service.cordon(question.name, reason.strip(), question.caller, drain=drain)


ROUTES: Final = (
    Route("GET", "/v1/version", lambda service, _: service.version()),
    Route("GET", "/v1/workspaces", lambda service, _: service.workspaces()),
    Route("GET", "/v1/workspaces/{name}", lambda service, question: service.workspace(question.name)),
    Route("GET", "/v1/workspaces/{name}/story", lambda service, question: service.story(question.name)),
    Route("GET", "/v1/plan", lambda service, _: service.plan()),
    Route("GET", "/v1/events", _events),
    Route("GET", "/v1/retained", lambda service, _: service.retained()),
    Route("GET", "/v1/ports", lambda service, _: service.ports()),
    Route("GET", "/v1/users/{name}", lambda service, question: service.user(question.name)),
    Route("GET", "/v1/images", lambda service, _: service.images()),
    Route("GET", "/v1/garbage", lambda service, _: service.garbage()),
    Route("GET", "/v1/collection", lambda service, _: service.collection()),
    Route("POST", "/v1/collect", lambda service, asked: service.collect(asked.caller)),
    Route("GET", "/v1/adoptable/{name}", lambda service, question: service.adoptable(question.name)),
    Route(
        "POST", "/v1/workspaces/{name}/start", lambda service, asked: service.start(asked.name, asked.caller)
    ),
    Route(
        "POST", "/v1/workspaces/{name}/stop", lambda service, asked: service.stop(asked.name, asked.caller)
    ),
    Route(
        "POST",
        "/v1/workspaces/{name}/restart",
        lambda service, asked: service.restart(asked.name, asked.caller),
    ),
    Route(
        "POST",
        "/v1/workspaces/{name}/approve",
        lambda service, asked: service.approve(asked.name, asked.caller),
    ),
    Route(
        "POST",
        "/v1/workspaces/{name}/rollback",
        lambda service, asked: service.rollback(asked.name, asked.caller),
    ),
    Route(
        "POST",
        "/v1/workspaces/{name}/delete",
        lambda service, asked: service.delete(asked.name, asked.caller),
    ),
    Route(
        "POST", "/v1/retained/{name}/forget", lambda service, asked: service.forget(asked.name, asked.caller)
    ),
    Route("POST", "/v1/adopt", _adopt),
    Route("POST", "/v1/pause", _pause),
    Route("POST", "/v1/resume", lambda service, asked: service.resume(_workspace_of(asked), asked.caller)),
    Route("GET", "/v1/slices", lambda service, _: service.slices()),
    Route("GET", "/v1/usage", lambda service, _: service.usage()),
    Route("GET", "/v1/gpus", lambda service, _: service.gpus()),
    Route("POST", "/v1/gpus/{name}/cordon", _cordon),
    Route(
        "POST", "/v1/gpus/{name}/uncordon", lambda service, asked: service.uncordon(asked.name, asked.caller)
    ),
    Route("POST", "/v1/wake", lambda service, asked: service.wake(asked.caller)),
)
"""Everything but the wait."""
