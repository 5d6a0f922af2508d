"""Knows which images may go when a person asks for room on the disk, and in which order.

Refuses any image that a container of anybody, a spec, a class, the catalog or something under way uses, that
another image was built on, or that came within the last hour: somebody may be about to use it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from controller.api.conditions import Reason
from controller.api.workspace import ImageRef
from controller.model import actions
from controller.model.desired import AcceptedPolicy, AcceptedSpec
from controller.model.effective import Effective
from controller.model.images import Collection, ImageStore, Judged, StoredImage
from controller.model.memory import Memory
from controller.model.observed import Disk, EngineView, Observed, Unseen
from controller.model.plan import Decision, Verdict
from controller.planning import classify
from controller.planning.case import Rules

YOUNG = timedelta(hours=1)
"""An image that came less than this ago stays: a build or a pull may be under way."""
SUBJECT = "image/"
"""How the subject of a removal begins."""


def wanted(
    policy: AcceptedPolicy, specs: Iterable[AcceptedSpec], effectives: Iterable[Effective], memory: Memory
) -> Mapping[str, str]:
    """Return what wants an image, by reference: catalog, classes, specs in force, and what is under way.

    A spec that cannot be resolved wants what it names itself.
    """
    found = {image: "under way" for intent in memory.open_intents for image in intent.images}
    for alias, entry in policy.catalog.spec.images.items():
        found.update(dict.fromkeys((entry.reference, entry.pinned), f"catalog {alias}"))
    for name, preset in policy.policy.spec.classes.items():
        found |= _named(preset.image, f"class {name}")
    for spec in specs:
        found |= _named(spec.workspace.spec.image, f"workspace {spec.name}")
    found.update({effective.image: f"workspace {effective.workspace}" for effective in effectives})
    return found


def _named(image: ImageRef | None, by: str) -> Mapping[str, str]:
    """A plain name may be an alias or a reference; where it is an alias, the catalog keeps the image."""
    reference = (image.reference or image.name) if image is not None else None
    return {} if reference is None else {reference: by}


def judge(store: ImageStore, wants: Mapping[str, str], memory: Memory, now: datetime) -> tuple[Judged, ...]:
    """Return every image with why it stays, in the order in which they would go: oldest first."""
    why = {store.meant.get(reference): what for reference, what in wants.items()}
    why |= {one.image_id: f"replacement of {name}" for name, one in memory.replacements.items()}
    parents = {image.parent for image in store.images.values()}
    ordered = sorted(store.images.values(), key=lambda image: (image.arrived, image.id))
    return tuple(Judged(image, _kept(image, store.users, why, parents, now)) for image in ordered)


def _kept(
    image: StoredImage,
    users: Mapping[str, str],
    why: Mapping[str | None, str],
    parents: Iterable[str],
    now: datetime,
) -> str:
    if image.id in users:
        return f"container {users[image.id]}"
    if image.id in why:
        return why[image.id]
    if image.id in parents:
        return "another image was built on it"
    if now - image.arrived < YOUNG:
        return "younger than an hour"
    return ""


def is_needed(disk: Disk, low: int) -> bool:
    """Tell whether the disk is fuller than the low watermark, in percent."""
    return disk.share * 100 > low


def upkeep(
    view: EngineView, collection: Collection | None, rules: Rules, memory: Memory
) -> tuple[Decision, ...]:
    """Decide which image goes next, one at a time: how much room that makes is seen afterwards."""
    if collection is None or isinstance(view.disk, Unseen):
        return ()
    if is_under_way(memory) or not is_needed(view.disk, rules.low_watermark):
        return ()
    for judged in judge(collection.store, collection.wanted, memory, collection.asked_at):
        failed = memory.backoffs.get(subject(judged.image))
        if not judged.kept and (failed is None or failed.next_attempt <= collection.asked_at):
            return (_remove(judged.image, view.disk),)
    return ()


def is_over(decided: Iterable[Decision], observed: Observed, memory: Memory, now: datetime) -> bool:
    """Tell whether no image is removed any more; a look that nothing may rest on does not tell."""
    if observed.collection is None or isinstance(observed.engine, Unseen):
        return False
    if observed.unproven or now - observed.engine.at > classify.OLD:
        return False
    removes = any(decision.workspace.startswith(SUBJECT) for decision in decided)
    return not removes and not is_under_way(memory)


def is_under_way(memory: Memory) -> bool:
    """Tell whether an image is being removed."""
    return any(intent.workspace.startswith(SUBJECT) for intent in memory.open_intents)


def subject(image: StoredImage) -> str:
    """Return what the decision about an image is called."""
    return f"{SUBJECT}{image.id.removeprefix('sha256:')[:12]}"


def _remove(image: StoredImage, disk: Disk) -> Decision:
    return Decision(
        workspace=subject(image),
        verdict=Verdict.REMOVE,
        reason=Reason.IMAGE_UNUSED,
        message=f"nothing uses {image.name}, and the disk is {disk.percent} % full",
        actions=(actions.RemoveImage(image.id, image.references),),
        key=subject(image),
    )
