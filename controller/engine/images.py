"""Knows how all images of an Engine are looked at, and how one of them is removed.

It refuses force, and to remove more than one image by a call: what an image was built on stays.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from controller.api.conditions import Reason
from controller.engine import calls, transport
from controller.model import actions, errors, observed
from controller.model.images import ImageStore, StoredImage

Arrived = Callable[[str, str], datetime | None]
"""When an image came to this host, by the Engine's data root and the image's id, if it is known."""

_NONE = "<none>"
_MOST_REFERENCES = 100
"""More than this many names of one image are not taken away at once."""


def look(
    client: calls.EngineClient, references: Iterable[str], arrived: Arrived, now: datetime
) -> ImageStore | observed.Unseen:
    """All images, all containers' images, and what the references mean; Unseen if any of it is."""
    try:
        root = str(client.info().get("DockerRootDir") or "")
        meant = {reference: _id(client.inspect_image(reference)) for reference in references}
        rows = client.list_images()
        users = {str(row["ImageID"]): _name(row) for row in client.list_containers()}
    except errors.EffectError as error:
        return observed.Unseen(error.reason, error.message, now)
    images = {str(row["Id"]): _image(row, arrived(root, str(row["Id"]))) for row in rows}
    return ImageStore(images, users, meant)


def _id(row: transport.Row | None) -> str | None:
    return None if row is None else str(row["Id"])


def _name(row: transport.Row) -> str:
    return str((row["Names"] or [row["Id"][:12]])[0]).removeprefix("/")


def _image(row: transport.Row, arrived: datetime | None) -> StoredImage:
    created = datetime.fromtimestamp(int(row.get("Created") or 0), UTC)
    return StoredImage(
        id=str(row["Id"]),
        references=_references(row),
        arrived=max(created, arrived or created),
        size=int(row.get("Size") or 0),
        parent=str(row.get("ParentId") or ""),
    )


def _references(row: transport.Row) -> tuple[str, ...]:
    """Tags, or where there is none the digests; an image may be both `<none>` and known by a digest."""
    tags, digests = (row.get(key) or () for key in ("RepoTags", "RepoDigests"))
    return _named(tags) or _named(digests)


def _named(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in names if _NONE not in name))


def remove(client: calls.EngineClient, action: actions.RemoveImage) -> bool:
    """Remove an image that is as expected and that no container was made from; False if it is gone.

    Raises:
        LookupError: it is not as expected.
        errors.EffectError: the Engine refuses, or does not answer.
    """
    row = client.inspect_image(action.image_id)
    if row is None:
        return False
    if _references(row) != action.references:
        raise LookupError(f"the image has other names now: {', '.join(_references(row)) or 'none'}")
    for container in client.list_containers():
        if container["ImageID"] == action.image_id:
            raise errors.Retryable(Reason.REFUSED_BY_ENGINE, f"{_name(container)} was made from it meanwhile")
    for _ in range(_MOST_REFERENCES):
        if row is None:
            return True
        client.remove_image((*_references(row), action.image_id)[0])
        row = client.inspect_image(action.image_id)
    raise errors.Retryable(Reason.REFUSED_BY_ENGINE, f"the image is still there: {action.image_id}")
