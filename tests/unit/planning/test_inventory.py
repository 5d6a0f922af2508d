"""Which container is the first of its instance, and when that is forgotten."""

from dataclasses import replace
from datetime import timedelta

from controller.api import labels
from controller.model.memory import Identity, Memory
from controller.model.observed import EngineView, Seen
from controller.planning import inventory
from tests.support import builders
from tests.support.world import World


def look() -> tuple[EngineView, Memory]:
    """A host on which alice has one container, and what its ledger knows."""
    world = World().add(builders.accepted("alice"))
    seen = world.observed().engine
    assert isinstance(seen, Seen)
    return seen.value, world.memory


def test_the_earlier_of_two_is_learnt_and_stays() -> None:
    view, memory = look()
    (first,) = view.containers.values()
    copy = replace(first, id="f" * 64, created=first.created + timedelta(seconds=1))
    both = replace(view, containers={copy.id: copy, first.id: first})
    instance = first.labels[labels.INSTANCE]
    assert inventory.identities(both, memory) == ((Identity(instance, first.id),), ())
    knowing = replace(memory, identities={instance: Identity(instance, first.id)})
    alone = replace(view, containers={copy.id: copy})
    assert inventory.identities(alone, knowing) == ((), ())
    assert not inventory.is_ours(knowing, copy.id, copy.labels)
    assert inventory.is_ours(knowing, first.id, first.labels)


def test_while_a_container_cannot_be_inspected_only_what_has_its_name_is_learnt() -> None:
    view, memory = look()
    (first,) = view.containers.values()
    unsure = replace(view, unknown=frozenset({"workspace-bob"}))
    learnt = (Identity(first.labels[labels.INSTANCE], first.id),)
    assert inventory.identities(unsure, memory) == (learnt, ())
    renamed = {first.id: replace(first, name="other")}
    assert inventory.identities(replace(unsure, containers=renamed), memory) == ((), ())


def test_a_foreign_claim_is_not_learnt() -> None:
    view, memory = look()
    assert inventory.identities(view, replace(memory, claim_key=b"another" * 5)) == ((), ())


def test_what_none_bears_is_forgotten_once_there_is_much_of_it() -> None:
    view, memory = look()
    empty = replace(view, containers={})
    for count, gone in ((inventory.SPARE, 0), (inventory.SPARE + 1, inventory.SPARE + 1)):
        known = {f"{number:032x}": Identity(f"{number:032x}", "c" * 64) for number in range(count)}
        assert len(inventory.identities(empty, replace(memory, identities=known))[1]) == gone
