"""Knows everything about one workspace that its decision rests on, gathered from spec, Engine, host and ledger.

Refuses to decide: it only puts side by side what belongs together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.api import labels
from controller.api.conditions import Reason
from controller.model.actions import Action, Expected, Template
from controller.model.desired import AcceptedSpec, RejectedFile
from controller.model.effective import Effective, Refusal
from controller.model.memory import Memory, Suspension
from controller.model.observed import Container, EngineView, HostView
from controller.model.plan import Decision, Drift, Verdict
from controller.model.status import ServiceAddress
from controller.planning.ports import Assignment


@dataclass(frozen=True, slots=True)
class Rules:
    """What of the controller's configuration deciding depends on.

    Attributes:
        runtime_secrets: host directory that holds one directory of secrets for each workspace.
        subnet: of the private network.
        deletion_grace: a spec must be gone this long.
    """

    runtime_secrets: str
    subnet: str
    deletion_grace: timedelta


@dataclass(frozen=True, slots=True)
class Ours:
    """Our containers of one workspace, and those of others on its name.

    Attributes:
        main: has the workspace's container name.
        others: under other names: predecessors and kept ones.
        foreign: a container that is not ours has the name.
        unknown: a container with the name is there and could not be inspected.
    """

    main: Container | None = None
    others: tuple[Container, ...] = ()
    foreign: Container | None = None
    unknown: bool = False

    def predecessors(self, memory: Memory) -> tuple[Container, ...]:
        """Containers that run under their retained name: a replacement is half done."""
        return tuple(c for c in self.others if c.running and c.id in memory.retained)

    def strays(self, memory: Memory) -> tuple[Container, ...]:
        """Containers that somebody renamed: they have another name and are not kept."""
        return tuple(c for c in self.others if c.id not in memory.retained)


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A resolved workspace with its ports and template."""

    effective: Effective
    assignment: Assignment
    template: Template
    identity: Mapping[str, str]
    optional_targets: frozenset[str]
    services: tuple[ServiceAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One workspace and all that its decision rests on."""

    name: str
    spec: AcceptedSpec | None
    rejected: RejectedFile | None
    blueprint: Blueprint | Refusal | None
    ours: Ours
    view: EngineView
    host: HostView
    memory: Memory
    rules: Rules
    removals_held: str
    key: str
    drifts: tuple[Drift, ...]
    now: datetime

    @property
    def design(self) -> Blueprint:
        """The blueprint of a workspace that has one."""
        assert isinstance(self.blueprint, Blueprint)
        return self.blueprint

    @property
    def accepted(self) -> AcceptedSpec:
        """The spec of a workspace that has one."""
        assert self.spec is not None
        return self.spec

    @property
    def container(self) -> Container:
        """The main container of a workspace that has one."""
        assert self.ours.main is not None
        return self.ours.main

    @property
    def should_run(self) -> bool:
        """What spec and requests say together."""
        return should_run(self.design.effective, self.memory.suspensions.get(self.name))

    def decide(  # noqa: PLR0913 - a decision has this many parts
        self,
        verdict: Verdict,
        reason: Reason,
        message: str = "",
        *,
        drifts: tuple[Drift, ...] = (),
        actions: tuple[Action, ...] = (),
        retry_at: datetime | None = None,
        disrupts: bool = False,
    ) -> Decision:
        """Return a decision about this workspace, with what every decision carries."""
        effective = self.blueprint.effective if isinstance(self.blueprint, Blueprint) else None
        return Decision(
            workspace=self.name,
            verdict=verdict,
            reason=reason,
            message=message,
            drifts=drifts,
            actions=actions,
            retry_at=retry_at,
            disrupts=disrupts,
            container_id=self.ours.main.id if self.ours.main else None,
            key=f"{self.key}:{verdict}:{reason}",
            not_enforced=effective.not_enforced if effective else (),
        )


def should_run(effective: Effective, wish: Suspension | None) -> bool:
    """Tell whether a workspace shall run: the last word wins, until the spec's own word is edited."""
    word = "Running" if effective.running else "Stopped"
    return wish.running if wish is not None and wish.desired_state == word else effective.running


def expected(container: Container) -> Expected:
    """Return what a disturbing action may expect of a container that was seen."""
    return Expected(container.running, container.started_at, container.pid)


def main_name(workspace: str) -> str:
    """Name that the container of a workspace has."""
    return labels.container_name(workspace)
