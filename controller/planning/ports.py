"""Knows which host ports a workspace gets: its owner's block, the profile's offsets, what was granted before.

Refuses to derive a port from a list index or a uid: what was granted once is read from the ledger and stays.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.api.conditions import Reason
from controller.api.policy import FIRST_FREE_OFFSET, PORT_OFFSETS, PortPool
from controller.model.effective import Effective, Refusal, Service
from controller.model.memory import PortBlock, PortGrant
from controller.model.observed import PublishedPort


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
    that uses it, so that none of them depends on another's being written.
    """

    def __init__(
        self, blocks: Iterable[PortBlock], grants: Iterable[PortGrant], pools: tuple[PortPool, ...]
    ) -> None:
        self._blocks = list(blocks)
        self._written = frozenset(self._blocks)
        self._pools = pools
        self._taken = {grant.port: (grant.workspace, grant.service) for grant in grants}
        self._granted = {service: port for port, service in self._taken.items()}

    def assign(self, effective: Effective) -> Assignment | Refusal:
        """Return the ports of a workspace, granting what it has not yet."""
        blocks, given = len(self._blocks), (self._taken, self._granted)
        wanted = [service for service in effective.services if service.published]
        ports: list[PublishedPort] = []
        grants: list[PortGrant] = []
        for service in wanted:
            pool = self._pool(service.name)
            port = _unserved(service) if pool is None else self._port(effective, service, pool)
            if isinstance(port, Refusal):
                del self._blocks[blocks:]
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
        service = (grant.workspace, grant.service)
        before = self._granted.get(service)
        if before is not None and self._taken.get(before) == service:
            del self._taken[before]
        self._taken[grant.port] = service
        self._granted[service] = grant.port

    def _unwritten(self, owner: str, grants: list[PortGrant]) -> tuple[PortBlock, ...]:
        return tuple(
            block
            for block in self._blocks
            if block.owner == owner
            and block not in self._written
            and any(block.base <= grant.port < block.base + block.size for grant in grants)
        )

    def _pool(self, service: str) -> PortPool | None:
        named = [pool for pool in self._pools if service in pool.services]
        return next(iter(named or [pool for pool in self._pools if not pool.services]), None)

    def _port(self, effective: Effective, service: Service, pool: PortPool) -> int | Refusal:
        if service.host_port is not None:
            return self._fixed(effective, service, service.host_port, pool)
        owned = [block for block in self._blocks if (block.owner, block.pool) == (effective.owner, pool.name)]
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
        fresh = self._new_block(effective.owner, pool)
        port = None if fresh is None else self._free(effective, service, fresh)
        return _exhausted(pool) if port is None else port

    def _free(self, effective: Effective, service: Service, block: PortBlock) -> int | None:
        """Return the service's own offset if nobody has it, else the lowest free one for the rest."""
        offset = PORT_OFFSETS[effective.port_profile].get(service.name)
        if offset is not None and offset < block.size and block.base + offset not in self._taken:
            return block.base + offset
        first = FIRST_FREE_OFFSET if block.size > FIRST_FREE_OFFSET else 0
        candidates = range(block.base + first, block.base + block.size)
        return next((port for port in candidates if port not in self._taken), None)

    def _new_block(self, owner: str, pool: PortPool) -> PortBlock | None:
        """Return the lowest block of the pool that touches no other block and no port that was given."""
        held = [(block.base, block.base + block.size) for block in self._blocks]
        for base in range(pool.first, pool.last - pool.block + 2, pool.block):
            end = base + pool.block
            apart = all(end <= low or high <= base for low, high in held)
            if apart and not any(base <= port < end for port in self._taken):
                block = PortBlock(owner, pool.name, base, pool.block)
                self._blocks.append(block)
                return block
        return None

    def _fixed(self, effective: Effective, service: Service, port: int, pool: PortPool) -> int | Refusal:
        holder = self._taken.get(port)
        if (
            holder is not None
            and holder != (effective.workspace, service.name)
            and _keeps(effective, holder, port)
        ):
            message = f"hostPort {port} was given to {holder[1]} of the workspace {holder[0]}"
            return Refusal(Reason.PORT_TAKEN, message)
        blocks = [block for block in self._blocks if block.base <= port < block.base + block.size]
        if any(block.owner == effective.owner for block in blocks):
            return port
        if service.name in pool.services and pool.first <= port <= pool.last and not blocks:
            return port
        owned = [block for block in self._blocks if block.owner == effective.owner]
        if not owned:
            fresh = self._new_block(effective.owner, pool)
            if fresh is None:
                return _exhausted(pool)
            owned = [fresh]
        if any(block.base <= port < block.base + block.size for block in owned):
            return port
        spans = ", ".join(f"{block.base} to {block.base + block.size - 1}" for block in owned)
        return Refusal(
            Reason.PORT_OUTSIDE_POOL,
            f"hostPort {port} of {service.name} is not in {effective.owner}'s ports ({spans})",
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
