"""Profiles: who gets which, what they make of a container, and that the page for people says the same."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controller.api import fields, labels, policy
from controller.api.conditions import Reason
from controller.api.workspace import GpuMode, SecurityProfile
from controller.model.actions import CreateContainer
from controller.model.effective import Effective, Refusal
from controller.model.observed import Seen
from controller.model.plan import Remedy
from controller.planning import drift, resolve, security, template
from controller.planning.origins import WORKSPACE, Origin, Value
from tests.support import builders, sim_security
from tests.support.world import World

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "security.md"
PRIVILEGE = {"reason": "a driver", "approvedBy": "prof"}


def refused(
    profile: SecurityProfile,
    mode: GpuMode = GpuMode.NONE,
    *,
    allowed: bool = False,
    **rules: Any,  # noqa: ANN401 - as written
) -> Refusal | None:
    given = policy.PolicySpec.model_validate(rules)
    values = {
        "security.profile": Value(profile, Origin("alice.yaml", 7, WORKSPACE)),
        "gpu.mode": Value(mode, Origin("alice.yaml", 9, WORKSPACE)),
    }
    privilege = policy.Privilege.model_validate(PRIVILEGE) if allowed else None
    return security.refusal(values, "alice", given, privilege)


def test_privileged_is_for_those_whom_the_policy_names_and_says_what_to_write() -> None:
    found = refused(SecurityProfile.PRIVILEGED)
    assert found is not None
    assert found.reason is Reason.PRIVILEGE_REFUSED
    assert "alice.yaml:7" in found.message
    assert 'privileged: {alice: {reason: "…", approvedBy: …}}' in found.message
    assert refused(SecurityProfile.PRIVILEGED, allowed=True) is None


def test_a_privilege_that_is_over_says_since_when() -> None:
    ended = fields.format_timestamp(datetime(2026, 1, 2, tzinfo=UTC))
    found = refused(SecurityProfile.PRIVILEGED, privileged={"alice": {**PRIVILEGE, "expires": ended}})
    assert found is not None
    assert (found.reason, ended in found.message) == (Reason.PRIVILEGE_REFUSED, True)
    assert "privileged.alice.expires" in found.message


def test_a_privileged_container_cannot_have_gpus_to_itself() -> None:
    found = refused(SecurityProfile.PRIVILEGED, GpuMode.EXCLUSIVE, allowed=True)
    assert found is not None
    assert found.reason is Reason.PRIVILEGED_SHARES_GPUS
    assert "alice.yaml:9" in found.message


def test_docker_in_docker_needs_a_runtime_that_the_policy_names() -> None:
    found = refused(SecurityProfile.DOCKER_IN_DOCKER)
    assert found is not None
    assert (found.reason, "dockerInDockerRuntime" in found.message) == (Reason.PRIVILEGE_REFUSED, True)
    assert refused(SecurityProfile.DOCKER_IN_DOCKER, dockerInDockerRuntime="sysbox-runc") is None


def designed(profile: SecurityProfile, run_as: str = "Owner") -> Effective:
    rules = builders.standing(privileged={"alice": PRIVILEGE}, dockerInDockerRuntime="sysbox-runc")
    spec = builders.accepted(security={"profile": profile.value, "runAs": run_as})
    found = resolve.resolve(spec, rules, builders.account("alice"))
    assert isinstance(found, Effective), found
    return found


@pytest.mark.parametrize(
    ("profile", "made"),
    [
        (SecurityProfile.STANDARD, (tuple(security.CAPABILITIES), False, None)),
        (SecurityProfile.DOCKER_IN_DOCKER, (None, False, "sysbox-runc")),
        (SecurityProfile.PRIVILEGED, (None, True, None)),
    ],
)
def test_each_profile_makes_one_kind_of_container(profile: SecurityProfile, made: tuple[object, ...]) -> None:
    found = template.render(designed(profile), (), "/run/secrets")
    assert (found.capabilities, found.privileged, found.runtime) == made


@pytest.mark.parametrize("profile", list(SecurityProfile))
@pytest.mark.parametrize("run_as", ["Owner", "Image"])
def test_where_root_can_run_mounts_lie_on_file_systems_without_set_uid_programs(
    profile: SecurityProfile, run_as: str
) -> None:
    harmless = profile is SecurityProfile.STANDARD and run_as == "Owner"
    assert designed(profile, run_as).nosuid_mounts is not harmless


def test_standard_has_less_than_the_engine_gives_by_itself() -> None:
    names = list(security.CAPABILITIES)
    assert names == sorted(names)
    assert sim_security.OWN - set(names) == {"MKNOD", "NET_RAW", "SETFCAP", "SETPCAP"}
    assert set(names) < sim_security.OWN


def test_the_page_says_why_each_capability_is_there() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("| `")] == [
        f"| `{name}` | {why} |" for name, why in security.CAPABILITIES.items()
    ]


def differences(
    profile: SecurityProfile,
    version: str,
    **configured: Any,  # noqa: ANN401 - fields of one class
) -> list[str]:
    """What is found of a container of a profile, made by a version, where Standard is wanted today."""
    spec, today = builders.accepted(), designed(SecurityProfile.STANDARD)
    wanted = template.render(today, (), "/run/secrets")
    identity = template.identity(spec, today, template.digest(wanted), 1)
    before = template.render(designed(profile), (), "/run/secrets")
    marks = template.signed({**identity, labels.TEMPLATE_HASH: template.digest(before, version)}, "1", b"key")
    image = builders.image_id(today.image)
    made = builders.container(CreateContainer("alice", "workspace-alice", before, marks), image)
    found = replace(made, configuration=replace(made.configuration, **configured))
    view = World().observed().engine
    assert isinstance(view, Seen)
    known = replace(view.value, image_details={image: builders.image(image)})
    drifts = drift.detect(drift.subject(wanted, identity, frozenset(), found, known))
    assert {one.remedy for one in drifts} <= {Remedy.REPLACE}
    return [one.field for one in drifts]


@pytest.mark.parametrize(
    ("version", "configured", "expected"),
    [
        ("v1", {"capabilities": None}, []),
        ("v2", {"capabilities": None}, ["capabilities"]),
        ("v2", {"capabilities": ("SYS_ADMIN",)}, ["capabilities"]),
        ("v1", {"privileged": True}, ["privileged"]),
        ("v2", {"privileged": True}, ["privileged"]),
        ("v1", {"runtime": "nvidia"}, []),
        ("v2", {"runtime": "nvidia"}, []),
    ],
)
def test_what_a_version_did_not_know_of_is_no_difference(
    version: str, configured: dict[str, Any], expected: list[str]
) -> None:
    assert differences(SecurityProfile.STANDARD, version, **configured) == expected


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (SecurityProfile.STANDARD, []),
        (SecurityProfile.PRIVILEGED, ["privileged", "capabilities"]),
        (SecurityProfile.DOCKER_IN_DOCKER, ["capabilities", "runtime"]),
    ],
)
def test_a_profile_that_changed_needs_a_new_container(profile: SecurityProfile, expected: list[str]) -> None:
    assert differences(profile, template.HASH_VERSION) == expected


def test_what_an_older_version_did_compare_is_still_compared() -> None:
    assert differences(SecurityProfile.STANDARD, "v1", hostname="bob") == ["hostname"]
    assert template.PROJECTIONS.keys() == {"v1", "v2"}
