"""The simulator finds what is wrong: each of these faults in the product is seen within a few runs."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from controller.api import labels
from controller.engine import executor, names
from controller.model.actions import StartContainer
from controller.model.memory import Memory
from controller.model.observed import Container, EngineView
from controller.model.status import ChainReport
from controller.planning import budget, chains, holdings, inventory, quotas, rollback, stops
from controller.planning.case import Ours
from controller.reconciler import Reconciler
from controller.sources import settling
from tests.simulation import acts, faults, gpu_deeds, hands, runs, scenario, shrinking, slice_deeds

SEEDS = range(0, 300, 3)
STEPS = 400


def does_not_compare(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(executor, "_compare", lambda *_: None)


def starts_without_comparing(patch: pytest.MonkeyPatch) -> None:
    def start(self: executor.EngineExecutor, action: StartContainer) -> bool:
        return self._client.start(action.container_id)

    patch.setattr(executor.EngineExecutor, "_start", start)


def takes_copies_for_ours(patch: pytest.MonkeyPatch) -> None:
    def sort(_: inventory.Inventory, view: EngineView, __: Memory) -> tuple[list[Container], list[Container]]:
        ours = [one for one in view.containers.values() if labels.CLAIM in one.labels]
        return ours, [one for one in view.containers.values() if labels.CLAIM not in one.labels]

    patch.setattr(inventory.Inventory, "_sort", sort)


def has_no_budget(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(budget, "ration", lambda decisions, *_: budget.Rationing(decisions, ()))


def takes_an_accident_for_a_wish(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(stops, "_hold_on_removal", lambda _: "")


def stops_for_any_quota(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(quotas._Account, "_is_enforced", lambda *_: True)


def believes_half_a_file(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(settling, "_may_be_unfinished", lambda *_: False)


def removes_what_it_replaces(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(chains, "set_aside", lambda case, container, _: chains.discard(case, container))


def forgets_what_came_of_chains(patch: pytest.MonkeyPatch) -> None:
    collect = Reconciler._collect

    def forgetful(self: Reconciler, now: datetime) -> tuple[ChainReport, ...]:
        reports = collect(self, now)
        self._unwritten = ()
        return reports

    patch.setattr(Reconciler, "_collect", forgetful)


def rolls_back_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rollback, "_was_tried", lambda *_: False)


def believes_what_it_asked_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(names, "_denied", lambda *_: set())


def forgets_the_first_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(inventory, "SPARE", 0)


def takes_no_answer_for_no(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(holdings, "UNANSWERED", -timedelta(days=1))


def keeps_gpus_for_who_may_come_back(patch: pytest.MonkeyPatch) -> None:
    counts = holdings._Reader._counts

    def eternal(self: holdings._Reader, name: str, ours: Ours, container: Container) -> bool:
        begun = self._g.memory.replacements.get(name)
        may_return = begun is not None and container.id == begun.old_id
        return may_return or counts(self, name, ours, container)

    patch.setattr(holdings._Reader, "_counts", eternal)


def counts_what_was_never_written_down(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(acts, "_unless_said", lambda *_: contextlib.nullcontext())


@dataclass(frozen=True)
class Broken:
    """A fault in the product, what goes on while it is there, and which invariant it violates."""

    breaks: Callable[[pytest.MonkeyPatch], None]
    kinds: tuple[str, ...]
    violates: frozenset[str]
    mode: str = scenario.SAFETY


BROKEN = (
    Broken(does_not_compare, ("docker_restart", "wharf_stop", "wharf_start", "delay"), frozenset({"S6"})),
    Broken(takes_copies_for_ours, ("look_alike", "wharf_stop", "docker_rm"), frozenset({"S3", "S5"})),
    Broken(has_no_budget, ("edit_policy", "image_moves"), frozenset({"S10"})),
    Broken(takes_an_accident_for_a_wish, ("specs_vanish", "hour"), frozenset({"S3"})),
    Broken(believes_half_a_file, ("write_in_halves", "hour"), frozenset({"S12"})),
    Broken(stops_for_any_quota, ("edit_quotas", "move_member", "hour"), frozenset({"S3"})),
    Broken(removes_what_it_replaces, ("write", "exits"), frozenset({"S2"})),
    Broken(
        starts_without_comparing,
        ("write", "exits", "wharf_restart", "delay"),
        frozenset({"S6", "S7"}),
        scenario.LOCKLESS,
    ),
)
FORGOTTEN = {
    "a_commit_fails_at_the_end_of_a_chain": forgets_what_came_of_chains,
    "a_full_disk_hides_a_copy_from_the_list": forgets_the_first_at_once,
    "an_image_moves_and_its_event_is_lost": believes_what_it_asked_once,
    "a_start_that_was_not_answered_comes_when_its_gpu_is_given": takes_no_answer_for_no,
    "two_that_may_have_to_come_back_wait_for_each_other": keeps_gpus_for_who_may_come_back,
    "a_rolled_back_container_that_ends_at_once": rolls_back_for_ever,
    "a_start_that_was_never_written_down": counts_what_was_never_written_down,
}
"""What mended the product, or the simulator, after each plan was kept, taken away again."""


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.breaks.__name__)
def test_a_broken_product_is_found(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    broken.breaks(monkeypatch)
    for seed in SEEDS:
        drawn = scenario.generate(seed, (), broken.kinds, STEPS)
        violated = runs.run(replace(drawn, mode=broken.mode)).violated
        if violated is not None:
            assert violated[0] in broken.violates, f"seed {seed}: {violated}"
            return
    pytest.fail("nothing was found")


@pytest.mark.parametrize("plan", sorted(path.stem for path in shrinking.PLANS.glob("*.yaml")))
def test_a_kept_plan_still_finds_what_it_was_kept_for(plan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, invariant = scenario.load(shrinking.PLANS / f"{plan}.yaml")
    FORGOTTEN[plan](monkeypatch)
    violated = runs.run(kept).violated
    assert violated is not None
    assert violated[0] == invariant


def test_every_kind_is_in_the_catalogue_once() -> None:
    every = (faults.FAULTS, acts.ACTS, hands.HANDS, gpu_deeds.GPU_DEEDS, slice_deeds.SLICE_DEEDS)
    assert len(runs.CATALOGUE) == sum(map(len, every))
