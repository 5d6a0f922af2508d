"""Knows how to build statuses and reports of a pass for tests, small and whole."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from controller.api.conditions import Reason
from controller.api.workspace import Workspace
from controller.model import actions
from controller.model.desired import AcceptedSpec
from controller.model.observed import Configuration, Container, ContainerState, Health, Limits
from controller.model.plan import Decision, Plan, Verdict
from controller.model.status import PassReport, WorkspaceStatus
from controller.status import summary

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ID = "0123456789abcdef" * 4


def start(name: str) -> actions.StartContainer:
    """The first start of a workspace's container."""
    never_ran = actions.Expected(running=False, started_at=None, pid=0)
    return actions.StartContainer(name, ID, f"workspace-{name}", never_ran)


def spec(name: str = "alice", generation: int = 1, **fields: object) -> AcceptedSpec:
    """An accepted spec of a smallest workspace, with some fields of `spec`."""
    workspace = Workspace.model_validate(
        {
            "apiVersion": "wharfinger.dev/v1",
            "kind": "Workspace",
            "metadata": {"name": name, "labels": {"project": "vision"}},
            "spec": {"class": "vm", **fields},
        }
    )
    return AcceptedSpec(
        workspace=workspace,
        uid=f"uid-of-{name}",
        generation=generation,
        digest="d" * 64,
        file=f"{name}.yaml",
        accepted_at=NOW,
        confirmed=True,
    )


def container(name: str = "alice", **changes: Any) -> Container:  # noqa: ANN401 - fields of one class
    """A running container on which 8888 listens."""
    built = Container(
        id=ID,
        name=f"workspace-{name}",
        state=ContainerState.RUNNING,
        image_id="sha256:" + "a" * 64,
        labels={},
        created=NOW,
        started_at=NOW,
        finished_at=None,
        pid=42,
        exit_code=None,
        oom_killed=False,
        error="",
        health=Health.NONE,
        configuration=Configuration(
            image="sample:1",
            hostname=name,
            env={},
            command=(),
            user="",
            init=True,
            binds=(),
            ports=(),
            shm=0,
            limits=Limits(),
            networks=frozenset({"wharf"}),
            network_mode="wharf",
            restart_policy="no",
        ),
        inspected_at=NOW,
        kernel_limits=Limits(),
        listening=frozenset({8888}),
        address="172.28.0.2",
    )
    return replace(built, **changes)


def decision(
    name: str = "alice",
    verdict: Verdict = Verdict.KEEP,
    reason: Reason = Reason.AS_SPECIFIED,
    **fields: Any,  # noqa: ANN401 - fields of one class
) -> Decision:
    """A decision; as specified unless said otherwise."""
    return Decision(workspace=name, verdict=verdict, reason=reason, **fields)


def status(name: str = "alice", decided: Decision | None = None, **facts: Any) -> WorkspaceStatus:  # noqa: ANN401 - fields of one class
    """The status of a workspace that runs."""
    return summary.summarize(
        None, spec(name), decided or decision(name), container(name), summary.Facts(**facts), NOW
    )


def report(
    statuses: Iterable[WorkspaceStatus] = (),
    decisions: Iterable[Decision] | None = None,
    **fields: Any,  # noqa: ANN401 - of one class
) -> PassReport:
    """A complete pass with these statuses and, unless others are given, their decisions."""
    by_name: Mapping[str, WorkspaceStatus] = {one.workspace: one for one in statuses}
    decided = (one.decision for one in by_name.values()) if decisions is None else decisions
    plan = Plan(decisions={one.workspace: one for one in decided})
    built = PassReport(
        pass_id=1,
        at=NOW,
        seconds=0.01,
        cause="resync",
        mode="Enforce",
        plan=plan,
        statuses=by_name,
        complete=True,
    )
    return replace(built, **fields)


def later(seconds: float) -> datetime:
    """A moment after `NOW`."""
    return NOW + timedelta(seconds=seconds)
