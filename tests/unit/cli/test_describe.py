"""All about one workspace, for a person."""

from dataclasses import replace

from controller.api.conditions import DriftKind, Reason
from controller.model.plan import Drift, NotEnforced, Remedy, Verdict
from controller.model.sizes import Measured, Unmeasured, Usage
from controller.model.status import EffectiveValue, Event, ServiceAddress
from controller.status import records, wording
from tests.support import controller_stand_in, reports, wharf_host

SERVICES = (
    ServiceAddress("ssh", 22, 10022),
    ServiceAddress("jupyter", 8888, 10003),
    ServiceAddress("db", 5432, 10030),
    ServiceAddress("code", 8080, None, "https://alice-code.lab.example.org/"),
    ServiceAddress("inner", 9000, None),
)


def described(wharf: wharf_host.Wharf, world: controller_stand_in.World) -> str:
    drift = Drift(DriftKind.RESOURCES, "memory", "128m", "64m", Remedy.LIVE)
    decided = reports.decision(
        verdict=Verdict.UPDATE,
        reason=Reason.DRIFTED,
        message="limits differ",
        drifts=(drift,),
        not_enforced=(NotEnforced("spec.lifecycle.maxRuntime", "not yet"),),
    )
    effective = (EffectiveValue("resources.memory", "64m", "policy.yaml:7 (class small)"),)
    status = reports.status("alice", decided, services=SERVICES, effective=effective)
    event = Event(reports.NOW, "alice", Reason.ACCEPTED, "alice.yaml is in force", warning=False)
    world.workspaces = {"alice": wording.object_of(status)}
    world.answers["events"] = {"items": [records.event_object(event)]}
    result = wharf("describe", "workspace", "alice")
    assert (result.code, result.err) == (0, "")
    return result.out


def test_it_has_what_a_person_looks_for(wharf: wharf_host.Wharf, world: controller_stand_in.World) -> None:
    text = described(wharf, world)
    for line in (
        "Name:         alice",
        "File:         alice.yaml",
        "State:        Running",
        "  class: vm",
        "  resources.memory   64m     policy.yaml:7 (class small)",
        "  resources memory 128m -> 64m (remedy: live",
        "  Update (Drifted): limits differ",
        "  not enforced: spec.lifecycle.maxRuntime: not yet",
    ):
        assert f"\n{line}" in f"\n{text}"
    assert "alice.yaml is in force" in text
    assert "workspace-alice (0123456789ab), started 2026-11-22T12:00:00Z (5m ago)" in text


def test_it_ends_with_the_lines_to_connect(wharf: wharf_host.Wharf, world: controller_stand_in.World) -> None:
    assert described(wharf, world).splitlines()[-5:] == [
        "Connect:",
        "  ssh -p 10022 alice@gpu1.example",
        "  http://gpu1.example:10003/",
        "  gpu1.example:10030 (db)",
        "  https://alice-code.lab.example.org/",
    ]


def test_an_unknown_workspace_is_3(wharf: wharf_host.Wharf, world: controller_stand_in.World) -> None:
    result = wharf("describe", "ws", "carol")
    assert (result.code, result.err) == (3, "wharf: workspace/carol: not found\n")


def test_values_and_origins_stay_within_a_hundred_columns(
    wharf: wharf_host.Wharf, world: controller_stand_in.World
) -> None:
    digest = f"registry.example/team/image:2026.11@sha256:{64 * 'a'}"
    effective = (
        EffectiveValue("image", digest, "policy.yaml:8 (class vm)"),
        EffectiveValue("lifecycle.idleTimeout", "48h", "default"),
        EffectiveValue(
            "resources.memory",
            "16g",
            "policy.yaml:14 (quotas of group students), was 64g by policy.yaml:21 (grant thesis)",
        ),
    )
    status = reports.status("alice", reports.decision(), effective=effective)
    world.workspaces = {"alice": wording.object_of(status)}
    world.answers["events"] = {"items": []}
    text = wharf("describe", "workspace", "alice").out
    assert (
        f"""\
Effective values:
  FIELD                   VALUE   ORIGIN
  image                   {digest}
                                  policy.yaml:8 (class vm)
  lifecycle.idleTimeout   48h     default
  resources.memory        16g     policy.yaml:14 (quotas of group students),
                                  was 64g by policy.yaml:21 (grant thesis)
"""
        in text
    )


def test_bytes_are_shown_with_their_age_or_why_they_are_unknown(
    wharf: wharf_host.Wharf, world: controller_stand_in.World
) -> None:
    unknown = Unmeasured("not measured yet", reports.NOW)
    usage = Usage(Measured(3 << 30, reports.later(-300)), unknown, Measured(512, reports.NOW), "/home/alice")
    status = replace(reports.status("alice"), usage=usage)
    world.workspaces = {"alice": wording.object_of(status)}
    text = wharf("describe", "workspace", "alice").out
    line = "Storage:      layer 3.0GiB (10m ago), log unknown: not measured yet, home 512B (5m ago)"
    assert line in text.splitlines()
