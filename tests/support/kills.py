"""Knows what is told of a change that meets one harm: the stories, the requests of each, and how each ends.

It refuses to compare: a run gives what is on the Engine at the end, and what was made and removed on the way.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import dockerd as dockerd_support
from tests.support import herd, plans, process, proxy
from tests.support.plans import Boundary, Deed

REQUEST_TIMEOUT = "4s"
PATIENCE = 90.0
STEP = 0.5
"""Many stories are told at once: each asks less often, and looks less often without a cause."""
FIELDS: process.Tree = {"lifecycle": {"changes": "Immediate", "stopGrace": "1s"}}
CREATE, START, STOP, RENAME = (f"POST containers/{verb}" for verb in ("create", "start", "stop", "rename"))


class Fate(enum.Enum):
    """What happens at one request."""

    CALM = "nothing"
    KILLED_BEFORE = "the controller is killed before the Engine hears of it"
    KILLED_AFTER = "the controller is killed after the Engine has done it"
    CUT = "the connection is cut after the Engine has done it"
    LATE = "the answer comes after the client has given up"


FATES = {
    Fate.KILLED_BEFORE: (Boundary.RECEIVED, Deed.KILL_CONTROLLER),
    Fate.KILLED_AFTER: (Boundary.APPLIED, Deed.KILL_CONTROLLER),
    Fate.CUT: (Boundary.APPLIED, Deed.DROP),
    Fate.LATE: (Boundary.APPLIED, Deed.TIMEOUT),
}


@dataclass(frozen=True)
class Host:
    """One workspace on a host whose controller speaks to the Engine through a proxy."""

    name: str
    site: process.Site
    controller: process.Controller

    def runs(self, fields: process.Tree) -> None:
        """Give it this spec, and wait until it runs so."""
        self.site.spec(self.name, fields)
        self.controller.until(lambda: self._runs(fields), f"{self.name} runs", PATIENCE, STEP)

    def _runs(self, fields: process.Tree) -> bool:
        found = self.controller.workspace(self.name)
        same = bool(found.get("spec", {}).get("image") == fields.get("image"))
        return same and bool(found["status"]["decision"].get("reason") == "AsSpecified")


Step = Callable[[Host], object]


@dataclass(frozen=True)
class Story:
    """A change of one workspace.

    Attributes:
        before, change: how it is before, and what people do then.
        requests: the changing requests that it takes, in order.
        generation: of the spec at the end.
        ends: reason of the decision at the end; empty when the workspace is gone.
    """

    name: str
    before: Step
    change: Step
    requests: tuple[str, ...]
    generation: int
    ends: str


def _nothing(_: Host) -> None:
    pass


def _first(host: Host) -> None:
    host.runs(FIELDS)


def _second(host: Host) -> None:
    host.runs(FIELDS)
    host.runs({**FIELDS, "image": "second"})


def _spec(**fields: object) -> Step:
    return lambda host: host.site.spec(host.name, {**FIELDS, **fields})


def _remove(host: Host) -> None:
    (host.site.specs / f"{host.name}.yaml").unlink()


def _roll_back(host: Host) -> None:
    host.site.wharf("rollback", host.name, "--no-wait")


REPLACING = (RENAME, CREATE, STOP, START)
STORIES = (
    Story("rollback", _second, _roll_back, (RENAME, RENAME, STOP, START), 2, "Pinned"),
    Story(
        "failure",
        _first,
        _spec(command=["/bin/nothing"], init="Image"),
        (*REPLACING, RENAME, RENAME, START),
        2,
        "ReplacementFailed",
    ),
    Story("replace", _first, _spec(image="second"), REPLACING, 2, "AsSpecified"),
    Story("delete", _first, _remove, (STOP, RENAME), 1, ""),
    Story("create", _nothing, _spec(), (CREATE, START), 1, "AsSpecified"),
)


@dataclass(frozen=True)
class Case:
    """One story with one harm at one of its requests."""

    story: Story
    at: int
    fate: Fate

    @property
    def id(self) -> str:
        """A word for it: it is the workspace's name too."""
        if self.fate is Fate.CALM:
            return f"{self.story.name}-calm"
        verb = self.story.requests[self.at].rpartition("/")[2]
        return f"{self.story.name}-{self.at}-{verb}-{self.fate.name.lower().replace('_', '-')}"


@dataclass(frozen=True)
class Ending:
    """What is left of a story.

    Attributes:
        containers: role, state, image and template of each container.
        made, removed: how many containers, by the Engine's own log.
        requests: that the proxy saw from the change on.
    """

    containers: list[tuple[str, ...]]
    made: int
    removed: int
    requests: list[str]


@dataclass(frozen=True)
class Stage:
    """What all stories share: an Engine, what it tells, and the subnet of its workspaces."""

    engine: dockerd_support.Dockerd
    chronicle: herd.Chronicle
    subnet: str


def play(case: Case, root: Path, stage: Stage) -> Ending:
    """Tell a story to its end."""
    engine, chronicle = stage.engine, stage.chronicle
    between = proxy.Proxy(engine.socket)
    site = process.Site(root, between.url, stage.subnet)
    try:
        site.configure(docker={"host": between.url, "requestTimeout": REQUEST_TIMEOUT}, resyncInterval="5s")
        first = site.run_apart().ready()
        host = Host(case.id, site, first)
        case.story.before(host)
        between.follow(_plan(case), {Deed.KILL_CONTROLLER: first.kill})
        case.story.change(host)
        if case.fate is not Fate.CALM:
            process.until(between.struck.is_set, f"request {case.at} of {case.story.name}", PATIENCE)
        last = first
        if case.fate in {Fate.KILLED_BEFORE, Fate.KILLED_AFTER}:
            assert first.process.wait(10) == -9
            site.configure(docker={"host": engine.base_url})
            last = site.run_apart().ready()
        _rest(case, last)
        last.stop()
        made, removed = chronicle.counts(case.id)
        return Ending(_containers(engine, case.id), made, removed, between.changes())
    finally:
        site.close()
        between.close()
        _tidy(engine, case.id)


def _plan(case: Case) -> plans.Plan:
    trigger = plans.Trigger(operation=plans.CHANGES, nth=case.at)
    if case.fate is Fate.CALM:
        return ()
    boundary, deed = FATES[case.fate]
    return (plans.Fault(on=trigger, boundary=boundary, do=deed),)


def _rest(case: Case, controller: process.Controller) -> None:
    """Waits for the end."""
    story = case.story

    def ended() -> bool:
        found = controller.workspace(case.id)
        if not story.ends:
            return "metadata" not in found
        status = found["status"]
        there = (status.get("observedGeneration"), status["decision"].get("reason"))
        return there == (story.generation, story.ends)

    controller.until(ended, f"the end of {case.id}", PATIENCE, STEP)


def _of(engine: dockerd_support.Dockerd, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = engine.client().containers(
        all=True, filters={"label": f"{herd.WORKSPACE}={name}"}
    )
    return found


def _containers(engine: dockerd_support.Dockerd, name: str) -> list[tuple[str, ...]]:
    return sorted(
        (
            "kept" if "." in one["Names"][0] else "main",
            one["State"],
            one["Image"],
            one["Labels"]["dev.wharfinger.generation"],
        )
        for one in _of(engine, name)
    )


def _tidy(engine: dockerd_support.Dockerd, name: str) -> None:
    client = engine.client()
    for one in _of(engine, name):
        client.remove_container(one["Id"], force=True)
    client.close()
