"""The contract on host ports (section 5), by its sentences, with the ledger that keeps what was granted."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.ledger.ledger import Ledger
from controller.model import actions, outcomes
from controller.model.effective import Effective, Refusal
from controller.planning import ports, resolve
from tests.support import builders

MAIN = {"name": "main", "from": 10000, "to": 10299}
SSH = {"name": "ssh", "from": 2222, "to": 2226, "block": 1, "services": ["ssh"]}
LARGE = {"name": "main", "from": 10000, "to": 19999}

RULES = {
    "each owner has a block of 100, well-known services the offsets of profile vm": """
        alice: ssh vnc novnc code jupyter tensorboard rdp -> 10022 10000 10001 10002 10003 10004 10005
        bob: ssh jupyter -> 10122 10103
    """,
    "profile portal has other offsets, and what it does not name comes from 30 up": """
        alice by portal: jupyter tensorboard ssh vnc rdp -> 10000 10001 10002 10030 10031
    """,
    "services that the profile does not name take the lowest free offset from 30 up": """
        alice: web api -> 10030 10031
        thesis of alice: db web -> 10032 10033
    """,
    "an offset belongs to the owner's first workspace that asks for it": """
        alice: jupyter -> 10003
        thesis of alice: jupyter ssh -> 10030 10022
        batch of alice: ssh -> 10031
    """,
    "workspaces of two profiles share the owner's block": """
        alice: vnc ssh -> 10000 10022
        portal of alice by portal: jupyter ssh -> 10030 10002
    """,
    "blocks go by who comes first, whatever the name": """
        zoe: web -> 10030
        alice: web -> 10130
        mallory: web -> 10230
    """,
    "what was granted stays, whoever comes and goes": """
        alice: web jupyter -> 10030 10003
        thesis of alice: web -> 10031
        bob: web -> 10130
        alice goes
        thesis of alice: web -> 10031
        bob: web -> 10130
        carol: web -> 10230
        batch of alice: web jupyter -> 10030 10003
    """,
    "a block is held seven days after the owner's last workspace went": """
        alice: web -> 10030
        bob: web -> 10130
        carol: web -> 10230
        alice goes
        dave: web -> PortPoolExhausted
        after 6d
        dave: web -> PortPoolExhausted
        after 1d
        dave: web -> 10030
        alice: web -> PortPoolExhausted
        carol: web -> 10230
    """,
    "who comes back within seven days has the block again": """
        alice: web -> 10030
        alice goes
        after 6d
        other of alice: web -> 10030
        after 6d
        bob: web -> 10130
    """,
    "a hostPort lies in the owner's block": """
        alice: web=10055 api=10031 db -> 10055 10031 10030
        bob: web=10055 -> PortTaken
        bob: web=10056 -> PortOutsidePool
        bob: web=9 -> PortOutsidePool
        bob: web=10155 -> 10155
        thesis of alice: web=10055 -> PortTaken
    """,
    "a hostPort may be an offset that a profile names, if nobody has it": """
        alice: web=10022 ssh -> 10022 10030
    """,
    "a hostPort that others were granted first is not taken from them": """
        alice: web -> 10030
        thesis of alice: api=10030 -> PortTaken
        alice: web -> 10030
    """,
    "a service that names a hostPort later moves there, and its port is free": """
        alice: web -> 10030
        alice: web=10044 -> 10044
        thesis of alice: api -> 10030
    """,
    "services of one workspace may change places": """
        alice: web=10040 api=10041 -> 10040 10041
        alice: web=10041 api=10040 -> 10041 10040
    """,
    "a port that a stranger has is evaded where any port will do": """
        strangers on 10030 10031
        alice: web ssh -> 10032 10022
        no strangers
        alice: web ssh -> 10032 10022
        thesis of alice: web -> 10030
    """,
    "a fixed offset, a hostPort and what was granted do not move for a stranger": """
        alice: api -> 10030
        strangers on 10022 10055 10030
        alice: ssh web=10055 api -> 10022 10055 10030
    """,
    "a service that is gone gives its port back, and has it again if it is still free": """
        alice: web api -> 10030 10031
        alice no longer has web
        thesis of alice: db -> 10030
        alice: web api -> 10032 10031
    """,
    "a block without a free port is exhausted, and the owner gets no second one": """
        alice: web ... -> 10030 ... 10099
        thesis of alice: web -> PortPoolExhausted
        thesis of alice: ssh -> 10022
        bob: web -> 10130
    """,
}
NAMED = {
    "a pool of its own serves the services that it names": """
        alice: ssh jupyter -> 2222 10003
        bob: ssh jupyter -> 2223 10103
    """,
    "further workspaces take further ports of a pool of single ports": """
        alice: ssh -> 2222
        thesis of alice: ssh -> 2223
        bob: ssh -> 2224
    """,
    "a hostPort may lie in the named pool, outside of any block": """
        alice: ssh=2223 -> 2223
        bob: ssh -> 2222
        carol: ssh -> 2224
        dave: ssh=2222 -> PortTaken
        dave: ssh=2300 -> PortOutsidePool
        dave: web=2226 -> PortOutsidePool
    """,
    "a stranger in a pool of single ports is evaded": """
        strangers on 2222 2223
        alice: ssh -> 2224
        bob: ssh=2225 -> 2225
        carol: ssh -> 2226
        dave: ssh -> PortPoolExhausted
    """,
}


class Office:
    """Gives out ports as passes do: by the planner's book, written to a ledger before the next one asks."""

    def __init__(self, folder: Path, *pools: dict[str, Any]) -> None:
        self.standing = builders.standing(
            portPools=list(pools),
            defaultClass="vm",
            classes={"vm": {"portProfile": "vm"}, "portal": {"portProfile": "portal"}},
        )
        self.now = builders.NOW
        self.ledger = Ledger.open(folder / "state", self.now)
        self.strangers: dict[int, str] = {}

    def carry_out(self, line: str) -> None:
        """Do what one line of a rule says, and compare."""
        asked = re.fullmatch(r"(\w+)(?: of (\w+))?(?: by (\w+))?: (.+) -> (.+)", line)
        if asked:
            name, owner, profile, services, expected = asked.groups()
            self.ask(name, owner or name, profile or "vm", services.split(), expected.split())
        elif line.endswith(" goes"):
            self.execute(actions.ForgetWorkspace(line.removesuffix(" goes")))
        elif line.startswith("after "):
            self.now += timedelta(days=int(line.removeprefix("after ").removesuffix("d")))
        elif line.startswith("strangers on "):
            self.strangers = dict.fromkeys(map(int, line.removeprefix("strangers on ").split()), "")
        elif line == "no strangers":
            self.strangers = {}
        else:
            name, service = line.split(" no longer has ")
            left = (
                one for one in self.memory().port_grants if (one.workspace, one.service) == (name, service)
            )
            self.execute(actions.ReturnPorts(name, tuple(left)))

    def memory(self) -> Any:  # noqa: ANN401 - the memory
        return self.ledger.recall(b"", self.now)

    def ask(self, name: str, owner: str, profile: str, services: list[str], expected: list[str]) -> None:
        """Ask for the ports of a workspace, and write them to the ledger."""
        if services[-1] == "...":
            services = [f"s{number}" for number in range(70)]
            expected = [str(port) for port in range(10030, 10100)]
        said: dict[str, Any] = {"class": profile, "owner": owner, "services": list(_written(services))}
        spec = builders.accepted(name, **said)
        self.ledger.accept([spec])
        found = resolve.resolve(spec, self.standing, builders.account(owner))
        assert isinstance(found, Effective), found
        memory, pools = self.memory(), self.standing.policy.policy.spec.port_pools
        book = ports.Book(memory.port_blocks, memory.port_grants, pools, self.strangers)
        given = book.assign(found)
        if isinstance(given, Refusal):
            assert [given.reason] == expected, given.message
            self.execute(actions.ForgetWorkspace(name))
            return
        names = [service.split("=")[0] for service in services]
        assert [str(given.by_service[service]) for service in names] == expected
        self.execute(actions.GrantPorts(name, given.new_blocks, given.new_grants))
        kept = {one.service: one.port for one in self.memory().port_grants if one.workspace == name}
        assert kept.items() >= given.by_service.items()

    def execute(self, action: actions.LedgerAction) -> None:
        outcome = self.ledger.execute(action, self.now)
        assert isinstance(outcome, outcomes.Succeeded), outcome


def _written(services: list[str]) -> Any:  # noqa: ANN401 - as a spec has it
    for number, service in enumerate(services):
        name, _, port = service.partition("=")
        yield {"name": name, "port": 1000 + number} | ({"hostPort": int(port)} if port else {})


def lines(rule: str) -> list[str]:
    return [line.strip() for line in rule.strip().splitlines()]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_rules_of_one_pool(rule: str, tmp_path: Path) -> None:
    office = Office(tmp_path, MAIN)
    for line in lines(rule):
        office.carry_out(line)
    office.ledger.close()


@pytest.mark.parametrize("rule", NAMED.values(), ids=NAMED)
def test_rules_of_named_pools(rule: str, tmp_path: Path) -> None:
    office = Office(tmp_path, MAIN, SSH)
    for line in lines(rule):
        office.carry_out(line)
    office.ledger.close()


def test_ten_thousand_ports_hold_a_hundred_owners_and_no_more(tmp_path: Path) -> None:
    office = Office(tmp_path, LARGE)
    for number in range(100):
        office.carry_out(f"o{number:03}: ssh -> {10022 + 100 * number}")
    office.carry_out("late: ssh -> PortPoolExhausted")
    office.ledger.close()
