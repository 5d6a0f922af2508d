"""The public shape of what the ledger remembers: events, kept containers and granted ports.

Refuses whatever a reader could not write down: times are RFC 3339 in UTC, keys are camelCase.
"""

from typing import TypedDict

from controller.model.memory import Memory, Retained
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
    """A container that was replaced or removed and is kept, stopped."""

    name: str
    workspace: str
    reason: str
    id: str
    since: str


class GrantObject(TypedDict):
    """One host port that was given to one service."""

    port: int
    owner: str
    workspace: str
    service: str


class BlockObject(TypedDict):
    """One owner's block of host ports, first and last included."""

    owner: str
    pool: str
    first: int
    last: int


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


def retained_object(retained: Retained) -> RetainedObject:
    """One kept container."""
    return {
        "name": retained.name,
        "workspace": retained.workspace,
        "reason": str(retained.reason),
        "id": retained.container_id,
        "since": objects.timestamp(retained.at),
    }


def retained_objects(memory: Memory) -> list[RetainedObject]:
    """All kept containers, by name."""
    return [retained_object(kept) for kept in sorted(memory.retained.values(), key=lambda kept: kept.name)]


def ports_object(memory: Memory) -> PortsObject:
    """All port blocks and grants, by port."""
    return {
        "blocks": [
            {
                "owner": block.owner,
                "pool": block.pool,
                "first": block.base,
                "last": block.base + block.size - 1,
            }
            for block in sorted(memory.port_blocks, key=lambda block: block.base)
        ],
        "items": [
            {"port": grant.port, "owner": grant.owner, "workspace": grant.workspace, "service": grant.service}
            for grant in sorted(memory.port_grants, key=lambda grant: grant.port)
        ],
    }
