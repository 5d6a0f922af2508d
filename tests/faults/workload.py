"""Knows what people ask for while a plan file goes wrong, and how a host that was asked for it must end.

It refuses to know the rig: the simulator and a real Engine are asked for the same, and the same rows judge.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.api import labels
from controller.api.conditions import Reason
from tests.support import plans, process

FOLDER = Path(__file__).parent
FILES = tuple(sorted(FOLDER.glob("*.yaml")))
IMAGES = ("wharf-sample:1", "wharf-sample:2")
CLASSES: process.Tree = {
    "small": {
        "image": {"reference": IMAGES[0]},
        "security": {"runAs": "Image"},
        "resources": {"cpus": "0.5", "memory": "64m", "shm": "16m", "pids": 64},
        "lifecycle": {"stopGrace": "1s", "changes": "Immediate"},
    }
}
WORK, REST = "work", "rest"
"""Two workspaces: one gets another image, the other gets more memory and is stopped then."""
STEPS: tuple[Mapping[str, process.Tree], ...] = (
    {WORK: {}, REST: {}},
    {WORK: {"image": {"reference": IMAGES[1]}}, REST: {"resources": {"memory": "96m"}}},
    {REST: {"resources": {"memory": "96m"}, "desiredState": "Stopped"}},
)


@dataclass(frozen=True)
class Story:
    """A plan file and the names of its workspaces; without a file nothing goes wrong."""

    name: str
    plan: plans.Plan = ()

    def workspace(self, role: str) -> str:
        """Name of a workspace: on one Engine each story has its own."""
        return f"{role}-{self.name}"

    def wanted(self, steps: int) -> dict[str, tuple[int, Reason]]:
        """Generation of the spec in force and reason of the decision, by workspace, after so many steps."""
        found: dict[str, tuple[int, Reason]] = {}
        for step in STEPS[:steps]:
            for role, fields in step.items():
                before, _ = found.get(self.workspace(role), (0, None))
                stopped = fields.get("desiredState") == "Stopped"
                reason = Reason.STOPPED if stopped else Reason.AS_SPECIFIED
                found[self.workspace(role)] = (before + 1, reason)
        return found

    @property
    def kills_engine(self) -> bool:
        """Whether it needs an Engine that nobody else has."""
        return any(fault.do is plans.Deed.KILL_ENGINE for fault in self.plan)

    @property
    def calm(self) -> "Story":
        """The same workspaces, and nothing goes wrong."""
        return Story(self.name)


def tell(path: Path) -> Story:
    """The story of a plan file."""
    return Story(path.stem, plans.load(path))


CALM = Story("calm")


@dataclass(frozen=True)
class Standing:
    """One container as it ends; `kept` is the one before, under another name."""

    workspace: str
    kept: bool
    running: bool
    image: str
    template: str


@dataclass(frozen=True)
class Ending:
    """What is left of a story.

    Attributes:
        made, removed: how many containers, by the Engine's own word.
        missed: what of the plan was not done, in words.
        requests: that changed containers, sorted.
    """

    standings: tuple[Standing, ...]
    made: int
    removed: int
    missed: tuple[str, ...]
    requests: tuple[str, ...]


def standings(rows: Iterable[Mapping[str, Any]], story: Story) -> tuple[Standing, ...]:
    """The story's containers among the rows of the Engine's list."""
    names = story.wanted(len(STEPS))
    found = [
        Standing(
            workspace=row["Labels"][labels.WORKSPACE],
            kept=row["Names"] != [f"/{labels.container_name(row['Labels'][labels.WORKSPACE])}"],
            running=row["State"] == "running",
            image=row["Image"],
            template=row["Labels"][labels.TEMPLATE_HASH],
        )
        for row in rows
        if row["Labels"].get(labels.WORKSPACE) in names
    ]
    return tuple(sorted(found, key=lambda one: (one.workspace, one.kept)))


def of_containers(requests: Iterable[str]) -> tuple[str, ...]:
    """The requests that concern containers, sorted: workspaces do not wait for each other."""
    return tuple(sorted(name for name in requests if name.split(" ")[1].startswith("containers")))
