"""Makes random worlds of GPUs, allots their devices, and checks it against the rules, written out once more.

It refuses to use what it checks: who is in whose way is looked up here by going through all claims.
`python -m tests.properties.allocation --worlds 100000 --sites 1000 --seed 1`
"""

import argparse
import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import MappingProxyType

from controller.api.conditions import Reason
from controller.model.gpus import Device, Wish
from controller.planning import queueing
from controller.planning.allocation import Allotment, Offer, Waiting
from controller.planning.claimed import Claim, Hold
from controller.planning.queueing import AGEING, PATIENCE, Request
from tests.support.builders import NOW

GIB = 1 << 30
MODELS = (("NVIDIA L4", 24), ("NVIDIA A100-SXM4-40GB", 40), ("NVIDIA A100-SXM4-80GB", 80))
PROFILES = (("1g.10gb", 10), ("2g.20gb", 20), ("3g.40gb", 40))
NAMES = tuple(f"w{number:02}" for number in range(12))
NOTHING: Mapping[str, str] = MappingProxyType({})


class WrongError(AssertionError):
    """A rule was broken."""


@dataclass(frozen=True)
class World:
    """What one pass sees.

    Attributes:
        idle: workspaces that do not use what they are offered, and do not wait for devices either.
    """

    devices: tuple[Device, ...]
    claims: tuple[Claim, ...]
    withheld: Mapping[str, str]
    requests: tuple[Request, ...]
    idle: frozenset[str] = frozenset()


Answers = dict[str, Offer | Waiting]


def host(lot: random.Random, most: int = 6) -> tuple[Device, ...]:
    """Some GPUs, some of them divided."""
    found: list[Device] = []
    for number in range(lot.choice((1, 2, 3, most, most))):
        model, memory = lot.choice(MODELS)
        divided = lot.random() < 0.3
        whole = Device(f"GPU-{number}", model, memory * GIB, divided=divided and lot.random() < 0.9)
        found.append(whole)
        for part in range(lot.randint(1, 7) if divided else 0):
            profile, size = lot.choice(PROFILES)
            found.append(
                Device(f"MIG-{number}-{part}", model, size * GIB, parent=whole.uuid, profile=profile)
            )
    return tuple(found)


def wish(lot: random.Random, devices: tuple[Device, ...], sharers: int) -> Wish:
    """What somebody may ask for."""
    kind = lot.random()
    uuids = (
        tuple(lot.sample([one.uuid for one in devices], min(len(devices), 3))) if lot.random() < 0.1 else ()
    )
    return Wish(
        count=lot.choice((1, 1, 1, 1, 2, 3)),
        shared=kind < 0.4,
        all=kind < 0.08,
        profile=lot.choice(PROFILES)[0] if lot.random() < 0.2 else None,
        memory=lot.choice((0, 0, 0, 0, 0, 24, 40)) * GIB,
        model=lot.choice(("", "", "", "", "", "a100", "A100 80GB", "L4")),
        uuids=uuids,
        sharers=sharers,
    )


def world(lot: random.Random) -> World:
    """What one pass may see; the claims may contradict each other, as those of the real world may."""
    devices = host(lot)
    uuids = [*(one.uuid for one in devices), "GPU-gone"]
    claims = []
    for _ in range(lot.choice((0, 2, 4, 9))):
        name = lot.choice(NAMES) if lot.random() < 0.9 else ""
        holder = f"workspace {name}" if name else "process 7 of root"
        claims.append(
            Claim(lot.choice(uuids), holder, name, lot.choice((Hold.ALONE, Hold.ALONE, Hold.SHARE, Hold.ALL)))
        )
    withheld = {lot.choice(uuids): "cordoned" for _ in range(lot.choice((0, 0, 1, 2)))}
    names = lot.sample(NAMES, lot.randint(1, len(NAMES)))
    requests = tuple(_request(lot, name, devices, claims) for name in names)
    idle = frozenset(name for name in names if lot.random() < 0.15)
    return World(devices, tuple(claims), withheld, requests, idle)


def _request(lot: random.Random, name: str, devices: tuple[Device, ...], claims: list[Claim]) -> Request:
    wanted = wish(lot, devices, lot.choice((1, 2, 2, 4)))
    held = sorted({claim.uuid for claim in claims if claim.workspace == name})
    own: tuple[str, ...] = tuple(held) if held and lot.random() < 0.7 else ()
    if devices and not own and lot.random() < 0.3:
        own = tuple(lot.sample([one.uuid for one in devices], min(len(devices), wanted.count)))
    runs = bool(own) and set(own) <= set(held) and lot.random() < 0.5
    hours = lot.choice((None, None, 0, 2, 2, 30))
    return Request(
        name,
        wanted,
        lot.choice((1, 10, 10, 50, 100)),
        waiting_since=None if hours is None else NOW - timedelta(hours=hours, minutes=lot.randint(0, 59)),
        own=own,
        must_own=bool(own) and not runs and lot.random() < 0.4,
        runs=runs,
    )


def allot(seen: World) -> Allotment:
    return Allotment({one.uuid: one for one in seen.devices}, seen.claims, seen.withheld, seen.requests, NOW)


def suits(seen: World, device: Device, wanted: Wish) -> bool:
    """Whether a device is what is asked for, whoever has it."""
    if device.divided or any(one.parent == device.uuid for one in seen.devices):
        return False
    if wanted.uuids and device.uuid not in wanted.uuids:
        return False
    if wanted.profile is None:
        if device.profile is not None and not wanted.all and not wanted.uuids:
            return False
    elif device.profile != wanted.profile:
        return False
    return device.memory >= wanted.memory and all(
        word.lower() in device.model.lower() for word in wanted.model.split()
    )


def obstacles(seen: World, uuid: str, request: Request, claims: list[Claim]) -> Iterator[str]:
    """Yield why a workspace must not be given a device beside these claims."""
    by_uuid = {one.uuid: one for one in seen.devices}
    device = by_uuid.get(uuid)
    if device is None:
        yield "it is not there"
        return
    if uuid in seen.withheld or device.whole in seen.withheld:
        yield "it is withheld"
    kin = {device.parent, *(one.uuid for one in seen.devices if one.parent == uuid)}
    others = [one for one in claims if not (one.workspace and one.workspace == request.workspace)]
    yield from (f"{one}: a GPU and its parts exclude each other" for one in others if one.uuid in kin)
    hold, here = Hold.of(request.wish), [one for one in others if one.uuid == uuid]
    alone = [one for one in here if not one.workspace or Hold.ALONE in (one.hold, hold)]
    yield from (f"{one} is in the way" for one in alone)
    seated = {one.workspace for one in here if one.workspace and one.hold is Hold.SHARE}
    if hold is Hold.SHARE and len(seated) >= request.wish.sharers:
        yield f"{sorted(seated)} have all seats"


def serve(seen: World) -> tuple[Answers, Mapping[str, str]]:
    """Ask for everybody's offer in order, and take it as those do who use it."""
    allotment = allot(seen)
    answers: Answers = {}
    for request in allotment.order:
        answer = answers[request.workspace] = allotment.offer(request)
        if allotment.offer(request) != answer:
            raise WrongError(f"{request.workspace} is offered something else when asked twice")
        if request.workspace in seen.idle:
            continue
        if isinstance(answer, Offer):
            allotment.take(request, answer)
        else:
            allotment.join(request, answer)
    return answers, allotment.messages()


def check(seen: World) -> Counter[str]:
    """Allot the devices of one pass, and check every answer at its turn; say how often what was the case.

    Raises:
        WrongError: if a rule is broken.
    """
    answers, messages = serve(seen)
    counts: Counter[str] = Counter()
    claims = list(seen.claims)
    exact = all(one.waiting_since is None or NOW - one.waiting_since <= PATIENCE for one in seen.requests)
    waiting = set()
    keepers: list[Claim] = []
    for request in allot(seen).order:
        answer, name = answers[request.workspace], request.workspace
        if isinstance(answer, Offer):
            kept = answer.uuids == tuple(sorted(request.own)) and request.runs
            counts["kept" if kept else "given"] += 1
            if not kept:
                _check_offer(seen, request, answer, claims)
                if exact:
                    _check_smallest(seen, request, answer, claims)
            if name not in seen.idle:
                hold = Hold.of(request.wish)
                taken = [Claim(uuid, f"workspace {name}", name, hold) for uuid in answer.uuids]
                claims += taken
                keepers += taken if kept else []
        else:
            counts[answer.reason.value] += 1
            if answer.reason is not Reason.GPU_UNAVAILABLE and name not in seen.idle:
                waiting.add(name)
            _check_wait(seen, request, answer, claims, exact=exact)
        _check_sticky(seen, request, answer, keepers)
    if set(messages) != waiting:
        raise WrongError(f"{sorted(waiting)} wait, and {sorted(messages)} are told so")
    return counts


def _check_offer(seen: World, request: Request, answer: Offer, claims: list[Claim]) -> None:
    wanted, uuids = request.wish, answer.uuids
    by_uuid = {one.uuid: one for one in seen.devices}
    for uuid in uuids:
        for why in obstacles(seen, uuid, request, claims):
            raise WrongError(f"{request} was offered {uuid}: {why}")
        if not request.must_own and not suits(seen, by_uuid[uuid], wanted):
            raise WrongError(f"{request} was offered {by_uuid[uuid]}, which is not what it asks for")
    own = tuple(sorted(request.own))
    right = len(uuids) >= 1 if wanted.all else len(uuids) == wanted.count
    if len(set(uuids)) != len(uuids) or tuple(sorted(uuids)) != uuids or not (right or uuids == own):
        raise WrongError(f"{request} was offered {uuids}")
    if request.must_own and uuids != own:
        raise WrongError(f"{request} must have its own and was offered {uuids}")


def _check_smallest(seen: World, request: Request, answer: Offer, claims: list[Claim]) -> None:
    """What is large stays free, as long as what is small will do."""
    by_uuid, uuids = {one.uuid: one for one in seen.devices}, answer.uuids
    if uuids != tuple(sorted(request.own)):
        others = _possible(seen, request, claims) - set(uuids)
        if any(by_uuid[other].memory < by_uuid[uuid].memory for other in others for uuid in uuids):
            raise WrongError(f"{request} was offered {uuids}, and smaller ones were free: {others}")


def _check_wait(seen: World, request: Request, answer: Waiting, claims: list[Claim], *, exact: bool) -> None:
    """A wait must have its cause. What is set aside is not known here: `exact` says that nothing is."""
    wanted = request.wish
    needed = 1 if wanted.all else wanted.count
    suited = {one.uuid for one in seen.devices if suits(seen, one, wanted)}
    if request.must_own:
        if answer.reason is not Reason.OWN_GPU_BUSY:
            raise WrongError(f"{request} got {answer}")
        if exact and not any(any(obstacles(seen, uuid, request, claims)) for uuid in request.own):
            raise WrongError(f"{request} could have its own")
    elif (answer.reason is Reason.GPU_UNAVAILABLE) != (len(suited) < needed):
        raise WrongError(f"{request} got {answer}; {suited} would do")
    elif exact and len(_possible(seen, request, claims)) >= needed:
        raise WrongError(f"{request} got {answer} and could have {_possible(seen, request, claims)}")


def _possible(seen: World, request: Request, claims: list[Claim]) -> set[str]:
    return {
        one.uuid
        for one in seen.devices
        if suits(seen, one, request.wish) and not any(obstacles(seen, one.uuid, request, claims))
    }


def _check_sticky(seen: World, request: Request, answer: Offer | Waiting, keepers: list[Claim]) -> None:
    """Who runs with what it asks for keeps it; so does who holds it, if nobody is in the way who runs."""
    by_uuid = {one.uuid: one for one in seen.devices}
    there = [by_uuid[uuid] for uuid in request.own if uuid in by_uuid]
    fits = all(suits(seen, one, request.wish) for one in there) and (
        request.wish.all or len(request.own) == request.wish.count
    )
    held = {claim.uuid for claim in seen.claims if claim.workspace == request.workspace}
    holds = held >= set(request.own) and not any(
        any(obstacles(seen, uuid, request, [*seen.claims, *keepers])) for uuid in request.own
    )
    keeps = request.own and ((fits and (request.runs or holds)) or (request.must_own and holds))
    if keeps and answer != Offer(tuple(sorted(request.own))):
        raise WrongError(f"{request} has what it asks for and got {answer}")


def check_order(seen: World, lot: random.Random) -> None:
    """The order of what is seen must make no difference.

    Raises:
        WrongError: if it makes one.
    """
    mixed = replace(
        seen,
        devices=tuple(lot.sample(seen.devices, len(seen.devices))),
        claims=tuple(lot.sample(seen.claims, len(seen.claims))),
        requests=tuple(lot.sample(seen.requests, len(seen.requests))),
        withheld=dict(reversed(list(seen.withheld.items()))),
    )
    if serve(seen) != serve(mixed):
        raise WrongError(f"another order gives other answers: {seen}")


STEP = timedelta(minutes=10)
LONGEST = timedelta(hours=6)
SHARERS = 3


@dataclass
class Site:
    """A host over time, where everybody holds devices for at most `LONGEST`, and many more come than fit.

    Attributes:
        leaves: until when a workspace holds what it has.
        limits: until when somebody must be served at the latest.
        back: who comes again for its own devices, and when.
    """

    lot: random.Random
    devices: tuple[Device, ...]
    now: int = 0
    born: int = 0
    waiting: dict[str, Request] = field(default_factory=dict)
    held: dict[str, tuple[Wish, tuple[str, ...]]] = field(default_factory=dict)
    leaves: dict[str, int] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    back: list[tuple[int, Request]] = field(default_factory=list)
    served: int = 0
    longest: float = 0.0

    def run(self, steps: int) -> None:
        """Let so much time pass.

        Raises:
            WrongError: if somebody waits longer than it may.
        """
        for self.now in range(steps):
            for name in [name for name, until in self.leaves.items() if until <= self.now]:
                self._leave(name)
            self._arrive()
            self._serve()

    def _leave(self, name: str) -> None:
        wanted, uuids = self.held.pop(name)
        del self.leaves[name]
        if self.lot.random() < 0.3:
            again = Request(name, wanted, self.lot.choice((1, 50, 100)), own=uuids, must_own=True)
            self.back.append((self.now + self.lot.randint(0, 6), again))

    def _arrive(self) -> None:
        due = [request for at, request in self.back if at <= self.now]
        self.back = [(at, request) for at, request in self.back if at > self.now]
        for request in due:
            self.waiting[request.workspace] = request
        while len(self.waiting) < 12 and self.lot.random() < 0.7:
            self.born += 1
            wanted = self._wish()
            name = f"w{self.born}"
            self.waiting[name] = Request(name, wanted, self.lot.choice((1, 10, 90, 100, 100, 100)))

    def _wish(self) -> Wish:
        whole = [one for one in self.devices if not one.divided]
        if not whole or self.lot.random() < 0.3:
            return wish(self.lot, self.devices, SHARERS)
        large = self.lot.random() < 0.15
        shared = not large and self.lot.random() < 0.6
        return Wish(count=len(whole) if large else 1, shared=shared, sharers=SHARERS)

    def _serve(self) -> None:
        now = NOW + self.now * STEP
        claims = [
            Claim(uuid, f"workspace {name}", name, Hold.of(wanted))
            for name, (wanted, uuids) in self.held.items()
            for uuid in uuids
        ]
        allotment = Allotment(
            {one.uuid: one for one in self.devices}, claims, NOTHING, self.waiting.values(), now
        )
        for request in allotment.order:
            answer, name = allotment.offer(request), request.workspace
            if isinstance(answer, Offer):
                allotment.take(request, answer)
                del self.waiting[name]
                self.limits.pop(name, None)
                self.held[name] = request.wish, answer.uuids
                self.leaves[name] = self.now + self.lot.choice((1, 3, LONGEST // STEP, LONGEST // STEP))
                self.served += 1
                if request.waiting_since is not None:
                    self.longest = max(self.longest, (now - request.waiting_since) / timedelta(hours=1))
            elif answer.reason is Reason.GPU_UNAVAILABLE:
                del self.waiting[name]
            else:
                allotment.join(request, answer)
                self.waiting[name] = replace(request, waiting_since=request.waiting_since or now)
        self._check()

    def _check(self) -> None:
        """The bound: once nobody who comes can go before, each of those before takes `LONGEST` at most."""
        now = NOW + self.now * STEP
        for name, request in self.waiting.items():
            since = request.waiting_since
            if since is None:
                continue
            if name not in self.limits and now > since + (100 - request.priority) * AGEING + PATIENCE:
                mine = queueing.rank(request, now)
                before = sum(queueing.rank(other, now) < mine for other in self.waiting.values())
                self.limits[name] = self.now + (before + 1) * (LONGEST // STEP + 1)
            if self.now > self.limits.get(name, self.now):
                raise WrongError(f"{request} waits since {since}, and it is {now}")


def site(lot: random.Random, steps: int = 400) -> Site:
    """Let a host run for some days, with more requests than it can serve.

    Raises:
        WrongError: if somebody waits longer than it may.
    """
    found = Site(lot, host(lot, 4))
    found.run(steps)
    return found


def main() -> int:
    """Return 1 if a rule was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.properties.allocation")
    parser.add_argument("--worlds", type=int, default=100_000, help="passes, each of its own")
    parser.add_argument("--sites", type=int, default=200, help="hosts over time, for the bound of waiting")
    parser.add_argument("--seed", type=int, default=None, help="the first one; else drawn by lot")
    asked = parser.parse_args()
    seed = secrets.randbelow(1 << 31) if asked.seed is None else asked.seed
    began, broken, counts = time.monotonic(), 0, Counter[str]()
    for number in range(seed, seed + asked.worlds):
        lot = random.Random(number)
        try:
            seen = world(lot)
            counts += check(seen)
            check_order(seen, lot)
        except WrongError as error:
            broken += 1
            print(f"world {number}: {error}")
    told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    print(f"{asked.worlds} worlds from seed {seed}: {broken} violations; {told}", flush=True)
    served, longest = 0, 0.0
    for number in range(seed, seed + asked.sites):
        try:
            ran = site(random.Random(number))
        except WrongError as error:
            broken += 1
            print(f"site {number}: {error}")
            continue
        served, longest = served + ran.served, max(longest, ran.longest)
    print(
        f"{asked.sites} sites: {broken} violations in all; {served} served, after {longest:.1f} hours at most"
    )
    print(f"{time.monotonic() - began:.0f} s")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
