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
    """The port ledger of one pass: what is granted, and what this pass grants on top of it."""

    def __init__(
        self, blocks: Iterable[PortBlock], grants: Iterable[PortGrant], pools: tuple[PortPool, ...]
    ) -> None:
        self.blocks = list(blocks)
        self.pools = pools
        self._owner_by_port = {grant.port: (grant.workspace, grant.service) for grant in grants}
        self._granted = {(grant.workspace, grant.service): grant.port for grant in grants}

    def assign(self, effective: Effective) -> Assignment | Refusal:
        """Return the ports of a workspace, granting what it has not yet."""
        new_blocks: list[PortBlock] = []
        new_grants: list[PortGrant] = []
        ports: list[PublishedPort] = []
        for service in effective.services:
            if not service.published:
                continue
            pool = self._pool(service.name)
            if pool is None:
                return Refusal(
                    Reason.PORT_POOL_EXHAUSTED, f'no port pool of the policy serves "{service.name}"'
                )
            port = self._port(effective, service, pool, new_blocks)
            if isinstance(port, Refusal):
                return port
            if self._granted.get((effective.workspace, service.name)) != port:
                new_grants.append(PortGrant(effective.owner, effective.workspace, service.name, port))
                self._take(new_grants[-1])
            ports.append(PublishedPort(service.port, pool.bind, port))
        by_service = {
            service.name: port.host_port
            for service, port in zip([s for s in effective.services if s.published], ports, strict=True)
        }
        return Assignment(tuple(ports), by_service, tuple(new_blocks), tuple(new_grants))

    def _take(self, grant: PortGrant) -> None:
        before = self._granted.pop((grant.workspace, grant.service), None)
        if before is not None:
            self._owner_by_port.pop(before, None)
        self._owner_by_port[grant.port] = (grant.workspace, grant.service)
        self._granted[grant.workspace, grant.service] = grant.port

    def _pool(self, service: str) -> PortPool | None:
        named = [pool for pool in self.pools if service in pool.services]
        return next(iter(named or [pool for pool in self.pools if not pool.services]), None)

    def _port(
        self, effective: Effective, service: Service, pool: PortPool, new_blocks: list[PortBlock]
    ) -> int | Refusal:
        if service.host_port is not None:
            return self._fixed(effective, service, service.host_port, pool, new_blocks)
        before = self._granted.get((effective.workspace, service.name))
        owned = [block for block in self.blocks if (block.owner, block.pool) == (effective.owner, pool.name)]
        if before is not None and any(b.base <= before < b.base + b.size for b in owned):
            return before
        for block in owned:
            port = self._free(effective, service, block)
            if port is not None:
                return port
        if owned and pool.block > 1:
            span = f"{owned[0].base} to {owned[0].base + pool.block - 1}"
            return Refusal(Reason.PORT_POOL_EXHAUSTED, f"{effective.owner}'s ports {span} are all given")
        fresh = self._new_block(effective.owner, pool)
        if fresh is None:
            return _exhausted(pool)
        new_blocks.append(fresh)
        port = self._free(effective, service, fresh)
        assert port is not None
        return port

    def _free(self, effective: Effective, service: Service, block: PortBlock) -> int | None:
        """Return the service's own offset if nobody has it, else the lowest free one for the rest."""
        offset = PORT_OFFSETS[effective.port_profile].get(service.name)
        taken = self._owner_by_port
        if offset is not None and offset < block.size and block.base + offset not in taken:
            return block.base + offset
        first = FIRST_FREE_OFFSET if block.size > FIRST_FREE_OFFSET else 0
        candidates = range(block.base + first, block.base + block.size)
        return next((port for port in candidates if port not in taken), None)

    def _new_block(self, owner: str, pool: PortPool) -> PortBlock | None:
        held = [(block.base, block.base + block.size) for block in self.blocks]
        for base in range(pool.first, pool.last - pool.block + 2, pool.block):
            if all(base + pool.block <= low or high <= base for low, high in held):
                block = PortBlock(owner, pool.name, base, pool.block)
                self.blocks.append(block)
                return block
        return None

    def _fixed(
        self, effective: Effective, service: Service, port: int, pool: PortPool, new_blocks: list[PortBlock]
    ) -> int | Refusal:
        holder = self._owner_by_port.get(port)
        if holder not in {None, (effective.workspace, service.name)}:
            assert holder is not None
            return Refusal(
                Reason.PORT_TAKEN, f"hostPort {port} was given to {holder[1]} of the workspace {holder[0]}"
            )
        if service.name in pool.services and pool.first <= port <= pool.last:
            return port
        owned = [block for block in self.blocks if block.owner == effective.owner]
        if not owned:
            block = self._new_block(effective.owner, pool)
            if block is None:
                return _exhausted(pool)
            new_blocks.append(block)
            owned = [block]
        if any(block.base <= port < block.base + block.size for block in owned):
            return port
        spans = ", ".join(f"{block.base} to {block.base + block.size - 1}" for block in owned)
        return Refusal(
            Reason.PORT_OUTSIDE_POOL,
            f"hostPort {port} of {service.name} is not in {effective.owner}'s ports ({spans})",
        )


def _exhausted(pool: PortPool) -> Refusal:
    return Refusal(Reason.PORT_POOL_EXHAUSTED, f'no block is left in the port pool "{pool.name}"')
