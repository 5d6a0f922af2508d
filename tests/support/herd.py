"""Knows many workspaces on one host that all run one image, and what the Engine tells of their containers.

It refuses to judge: it lists what happened, when, to which container.
"""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support import dockerd as dockerd_support
from tests.support import process

IMAGE = "herd:1"
WORKSPACE = "dev.wharfinger.workspace"


@dataclass(frozen=True)
class Happening:
    """One event of a container of a workspace; `at` is in seconds since the epoch."""

    at: float
    workspace: str
    action: str
    container: str


@dataclass
class Chronicle:
    """What the Engine said while it was listened to, from its live stream: that forgets nothing."""

    happenings: list[Happening] = field(default_factory=list)

    def of(self, *actions: str, workspace: str = "") -> list[Happening]:
        """Happenings of these kinds, in order; of one workspace if it is named."""
        return [one for one in self.happenings if one.action in actions and workspace in ("", one.workspace)]

    def counts(self, workspace: str) -> tuple[int, int]:
        """How many containers of a workspace were made and removed."""
        return len(self.of("create", workspace=workspace)), len(self.of("destroy", workspace=workspace))


@contextlib.contextmanager
def listening(engine: dockerd_support.Dockerd) -> Iterator[Chronicle]:
    """Writes down what happens to the containers of workspaces, as long as the Engine lives."""
    chronicle = Chronicle()
    client: Any = engine.client()
    stream = client.events(decode=True, filters={"type": "container", "label": WORKSPACE})

    def read() -> None:
        for one in stream:
            workspace = one["Actor"]["Attributes"][WORKSPACE]
            seen = Happening(one["timeNano"] / 1e9, workspace, one["Action"], one["Actor"]["ID"])
            chronicle.happenings.append(seen)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield chronicle
    finally:
        stream.close()
        reader.join(10)


def gather(site: process.Site, count: int) -> list[str]:
    """Writes the specs of so many workspaces, whose changes are immediate; their names."""
    names = [f"sheep-{number:02d}" for number in range(count)]
    for name in names:
        site.spec(name, {"image": {"reference": IMAGE}, "lifecycle": {"changes": "Immediate"}})
    return names


def tag(engine: dockerd_support.Dockerd, version: str) -> None:
    """Lets the herd's reference mean another version of the sample image."""
    repository, name = IMAGE.split(":")
    engine.client().tag(f"wharf-sample:{version}", repository, tag=name)


def running(engine: dockerd_support.Dockerd) -> dict[str, str]:
    """Image by name of the containers that run."""
    return {one["Names"][0].removeprefix("/"): one["Image"] for one in engine.client().containers()}


def lives(engine: dockerd_support.Dockerd) -> dict[str, tuple[str, str]]:
    """Id and start of each running container, by name: they stay the same while nobody disturbs it."""
    client = engine.client()
    found = [client.inspect_container(one["Id"]) for one in client.containers()]
    return {one["Name"].removeprefix("/"): (one["Id"], one["State"]["StartedAt"]) for one in found}
