"""Knows how a golden case tells what happened to a host, one event after another, and makes it happen.

It refuses a word that it does not know: a case that says less than it seems to is worth nothing.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from controller.api import labels, quantities
from controller.api.conditions import Reason
from controller.model.memory import (
    BackOff,
    Intent,
    Pause,
    PortBlock,
    PortGrant,
    Restarts,
    Suspension,
)
from controller.model.observed import (
    NOT_LOOKED_AT,
    Account,
    AccountSeen,
    Bind,
    Container,
    ContainerState,
    Health,
    Limits,
    MountCheck,
    Obstacle,
    Unseen,
)
from controller.model.plan import Verdict
from controller.planning import claims
from tests.support import builders, change_stories, gpu_stories, slice_stories
from tests.support.change_stories import length as _length
from tests.support.world import World

Event = Mapping[str, Any]


def tell(events: list[Event]) -> World:
    """The world after these events."""
    world = World()
    tell_more(world, events)
    return world


def tell_more(world: World, events: list[Event]) -> None:
    """Let more happen to a world."""
    for event in events:
        verb, rest = next(iter(event)), dict(list(event.items())[1:])
        _VERBS[verb](world, event[verb], rest)
        assert not rest, f"{verb} knows no {', '.join(rest)}"


def _workspace(world: World, name: str, rest: dict[str, Any]) -> None:
    spec = builders.accepted(name, **rest.pop("spec", {}))
    if "accepted" in rest:
        spec = replace(spec, accepted_at=world.now - _length(rest.pop("accepted")))
    if rest.pop("unconfirmed", False):
        spec = replace(spec, confirmed=False)
    state, gpus = rest.pop("container", "running"), rest.pop("gpus", None)
    own = None if gpus is None else tuple(gpus)
    world.add(spec, None if state == "none" else ContainerState(state), own)


def _edit(world: World, name: str, rest: dict[str, Any]) -> None:
    before = world.specs[name]
    world.specs[name] = replace(
        builders.accepted(name, **rest.pop("spec", {})),
        uid=before.uid,
        generation=before.generation + 1,
        confirmed=not rest.pop("unconfirmed", False),
        accepted_at=world.now - _length(rest.pop("ago", "1h")),
        created_at=before.since,
    )


def _remove(world: World, name: str, rest: dict[str, Any]) -> None:
    gone = world.now - _length(rest.pop("ago", "1m"))
    world.specs[name] = replace(world.specs[name], missing_since=gone)


def _spec_lost(world: World, name: str, _: dict[str, Any]) -> None:
    del world.specs[name]


def _container_by(pick: Callable[[World, str], Container]) -> Callable[[World, str, dict[str, Any]], None]:
    """Something happens to one container of a workspace."""

    def change(world: World, name: str, rest: dict[str, Any]) -> None:
        found = pick(world, name)
        for key in tuple(rest):
            found = _CHANGES[key](world, found, rest.pop(key))
        world.containers[found.id] = found

    return change


def _configured(field: str) -> Callable[[World, Container, Any], Container]:
    def change(_: World, found: Container, value: Any) -> Container:  # noqa: ANN401 - as written
        return replace(found, configuration=replace(found.configuration, **{field: value}))

    return change


def _limits(_: World, found: Container, value: Mapping[str, str]) -> Container:
    sizes: dict[str, Any] = {name: quantities.parse_bytes(text) for name, text in value.items()}
    after = replace(found.configuration.limits, **sizes)
    return replace(found, configuration=replace(found.configuration, limits=after), kernel_limits=after)


def _kernel(_: World, found: Container, value: Mapping[str, str]) -> Container:
    assert isinstance(found.kernel_limits, Limits)
    sizes: dict[str, Any] = {name: quantities.parse_bytes(text) for name, text in value.items()}
    return replace(found, kernel_limits=replace(found.kernel_limits, **sizes))


def _state(world: World, found: Container, value: str) -> Container:
    state = ContainerState(value)
    if state in {ContainerState.REMOVING, ContainerState.DEAD, ContainerState.RESTARTING}:
        return replace(found, state=state)
    return builders.in_state(found, state, world.now)


def _env(_: World, found: Container, value: Mapping[str, str]) -> Container:
    env = {**found.configuration.env, **value}
    return replace(found, configuration=replace(found.configuration, env=env))


def _hash(_: World, found: Container, value: str) -> Container:
    return _relabel(found, labels.TEMPLATE_HASH, value)


def _relabel(found: Container, name: str, value: str) -> Container:
    changed = {**found.labels, name: value}
    return replace(found, labels={**changed, labels.CLAIM: claims.sign(builders.KEY, changed)})


def _ended(world: World, found: Container, value: str) -> Container:
    end = world.now - _length(value)
    return replace(found, state=ContainerState.EXITED, finished_at=end, pid=0, exit_code=1)


_CHANGES: dict[str, Callable[[World, Container, Any], Container]] = {
    "name": lambda _, found, value: replace(found, name=value),
    "address": lambda _, found, value: replace(found, address=value),
    "state": _state,
    "started_ago": lambda world, found, value: replace(found, started_at=world.now - _length(value)),
    "ended_ago": _ended,
    "oom_killed": lambda _, found, value: replace(found, oom_killed=value),
    "health": lambda _, found, value: replace(found, health=Health(value)),
    "error": lambda _, found, value: replace(found, error=value),
    "limits": _limits,
    "kernel": _kernel,
    "env": _env,
    "hash": _hash,
    "restart_policy": _configured("restart_policy"),
    "gpus": lambda world, found, value: _configured("gpus")(
        world, found, replace(found.configuration.gpus, names=tuple(value))
    ),
    "all_gpus": lambda world, found, value: _configured("gpus")(
        world, found, replace(found.configuration.gpus, all=value)
    ),
    "slice": _configured("cgroup_parent"),
    "network_mode": _configured("network_mode"),
    "hostname": _configured("hostname"),
    "privileged": _configured("privileged"),
    "runtime": _configured("runtime"),
    "capabilities": lambda world, found, value: _configured("capabilities")(
        world, found, None if value is None else tuple(value)
    ),
    "networks": lambda world, found, value: _configured("networks")(world, found, frozenset(value)),
    "command": lambda world, found, value: _configured("command")(world, found, tuple(value)),
    "bind": lambda world, found, value: _configured("binds")(
        world, found, (*found.configuration.binds, Bind(value["target"], value["source"], read_only=False))
    ),
}


def _foreign(world: World, name: str, rest: dict[str, Any]) -> None:
    copied, forged = rest.pop("copy_of", None), rest.pop("forged_from", None)
    if forged:
        original = next(c for c in world.of(forged))
        named = {**original.labels, labels.INSTANCE: "0123456789abcdef" * 2}
        stranger = replace(original, id="f" * 64, name=name, labels=named)
    elif copied:
        original = next(c for c in world.of(copied))
        stranger = replace(original, id="f" * 64, name=name, created=world.now)
    else:
        spec = builders.accepted("stranger")
        elsewhere = World().add(spec)
        built = next(iter(elsewhere.containers.values()))
        claim = {"dev.wharfinger.workspace": rest.pop("claims", "")}
        stranger = replace(built, id="f" * 64, name=name, labels=claim if claim[labels.WORKSPACE] else {})
    world.containers[stranger.id] = stranger


def _wish(running: str) -> Callable[[World, str, dict[str, Any]], None]:
    def record(world: World, name: str, rest: dict[str, Any]) -> None:
        at = world.now - _length(rest.pop("ago", "1s"))
        wish = Suspension(running == "Running", rest.pop("while", "Running"), at, "alice")
        world.remember(suspensions={**world.memory.suspensions, name: wish})

    return record


def _restart(world: World, name: str, rest: dict[str, Any]) -> None:
    at = world.now - _length(rest.pop("ago", "1s"))
    world.remember(restart_requests={**world.memory.restart_requests, name: at})


def _pause(world: World, name: str, rest: dict[str, Any]) -> None:
    pause = Pause(rest.pop("reason", "maintenance"), world.now - _length(rest.pop("ago", "1h")), "root")
    if name == "host":
        world.remember(host_pause=pause)
    else:
        world.remember(pauses={**world.memory.pauses, name: pause})


def _backoff(world: World, name: str, rest: dict[str, Any]) -> None:
    spec = world.specs[name]
    verdict, reason = Verdict(rest.pop("verdict")), Reason(rest.pop("reason"))
    key = f"{spec.uid}:{spec.generation}:policy-digest:{verdict}:{reason}"
    wait = BackOff(
        failures=rest.pop("failures", 3),
        next_attempt=world.now + _length(rest.pop("due", "20s")),
        reason=Reason(rest.pop("why", "RefusedByEngine")),
        message=rest.pop("message", "the Engine said no"),
        key=key,
    )
    world.remember(backoffs={**world.memory.backoffs, name: wait})


def _restarts(world: World, name: str, rest: dict[str, Any]) -> None:
    found = next(c for c in world.of(name))
    ago = rest.pop("ago", None)
    at = found.started_at or world.now if ago is None else world.now - _length(ago)
    record = Restarts(found.id, rest.pop("count"), at)
    world.remember(restarts={**world.memory.restarts, name: record})


def _intent(world: World, name: str, rest: dict[str, Any]) -> None:
    verdict, reason = rest.pop("verdict", "Create"), rest.pop("reason", "ContainerMissing")
    intent = Intent(1, name, world.now, 1, verdict, reason, gpus=tuple(rest.pop("gpus", ())))
    world.remember(open_intents=(*world.memory.open_intents, intent))


def _image(world: World, reference: str, rest: dict[str, Any]) -> None:
    held = rest.pop("is")
    if held == "unasked":
        world.images.pop(reference, None)
    else:
        world.images[reference] = None if held == "missing" else builders.image_id(held)


def _asked(world: World, reference: str, rest: dict[str, Any]) -> None:
    if "in_vain" in rest:
        wait = BackOff(2, world.now + _length(rest.pop("in_vain")), Reason.IMAGE_UNAVAILABLE, "no route", "")
        world.remember(backoffs={**world.memory.backoffs, f"registry/{reference}": wait})
    else:
        at = world.now - _length(rest.pop("ago"))
        world.remember(asked={**world.memory.asked, reference: at})


def _network(world: World, name: str, rest: dict[str, Any]) -> None:
    if rest.pop("gone", False):
        world.networks.pop(name, None)
    else:
        world.networks[name] = replace(world.networks[name], **{key: rest.pop(key) for key in tuple(rest)})


def _mount(world: World, where: str, rest: dict[str, Any]) -> None:
    name, _, mount = where.partition("/")
    create = rest.pop("to_create", False)
    obstacle = (
        None if create else Obstacle(Reason(rest.pop("reason")), rest.pop("message", "it is not right"))
    )
    world.mounts[name, mount] = MountCheck(usable=False, to_create=create, obstacle=obstacle)


def _secret(world: World, name: str, _: dict[str, Any]) -> None:
    world.secrets[name] = Obstacle(Reason.SECRET_UNAVAILABLE, "alice/token is missing")


def _rotated(world: World, name: str, _: dict[str, Any]) -> None:
    world.stale_secrets |= {name}


def _listener(world: World, port: int, _: dict[str, Any]) -> None:
    world.listeners = (world.listeners or frozenset()) | {port}


def _unseen(world: World, part: str, rest: dict[str, Any]) -> None:
    reason = Reason(rest.pop("reason", "NotSeen"))
    world.unseen[part] = Unseen(reason, rest.pop("message", f"the {part} cannot be seen"), world.now)


def _unknown(world: World, name: str, _: dict[str, Any]) -> None:
    world.unknown |= {name}


def _account(world: World, name: str, rest: dict[str, Any]) -> None:
    now = rest.pop("now", "gone")
    if rest.pop("recorded", False):
        world.remember(accounts={**world.memory.accounts, name: Account(name, 5000, 5000, "/home/old")})
    failure = "the host's name service fails: Connection refused"
    silence = Unseen(Reason.NAME_SERVICE_SILENT, failure, world.now)
    told: dict[str, AccountSeen] = {"gone": None, "silent": silence}
    told |= {uid: Account(name, int(uid), int(uid), "/home/new") for uid in (now,) if uid.isdecimal()}
    world.accounts[name] = told[now]


def _rejected(world: World, path: str, rest: dict[str, Any]) -> None:
    reason = Reason(rest.pop("reason", "SpecRejected"))
    name = rest.pop("name", None)
    world.rejected[name or path] = builders.rejected(name, reason, path)


def _policy(world: World, keys: Mapping[str, Any], rest: dict[str, Any]) -> None:
    members = {group: frozenset(found) for group, found in rest.pop("members", {}).items()}
    unread = frozenset(rest.pop("unread", ()))
    given = builders.policy(rest.pop("catalog", None), **keys)
    world.policy = replace(given, members=members, unread_groups=unread)


def _runtime(world: World, name: str, _: dict[str, Any]) -> None:
    world.runtimes |= {name}


def _proxy(world: World, documents: Mapping[str, str] | str, _: dict[str, Any]) -> None:
    """The proxy's directory: texts by workspace, or why it cannot be read."""
    world.rules = replace(world.rules, proxied=True)
    if isinstance(documents, str):
        world.routes = Unseen(Reason.PROXY_UNAVAILABLE, documents, world.now)
    else:
        world.routes = {f"wharf-{name}.yaml": text for name, text in documents.items()}


def _removals_held(world: World, why: str, _: dict[str, Any]) -> None:
    world.removals_held = why


def _block(world: World, owner: str, rest: dict[str, Any]) -> None:
    block = PortBlock(owner, rest.pop("pool", "main"), rest.pop("base"), rest.pop("size", 100))
    world.remember(port_blocks=(*world.memory.port_blocks, block))


def _grant(world: World, port: int, rest: dict[str, Any]) -> None:
    grant = PortGrant(rest.pop("owner"), rest.pop("workspace"), rest.pop("service"), port)
    world.remember(port_grants=(*world.memory.port_grants, grant))


def _fleet(world: World, count: int, rest: dict[str, Any]) -> None:
    for number in range(count):
        _workspace(world, f"w{number:02}", dict(rest))
    rest.clear()


def _each(verb: Callable[[World, str, dict[str, Any]], None]) -> Callable[[World, Any, dict[str, Any]], None]:
    """The same for every workspace, or for those named."""

    def do(world: World, which: Any, rest: dict[str, Any]) -> None:  # noqa: ANN401 - as written
        for name in sorted(world.specs) if which == "all" else which:
            verb(world, name, dict(rest))
        rest.clear()

    return do


def _main(world: World, name: str) -> Container:
    found = world.main(name)
    assert found is not None, f"{name} has no container"
    return found


def _main_gone(world: World, name: str, _: dict[str, Any]) -> None:
    del world.containers[_main(world, name).id]


def _passes(world: World, count: int, rest: dict[str, Any]) -> None:
    fails, each = rest.pop("failing", ""), _length(rest.pop("every", "1s"))
    world.refusal = Reason(rest.pop("why", "RefusedByEngine"))
    crashes, backoffs = rest.pop("crash", False), world.memory.backoffs
    for _ in range(count):
        world.execute(world.plan(), lambda action: re.fullmatch(fails, type(action).__name__) is not None)
        world.now += each
    if crashes:  # what failed is the whole controller, so that nobody writes down a back-off
        world.remember(backoffs=backoffs)


def _wait(world: World, length: str, _: dict[str, Any]) -> None:
    world.now += _length(length)


def _engine(world: World, ago: str, _: dict[str, Any]) -> None:
    world.seen_ago = _length(ago)


def _disk(world: World, percent: int | str, _: dict[str, Any]) -> None:
    world.disk = NOT_LOOKED_AT if percent == "unseen" else builders.disk(int(percent), world.rules)


def _ledger_lost(world: World, what: str, _: dict[str, Any]) -> None:
    world.remember(**{what: type(getattr(world.memory, what))()})


_VERBS: dict[str, Callable[[World, Any, dict[str, Any]], None]] = {
    "workspace": _workspace,
    "edit": _edit,
    "spec gone": _remove,
    "spec lost": _spec_lost,
    "container": _container_by(lambda world, name: world.of(name)[0]),
    "main container": _container_by(_main),
    "kept container": _container_by(
        lambda world, name: world.containers[change_stories.kept(world, name).container_id]
    ),
    "foreign": _foreign,
    "stop asked": _wish("Stopped"),
    "start asked": _wish("Running"),
    "restart asked": _restart,
    "pause": _pause,
    "backoff": _backoff,
    "restarts": _restarts,
    "intent": _intent,
    "image": _image,
    "asked": _asked,
    "network": _network,
    "mount": _mount,
    "secret missing": _secret,
    "proxy": _proxy,
    "secret rotated": _rotated,
    "listener": _listener,
    "unseen": _unseen,
    "unknown": _unknown,
    "account": _account,
    "rejected": _rejected,
    "policy": _policy,
    "runtime": _runtime,
    "removals held": _removals_held,
    "block": _block,
    "grant": _grant,
    "passes": _passes,
    "wait": _wait,
    "engine seen ago": _engine,
    "disk": _disk,
    "fleet": _fleet,
    "edit each": _each(_edit),
    "specs gone": _each(_remove),
    "stop asked by each": _each(_wish("Stopped")),
    "approve each": _each(change_stories.approve),
    "main container gone": _main_gone,
    **change_stories.VERBS,
    **gpu_stories.VERBS,
    **slice_stories.VERBS,
    "ledger lost": _ledger_lost,
}
