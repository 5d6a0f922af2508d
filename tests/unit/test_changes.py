"""Orders about changes, on a real ledger: what is written down, and what is refused."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from controller import changes
from controller.api import labels
from controller.api.conditions import Reason
from controller.ledger.ledger import Ledger
from controller.model import actions
from controller.model.memory import Pause, Rollback
from controller.model.observed import Stranger
from controller.model.plan import Decision, Verdict
from controller.model.status import WorkspaceStatus
from controller.planning import claims
from controller.reporting import control
from tests.support import ledgers, reports

ORDER = changes.Order("root", reports.NOW)
KEPT = "d" * 64


@dataclass
class Containers:
    """The containers of an Engine, by name."""

    known: dict[str, Stranger] = field(default_factory=dict)

    def container(self, name: str) -> Stranger | None:
        return self.known.get(name)

    def layer_sizes(self, ids: Iterable[str]) -> Mapping[str, int]:
        return dict.fromkeys(ids, 4096)

    def add(self, name: str, identifier: str = "e" * 64, **found: str) -> Stranger:
        self.known[name] = Stranger(identifier, name, "old:1", reports.NOW, found, running=True)
        return self.known[name]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "state", reports.NOW)
    opened.accept([ledgers.spec("alice")])
    yield opened
    opened.close()


@pytest.fixture
def containers() -> Containers:
    return Containers()


def decided(reason: Reason, verdict: Verdict = Verdict.HOLD, change: str = "v1:new") -> WorkspaceStatus:
    return reports.status("alice", Decision("alice", verdict, reason, "9 of 20", change=change))


def keep(ledger: Ledger, identifier: str = KEPT, name: str = "workspace-alice.dddddddd") -> None:
    ledger.execute(actions.RetainContainer("alice", identifier, name, "SpecChanged"), reports.NOW)


@pytest.mark.parametrize("reason", sorted(changes.APPROVABLE))
def test_what_is_held_or_parked_is_let_go_by_its_name(ledger: Ledger, reason: Reason) -> None:
    ledger.hold([ledgers.HELD])
    assert changes.approve(ledger, decided(reason), ORDER)
    memory = ledger.recall(b"", reports.NOW)
    assert (memory.approvals["alice"].change, memory.approvals["alice"].by) == ("v1:new", "root")
    assert memory.held == {}
    (event,) = ledger.events("alice", 10)
    assert (event.reason, event.message) == (Reason.APPROVED, "root lets it go: 9 of 20")


def test_to_approve_again_changes_nothing(ledger: Ledger) -> None:
    status = decided(Reason.PACED, Verdict.WAIT)
    changes.approve(ledger, status, ORDER)
    before = ledger.recall(b"", reports.NOW)
    assert not changes.approve(ledger, status, changes.Order("bob", reports.later(60)))
    assert ledger.recall(b"", reports.NOW) == before


def test_an_approved_change_that_was_rolled_back_is_approved_anew(ledger: Ledger) -> None:
    status = decided(Reason.PINNED, Verdict.KEEP)
    changes.approve(ledger, status, ORDER)
    ledger.execute(actions.EndRollback("alice", ledgers.PIN), reports.NOW)
    assert changes.approve(ledger, status, ORDER)
    assert ledger.recall(b"", reports.NOW).pins == {}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (decided(Reason.AS_SPECIFIED, Verdict.KEEP), "nothing of alice"),
        (decided(Reason.PAUSED), "nothing of alice"),
        (decided(Reason.CHANGE_PENDING, Verdict.WAIT, change=""), "nothing of alice"),
        (decided(Reason.REPLACEMENT_FAILED), "wharf restart alice"),
    ],
)
def test_where_there_is_nothing_to_approve_it_is_refused(
    ledger: Ledger, status: WorkspaceStatus, words: str
) -> None:
    before = ledger.recall(b"", reports.NOW)
    with pytest.raises(control.Refused, match=words):
        changes.approve(ledger, status, ORDER)
    assert ledger.recall(b"", reports.NOW) == before
    assert ledger.events(None, 10) == ()


def test_the_newest_kept_container_comes_back(ledger: Ledger) -> None:
    keep(ledger)
    later = actions.RetainContainer("alice", "f" * 64, "workspace-alice.ffffffff", "SpecChanged")
    ledger.execute(later, reports.later(60))
    other = actions.RetainContainer("bob", "b" * 64, "workspace-bob.bbbbbbbb", "SpecChanged")
    ledger.execute(other, reports.later(120))
    assert changes.roll_back(ledger, reports.status("alice"), ORDER).name == "workspace-alice.ffffffff"
    wanted = Rollback("alice", "f" * 64, requested=True, at=reports.NOW, by="root")
    assert ledger.recall(b"", reports.NOW).rollbacks == {"alice": wanted}


def test_without_a_kept_container_there_is_no_way_back(ledger: Ledger) -> None:
    keep(ledger, reports.ID, "workspace-alice")  # the very one that is in use
    with pytest.raises(control.NotFound, match="no container of alice is kept"):
        changes.roll_back(ledger, reports.status("alice"), ORDER)


def test_without_a_spec_there_is_no_way_back(ledger: Ledger) -> None:
    keep(ledger)
    ledger.execute(actions.ForgetWorkspace("alice"), reports.NOW)
    with pytest.raises(control.Refused, match="put it back"):
        changes.roll_back(ledger, reports.status("alice"), ORDER)
    assert ledger.recall(b"", reports.NOW).rollbacks == {}


@pytest.mark.parametrize("named", [KEPT, "workspace-alice.dddddddd"])
def test_a_kept_container_is_forgotten_by_id_or_name(ledger: Ledger, named: str) -> None:
    keep(ledger)
    assert changes.forget(ledger, named, ORDER).container_id == KEPT
    assert ledger.recall(b"", reports.NOW).forget_requests == {KEPT: reports.NOW}


def test_what_is_not_kept_cannot_be_forgotten(ledger: Ledger) -> None:
    with pytest.raises(control.NotFound):
        changes.forget(ledger, "workspace-alice", ORDER)
    assert ledger.recall(b"", reports.NOW).forget_requests == {}


def test_a_container_on_its_way_back_is_not_forgotten(ledger: Ledger) -> None:
    keep(ledger)
    changes.roll_back(ledger, reports.status("alice"), ORDER)
    with pytest.raises(control.Refused, match="put back"):
        changes.forget(ledger, KEPT, ORDER)


@pytest.mark.parametrize("paused", [None, "alice"], ids=["host", "workspace"])
def test_while_it_is_paused_nothing_is_forgotten(ledger: Ledger, paused: str | None) -> None:
    keep(ledger)
    ledger.pause(paused, Pause("storage", reports.NOW, "root"))
    with pytest.raises(control.Refused, match="storage"):
        changes.forget(ledger, KEPT, ORDER)


def test_the_container_that_was_shown_is_adopted(ledger: Ledger, containers: Containers) -> None:
    stranger = containers.add("workspace-alice")
    found = changes.candidate(ledger, containers, "alice", reports.NOW)
    assert (found.workspace, found.container, found.owned) == ("alice", stranger, False)
    changes.adopt(ledger, containers, "alice", stranger.id, ORDER)
    adoption = ledger.recall(b"", reports.NOW).adopted[stranger.id]
    assert (adoption.workspace, adoption.by) == ("alice", "root")
    (event,) = ledger.events("alice", 10)
    assert event.reason is Reason.ADOPTED
    assert changes.candidate(ledger, containers, "alice", reports.NOW).owned


@pytest.mark.parametrize(
    ("name", "found", "workspace"),
    [
        ("workspace-alice", {}, "alice"),
        ("workspace-alice.0123abcd", {}, "alice"),
        ("old-box", {labels.WORKSPACE: "carol"}, "carol"),
    ],
)
def test_a_containers_own_name_may_be_said(
    ledger: Ledger, containers: Containers, name: str, found: dict[str, str], workspace: str
) -> None:
    containers.add(name, **found)
    assert changes.candidate(ledger, containers, name, reports.NOW).workspace == workspace


def test_a_container_of_which_nothing_tells_a_workspace_is_refused(
    ledger: Ledger, containers: Containers
) -> None:
    containers.add("old-box")
    with pytest.raises(control.Refused, match="rename it"):
        changes.candidate(ledger, containers, "old-box", reports.NOW)


def test_a_name_without_a_container_is_not_found(ledger: Ledger, containers: Containers) -> None:
    with pytest.raises(control.NotFound, match="workspace-alice"):
        changes.candidate(ledger, containers, "alice", reports.NOW)


def test_another_container_than_the_one_shown_is_refused(ledger: Ledger, containers: Containers) -> None:
    shown = containers.add("workspace-alice")
    containers.add("workspace-alice", "f" * 64)
    with pytest.raises(control.Refused, match="another container"):
        changes.adopt(ledger, containers, "alice", shown.id, ORDER)
    assert ledger.recall(b"", reports.NOW).adopted == {}


def test_one_that_is_ours_needs_no_adoption(ledger: Ledger, containers: Containers) -> None:
    signed = {labels.WORKSPACE: "alice", labels.INSTANCE: "1" * 32}
    signed[labels.CLAIM] = claims.sign(ledger.claim_key, signed)
    ours = containers.add("workspace-alice", **signed)
    assert changes.adopt(ledger, containers, "alice", ours.id, ORDER).owned
    assert ledger.recall(b"", reports.NOW).adopted == {}
