"""The public shape of a workspace: plain dictionaries for JSON and YAML, keys in camelCase.

Refuses whatever a reader could not write down: times are RFC 3339 in UTC, absent values are absent keys.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final, NotRequired, TypedDict

from controller.api import meta, secrecy
from controller.api.conditions import ConditionType, DriftKind
from controller.model.gpustatus import WorkspaceGpus
from controller.model.observed import Container
from controller.model.plan import Decision, Drift
from controller.model.sizes import Measured, Size, Usage
from controller.model.slicestatus import NONE as NO_SLICES
from controller.model.slicestatus import SlicesStatus
from controller.model.status import EffectiveValue, WorkspaceStatus
from controller.status import grants, phrases, slices


class MetadataObject(TypedDict):
    """Who an object is."""

    name: str
    uid: str
    generation: int
    creationTimestamp: str
    labels: dict[str, str]
    annotations: dict[str, str]


class ConditionObject(TypedDict):
    """One condition."""

    type: str
    status: str
    reason: str
    message: str
    lastTransitionTime: str
    observedGeneration: int


class ContainerObject(TypedDict):
    """The container; `image` is the id of its image here, `imageDigest` the image's name in its registry."""

    id: str
    name: str
    image: str
    imageDigest: NotRequired[str]
    state: str
    startedAt: NotRequired[str]
    finishedAt: NotRequired[str]
    exitCode: NotRequired[int]
    address: NotRequired[str]
    privileged: NotRequired[bool]


class PortObject(TypedDict):
    """One service and where it is reached."""

    service: str
    containerPort: int
    hostPort: NotRequired[int]
    url: NotRequired[str]


class DriftObject(TypedDict):
    """One difference between spec and container."""

    kind: str
    field: str
    observed: str
    desired: str
    remedy: str
    since: NotRequired[str]


class DecisionObject(TypedDict):
    """What was decided last."""

    workspace: str
    verdict: str
    reason: str
    message: str
    disrupts: bool
    drift: list[DriftObject]
    actions: list[str]
    notEnforced: list[dict[str, str]]
    notes: list[dict[str, str]]
    retryAt: NotRequired[str]


class EffectiveObject(TypedDict):
    """One effective value, and what says it: file and line where they are known, and the rule."""

    path: str
    value: str
    origin: str
    file: NotRequired[str]
    line: NotRequired[int]
    rule: str


class SizeObject(TypedDict):
    """Bytes as they were measured at a time; or why they are not known, and since when."""

    bytes: NotRequired[int]
    measuredAt: NotRequired[str]
    unknown: NotRequired[str]
    unknownSince: NotRequired[str]


class StorageObject(TypedDict):
    """Bytes that a workspace takes: its container's layer, its log, and the owner's home if it mounts it."""

    layer: SizeObject
    log: SizeObject
    home: NotRequired[SizeObject]
    homePath: NotRequired[str]


class StatusObject(TypedDict):
    """What is said of a workspace."""

    observedGeneration: int
    owner: str
    desiredState: str
    conditions: list[ConditionObject]
    decision: DecisionObject
    drift: list[DriftObject]
    ports: list[PortObject]
    effective: list[EffectiveObject]
    findings: list[str]
    container: NotRequired[ContainerObject]
    imageReference: NotRequired[str]
    imageID: NotRequired[str]
    file: NotRequired[str]
    nextAttempt: NotRequired[str]
    storage: NotRequired[StorageObject]
    gpus: NotRequired[grants.WorkspaceGpusObject]
    slice: NotRequired[slices.MembershipObject]


class WorkspaceObject(TypedDict):
    """One workspace, as `wharf get workspace NAME -o yaml` prints it."""

    apiVersion: str
    kind: str
    metadata: MetadataObject
    spec: dict[str, object]
    status: StatusObject


_ORDER: Final = {kind: place for place, kind in enumerate(ConditionType)}


def timestamp(moment: datetime) -> str:
    """RFC 3339, UTC, whole seconds: `2026-11-22T12:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def workspace_object(status: WorkspaceStatus, found: SlicesStatus = NO_SLICES) -> WorkspaceObject:
    """The whole object: who it is, its spec in force and its status; `found` are the slices of the pass."""
    document: Mapping[str, object] = {}
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    if status.spec is not None:
        workspace = status.spec.workspace
        document = workspace.spec.model_dump(mode="json", exclude_unset=True)
        labels, annotations = dict(workspace.metadata.labels), dict(workspace.metadata.annotations)
    return {
        "apiVersion": meta.API_VERSION,
        "kind": "Workspace",
        "metadata": {
            "name": status.workspace,
            "uid": status.uid,
            "generation": status.generation,
            "creationTimestamp": timestamp(status.created_at),
            "labels": labels,
            "annotations": annotations,
        },
        "spec": dict(document),
        "status": _status(status, found),
    }


def _status(status: WorkspaceStatus, found: SlicesStatus) -> StatusObject:
    described: StatusObject = {
        "observedGeneration": status.observed_generation,
        "owner": status.owner,
        "desiredState": "Running" if status.desired_running else "Stopped",
        "conditions": list(_conditions(status)),
        "decision": decision_object(status.decision),
        "drift": [_drift(drift, status.drift_since) for drift in status.decision.drifts],
        "ports": list(_ports(status)),
        "effective": [effective_object(value) for value in status.effective],
        "findings": [str(finding) for finding in status.rejected.findings] if status.rejected else [],
    }
    if status.container is not None:
        described["container"] = _container(status.container, status.image_digest)
    _add_known(described, status)
    membership = slices.membership_object(status, found)
    if membership is not None:
        described["slice"] = membership
    return described


def _add_known(described: StatusObject, status: WorkspaceStatus) -> None:
    """Add what is not known of every workspace."""
    if status.image_reference is not None:
        described["imageReference"] = status.image_reference
    if status.image_id is not None:
        described["imageID"] = status.image_id
    if status.spec is not None:
        described["file"] = status.spec.file
    if status.next_attempt is not None:
        described["nextAttempt"] = timestamp(status.next_attempt)
    if status.usage is not None:
        described["storage"] = _storage(status.usage)
    if status.gpus is not None:
        described["gpus"] = _gpus(status.gpus)


def _gpus(gpus: WorkspaceGpus) -> grants.WorkspaceGpusObject:
    told = grants.of_workspace(gpus)
    if gpus.waiting_since is not None:
        told["waitingSince"] = timestamp(gpus.waiting_since)
    return told


def _storage(usage: Usage) -> StorageObject:
    told: StorageObject = {"layer": _size(usage.layer), "log": _size(usage.log)}
    if usage.home is not None:
        told["home"], told["homePath"] = _size(usage.home), usage.home_path
    return told


def _size(size: Size) -> SizeObject:
    if isinstance(size, Measured):
        return {"bytes": size.size, "measuredAt": timestamp(size.at)}
    return {"unknown": size.message, "unknownSince": timestamp(size.since)}


def effective_object(value: EffectiveValue) -> EffectiveObject:
    """One effective value; secrets are hidden."""
    described: EffectiveObject = {
        "path": value.path,
        "value": secrecy.shown(value.path, value.value),
        "origin": value.origin,
        "rule": value.rule,
    }
    if value.file:
        described["file"] = value.file
    if value.line:
        described["line"] = value.line
    return described


def _conditions(status: WorkspaceStatus) -> Iterator[ConditionObject]:
    for kind in sorted(status.conditions, key=_ORDER.__getitem__):
        condition = status.conditions[kind]
        yield {
            "type": str(kind),
            "status": str(condition.status),
            "reason": str(condition.reason),
            "message": condition.message,
            "lastTransitionTime": timestamp(condition.last_transition),
            "observedGeneration": condition.observed_generation,
        }


def _container(container: Container, digest: str | None) -> ContainerObject:
    described: ContainerObject = {
        "id": container.id,
        "name": container.name,
        "image": container.image_id,
        "state": str(container.state),
    }
    if digest is not None:
        described["imageDigest"] = digest
    if container.started_at is not None:
        described["startedAt"] = timestamp(container.started_at)
    if not container.running and container.finished_at is not None:
        described["finishedAt"] = timestamp(container.finished_at)
    if not container.running and container.exit_code is not None:
        described["exitCode"] = container.exit_code
    if container.address:
        described["address"] = container.address
    if container.configuration.privileged:
        described["privileged"] = True
    return described


def _ports(status: WorkspaceStatus) -> Iterator[PortObject]:
    for service in status.services:
        described: PortObject = {"service": service.service, "containerPort": service.container_port}
        if service.host_port is not None:
            described["hostPort"] = service.host_port
        if service.url is not None:
            described["url"] = service.url
        yield described


def _drift(drift: Drift, since: Mapping[DriftKind, datetime]) -> DriftObject:
    hides = drift.kind is DriftKind.ENV
    described: DriftObject = {
        "kind": str(drift.kind),
        "field": drift.field,
        "observed": secrecy.shown(drift.field, drift.observed) if hides else drift.observed,
        "desired": secrecy.shown(drift.field, drift.desired) if hides else drift.desired,
        "remedy": str(drift.remedy),
    }
    if drift.kind in since:
        described["since"] = timestamp(since[drift.kind])
    return described


def decision_object(decision: Decision) -> DecisionObject:
    """One decision; its actions in words."""
    described: DecisionObject = {
        "workspace": decision.workspace,
        "verdict": str(decision.verdict),
        "reason": str(decision.reason),
        "message": decision.message,
        "disrupts": decision.disrupts,
        "drift": [_drift(drift, {}) for drift in decision.drifts],
        "actions": [phrases.describe(action) for action in decision.actions],
        "notEnforced": [{"path": gap.path, "message": gap.message} for gap in decision.not_enforced],
        "notes": [{"reason": str(note.reason), "message": note.message} for note in decision.notes],
    }
    if decision.retry_at is not None:
        described["retryAt"] = timestamp(decision.retry_at)
    return described
