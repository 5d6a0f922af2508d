"""Which spec is in force after a scan."""

from datetime import timedelta
from typing import Any

import pytest

from controller.api.conditions import Reason
from controller.api.workspace import Workspace
from controller.model.desired import AcceptedSpec
from controller.model.memory import RemovalRequest
from controller.model.observed import Unseen
from controller.planning import acceptance
from controller.planning.budget import Budget
from tests.support import builders

NOW = builders.NOW


def accept(scan: Any, *before: AcceptedSpec, after: float = 0, **fields: Any) -> acceptance.Acceptance:  # noqa: ANN401 - a scan or none
    memory = builders.memory(accepted={spec.name: spec for spec in before}, **fields)
    return acceptance.accept(
        scan, memory, lambda name: f"uid-{name}", Budget(1, 10), NOW + timedelta(seconds=after)
    )


def specs(count: int) -> list[AcceptedSpec]:
    return [builders.in_force(builders.workspace(f"w{number}")) for number in range(count)]


def test_a_new_file_is_accepted_and_not_yet_confirmed() -> None:
    found = accept(builders.scan(builders.file(builders.workspace(), settled_at=NOW)))
    spec = found.specs["alice"]
    assert (spec.uid, spec.generation, spec.confirmed, spec.accepted_at) == ("uid-alice", 1, False, NOW)
    assert found.changed == (spec,)
    assert found.next_look == NOW + timedelta(seconds=5)


def test_an_edit_makes_no_workspace_younger() -> None:
    first = builders.in_force(builders.workspace())
    found = first
    for number in range(2):
        edited = builders.file(builders.workspace(env={"A": str(number)}))
        found = accept(builders.scan(edited), found).specs["alice"]
    assert (found.generation, found.accepted_at) == (3, NOW)
    assert found.since == first.since == builders.LONG_AGO


def test_a_terminated_file_is_confirmed_at_once() -> None:
    found = accept(builders.scan(builders.file(builders.workspace(), terminated=True)))
    assert found.specs["alice"].confirmed


@pytest.mark.parametrize(("after", "confirmed"), [(4.9, False), (5, True), (-3, False), (-86400, True)])
def test_a_file_is_confirmed_when_it_has_read_the_same_for_five_seconds(
    after: float, confirmed: bool
) -> None:
    before = builders.in_force(builders.workspace(), confirmed=False, accepted_at=NOW)
    found = accept(builders.scan(builders.file(builders.workspace(), settled_at=NOW)), before, after=after)
    assert found.specs["alice"].confirmed == confirmed


def test_a_file_that_was_touched_again_is_confirmed_later() -> None:
    before = builders.in_force(builders.workspace(), confirmed=False, accepted_at=NOW)
    touched = builders.file(builders.workspace(), settled_at=NOW + timedelta(seconds=3), digest="other")
    found = accept(builders.scan(touched), before, after=6)
    assert not found.specs["alice"].confirmed
    assert found.next_look == NOW + timedelta(seconds=8)


def test_nothing_new_is_the_very_same() -> None:
    before = builders.in_force(builders.workspace())
    found = accept(builders.scan(builders.file(builders.workspace())), before)
    assert found.specs["alice"] is before
    assert found.changed == ()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"env": {"A": "a"}}, {"env": {"A": "b"}}),
        ({"lifecycle": {}}, {"lifecycle": {"idleTimeout": None}}),
        ({"resources": {"memory": None}}, {}),
    ],
)
def test_an_edit_is_a_new_generation_and_null_is_not_absent(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    known = builders.in_force(builders.workspace(**before))
    found = accept(builders.scan(builders.file(builders.workspace(**after), settled_at=NOW)), known)
    spec = found.specs["alice"]
    assert (spec.generation, spec.confirmed, spec.uid) == (2, False, known.uid)


def test_another_comment_is_no_edit() -> None:
    known = builders.in_force(builders.workspace())
    found = accept(builders.scan(builders.file(builders.workspace(), digest="other")), known)
    assert (found.specs["alice"].generation, found.specs["alice"].digest) == (1, "other")
    assert found.specs["alice"].confirmed


def test_another_file_name_removes_nothing() -> None:
    known = builders.in_force(builders.workspace())
    found = accept(builders.scan(builders.file(builders.workspace(), file="z.yaml")), known)
    assert (found.specs["alice"].file, found.specs["alice"].missing_since) == ("z.yaml", None)


def test_an_owner_is_for_life() -> None:
    known = builders.in_force(builders.workspace())
    found = accept(builders.scan(builders.file(builders.workspace(owner="bob"))), known)
    assert found.specs["alice"] is known
    assert found.rejected["alice"].reason is Reason.OWNER_CHANGED
    assert '"alice"' in found.rejected["alice"].findings[0].message


@pytest.mark.parametrize("name", ["alice", None])
def test_a_rejected_file_is_not_a_removed_one(name: str | None) -> None:
    known = builders.in_force(builders.workspace())
    found = accept(builders.scan(rejected=(builders.rejected(name),)), known)
    assert found.specs["alice"] is known
    assert found.rejected.keys() == {"alice"}


def test_a_file_that_is_being_written_is_not_a_removed_one() -> None:
    known = builders.in_force(builders.workspace())
    assert accept(builders.scan(settling=("alice.yaml",)), known).specs["alice"] is known


def test_a_vanished_file_is_missing_since_the_first_scan_without_it() -> None:
    known = builders.in_force(builders.workspace())
    first = accept(builders.scan(), known)
    assert first.specs["alice"].missing_since == NOW
    assert first.identity is None
    later = accept(builders.scan(at=NOW + timedelta(seconds=9)), first.specs["alice"])
    assert later.specs["alice"].missing_since == NOW
    back = accept(builders.scan(builders.file(builders.workspace())), first.specs["alice"])
    assert back.specs["alice"].missing_since is None


def test_a_clock_that_was_set_back_makes_no_grace_longer() -> None:
    known = builders.in_force(builders.workspace(), missing_since=NOW + timedelta(hours=2))
    assert accept(builders.scan(), known).specs["alice"].missing_since == NOW


def test_an_unreadable_directory_is_not_an_empty_one() -> None:
    known = builders.in_force(builders.workspace())
    found = accept(Unseen(Reason.SPECS_UNREADABLE, "gone", NOW), known)
    assert found.specs == {"alice": known}
    assert found.removals_held == "gone"


def test_a_few_removals_are_free_and_many_are_an_accident() -> None:
    known = specs(10)
    files = [builders.file(spec.workspace) for spec in known]
    few, many = accept(builders.scan(*files[2:]), *known), accept(builders.scan(*files[3:]), *known)
    assert few.accident == few.removals_held == many.removals_held == ""
    assert many.accident == "3 of 10 specs vanished at once"


def test_what_people_deleted_is_no_accident() -> None:
    known = specs(10)
    files = [builders.file(spec.workspace) for spec in known]
    asked = {name: RemovalRequest(name, NOW, "root") for name in ("w0", "w1", "w2", "w3")}
    assert accept(builders.scan(*files[6:]), *known, removal_requests=asked).accident == ""
    found = accept(builders.scan(*files[7:]), *known, removal_requests=asked)
    assert found.accident == "3 of 10 specs vanished at once"


def test_another_directory_removes_nothing() -> None:
    known = specs(3)
    scan = builders.scan(*(builders.file(spec.workspace) for spec in known[1:]))
    assert accept(scan, *known, spec_identity=(1, 2)).accident == ""
    assert "replaced" in accept(scan, *known, spec_identity=(9, 9)).accident
    assert accept(scan, *known, spec_identity=(1, 2)).identity is None
    assert accept(scan, *known, spec_identity=(9, 9)).identity is None


def test_another_directory_with_all_specs_in_it_is_believed() -> None:
    known = specs(3)
    found = accept(
        builders.scan(*(builders.file(spec.workspace) for spec in known)), *known, spec_identity=(9, 9)
    )
    assert (found.accident, found.identity) == ("", (1, 2))


@pytest.mark.parametrize(
    "trouble", [{"rejected": (builders.rejected(None, path="new.yaml"),)}, {"settling": ("new.yaml",)}]
)
def test_a_file_that_cannot_be_told_holds_removals(trouble: dict[str, Any]) -> None:
    known = specs(3)
    scan = builders.scan(*(builders.file(spec.workspace) for spec in known[1:]), **trouble)
    assert "new.yaml" in accept(scan, *known).removals_held


def test_two_specs_say_the_same_only_if_they_leave_out_the_same() -> None:
    one: Workspace = builders.workspace(resources={})
    assert acceptance.same(one, builders.workspace(resources={}))
    assert not acceptance.same(one, builders.workspace(resources={"pids": None}))
