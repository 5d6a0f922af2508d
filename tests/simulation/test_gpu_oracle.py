"""The simulator finds what is wrong with GPUs: each of these faults is seen within a few runs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import pytest

from controller.model.gpus import Process
from controller.model.observed import Container, ContainerState
from controller.model.plan import Decision
from controller.planning import allocation, claimed, equipment, holdings, queueing
from controller.planning.case import Ours
from controller.planning.claimed import Claim
from tests.simulation import runs, scenario
from tests.simulation.board import BUILDS

SEEDS = 100
STEPS = 400


def ignores_what_was_made(patch: pytest.MonkeyPatch) -> None:
    counts = holdings._Reader._counts

    def blind(self: holdings._Reader, name: str, ours: Ours, container: Container) -> bool:
        never = container.state is ContainerState.CREATED and container.started_at is None
        return not never and counts(self, name, ours, container)

    patch.setattr(holdings._Reader, "_counts", blind)


def takes_silence_for_free(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(holdings._Reader, "blind", lambda _: "")


def starts_without_asking(patch: pytest.MonkeyPatch) -> None:
    need = equipment.Equipment.need

    def bold(self: equipment.Equipment, name: str, decision: Decision) -> equipment.Need | None:
        found = need(self, name, decision)
        return None if found is not None and found.starts else found

    patch.setattr(equipment.Equipment, "need", bold)


def ignores_strangers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(holdings._Reader, "_of_strangers", lambda _: iter(()))


def ignores_processes(patch: pytest.MonkeyPatch) -> None:
    def none(_: holdings._Reader, process: Process) -> Iterator[Claim]:
        del process
        return iter(())

    patch.setattr(holdings._Reader, "_of_process", none)


def gives_what_is_out_of_use(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(allocation, "withheld", lambda *_: {})


def seats_without_end(patch: pytest.MonkeyPatch) -> None:
    admits, rivals = claimed.Holders.admits, claimed.Holders.rivals
    patch.setattr(claimed.Holders, "admits", lambda self, uuid, hold, _: admits(self, uuid, hold, 99))
    patch.setattr(
        claimed.Holders, "rivals", lambda self, uuid, name, hold, _: rivals(self, uuid, name, hold, 99)
    )


def takes_instances_for_devices(patch: pytest.MonkeyPatch) -> None:
    begin = claimed.Holders.__init__

    def bare(self: claimed.Holders, *arguments: object) -> None:
        begin(self, {}, *arguments[1:])  # type: ignore[arg-type]

    patch.setattr(claimed.Holders, "__init__", bare)


def serves_the_last_first(patch: pytest.MonkeyPatch) -> None:
    rank = queueing.rank

    def upside_down(request: queueing.Request, now: datetime) -> queueing.Rank:
        score, since, name = rank(request, now)
        return now - (score - now), now - (since - now), name

    patch.setattr(queueing, "rank", upside_down)


@dataclass(frozen=True)
class Broken:
    """A fault in the product, what goes on while it is there, and which invariant it violates.

    Attributes:
        first: seed from which on runs are made, so that it is found soon.
    """

    breaks: Callable[[pytest.MonkeyPatch], None]
    kinds: tuple[str, ...]
    violates: frozenset[str]
    mode: str = scenario.SAFETY
    first: int = 1


BROKEN = (
    Broken(
        ignores_what_was_made, ("write", "exits", "delay"), frozenset({"S8"}), scenario.LOCKLESS, first=15
    ),
    Broken(takes_silence_for_free, ("write", "gpu_shy"), frozenset({"S8"}), first=36),
    Broken(starts_without_asking, ("exits", "write", "hour", "edit_gpu_rules"), frozenset({"S1", "S8"})),
    Broken(ignores_strangers, ("write", "foreign_container", "hour"), frozenset({"S1"})),
    Broken(ignores_processes, ("write", "host_process", "survivor"), frozenset({"S1"})),
    Broken(gives_what_is_out_of_use, ("write", "wharf_cordon", "gpu_ails"), frozenset({"S8"})),
    Broken(seats_without_end, ("write", "edit_gpu_rules"), frozenset({"S1"})),
    Broken(takes_instances_for_devices, ("write", "foreign_container"), frozenset({"S1"}), first=160),
    Broken(
        serves_the_last_first,
        ("write", "hour", "remove", "edit_gpu_rules", "docker_rm"),
        frozenset({"L5"}),
        first=35,
    ),
)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.breaks.__name__)
def test_a_broken_product_is_found(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    broken.breaks(monkeypatch)
    for seed in range(broken.first, broken.first + SEEDS):
        drawn = scenario.generate(seed, (), broken.kinds, STEPS)
        gpus = 1 + seed % len(BUILDS)
        violated = runs.run(replace(drawn, mode=broken.mode, gpus=gpus, workspaces=4)).violated
        if violated is not None:
            assert violated[0] in broken.violates, f"seed {seed}: {violated}"
            return
    pytest.fail("nothing was found")
