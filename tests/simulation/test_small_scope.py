"""Two controllers at once on a small host: every order of their steps, every fault at every place."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from controller.model import actions
from controller.model.plan import Decision
from controller.planning import chains, claims, inventory, obstacles, ports, stops
from controller.planning.allocation import Allotment, Offer, Waiting
from controller.planning.case import Case
from controller.planning.equipment import Equipment
from controller.planning.queueing import Request
from tests.simulation.exhaustive import search
from tests.simulation.small_host import Host, Scope, of_gpus
from tests.simulation.small_verdicts import FoundError
from tests.simulation.test_gpu_oracle import ignores_what_was_made

SCOPES = {
    "three workspaces, two units, one fault": Scope(3, 2, 1),
    "two workspaces, one unit, two faults": Scope(2, 1, 2, made=2),
    "the Engine does not guard the unit": Scope(2, 1, 2, made=2, guarded=False),
    "both look before one writes": Scope(2, 1, 1, split=True),
    "two ledgers": Scope(2, 1, 1, ledgers=2),
    "two ledgers and two keys": Scope(2, 1, 1, ledgers=2, one_key=False),
    "two workspaces, one GPU": of_gpus(2, 1, 1),
    "both look before one writes, one GPU": replace(of_gpus(2, 1, 1), split=True),
}


@pytest.mark.parametrize("scope", SCOPES.values(), ids=SCOPES)
def test_nothing_that_two_controllers_can_do_breaks_a_promise(scope: Scope) -> None:
    print(search(scope))


@pytest.mark.full
@pytest.mark.parametrize("scope", [of_gpus(3, 2, 1), of_gpus(2, 1, 1, ledgers=2)])
def test_nothing_that_two_controllers_can_do_gives_a_gpu_to_two(scope: Scope) -> None:
    print(search(scope))


@pytest.mark.full
def test_who_has_a_port_is_seen_where_its_grant_was_forgotten() -> None:
    print(search(Scope(2, 1, 2, made=2, split=True)))


@pytest.mark.full
def test_nothing_that_two_controllers_can_do_to_three_workspaces_breaks_a_promise() -> None:
    print(search(Scope(3, 2, 2), keep=False))


@pytest.mark.parametrize(
    ("guarded", "violates"), [pytest.param(True, "L1", marks=pytest.mark.full), (False, "S1")]
)
def test_what_was_decided_before_another_one_wrote_can_forget_a_workspace_that_is_back(
    guarded: bool, violates: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why the lock is needed: two on one ledger, of which one writes what it decided on an older look.

    The grants of a workspace go while its container runs, and the next one is given the same unit, unless it
    is seen who has it.
    """
    looks_at_no_port(monkeypatch)
    with pytest.raises(FoundError) as found:
        search(Scope(2, 1, 2, made=2, split=True, guarded=guarded))
    assert found.value.invariant == violates
    assert "w0.yaml comes back" in found.value.__notes__[0]


def test_a_search_finds_the_same_again() -> None:
    first, again = search(Scope(2, 1, 1)), search(Scope(2, 1, 1))
    assert (first.states, first.transitions, first.depth) == (again.states, again.transitions, again.depth)


def starts_without_comparing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Host, "_compare", lambda *_: None)


def starts_beside_another_one(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(obstacles, "beside", lambda _: None)
    patch.setattr(Host, "_owned", lambda *_: [])


def removes_what_it_replaces(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(chains, "set_aside", lambda case, container, _: chains.discard(case, container))


def starts_what_it_makes(patch: pytest.MonkeyPatch) -> None:
    create = chains.create

    def hasty(case: Case) -> tuple[actions.Action, ...]:
        name = f"workspace-{case.name}"
        start = actions.StartContainer(case.name, "0" * 64, name, actions.Expected(False, None, 0))
        return (*create(case), start)

    patch.setattr(chains, "create", hasty)


def looks_at_no_port(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ports, "busy", lambda *_: {})


def forgets_before_it_looks(patch: pytest.MonkeyPatch) -> None:
    looks_at_no_port(patch)
    remove = stops._remove

    def hasty(case: Case) -> Decision:
        decision = remove(case)
        forget = actions.ForgetWorkspace(case.name)
        if forget in decision.actions:
            return decision
        return case.decide(
            decision.verdict, decision.reason, actions=(*decision.actions, forget), disrupts=decision.disrupts
        )

    patch.setattr(stops, "_remove", hasty)


def gives_a_unit_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ports.Book, "_free", lambda *arguments: arguments[-1].base)
    patch.setattr(Host, "_grant", lambda *_: None)


def takes_all_for_ours(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(inventory.Inventory, "_judge", lambda *_: claims.Ownership.OWNED)


class _TieBreak(Allotment):
    """Lets one of two that were made for a device have it: the first by name, if none of them runs yet.

    Who was made first and is seen last would start beside the other.
    """

    running: frozenset[str] = frozenset()

    def offer(self, request: Request) -> Offer | Waiting:
        if request.own and not request.runs and not request.must_own:
            claims = (claim for uuid in request.own for claim in self._stock.holders.on(uuid))
            rivals = {claim.workspace for claim in claims} - {request.workspace}
            if rivals and not rivals & self.running and request.workspace < min(rivals):
                return Offer(request.own)
        return super().offer(request)


def breaks_ties(patch: pytest.MonkeyPatch) -> None:
    allotment = Equipment.allotment

    def partial(self: Equipment, requests: Iterable[Request]) -> Allotment:
        made = allotment(self, requests)
        made.__class__ = _TieBreak
        assert isinstance(made, _TieBreak)
        made.running = frozenset(name for name, ours in self._sight.index.items() if ours.running())
        return made

    patch.setattr(Equipment, "allotment", partial)


BROKEN: dict[Callable[[pytest.MonkeyPatch], None], tuple[Scope, set[str]]] = {
    starts_without_comparing: (Scope(1, 1, 1), {"S6"}),
    starts_beside_another_one: (Scope(1, 1, 1, guarded=False), {"S7"}),
    removes_what_it_replaces: (Scope(1, 1, 1), {"S2"}),
    starts_what_it_makes: (Scope(1, 1, 0), {"S8"}),
    forgets_before_it_looks: (Scope(2, 1, 1), {"L1"}),
    gives_a_unit_twice: (Scope(2, 1, 0, guarded=False), {"S1"}),
    takes_all_for_ours: (Scope(1, 1, 1, ledgers=2, one_key=False), {"S5"}),
    breaks_ties: (of_gpus(2, 1, 1), {"S1"}),
    ignores_what_was_made: (of_gpus(2, 1, 1), {"S1"}),
}


@pytest.mark.parametrize("breaks", BROKEN, ids=lambda breaks: breaks.__name__)
def test_a_broken_product_is_found(
    breaks: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(monkeypatch)
    scope, violates = BROKEN[breaks]
    with pytest.raises(FoundError) as found:
        search(scope)
    assert found.value.invariant in violates, "\n".join([str(found.value), *found.value.__notes__])
