"""Which images may go: whoever uses one keeps it; the oldest goes first, while room is wanted."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.api.conditions import Reason
from controller.model.actions import RemoveImage
from controller.model.images import Collection, ImageStore, StoredImage
from controller.model.memory import BackOff, Intent, Memory, Replacement
from controller.model.observed import NOT_LOOKED_AT, Disk, EngineView, Observed, Unseen
from controller.model.plan import Verdict
from controller.planning import classify, collection
from controller.planning.planner import Planner
from tests.support import builders
from tests.support.world import World

NOW, RULES = builders.NOW, builders.RULES
OTHER = "sha256:" + "f" * 64


def image(number: int, days: float = 9, **fields: Any) -> StoredImage:  # noqa: ANN401 - fields of one class
    identifier = "sha256:" + f"{number:x}" * 64
    usual = StoredImage(identifier, (f"lab/image:{number}",), NOW - timedelta(days=days), 1 << 30)
    return replace(usual, **fields)


def store(*images: StoredImage, **fields: Any) -> ImageStore:  # noqa: ANN401 - likewise
    found: dict[str, Any] = {"users": {}, "meant": {}, **fields}
    return ImageStore({one.id: one for one in images}, **found)


ONE = image(1)
KEPT: Mapping[str, tuple[ImageStore, dict[str, str], Memory, str]] = {
    "a container of anybody, running or not": (
        store(ONE, users={ONE.id: "somebody's"}),
        {},
        builders.memory(),
        "container somebody's",
    ),
    "the catalog": (
        store(ONE, meant={"lab/image@sha256:12": ONE.id}),
        {"lab/image@sha256:12": "catalog lab"},
        builders.memory(),
        "catalog lab",
    ),
    "a spec in force, by another name of the image": (
        store(ONE, meant={"other/name:1": ONE.id}),
        {"other/name:1": "workspace alice"},
        builders.memory(),
        "workspace alice",
    ),
    "a replacement that is not proven": (
        store(ONE),
        {},
        builders.memory(replacements={"alice": Replacement("alice", "c", "h", ONE.id, NOW)}),
        "replacement of alice",
    ),
    "an image that was built on it": (
        store(ONE, image(2, 0.01, parent=ONE.id)),
        {},
        builders.memory(),
        "another image was built on it",
    ),
    "its youth": (store(image(1, 0.04)), {}, builders.memory(), "younger than an hour"),
}


@pytest.mark.parametrize("why", KEPT)
def test_an_image_is_kept_by(why: str) -> None:
    found, wanted, memory, said = KEPT[why]
    kept = {one.image.id: one.kept for one in collection.judge(found, wanted, memory, NOW)}
    assert kept[ONE.id] == said
    assert decide(95, found, wanted, memory) == ()


def test_what_nothing_uses_may_go_and_the_oldest_goes_first() -> None:
    young, old, middle = image(1, 1), image(2, 30), image(3, 8, references=())
    judged = collection.judge(store(young, old, middle), {"gone:1": "catalog gone"}, builders.memory(), NOW)
    assert [one.image for one in judged] == [old, middle, young]
    assert {one.kept for one in judged} == {""}


def decide(
    percent: int | None,
    found: ImageStore,
    wanted: Mapping[str, str] | None = None,
    memory: Memory = builders.memory(),  # noqa: B008 - frozen
) -> tuple[str, ...]:
    disk: Disk | Unseen = NOT_LOOKED_AT if percent is None else builders.disk(percent)
    view = EngineView("engine", {}, {}, {}, {}, 1, 1, disk=disk)
    decided = collection.upkeep(view, Collection(NOW, found, wanted or {}), RULES, memory)
    return tuple(one.workspace for one in decided)


def test_one_goes_at_a_time_until_the_low_watermark() -> None:
    found = store(image(1), image(2, 30))
    assert decide(81, found) == ("image/222222222222",)
    assert decide(80, found) == ()
    assert decide(None, found) == (), "how much is enough cannot be told of a disk that is not seen"


def test_while_one_goes_no_other_one_does() -> None:
    under_way = Intent(1, "image/333333333333", NOW, 1, "Remove", "ImageUnused")
    memory = builders.memory(open_intents=(under_way,))
    assert decide(95, store(ONE), memory=memory) == ()
    assert not collection.is_over((), looked(), memory, NOW)
    assert collection.is_over((), looked(), builders.memory(), NOW)


def looked() -> Observed:
    return replace(World().observed(), collection=Collection(NOW, store(ONE), {}))


def test_a_look_on_which_nothing_may_rest_does_not_end_it() -> None:
    """Else a slow Engine would end it after nothing was removed."""
    memory, late = builders.memory(), NOW + classify.OLD + timedelta(seconds=1)
    assert collection.is_over((), looked(), memory, late - timedelta(seconds=1))
    assert not collection.is_over((), looked(), memory, late)
    assert not collection.is_over((), replace(looked(), unproven="the host is new"), memory, NOW)
    assert not collection.is_over((), World().observed(), memory, NOW), "nobody looked at images"


def test_one_that_could_not_be_removed_is_not_tried_again_for_the_same_wish() -> None:
    failed = BackOff(1, NOW + timedelta(seconds=10), Reason.REFUSED_BY_ENGINE, "in use", "image/111111111111")
    memory = builders.memory(backoffs={"image/111111111111": failed})
    assert decide(95, store(ONE, image(2, 1)), memory=memory) == ("image/222222222222",)
    long_ago = replace(failed, next_attempt=NOW - timedelta(hours=1))
    memory = builders.memory(backoffs={"image/111111111111": long_ago})
    assert decide(95, store(ONE), memory=memory) == ("image/111111111111",)


def test_everything_that_names_an_image_wants_it() -> None:
    policy = builders.policy(
        {"ml": {"reference": "ml:1", "digest": "sha256:" + "a" * 64}},
        classes={"vm": {"image": {"reference": "vm:1"}}, "lab": {"image": "lab:1"}, "ml": {"image": "ml"}},
    )
    specs = [
        builders.accepted("alice", image={"reference": "unresolved:1"}),
        builders.accepted("carol", image="plain:1"),
    ]
    memory = builders.memory(
        open_intents=(Intent(1, "bob", NOW, 1, "Create", "ImageMissing", images=("pulled:1",)),)
    )
    wanted = collection.wanted(policy, specs, (), memory)
    assert wanted == {
        "pulled:1": "under way",
        "ml:1": "catalog ml",
        f"ml:1@sha256:{'a' * 64}": "catalog ml",
        "vm:1": "class vm",
        "lab:1": "class lab",
        "ml": "class ml",
        "unresolved:1": "workspace alice",
        "plain:1": "workspace carol",
    }


def test_the_planner_removes_for_a_wish_and_never_without_one() -> None:
    world = World(disk=builders.disk(85)).add(builders.accepted())
    observed = world.observed()
    with_wish = replace(observed, collection=Collection(NOW, store(ONE), {}))

    def upkeep(seen: object, **fields: Any) -> tuple[Any, ...]:  # noqa: ANN401 - fields of one class
        world.remember(**fields)
        return Planner(RULES).plan(world.desired(), seen, world.recall(), NOW).upkeep  # type: ignore[arg-type]

    (decision,) = upkeep(with_wish)
    assert decision.verdict is Verdict.REMOVE
    assert decision.actions == (RemoveImage(ONE.id, ONE.references),)
    assert decision.message == "nothing uses lab/image:1, and the disk is 85 % full"
    assert upkeep(observed) == ()
    assert upkeep(replace(with_wish, unproven="the host is new")) == ()
