"""Knows how to build every noun that planning reads, small and valid; whatever is not said is as usual."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from controller.api.conditions import Reason
from controller.api.images import ImageCatalog
from controller.api.policy import ResourcePolicy
from controller.api.workspace import Workspace
from controller.model.actions import CreateContainer
from controller.model.desired import AcceptedPolicy, AcceptedSpec, Finding, RejectedFile, SpecFile, SpecScan
from controller.model.gpus import VISIBLE_DEVICES, Attached
from controller.model.memory import Memory
from controller.model.observed import (
    Account,
    Configuration,
    Container,
    ContainerState,
    Disk,
    Health,
    Image,
    Network,
    Seen,
    Unseen,
)
from controller.model.template import Template
from controller.planning.budget import Budget
from controller.planning.case import Rules
from controller.planning.standing import Standing

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)
KEY = b"k" * 32
SUBNET = "172.28.0.0/16"
RULES = Rules("/run/wharfinger/secrets", SUBNET, timedelta(seconds=10), Budget(1, 10), timedelta(hours=72))
IMAGE = "sample:1"
HOST_MEMORY = 64 << 30
HOST_CPUS = 16
IMAGE_ENV = {"PATH": "/usr/bin:/bin"}
POLICY: Mapping[str, Any] = {
    "portPools": [{"name": "main", "from": 10000, "to": 10299, "block": 100}],
    "mountRoots": ["/mnt/storage"],
}
"""Three owners' blocks."""


def workspace(name: str = "alice", **spec: object) -> Workspace:
    """A workspace of the sample image."""
    return Workspace.model_validate(
        {
            "apiVersion": "wharfinger.dev/v1",
            "kind": "Workspace",
            "metadata": {"name": name},
            "spec": {"image": {"reference": IMAGE}, **spec},
        }
    )


def accepted(name: str = "alice", generation: int = 1, **spec: object) -> AcceptedSpec:
    """A spec that has been in force for a day."""
    return in_force(workspace(name, **spec), generation=generation)


def in_force(given: Workspace, **fields: Any) -> AcceptedSpec:  # noqa: ANN401 - fields of one class
    """An accepted spec of a given workspace."""
    name = given.metadata.name
    usual = AcceptedSpec(
        workspace=given,
        uid=f"uid-{name}",
        generation=1,
        digest=hashlib.sha256(given.model_dump_json(exclude_unset=True).encode()).hexdigest(),
        file=f"{name}.yaml",
        accepted_at=LONG_AGO,
        confirmed=True,
    )
    return replace(usual, **fields)


def file(given: Workspace, settled_at: datetime = LONG_AGO, **fields: Any) -> SpecFile:  # noqa: ANN401 - likewise
    """A settled spec file."""
    usual = SpecFile(
        file=f"{given.metadata.name}.yaml",
        workspace=given,
        digest=hashlib.sha256(given.model_dump_json(exclude_unset=True).encode()).hexdigest(),
        terminated=False,
        settled_at=settled_at,
    )
    return replace(usual, **fields)


def scan(*files: SpecFile, at: datetime = NOW, **fields: Any) -> Seen[SpecScan]:  # noqa: ANN401 - likewise
    """A complete scan."""
    found = SpecScan(identity=(1, 2), files={one.workspace.metadata.name: one for one in files})
    return Seen(replace(found, **fields), at)


def rejected(
    name: str | None, reason: Reason = Reason.SPEC_REJECTED, path: str = "alice.yaml"
) -> RejectedFile:
    """A file that is not in force."""
    return RejectedFile(path, name, reason, (Finding(path, 3, 5, "spec.env.A", 'write A: "1"'),))


def policy(catalog: Mapping[str, Any] | None = None, **spec: Any) -> AcceptedPolicy:  # noqa: ANN401 - as written
    """The usual policy with some keys of its own, and a catalog of these images."""
    head = {"apiVersion": "wharfinger.dev/v1", "metadata": {"name": "lab"}}
    rules = ResourcePolicy.model_validate({**head, "kind": "ResourcePolicy", "spec": {**POLICY, **spec}})
    images = ImageCatalog.model_validate({**head, "kind": "ImageCatalog", "spec": {"images": catalog or {}}})
    return AcceptedPolicy(rules, images, "policy-digest")


def standing(catalog: Mapping[str, Any] | None = None, **spec: Any) -> Standing:  # noqa: ANN401 - likewise
    """How everybody stands now under such a policy."""
    return Standing(policy(catalog, **spec), NOW)


def memory(**fields: Any) -> Memory:  # noqa: ANN401 - fields of one class
    """The ledger of a controller that just began."""
    return Memory(epoch=1, claim_key=KEY, nonce=b"n" * 32, **fields)


def disk(percent: int, rules: Rules = RULES) -> Disk:
    """A disk of 100 GiB that is so full."""
    unit = 1 << 30
    free = 100 - percent
    return Disk("/var/lib/docker", 100 * unit, percent * unit, free * unit, percent > rules.high_watermark)


def account(name: str) -> Account:
    """An account with a uid of its own."""
    uid = 1000 + int(hashlib.sha256(name.encode()).hexdigest(), 16) % 1000
    return Account(name, uid, uid, f"/home/{name}")


def image_id(reference: str) -> str:
    """The id that a reference has where nobody says otherwise."""
    return "sha256:" + hashlib.sha256(reference.encode()).hexdigest()


def image(identifier: str) -> Image:
    """What the Engine holds under an id."""
    return Image(identifier, IMAGE_ENV, ("sleep", "infinity"), "", health_check=False)


def networks() -> dict[str, Network]:
    """Both bridges as they are made."""
    return {
        "wharf": Network("n1", "wharf", "bridge", SUBNET, inter_container=False),
        "wharf-open": Network("n2", "wharf-open", "bridge", "172.29.0.0/16", inter_container=True),
    }


def container(made: CreateContainer, identifier: str, now: datetime = LONG_AGO) -> Container:
    """The container that an Engine makes of an action: created, not started."""
    template = made.template
    basis = image(identifier)
    return Container(
        id=hashlib.sha256(made.labels["dev.wharfinger.instance"].encode()).hexdigest(),
        name=made.name,
        state=ContainerState.CREATED,
        image_id=identifier,
        labels=dict(made.labels),
        created=now,
        started_at=None,
        finished_at=None,
        pid=0,
        exit_code=None,
        oom_killed=False,
        error="",
        health=Health.NONE,
        configuration=Configuration(
            image=template.image,
            hostname=template.hostname,
            env={**basis.env, **dict(template.environment)},
            command=template.command or basis.command,
            user=template.user or basis.user,
            init=template.init,
            binds=template.binds,
            ports=template.ports,
            shm=template.shm,
            limits=template.limits,
            networks=frozenset({template.network}),
            network_mode=template.network,
            restart_policy="no",
            capabilities=template.capabilities,
            privileged=template.privileged,
            runtime=template.runtime or "runc",
            gpus=attached(template),
            cgroup_parent=template.cgroup_parent,
        ),
        inspected_at=now,
        kernel_limits=Unseen(Reason.NOT_SEEN, "the container does not run", now),
        listening=Unseen(Reason.NOT_SEEN, "the container does not run", now),
    )


def attached(template: Template) -> Attached:
    """What a container's inspect tells of its GPUs."""
    names = tuple(sorted(template.gpus.names)) if template.gpus is not None else ()
    return Attached(names, visible=dict(template.environment).get(VISIBLE_DEVICES, ""))


def in_state(made: Container, state: ContainerState, at: datetime = LONG_AGO) -> Container:
    """The container in another state: since `at` running, or ended then after an hour."""
    if state is ContainerState.CREATED:
        return made
    if state in {ContainerState.RUNNING, ContainerState.PAUSED}:
        limits = made.configuration.limits
        return replace(
            made, state=state, started_at=at, finished_at=None, pid=42, exit_code=None, kernel_limits=limits
        )
    began = made.started_at or at - timedelta(hours=1)
    return replace(
        made,
        state=state,
        started_at=began,
        finished_at=at,
        pid=0,
        exit_code=0,
        kernel_limits=Unseen(Reason.NOT_SEEN, "the container does not run", at),
    )
