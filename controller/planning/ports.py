"""Knows which host ports a workspace gets: its owner's block, the profile's offsets, what was granted before.

Refuses to derive a port from a list index or a uid: what was granted once is read from the ledger and stays.
"""

import bisect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from controller.api import labels
from controller.api.conditions import Reason
from controller.api.policy import FIRST_FREE_OFFSET, PORT_OFFSETS, PortPool
from controller.model.effective import Effective, Refusal, Service
from controller.model.memory import PortBlock, PortGrant
from controller.model.observed import Container, PublishedPort

NOBODY: Final[Mapping[int, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Assignment:
    """The ports of one workspace, and what of them is new and must be written before it is used."""

    ports: tuple[PublishedPort, ...]
    by_service: Mapping[str, int]
    new_blocks: tuple[PortBlock, ...] = ()
    new_grants: tuple[PortGrant, ...] = ()


class Book:
    """The port ledger of one pass: what is granted, and what this pass grants on top of it.

    A workspace that is refused leaves nothing in it. A block that the ledger lacks is new for each workspace
    that uses it, so that none of them depends on another's being written. `busy` tells who is on a port, a
    workspace or a stranger (empty): nobody else is given it anew.
    """

    def __init__(
        self,
        blocks: Iterable[PortBlock],
        grants: Iterable[PortGrant],
        pools: tuple[PortPool, ...],
        busy: Mapping[int, str] = NOBODY,
    ) -> None:
        self._busy = busy
        self._written = frozenset(blocks)
        self._blocks: dict[str, list[PortBlock]] = {}
        self._bounds: list[tuple[int, int]] = []
        self._lowest: dict[str, int] = {}
        self._pools = pools
        for block in self._written:
            self._hold(block)
        self._taken = {grant.port: (grant.workspace, grant.service) for grant in grants}
        self._granted = {service: port for port, service in self._taken.items()}

    def assign(self, effective: Effective) -> Assignment | Refusal:
        """Return the ports of a workspace, granting what it has not yet."""
        fresh: list[PortBlock] = []
        given = (self._taken, self._granted)
        wanted = [service for service in effective.services if service.published]
        ports: list[PublishedPort] = []
        grants: list[PortGrant] = []
        for service in wanted:
            pool = self._pool(service.name)
            port = _unserved(service) if pool is None else self._port(effective, service, pool, fresh)
            if isinstance(port, Refusal):
                self._release(fresh)
                self._taken, self._granted = given
                return port
            assert pool is not None
            if self._granted.get((effective.workspace, service.name)) != port:
                if not grants:
                    self._taken, self._granted = dict(self._taken), dict(self._granted)
                grants.append(PortGrant(effective.owner, effective.workspace, service.name, port))
                self._take(grants[-1])
            ports.append(PublishedPort(service.port, pool.bind, port))
        by_service = {service.name: port.host_port for service, port in zip(wanted, ports, strict=True)}
        return Assignment(tuple(ports), by_service, self._unwritten(effective.owner, grants), tuple(grants))

    def _take(self, grant: PortGrant) -> None:
        """Give a port; the one that the service had stays taken until the ledger says otherwise."""
        service = (grant.workspace, grant.service)
        self._taken[grant.port] = service
        self._granted[service] = grant.port

    def _unwritten(self, owner: str, grants: list[PortGrant]) -> tuple[PortBlock, ...]:
        return tuple(
            block
            for block in self._blocks.get(owner, ())
            if block not in self._written
            and any(block.base <= grant.port < block.base + block.size for grant in grants)
        )

    def _pool(self, service: str) -> PortPool | None:
        named = [pool for pool in self._pools if service in pool.services]
        return next(iter(named or [pool for pool in self._pools if not pool.services]), None)

    def _port(
        self, effective: Effective, service: Service, pool: PortPool, fresh: list[PortBlock]
    ) -> int | Refusal:
        if service.host_port is not None:
            return self._fixed(effective, service, service.host_port, pool, fresh)
        owned = [block for block in self._blocks.get(effective.owner, ()) if block.pool == pool.name]
        before = self._granted.get((effective.workspace, service.name))
        if before is not None and any(b.base <= before < b.base + b.size for b in owned):
            return before
        for block in owned:
            port = self._free(effective, service, block)
            if port is not None:
                return port
        if owned and pool.block > 1:
            span = f"{owned[0].base} to {owned[0].base + owned[0].size - 1}"
            message = f"{effective.owner}'s ports {span} are all given"
            return Refusal(Reason.PORT_POOL_EXHAUSTED, message)
        made = self._new_block(
            effective.owner,
            pool,
            fresh,
            lambda block: self._free(effective, service, block) is not None,
        )
        port = None if made is None else self._free(effective, service, made)
        return _exhausted(pool) if port is None else port

    def _free(self, effective: Effective, service: Service, block: PortBlock) -> int | None:
        """Return the service's own offset if nobody has it, else the lowest free one for the rest."""
        offset = PORT_OFFSETS[effective.port_profile].get(service.name)
        if offset is not None and offset < block.size and block.base + offset not in self._taken:
            return block.base + offset
        first = FIRST_FREE_OFFSET if block.size > FIRST_FREE_OFFSET else 0
        candidates = range(block.base + first, block.base + block.size)
        idle = (
            port for port in candidates if self._busy.get(port, effective.workspace) == effective.workspace
        )
        return next((port for port in idle if port not in self._taken), None)

    def _new_block(
        self, owner: str, pool: PortPool, fresh: list[PortBlock], serves: Callable[[PortBlock], bool]
    ) -> PortBlock | None:
        """Return the lowest block that serves and touches no other block and no port that was given."""
        first = self._lowest.get(pool.name, pool.first)
        for base in range(first, pool.last - pool.block + 2, pool.block):
            end = base + pool.block
            block = PortBlock(owner, pool.name, base, pool.block)
            given = any(port in self._taken for port in range(base, end))
            if self._apart(base, end) and not given and serves(block):
                self._lowest[pool.name] = end
                self._hold(block)
                fresh.append(block)
                return block
        return None

    def _apart(self, base: int, end: int) -> bool:
        """Tell whether no block overlaps; they do not overlap each other, so the nearest below decides."""
        below = bisect.bisect_left(self._bounds, (end, 0)) - 1
        return below < 0 or self._bounds[below][1] <= base

    def _hold(self, block: PortBlock) -> None:
        self._blocks.setdefault(block.owner, []).append(block)
        self._blocks[block.owner].sort(key=lambda held: held.base)
        bisect.insort(self._bounds, (block.base, block.base + block.size))

    def _release(self, blocks: list[PortBlock]) -> None:
        for block in blocks:
            self._blocks[block.owner].remove(block)
            self._bounds.remove((block.base, block.base + block.size))
            self._lowest.pop(block.pool, None)

    def _holder(self, port: int) -> str | None:
        """Return the owner of the block that a port lies in."""
        for owner, blocks in self._blocks.items():
            if any(block.base <= port < block.base + block.size for block in blocks):
                return owner
        return None

    def _fixed(  # noqa: PLR0913 - a port rests on this much
        self, effective: Effective, service: Service, port: int, pool: PortPool, fresh: list[PortBlock]
    ) -> int | Refusal:
        holder = self._taken.get(port)
        other = holder if holder != (effective.workspace, service.name) else None
        if other is not None and _keeps(effective, other, port):
            message = f"hostPort {port} was given to {other[1]} of the workspace {other[0]}"
            return Refusal(Reason.PORT_TAKEN, message)
        owner = self._holder(port)
        if owner == effective.owner:
            return port
        if owner is None and service.name in pool.services and pool.first <= port <= pool.last:
            return port
        owned = self._blocks.get(effective.owner, [])
        if not owned and self._new_block(effective.owner, pool, fresh, lambda _: True) is None:
            return _exhausted(pool)
        owned = self._blocks[effective.owner]
        if any(block.base <= port < block.base + block.size for block in owned):
            return port
        spans = ", ".join(f"{block.base} to {block.base + block.size - 1}" for block in owned)
        return Refusal(
            Reason.PORT_OUTSIDE_POOL,
            f"hostPort {port} of {service.name} is not in {effective.owner}'s ports ({spans})",
        )


def busy(
    listeners: Iterable[int], containers: Iterable[Container], grants: Iterable[PortGrant]
) -> Mapping[int, str]:
    """Return who is on which port: the workspace whose container publishes it, or a stranger (empty).

    A port that a workspace was granted and has is left out.
    """
    users = dict.fromkeys(listeners, "")
    for container in containers:
        workspace = container.labels.get(labels.WORKSPACE, "")
        users |= {port.host_port: workspace for port in container.configuration.ports}
    for grant in grants:
        if users.get(grant.port) == grant.workspace:
            del users[grant.port]
    return users


def is_in_the_way(assignment: Assignment, busy_ports: Mapping[int, str]) -> bool:
    """Tell whether a port that is given anew is in use by somebody else."""
    return any(
        busy_ports.get(grant.port, grant.workspace) != grant.workspace for grant in assignment.new_grants
    )


def _keeps(effective: Effective, holder: tuple[str, str], port: int) -> bool:
    """Tell whether a port's holder keeps it: a service of the same workspace may have moved or gone."""
    if holder[0] != effective.workspace:
        return True
    return any(
        s.name == holder[1] and s.published and s.host_port in {None, port} for s in effective.services
    )


def _unserved(service: Service) -> Refusal:
    return Refusal(Reason.PORT_POOL_EXHAUSTED, f'no port pool of the policy serves "{service.name}"')


def _exhausted(pool: PortPool) -> Refusal:
    return Refusal(Reason.PORT_POOL_EXHAUSTED, f'no block is left in the port pool "{pool.name}"')
