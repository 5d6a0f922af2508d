"""The public shape of an owner: account, group, grants, quotas with their use, and workspaces.

Refuses whatever a reader could not write down: times are RFC 3339 in UTC, absent values are absent keys.
"""

from collections.abc import Mapping
from typing import NotRequired, TypedDict

from controller.model.status import Exemption, PassReport, QuotaUse
from controller.status import objects, slices


class AccountObject(TypedDict):
    """An account as workspaces have it."""

    uid: int
    gid: int
    home: str


class GroupObject(TypedDict):
    """Which group counts, and why; no name where none does."""

    name: NotRequired[str]
    memberOf: list[str]
    why: str


class ExemptionObject(TypedDict):
    """What somebody allowed for a time; `state` is InForce, NotYet or Over."""

    rule: str
    origin: str
    state: str
    starts: NotRequired[str]
    expires: NotRequired[str]
    reason: NotRequired[str]
    approvedBy: NotRequired[str]


class QuotaObject(TypedDict):
    """One quota and its use, in the same words; `cap` is null for none."""

    name: str
    used: str
    cap: str
    origin: str


class WorkspaceLine(TypedDict):
    """One of the owner's workspaces, and what is decided for it."""

    name: str
    desiredState: str
    verdict: str
    reason: str
    message: str


class UserObject(TypedDict):
    """One owner, as `wharf describe user NAME -o yaml` prints it."""

    name: str
    account: NotRequired[AccountObject]
    group: GroupObject
    layers: list[str]
    exemptions: list[ExemptionObject]
    quotas: list[QuotaObject]
    aggregate: list[objects.EffectiveObject]
    slice: NotRequired[slices.SliceObject]
    workspaces: list[WorkspaceLine]


def user_object(report: PassReport, name: str, cpus: Mapping[str, float] | None = None) -> UserObject:
    """One owner at the time of a report; `cpus` are processors in use by owner, where they are known.

    Raises:
        KeyError: nobody knows that name.
    """
    owner = report.owners[name]
    group: GroupObject = {"memberOf": list(owner.groups), "why": owner.why}
    if owner.group:
        group["name"] = owner.group
    described: UserObject = {
        "name": owner.name,
        "group": group,
        "layers": list(owner.layers),
        "exemptions": [_exemption(one) for one in owner.exemptions],
        "quotas": [_quota(one) for one in owner.quotas],
        "aggregate": [objects.effective_object(one) for one in owner.aggregate],
        "workspaces": [_workspace(report, one) for one in owner.workspaces],
    }
    if name in report.slices.owners:
        described["slice"] = slices.slice_object(report, name, cpus or {})
    if owner.account is not None:
        account = owner.account
        described["account"] = {"uid": account.uid, "gid": account.gid, "home": account.home}
    return described


def _exemption(one: Exemption) -> ExemptionObject:
    described: ExemptionObject = {"rule": one.rule, "origin": one.origin, "state": one.state}
    if one.starts is not None:
        described["starts"] = objects.timestamp(one.starts)
    if one.expires is not None:
        described["expires"] = objects.timestamp(one.expires)
    if one.reason:
        described["reason"] = one.reason
    if one.approved_by:
        described["approvedBy"] = one.approved_by
    return described


def _quota(one: QuotaUse) -> QuotaObject:
    limit = one.limit
    return {"name": limit.path, "used": one.used, "cap": limit.value, "origin": limit.origin}


def _workspace(report: PassReport, name: str) -> WorkspaceLine:
    decision = report.plan.decisions[name]
    status = report.statuses.get(name)
    return {
        "name": name,
        "desiredState": "Running" if status is not None and status.desired_running else "Stopped",
        "verdict": str(decision.verdict),
        "reason": str(decision.reason),
        "message": decision.message,
    }
