"""The port book: what the ledger takes, whoever comes first, and how fast a thousand owners are served."""

import itertools
import time

from hypothesis import given
from hypothesis import strategies as st

from controller.model.effective import Effective, Refusal
from controller.model.memory import PortBlock, PortGrant
from controller.planning import ports, resolve
from tests.support import builders

STANDING = builders.standing(
    portPools=[
        {"name": "main", "from": 10000, "to": 10299, "block": 100},
        {"name": "ssh", "from": 2222, "to": 2224, "block": 1, "services": ["ssh"]},
    ]
)
SERVICES = st.lists(
    st.tuples(st.sampled_from(["ssh", "web", "jupyter"]), st.sampled_from([None, 2222, 10003, 10150, 9])),
    max_size=3,
    unique_by=lambda pair: pair[0],
)


def effective(name: str, owner: str, services: list[tuple[str, int | None]]) -> Effective:
    written = [
        {"name": service, "port": 8000 + index} | ({"hostPort": port} if port else {})
        for index, (service, port) in enumerate(services)
    ]
    ports_given = [port for _, port in services if port]
    if len(set(ports_given)) < len(ports_given):
        written = written[:1]
    found = resolve.resolve(
        builders.accepted(name, owner=owner, services=written), STANDING, builders.account(owner)
    )
    assert isinstance(found, Effective)
    return found


@given(st.lists(st.tuples(st.sampled_from(["alice", "bob", "carol", "dave"]), SERVICES), max_size=6))
def test_what_one_pass_grants_the_ledger_takes_in_any_order(
    asked: list[tuple[str, list[tuple[str, int | None]]]],
) -> None:
    pools = tuple(STANDING.policy.policy.spec.port_pools)
    book = ports.Book((), (), pools)
    blocks: dict[int, PortBlock] = {}
    grants: dict[int, PortGrant] = {}
    for number, (owner, services) in enumerate(asked):
        given_ = book.assign(effective(f"w{number}", owner, services))
        if isinstance(given_, Refusal):
            continue
        assert len({port.host_port for port in given_.ports}) == len(given_.ports)
        for block in given_.new_blocks:
            assert blocks.setdefault(block.base, block) == block
            assert block.owner == owner
        for grant in given_.new_grants:
            assert grants.setdefault(grant.port, grant) is grant
    spans = sorted((block.base, block.base + block.size) for block in blocks.values())
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    for grant in grants.values():
        homes = [b.owner for b in blocks.values() if b.base <= grant.port < b.base + b.size]
        assert homes in ([grant.owner], [])


def test_what_was_granted_is_given_again_and_nothing_is_new() -> None:
    pools = tuple(STANDING.policy.policy.spec.port_pools)
    wanted = effective("alice", "alice", [("ssh", None), ("web", None), ("jupyter", 10007)])
    first = ports.Book((), (), pools).assign(wanted)
    assert isinstance(first, ports.Assignment)
    again = ports.Book(first.new_blocks, first.new_grants, pools).assign(wanted)
    assert isinstance(again, ports.Assignment)
    assert (again.ports, again.new_blocks, again.new_grants) == (first.ports, (), ())


def test_a_refused_workspace_leaves_the_book_as_it_was() -> None:
    pools = tuple(STANDING.policy.policy.spec.port_pools)
    book = ports.Book((), (), pools)
    assert isinstance(book.assign(effective("a", "alice", [("web", None), ("jupyter", 9)])), Refusal)
    after = book.assign(effective("b", "bob", [("web", None)]))
    assert isinstance(after, ports.Assignment)
    assert [block.base for block in after.new_blocks] == [10000]


def test_a_thousand_owners_are_served_in_well_under_a_second() -> None:
    policy = builders.policy(portPools=[{"name": "main", "from": 10000, "to": 59999, "block": 40}])
    book = ports.Book((), (), tuple(policy.policy.spec.port_pools))
    wanted = [effective(f"w{n}", f"o{n}", [("web", None)]) for n in range(1000)]
    began = time.perf_counter()
    assert not any(isinstance(book.assign(one), Refusal) for one in wanted)
    assert time.perf_counter() - began < 2
