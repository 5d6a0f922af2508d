"""Knows what people ask for while a plan file goes wrong, and how a host that was asked for it must end.

It refuses to know the rig: the simulator and a real Engine are asked for the same, and the same rows judge.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from controller.api import labels
from controller.api.conditions import Reason
from tests.support import plans, process

FOLDER = Path(__file__).parent
FILES = tuple(sorted(FOLDER.glob("*.yaml")))
IMAGE = "wharf-sample:1"
CLASSES: process.Tree = {
    "small": {
        "image": {"reference": IMAGE},
        "security": {"runAs": "Image"},
        "resources": {"cpus": "0.5", "memory": "64m", "shm": "16m", "pids": 64},
        "lifecycle": {"stopGrace": "1s", "changes": "Immediate"},
    }
}
WORK, REST = "work", "rest"
"""Two workspaces: one gets an image from far away, the other gets more memory and is stopped then."""
STEPS = 3


@dataclass(frozen=True)
class Story:
    """A plan file and the names of its workspaces; without a file nothing goes wrong.

    Attributes:
        registry: address of the registry that has the image from far away.
    """

    name: str
    plan: plans.Plan = ()
    registry: str = "127.0.0.1:5000"

    @property
    def image(self) -> str:
        """The image from far away: on one Engine each story pulls its own."""
        return f"{self.registry}/{self.name}:1"

    @property
    def steps(self) -> tuple[Mapping[str, process.Tree], ...]:
        """Return what specs say, by role: each step is taken when all is as the one before asks for."""
        more: process.Tree = {"resources": {"memory": "96m"}}
        return (
            {WORK: {}, REST: {}},
            {WORK: {"image": {"reference": self.image}}, REST: more},
            {REST: {**more, "desiredState": "Stopped"}},
        )

    def workspace(self, role: str) -> str:
        """Name of a workspace: on one Engine each story has its own."""
        return f"{role}-{self.name}"

    def wanted(self, steps: int) -> dict[str, tuple[int, Reason]]:
        """Generation of the spec in force and reason of the decision, by workspace, after so many steps."""
        found: dict[str, tuple[int, Reason]] = {}
        for step in self.steps[:steps]:
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
    def only_blinds(self) -> bool:
        """Whether its faults meet looks alone: then nothing is asked for that is not asked for without."""
        return all(fault.on.operation.startswith("GET ") for fault in self.plan)

    @property
    def calm(self) -> "Story":
        """The same workspaces, and nothing goes wrong."""
        return replace(self, plan=())


def tell(path: Path) -> Story:
    """The story of a plan file."""
    return Story(path.stem, plans.load(path))


CALM = Story("calm")


@dataclass(frozen=True)
class Standing:
    """One container as it ends.

    Attributes:
        kept: it is the one before, under another name.
        image: by its name at the registry.
    """

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
        requests: that changed containers and images, sorted.
    """

    standings: tuple[Standing, ...]
    made: int
    removed: int
    missed: tuple[str, ...]
    requests: tuple[str, ...]


def standings(rows: Iterable[Mapping[str, Any]], story: Story) -> tuple[Standing, ...]:
    """The story's containers among the rows of the Engine's list."""
    names = story.wanted(STEPS)
    found = [
        Standing(
            workspace=row["Labels"][labels.WORKSPACE],
            kept=row["Names"] != [f"/{labels.container_name(row['Labels'][labels.WORKSPACE])}"],
            running=row["State"] == "running",
            image=row["Image"].removeprefix(f"{story.registry}/"),
            template=row["Labels"][labels.TEMPLATE_HASH],
        )
        for row in rows
        if row["Labels"].get(labels.WORKSPACE) in names
    ]
    return tuple(sorted(found, key=lambda one: (one.workspace, one.kept)))


def of_workspaces(requests: Iterable[str]) -> tuple[str, ...]:
    """All but those for networks, which stories share; sorted, as workspaces do not wait for each other."""
    return tuple(sorted(name for name in requests if "networks" not in name))
