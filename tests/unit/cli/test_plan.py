"""A plan as text and JSON, and the schema of the latter."""

import json
from typing import Any

import pytest

from controller.api.conditions import DriftKind, Reason
from controller.cli import plan
from controller.model import actions
from controller.model.plan import Decision, Drift, HostFinding, NotEnforced, Plan, Remedy, Verdict
from controller.status import planned, summary, wording
from tests.support import controller_stand_in, reports, wharf_host

STOP = actions.StopContainer(
    "bob",
    reports.ID,
    "workspace-bob",
    reports.later(60) - reports.NOW,
    actions.Expected(True, None, 1),  # noqa: FBT003
)
DRIFT = Drift(DriftKind.ENV, "TZ", "UTC", "Europe/Berlin", Remedy.REPLACE)
KEEP = reports.decision("alice")
REPLACE = Decision(
    "bob", Verdict.REPLACE, Reason.SPEC_CHANGED, "env differs", (DRIFT,), (STOP,), disrupts=True
)
WAIT = Decision("carol", Verdict.WAIT, Reason.BACKING_OFF, "no disk", retry_at=reports.later(30))
HOLD = Decision(
    "dave", Verdict.HOLD, Reason.PAUSED, "demo", not_enforced=(NotEnforced("spec.gpu", "no GPUs yet"),)
)
STATUSES = {
    "bob": summary.summarize(
        None, reports.spec("bob", owner="bobby"), REPLACE, None, summary.Facts(), reports.NOW
    )
}
FORGET = Decision(
    "retained/workspace-old.1",
    Verdict.REMOVE,
    Reason.FORGET_REQUESTED,
    actions=(actions.ForgetRetained("old", reports.ID),),
)
FULL = Plan(
    {decision.workspace: decision for decision in (KEEP, REPLACE, WAIT, HOLD)},
    host_actions=(actions.EnsureNetwork("wharf", None, inter_container=False),),
    findings=(HostFinding(Reason.FOREIGN_CONTAINER, "workspace-eve", "no valid claim"),),
)


@pytest.fixture
def busy(world: controller_stand_in.World) -> controller_stand_in.World:
    world.answers["plan"] = planned.plan_object(FULL, STATUSES)
    return world


def test_the_text_says_what_why_and_who_is_disrupted(
    wharf: wharf_host.Wharf, busy: controller_stand_in.World
) -> None:
    result = wharf("plan")
    assert result.out.splitlines() == [
        "host: create network wharf",
        "host: ForeignContainer: workspace-eve: no valid claim",
        "bob: Replace (SpecChanged): env differs",
        "  drift env TZ UTC -> Europe/Berlin",
        "  stop workspace-bob (grace 60s)",
        "  interrupts bobby: at most 1m to stop, then some seconds to start",
        "  when: now",
        "carol: Wait (BackingOff): no disk",
        "  when: not before 2026-11-22T12:00:30Z",
        "dave: Hold (Paused): demo",
        "  not enforced spec.gpu: no GPUs yet",
        "  when: held until `wharf resume`",
    ]
    assert result.err == "wharf: 1 to do (disrupts bob), 1 waiting, 1 held, 1 as specified\n"
    assert result.code == 2


def test_every_line_of_the_rendered_plan_is_there(
    wharf: wharf_host.Wharf, busy: controller_stand_in.World
) -> None:
    shown = wharf("plan", "alice", "bob", "carol", "dave").out
    rendered = wording.render(Plan(FULL.decisions))
    assert set(rendered.splitlines()) <= set(shown.splitlines())


@pytest.mark.parametrize(("name", "code"), [("alice", 0), ("bob", 2), ("carol", 0), ("dave", 0)])
def test_the_exit_code_is_that_of_the_named(
    wharf: wharf_host.Wharf, busy: controller_stand_in.World, name: str, code: int
) -> None:
    result = wharf("plan", name)
    assert result.code == code
    assert result.out.startswith(f"{name}: ")


def test_an_unknown_name_is_3(wharf: wharf_host.Wharf, busy: controller_stand_in.World) -> None:
    assert wharf("plan", "eve").code == 3


def test_nothing_to_do_is_0(wharf: wharf_host.Wharf, world: controller_stand_in.World) -> None:
    world.answers["plan"] = planned.plan_object(Plan({"alice": KEEP}))
    result = wharf("plan")
    assert (result.code, result.out) == (0, "")
    assert result.err == "wharf: 0 to do, 0 waiting, 0 held, 1 as specified\n"


def test_without_the_engine_nobody_knows(wharf: wharf_host.Wharf, world: controller_stand_in.World) -> None:
    lost = reports.decision("alice", Verdict.HOLD, Reason.ENGINE_UNAVAILABLE, message="refused")
    world.answers["plan"] = planned.plan_object(Plan({"alice": lost}))
    assert wharf("plan").code == 7


def test_json_is_the_plan_and_nothing_else(wharf: wharf_host.Wharf, busy: controller_stand_in.World) -> None:
    result = wharf("plan", "-o", "json")
    assert (result.code, result.err) == (2, "")
    printed = json.loads(result.out)
    assert printed == {
        "apiVersion": "wharfinger.dev/v1",
        "kind": "Plan",
        **planned.plan_object(FULL, STATUSES),
    }
    check(printed, plan.plan_schema())


def check(value: Any, schema: dict[str, Any]) -> None:  # noqa: ANN401 - JSON
    """As much of JSON Schema as the plan's uses; nothing of a schema is passed over."""
    known = {"$schema", "title", "description", "type", "enum", "const", "items", "properties", "required"}
    assert set(schema) <= known | {"additionalProperties"}
    assert value == schema.get("const", value)
    assert value in schema.get("enum", [value])
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    assert isinstance(value, kinds.get(schema.get("type", ""), object))
    if isinstance(value, list):
        for item in value:
            check(item, schema["items"])
    if isinstance(value, dict):
        assert set(schema.get("required", ())) <= set(value)
        for key, below in value.items():
            check(below, schema.get("properties", {}).get(key) or schema["additionalProperties"])


def test_the_schema_refuses_what_is_no_plan() -> None:
    schema = plan.plan_schema()
    good = {"apiVersion": "wharfinger.dev/v1", "kind": "Plan", **planned.plan_object(FULL, STATUSES)}
    check(good, schema)
    for key, wrong in (("kind", "Workspace"), ("decisions", [{}]), ("hostActions", "none")):
        with pytest.raises((AssertionError, TypeError)):
            check({**good, key: wrong}, schema)


def test_a_kept_container_that_goes_is_something_to_do(
    wharf: wharf_host.Wharf, world: controller_stand_in.World
) -> None:
    world.answers["plan"] = planned.plan_object(Plan({"alice": KEEP}, upkeep=(FORGET,)))
    result = wharf("plan")
    assert (result.code, result.out) == (2, "host: forget retained 0123456789ab\n")
    assert wharf("plan", "alice").code == 0


def test_a_directory_that_is_none_is_a_usage_error(wharf: wharf_host.Wharf) -> None:
    assert wharf("plan", "--spec-dir", "/no/such/directory").code == 64


def test_an_env_drift_of_a_secret_stays_hidden(
    wharf: wharf_host.Wharf, world: controller_stand_in.World
) -> None:
    secret = Drift(DriftKind.ENV, "API_TOKEN", "old-value", "new-value", Remedy.REPLACE)
    decided = Decision("bob", Verdict.REPLACE, Reason.SPEC_CHANGED, "", (secret,), (STOP,))
    world.answers["plan"] = planned.plan_object(Plan({"bob": decided}))
    for form in ("text", "json"):
        assert "-value" not in wharf("plan", "-o", form).out
