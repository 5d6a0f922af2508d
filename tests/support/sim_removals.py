"""Knows how the simulated Engine lists its images and removes them, in the words of Engine 20.10.

It refuses to know parents and layers: its images were all loaded, none was built on another.
"""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from controller.engine import transport
from controller.engine.transport import Answer

if TYPE_CHECKING:
    from tests.support.sim_container import SimContainer
    from tests.support.sim_engine import SimEngine

BUILT = datetime(2026, 1, 1, tzinfo=UTC)
SIZE = 1 << 20


def listed(engine: "SimEngine", request: transport.Request) -> Answer:
    """Every image with its tags."""
    del request
    rows: dict[str, dict[str, Any]] = {}
    for tag, image in engine.images.items():
        row = {"Id": image.id, "ParentId": "", "RepoTags": [], "RepoDigests": [], "Size": SIZE}
        rows.setdefault(image.id, {**row, "Created": int(BUILT.timestamp())})["RepoTags"].append(tag)
    return Answer(200, list(rows.values()))


def remove(engine: "SimEngine", request: transport.Request, reference: str) -> Answer:
    """Take a name away, and with the last one the image; never by force."""
    del request
    image = engine.find_image(reference)
    tags = [tag for tag, found in engine.images.items() if image is not None and found.id == image.id]
    if image is None or not tags:
        named = reference if re.search(r":[^/]+$", reference) else f"{reference}:latest"
        return Answer(404, {"message": f"No such image: {named}"})
    by_id = reference == image.id
    refusal = _refuse(engine, image.id, reference, tags, by_id=by_id)
    if refusal:
        return Answer(409, {"message": f"conflict: unable to {refusal}"})
    gone = tags if by_id else [next(tag for tag in tags if tag in {reference, f"{reference}:latest"})]
    for tag in gone:
        engine.remove_image(tag)
    told: list[dict[str, str]] = [{"Untagged": tag} for tag in gone]
    return Answer(200, told if len(gone) < len(tags) else [*told, {"Deleted": image.id}])


def _refuse(engine: "SimEngine", image_id: str, reference: str, tags: list[str], *, by_id: bool) -> str:
    short = image_id.removeprefix("sha256:")[:12]
    users: list[SimContainer] = [one for one in engine.containers.values() if one.image_id == image_id]
    if by_id and len({tag.rpartition(":")[0] for tag in tags}) > 1:
        return f"delete {short} (must be forced) - image is referenced in multiple repositories"
    if not users or (not by_id and len(tags) > 1):
        return ""
    if not by_id:
        holder = f"container {users[0].id[:12]} is using its referenced image {short}"
        return f'remove repository reference "{reference}" (must force) - {holder}'
    running = next((one for one in users if one.running), None)
    if running is not None:
        holder = f"image is being used by running container {running.id[:12]}"
        return f"delete {short} (cannot be forced) - {holder}"
    return f"delete {short} (must be forced) - image is being used by stopped container {users[0].id[:12]}"
