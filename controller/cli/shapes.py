"""The columns in which objects of each kind are shown.

It knows where a cell's text lies in an object; it reads nothing and prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, cast

from controller.api import workspace
from controller.cli import gpus, slices, tables, trees
from controller.model import slices as slices_model
from controller.status import wording

if TYPE_CHECKING:
    from controller.status import objects


_SHORT: Final = 12
"""Digits of a digest that a person needs."""


def _column(header: str, *path: str, wide: bool = False) -> tables.Column:
    return tables.Column(header, lambda item: trees.text(item, *path), wide)


def _age(header: str, now: datetime, *path: str, wide: bool = False) -> tables.Column:
    def cell(item: trees.Object) -> str:
        since = trees.at(item, *path)
        return wording.age(datetime.fromisoformat(since), now) if isinstance(since, str) else trees.NONE

    return tables.Column(header, cell, wide)


def _workspaces(now: datetime) -> tables.Kind:
    def cell(index: int) -> Callable[[trees.Object], str]:
        return lambda item: wording.row(cast("objects.WorkspaceObject", item), now)[index]

    columns = [tables.Column(header, cell(index)) for index, header in enumerate(wording.COLUMNS)]
    columns += [
        _column("CLASS", "spec", "class", wide=True),
        tables.Column("PROFILE", _profile, wide=True),
        tables.Column("IMAGE", lambda item: _effective(item, "image"), wide=True),
        tables.Column("PORTS", _host_ports, wide=True),
        _column("ADDRESS", "status", "container", "address", wide=True),
    ]
    return tables.Kind("workspace", "workspaces", columns)


def _profile(item: trees.Object) -> str:
    """What the container has, whatever is wanted now."""
    if trees.at(item, "status", "container", "privileged"):
        return workspace.SecurityProfile.PRIVILEGED.value
    return _effective(item, "security.profile")


def _effective(item: trees.Object, path: str) -> str:
    for value in trees.each(item, "status", "effective"):
        if value.get("path") == path:
            return trees.text(value, "value")
    return trees.NONE


def _host_ports(item: trees.Object) -> str:
    ports = (trees.text(port, "hostPort", default="") for port in trees.each(item, "status", "ports"))
    return ",".join(filter(None, ports)) or trees.NONE


def _subject(item: trees.Object) -> str:
    """What an event is about; the slice above all owners' slices has no name of its own."""
    subject = trees.text(item, "subject")
    return f"{subject} (all owners)" if subject == slices_model.subject(slices_model.ROOT) else subject


def _events(now: datetime) -> tables.Kind:
    columns = [
        _age("LAST", now, "time"),
        _column("FIRST", "firstTime", wide=True),
        _column("TIME", "time", wide=True),
        _column("TYPE", "type"),
        _column("REASON", "reason"),
        tables.Column("SUBJECT", _subject),
        _column("COUNT", "count"),
        _column("MESSAGE", "message"),
    ]
    return tables.Kind("event", "events", columns)


def _ports(_: datetime) -> tables.Kind:
    columns = [
        _column("PORT", "port"),
        _column("OWNER", "owner"),
        _column("WORKSPACE", "workspace"),
        _column("SERVICE", "service"),
    ]
    return tables.Kind("port", "ports", columns)


def _span(item: trees.Object) -> str:
    return f"{trees.text(item, 'first')}-{trees.text(item, 'last')}"


BLOCKS: Final = tables.Kind(
    "block",
    "blocks of ports",
    [
        tables.Column("BLOCK", _span),
        _column("OWNER", "owner"),
        _column("POOL", "pool"),
        _column("HELD-UNTIL", "heldUntil"),
    ],
)
"""How the owners' blocks of ports are shown, below the ports."""


def _retained(now: datetime) -> tables.Kind:
    columns = [
        _column("CONTAINER", "name"),
        _column("WORKSPACE", "workspace"),
        _column("REASON", "reason"),
        tables.Column("SIZE", _size),
        _age("AGE", now, "since"),
        _column("ID", "id", wide=True),
    ]
    return tables.Kind("retained", "kept containers", columns)


def _size(item: trees.Object) -> str:
    size = item.get("size")
    return wording.size(size) if isinstance(size, int) else trees.NONE


def _policy(_: datetime) -> tables.Kind:
    def names(*path: str) -> Callable[[trees.Object], str]:
        return lambda item: _names(trees.at(item, *path))

    columns = [
        _column("NAME", "metadata", "name"),
        _column("DEFAULT-CLASS", "spec", "defaultClass"),
        tables.Column("CLASSES", names("spec", "classes")),
        tables.Column("GROUPS", names("spec", "groups")),
        tables.Column("USERS", names("spec", "users")),
        tables.Column("PORT-POOLS", names("spec", "portPools")),
        tables.Column("MOUNT-ROOTS", names("spec", "mountRoots"), wide=True),
    ]
    return tables.Kind("policy", "policy", columns)


def _names(value: trees.Json) -> str:
    if isinstance(value, Mapping):
        return ",".join(value) or trees.NONE
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(trees.name_of(item) or trees.text(item) for item in value) or trees.NONE
    return trees.NONE


def _images(now: datetime) -> tables.Kind:
    columns = [
        _column("ALIAS", "name"),
        _column("REFERENCE", "reference"),
        tables.Column("DIGEST", lambda item: _digest(item, whole=False)),
        _column("STATE", "status", "state"),
        tables.Column("LOCAL", _local),
        tables.Column("USED-BY", lambda item: str(len(_names_in(item, "status", "usedBy")))),
        _column("GPU", "gpu", wide=True),
        tables.Column("WHOLE-DIGEST", lambda item: _digest(item, whole=True), wide=True),
        _age("ASKED", now, "status", "askedAt", wide=True),
        _column("DESCRIPTION", "description", wide=True),
    ]
    return tables.Kind("image", "images", columns)


def _digest(item: trees.Object, *, whole: bool) -> str:
    """The digest that is here or was last, else the one that the catalog wants; its first digits, or all."""
    wanted = trees.text(item, "digest")
    digest = trees.text(item, "status", "recordedDigest", default=wanted)
    return digest if whole or digest == trees.NONE else digest.rpartition("sha256:")[2][:_SHORT]


def _local(item: trees.Object) -> str:
    """The id of the image here; `<none>` where the Engine did not tell."""
    held = trees.at(item, "status", "local")
    if held is not True:
        return "no" if held is False else trees.NONE
    return trees.text(item, "status", "imageID").removeprefix("sha256:")[:_SHORT]


def _names_in(item: trees.Object, *path: str) -> Sequence[trees.Json]:
    value = trees.at(item, *path)
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


SHAPES: Final[Mapping[str, Callable[[datetime], tables.Kind]]] = {
    "workspaces": _workspaces,
    "events": _events,
    "ports": _ports,
    "retained": _retained,
    "policy": _policy,
    "images": _images,
    "gpus": gpus.kind,
    "slices": slices.kind,
}
"""How the objects of each kind are shown, given the time that ages count from."""
