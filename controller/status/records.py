"""The public shape of what the ledger remembers: events, kept containers and granted ports.

Refuses whatever a reader could not write down: times are RFC 3339 in UTC, keys are camelCase.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NotRequired, TypedDict

from controller.model.memory import Memory, PortBlock, Retained
from controller.model.observed import Stranger
from controller.model.status import Event
from controller.status import objects


class EventObject(TypedDict):
    """Something that happened: last at `time`, first at `firstTime`, `count` times."""

    time: str
    firstTime: str
    type: str
    reason: str
    subject: str
    message: str
    count: int


class RetainedObject(TypedDict):
    """A container that was replaced or removed and is kept, stopped; `size` of its writable layer, bytes."""

    name: str
    workspace: str
    reason: str
    id: str
    since: str
    size: NotRequired[int]


class AdoptableObject(TypedDict):
    """A container as somebody must see it before it is adopted."""

    id: str
    name: str
    workspace: str
    image: str
    created: str
    labels: dict[str, str]
    running: bool
    owned: bool


class GrantObject(TypedDict):
    """One host port that was given to one service."""

    port: int
    owner: str
    workspace: str
    service: str


class BlockObject(TypedDict):
    """One owner's block of host ports, first and last included.

    `heldUntil` is there where the owner has no workspace: then it is free for others.
    """

    owner: str
    pool: str
    first: int
    last: int
    heldUntil: NotRequired[str]


class PortsObject(TypedDict):
    """All host ports that were given."""

    blocks: list[BlockObject]
    items: list[GrantObject]


def event_object(event: Event) -> EventObject:
    """One event; `type` is Warning for what a person should look at, else Normal."""
    return {
        "time": objects.timestamp(event.at),
        "firstTime": objects.timestamp(event.first_at or event.at),
        "type": "Warning" if event.warning else "Normal",
        "reason": str(event.reason),
        "subject": event.subject,
        "message": event.message,
        "count": event.count,
    }


def retained_object(retained: Retained, size: int | None = None) -> RetainedObject:
    """One kept container; without a size where nobody asked for it."""
    described: RetainedObject = {
        "name": retained.name,
        "workspace": retained.workspace,
        "reason": str(retained.reason),
        "id": retained.container_id,
        "since": objects.timestamp(retained.at),
    }
    if size is not None:
        described["size"] = size
    return described


def retained_objects(memory: Memory, sizes: Mapping[str, int] | None = None) -> list[RetainedObject]:
    """All kept containers, by name; `sizes` in bytes by full id."""
    known = sizes or {}
    kept = sorted(memory.retained.values(), key=lambda kept: kept.name)
    return [retained_object(one, known.get(one.container_id)) for one in kept]


def adoptable_object(container: Stranger, workspace: str, *, owned: bool) -> AdoptableObject:
    """One container that may be adopted, or (`owned`) is ours already."""
    return {
        "id": container.id,
        "name": container.name,
        "workspace": workspace,
        "image": container.image,
        "created": objects.timestamp(container.created),
        "labels": dict(container.labels),
        "running": container.running,
        "owned": owned,
    }


def ports_object(memory: Memory) -> PortsObject:
    """All port blocks and grants, by port."""
    return {
        "blocks": [
            _block_object(block, memory.port_holds.get(block.base))
            for block in sorted(memory.port_blocks, key=lambda block: block.base)
        ],
        "items": [
            {"port": grant.port, "owner": grant.owner, "workspace": grant.workspace, "service": grant.service}
            for grant in sorted(memory.port_grants, key=lambda grant: grant.port)
        ],
    }


def _block_object(block: PortBlock, held_until: datetime | None) -> BlockObject:
    described: BlockObject = {
        "owner": block.owner,
        "pool": block.pool,
        "first": block.base,
        "last": block.base + block.size - 1,
    }
    if held_until is not None:
        described["heldUntil"] = objects.timestamp(held_until)
    return described
