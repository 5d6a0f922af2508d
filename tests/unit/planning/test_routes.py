"""The documents for the site's proxy: what they say, when they are written, when they go, when they stay."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.api.conditions import ConditionType, Reason
from controller.model import actions
from controller.model.memory import BackOff, Pause
from controller.model.observed import ContainerState, Unseen
from controller.model.plan import Decision, Verdict
from controller.model.routes import Route
from controller.planning import routes
from controller.planning.case import Blueprint
from controller.planning.planner import Planner
from controller.status import conditions
from tests.support import builders, traefik
from tests.support.world import World

HOSTNAMES = {"domain": "lab.example.org", "entryPoints": ["websecure"], "certResolver": "letsencrypt"}
CODE = {"name": "code", "port": 8080, "expose": "Hostname"}
ADDRESS, OTHER = "172.28.0.5", "172.28.0.6"
NAMED = st.lists(st.sampled_from(["code", "jupyter", "web"]), unique=True, max_size=3)


def host(**hostnames: Any) -> World:  # noqa: ANN401 - as written
    """A host with a proxy, and nothing in its directory."""
    policy = builders.policy(hostnames={**HOSTNAMES, **hostnames})
    return World(policy=policy, rules=replace(builders.RULES, proxied=True), routes={})


def add(world: World, name: str, address: str = ADDRESS, **spec: Any) -> None:  # noqa: ANN401 - as written
    world.add(builders.accepted(name, **{"services": [CODE], **spec}))
    move(world, name, address)


def move(world: World, name: str, address: str) -> None:
    main = world.main(name)
    assert main is not None
    world.change(main.id, address=address)


def stop(world: World, name: str) -> None:
    main = world.main(name)
    assert main is not None
    world.containers[main.id] = replace(
        builders.in_state(main, ContainerState.EXITED, builders.NOW), address=""
    )


def documents(world: World) -> dict[str, str]:
    assert isinstance(world.routes, dict)
    return world.routes


def told(world: World) -> list[Decision]:
    return [one for one in world.plan().upkeep if one.workspace.startswith("route/")]


def settled(world: World) -> World:
    """After as many passes as it takes; one is enough for documents."""
    world.execute(world.plan())
    assert told(world) == []
    return world


def servers(world: World) -> dict[str, str]:
    """What each router leads to."""
    table = traefik.table(documents(world))
    return {
        name: table.services[router["service"]]["loadBalancer"]["servers"][0]["url"]
        for name, router in table.routers.items()
    }


def test_a_document_is_word_for_word() -> None:
    given_routes = (
        Route("web", 80, "lab.example.org", "/alice/web", "…", ("websecure", "web"), "letsencrypt"),
        Route("code", 8080, "alice-code.lab.example.org", "", "…"),
    )
    text = routes.document("alice", given_routes, ADDRESS)
    assert (
        text
        == """\
# Written by Wharfinger for the workspace alice. What is changed here is changed back.
http:
  routers:
    "wharf_alice_code":
      rule: "Host(`alice-code.lab.example.org`)"
      service: "wharf_alice_code"
    "wharf_alice_web":
      rule: "Host(`lab.example.org`) && (Path(`/alice/web`) || PathPrefix(`/alice/web/`))"
      service: "wharf_alice_web"
      entryPoints: ["websecure", "web"]
      middlewares: ["wharf_alice_web"]
      tls:
        certResolver: "letsencrypt"
  middlewares:
    "wharf_alice_web":
      stripPrefix:
        prefixes: ["/alice/web"]
  services:
    "wharf_alice_code":
      loadBalancer:
        passHostHeader: true
        servers:
          - url: "http://172.28.0.5:8080"
    "wharf_alice_web":
      loadBalancer:
        passHostHeader: true
        servers:
          - url: "http://172.28.0.5:80"
"""
    )
    traefik.check(text)
    assert routes.document("alice", reversed(given_routes), ADDRESS) == text


def test_an_address_of_version_6_has_brackets() -> None:
    text = routes.document("alice", [Route("code", 80, "a.example", "", "…")], "fd00::5")
    assert 'url: "http://[fd00::5]:80"' in text
    traefik.check(text)


def test_a_schema_that_takes_everything_is_no_schema() -> None:
    good = routes.document("alice", [Route("code", 80, "a.example", "/p", "…", ("web",), "le")], ADDRESS)
    for broken in (
        good.replace("passHostHeader: true", "passHostHeader: 1"),
        good.replace("stripPrefix:", "stripprefix:"),
        good.replace("  services:", "  service:"),
        good.replace("http:\n  routers:", "http:\n  tcp: {}\n  routers:"),
        good.replace('service: "wharf_alice_code"', 'service: "wharf_alice_other"'),
        good.replace("Host(`", "HostSNI(`"),
        good.replace('["web"]', "[]"),
        good.replace("wharf_alice_code", "wharf@alice"),
        good.replace("http:\n", "http:\n  {{ env }}\n"),
        "http: {routers: {}, services: {}}\n",
    ):
        assert broken != good
        with pytest.raises(AssertionError):
            traefik.check(broken)


def test_requests_go_where_they_belong_and_nowhere_else() -> None:
    world = host(pattern="{domain}", pathPrefix="/{owner}")
    add(world, "al")
    add(world, "alice", OTHER)
    found = traefik.table(documents(settled(world)))
    assert found.find("lab.example.org", "/al") == traefik.Target(f"http://{ADDRESS}:8080", "/")
    assert found.find("lab.example.org", "/al/lab/tree") == traefik.Target(
        f"http://{ADDRESS}:8080", "/lab/tree"
    )
    assert found.find("lab.example.org", "/alice/x") == traefik.Target(f"http://{OTHER}:8080", "/x")
    stop(world, "alice")
    found = traefik.table(documents(settled(world)))
    assert found.find("lab.example.org", "/alice/x") is None
    assert found.find("lab.example.org", "/") is None
    assert found.find("elsewhere.example", "/al") is None


def test_names_of_different_workspaces_are_never_one() -> None:
    world = host(pattern="{name}-{service}-x.{domain}")
    add(world, "a-b", services=[{**CODE, "name": "c"}])
    add(world, "a", OTHER, services=[{**CODE, "name": "b-c"}, {**CODE, "name": "c"}])
    found = servers(settled(world))  # a-b-c-x is wanted twice: of two that are as old the smaller name has it
    assert set(found) == {"wharf_a_b-c", "wharf_a_c"}
    world = host(pattern="{service}.{name}.{domain}")
    add(world, "a-b", services=[{**CODE, "name": "c"}])
    add(world, "a", OTHER, services=[{**CODE, "name": "b-c"}])
    assert set(servers(settled(world))) == {"wharf_a-b_c", "wharf_a_b-c"}


def test_it_is_written_follows_the_address_and_goes_with_the_stop() -> None:
    world = host()
    add(world, "alice")
    (decision,) = told(world)
    assert (decision.workspace, decision.verdict) == ("route/alice", Verdict.CREATE)
    assert servers(settled(world)) == {"wharf_alice_code": f"http://{ADDRESS}:8080"}
    move(world, "alice", OTHER)
    (decision,) = told(world)
    assert (decision.verdict, decision.reason) == (Verdict.UPDATE, Reason.ROUTE_CHANGED)
    assert servers(settled(world)) == {"wharf_alice_code": f"http://{OTHER}:8080"}
    stop(world, "alice")
    world.remember(suspensions={})
    (decision,) = told(world)
    assert decision.verdict is Verdict.REMOVE
    assert decision.actions == (actions.RemoveRoute("alice", "wharf-alice.yaml"),)


def test_a_predecessor_is_reached_until_its_successor_runs() -> None:
    world = host()
    add(world, "alice")
    main = world.main("alice")
    assert main is not None
    world.change(main.id, name="workspace-alice.0123abcd")
    assert [type(action) for one in told(world) for action in one.actions] == [actions.WriteRoute]


def test_a_document_of_nobody_goes_and_one_that_was_changed_is_changed_back() -> None:
    world = host()
    add(world, "alice")
    text = documents(settled(world))["wharf-alice.yaml"]
    documents(world).update({"wharf-ghost.yaml": text, "wharf-alice.yaml": ""})
    assert {one.workspace: one.verdict for one in told(world)} == {
        "route/alice": Verdict.UPDATE,
        "route/ghost": Verdict.REMOVE,
    }
    assert documents(settled(world)) == {"wharf-alice.yaml": text}


def _unknown(world: World) -> None:
    world.unknown = frozenset({"workspace-alice"})


def _unseen_engine(world: World) -> None:
    world.unseen["engine"] = Unseen(Reason.ENGINE_UNAVAILABLE, "it does not answer", builders.NOW)


def _old_look(world: World) -> None:
    world.seen_ago = timedelta(minutes=1)


def _unproven(world: World) -> None:
    world.unproven = "the host is new"


def _paused(world: World) -> None:
    world.remember(pauses={"alice": Pause("maintenance", builders.NOW, "root")})


def _host_paused(world: World) -> None:
    world.remember(host_pause=Pause("maintenance", builders.NOW, "root"))


def _no_ledger(world: World) -> None:
    world.unseen["ledger"] = Unseen(Reason.LEDGER_UNAVAILABLE, "the disk is full", builders.NOW)


@pytest.mark.parametrize(
    "happens",
    [_unknown, _unseen_engine, _old_look, _unproven, _paused, _host_paused, _no_ledger],
    ids=lambda happens: happens.__name__.strip("_"),
)
def test_what_is_there_stays(happens: Any) -> None:  # noqa: ANN401 - a change of a world
    world = host()
    add(world, "alice")
    settled(world)
    stop(world, "alice")
    assert [one.verdict for one in told(world)] == [Verdict.REMOVE]
    happens(world)
    assert told(world) == []


def test_while_nobody_knows_what_it_shall_have_only_the_way_to_itself_stays() -> None:
    world = host()
    add(world, "alice")
    settled(world)
    spec: dict[str, Any] = {"class": "none", "services": [CODE]}
    world.specs["alice"] = builders.accepted("alice", **spec)
    assert world.plan().decisions["alice"].reason is Reason.CLASS_UNKNOWN
    assert told(world) == []
    move(world, "alice", OTHER)  # what had the old address may be another's now
    assert [one.verdict for one in told(world)] == [Verdict.REMOVE]


def test_a_document_that_stays_keeps_its_names_until_it_is_known_what_it_shall_be() -> None:
    world = host(pattern="{service}.{owner}.{domain}")
    add(world, "alice")
    add(world, "thesis", OTHER, owner="alice", services=[CODE, {**CODE, "name": "web", "port": 80}])
    assert set(servers(settled(world))) == {"wharf_alice_code", "wharf_thesis_web"}
    spec: dict[str, Any] = {"class": "none", "services": [CODE]}
    world.specs["alice"] = builders.accepted("alice", **spec)
    assert set(servers(settled(world))) == {"wharf_alice_code", "wharf_thesis_web"}
    stop(world, "alice")
    world.execute(world.plan())
    assert set(servers(settled(world))) == {"wharf_thesis_code", "wharf_thesis_web"}


@pytest.mark.parametrize("written", ['rule: "HostRegexp(`a\\.b`)"', 'rule: "a"b"', 'rule: "a"'])
def test_what_somebody_wrote_into_a_document_that_stays_holds_nobody(written: str) -> None:
    world = host()
    add(world, "alice")
    settled(world)
    documents(world)["wharf-alice.yaml"] += f"      {written}\n"
    world.remember(pauses={"alice": Pause("maintenance", builders.NOW, "root")})
    plan = world.plan()
    assert plan.decisions["alice"].reason is Reason.PAUSED
    assert plan.upkeep == ()


def test_a_directory_that_cannot_be_read_is_told_and_holds_nobody() -> None:
    world = host()
    add(world, "alice")
    world.routes = Unseen(Reason.PROXY_UNAVAILABLE, "/etc/traefik cannot be read: gone", builders.NOW)
    plan = world.plan()
    assert plan.decisions["alice"].reason is Reason.AS_SPECIFIED
    assert plan.upkeep == ()
    assert [(one.reason, one.subject) for one in plan.findings] == [(Reason.PROXY_UNAVAILABLE, "proxy")]


def test_a_failure_waits_and_another_text_does_not() -> None:
    world = host()
    add(world, "alice")
    (decision,) = told(world)
    wait = BackOff(
        2,
        builders.NOW + timedelta(seconds=9),
        Reason.PROXY_UNAVAILABLE,
        "it is read-only",
        decision.key,
    )
    world.remember(backoffs={"route/alice": wait})
    (held,) = told(world)
    assert (held.verdict, held.reason, held.actions) == (Verdict.HOLD, Reason.PROXY_UNAVAILABLE, ())
    move(world, "alice", OTHER)
    assert told(world)[0].actions


def test_what_cannot_be_had_is_a_condition_and_disturbs_nobody() -> None:
    world = host(pattern="{service}.{owner}.{domain}")
    add(world, "alice")
    add(world, "thesis", OTHER, owner="alice")
    decision = world.plan().decisions["thesis"]
    assert decision.reason is Reason.AS_SPECIFIED
    assert [gap.reason for gap in decision.not_enforced] == [Reason.HOSTNAME_TAKEN]
    situation = conditions.Situation(decision, world.main("thesis"), True, False, (), None, None)
    told_of = {claim.type: claim for claim in conditions.claims(situation)}
    assert told_of[ConditionType.NOT_ENFORCED].reason is Reason.HOSTNAME_TAKEN
    assert set(servers(settled(world))) == {"wharf_alice_code"}


def test_an_edit_gives_no_name_away() -> None:
    world = host(pattern="{service}.{owner}.{domain}")
    add(world, "alice")
    add(world, "thesis", OTHER, owner="alice")
    before = world.specs["alice"]
    edited = builders.accepted("alice", 2, services=[CODE], env={"A": "a"})
    world.specs["alice"] = replace(edited, accepted_at=builders.NOW, created_at=before.since)
    assert set(servers(settled(world))) == {"wharf_alice_code"}


def test_the_status_says_where_people_find_it() -> None:
    world = host()
    add(world, "alice")
    planner = Planner(world.rules)
    world.plan(planner)
    design = planner.designs["alice"]
    assert isinstance(design, Blueprint)
    assert [one.url for one in design.services] == ["https://alice-code.lab.example.org/"]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A host with workspaces that run or do not, and any documents in the directory."""
    paths = draw(st.sampled_from([None, "/{owner}", "/{owner}/{service}"]))
    world = host(pattern=draw(st.sampled_from(["{owner}-{service}.{domain}", "{owner}.{domain}"])))
    if paths:
        world = host(pathPrefix=paths)
    for number, name in enumerate(draw(st.lists(st.sampled_from("abc"), unique=True))):
        services = [{**CODE, "name": one, "port": 80 + n} for n, one in enumerate(draw(NAMED))]
        owner = draw(st.sampled_from(["alice", "a", "b"]))
        add(world, name, f"172.28.0.{number + 2}", services=services, owner=owner)
        if draw(st.booleans()):
            stop(world, name)
            world.specs[name] = builders.accepted(
                name, services=services, owner=owner, desiredState="Stopped"
            )
    strange = st.dictionaries(st.sampled_from("abcx"), st.sampled_from(["", "http: {}\n", "{{"]))
    world.routes = {f"wharf-{name}.yaml": text for name, text in draw(strange).items()}
    return world


@given(worlds())
def test_one_pass_is_enough_and_every_document_leads_to_its_own_workspace(world: World) -> None:
    plans = [world.plan(), world.plan()]
    assert plans[0] == plans[1]
    shuffled = replace(world, specs=dict(reversed(world.specs.items())))
    assert {one.workspace: one for one in shuffled.plan().upkeep} == {
        one.workspace: one for one in plans[0].upkeep
    }
    settled(world)
    addresses = {c.labels["dev.wharfinger.workspace"]: c.address for c in world.containers.values()}
    for file, text in documents(world).items():
        name = file.removeprefix("wharf-").removesuffix(".yaml")
        for service in traefik.check(text)["services"].values():
            (server,) = service["loadBalancer"]["servers"]
            assert server["url"].startswith(f"http://{addresses[name]}:")
    _check_routers(traefik.table(documents(world)).routers)


def _check_routers(routers: Mapping[str, Any]) -> None:
    rules = [router["rule"] for router in routers.values()]
    assert len(rules) == len(set(rules)), "two would have one name"
