"""Knows which GPUs each workspace gets, of those that were seen free.

Refuses to give what somebody has, what is out of use, and what another workspace is about to give up: that
is free once it was seen free. Nothing is taken that the workspace does not use in the same pass: who decides
asks for an offer, decides, and then takes it or lets it be.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from controller.api.conditions import Reason
from controller.model.gpus import Cordon, Device, Fence
from controller.planning import pleas, queueing
from controller.planning.claimed import Claim, Hold
from controller.planning.fitting import Stock
from controller.planning.queueing import Request


@dataclass(frozen=True, slots=True)
class Offer:
    """What a workspace can have in this pass.

    Attributes:
        uuids: sorted.
    """

    uuids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a workspace can have nothing in this pass.

    Attributes:
        reason: GpuQueued: others have them. OwnGPUBusy: it needs those that its stopped container was made
            with. GpuUnavailable: whoever leaves, the host has no such devices, or not as many.
        message: what it waits for or needs; place and holders are told by `Allotment.messages` in the end.
    """

    reason: Reason
    message: str


class Allotment:
    """The devices of one pass, and who is given what of them.

    For each request, in the order of `order`: `offer`; then `take` the offer if what was decided uses the
    devices, or `join` the queue if it is for want of devices that nothing can be done. Requests that wait for
    anything else do neither. `messages` then says to those in the queue how it stands.

    Who waits for more than an hour, and has none before it by rank who has not, gets set aside what it could
    use: what is free of it, and as many shared devices as it lacks besides; nobody new gets those. So a
    request of priority P waits at most (100 - P) x 12 minutes + 1 hour + (n + 1) x H, where n requests are
    before it by rank at the end of that hour, and H is the longest time that anybody holds a device; one that
    is withheld counts as held. How many come later, and how little they ask for, makes no difference.

    Args:
        devices: of the host, by UUID.
        claims: all that is held, in any order.
        withheld: why a device gets no new claims, by UUID of it or of its GPU, as of `withheld`.
        requests: of those workspaces that want devices now or have some, in any order.
        now: the time of the pass.
    """

    def __init__(
        self,
        devices: Mapping[str, Device],
        claims: Iterable[Claim],
        withheld: Mapping[str, str],
        requests: Iterable[Request],
        now: datetime,
    ) -> None:
        self._stock = Stock(devices, claims, withheld)
        self._now = now
        wanted = tuple(requests)
        holding = {one.workspace for one in wanted if self._holds(one)}
        same = {one.workspace for one in wanted if one.must_own or (one.own and self._keeps(one))}
        order = queueing.order(wanted, holding, same, now)
        self.order = order.requests
        """In which the requests are to be asked for."""
        self._elders = order.elders
        self._set_aside: set[str] = set()
        self._queue: list[tuple[Request, Waiting]] = []

    def offer(self, request: Request) -> Offer | Waiting:
        """Return what a workspace can have, of what is left; nothing is taken by that."""
        if request.own and (request.runs or not request.must_own) and self._keeps(request):
            return Offer(tuple(sorted(request.own)))
        if request.must_own:
            return self._own(request)
        wish = request.wish
        needed = 1 if wish.all else wish.count
        suited = self._stock.suited(wish)
        if len(suited) < needed:
            return Waiting(Reason.GPU_UNAVAILABLE, pleas.never(wish, len(suited)))
        available = self._stock.available(wish, request.workspace)
        if len(available) < needed:
            return Waiting(Reason.GPU_QUEUED, f"waits for {pleas.what(wish)}")
        return Offer(tuple(sorted(available)) if wish.all else self._stock.best(available, needed))

    def take(self, request: Request, offer: Offer) -> None:
        """Count what was offered as held: nobody else gets it in this pass."""
        self._claim(request, offer.uuids, f"workspace {request.workspace}")

    def join(self, request: Request, waiting: Waiting) -> None:
        """Count a workspace among those who wait; what no device can do waits for nothing."""
        if waiting.reason is Reason.GPU_UNAVAILABLE:
            return
        self._queue.append((request, waiting))
        if request.workspace in self._elders and self._could_be_served(request):
            self._set_aside.add(request.workspace)
            self._claim(request, self._aside(request), pleas.set_aside(request.workspace))

    def messages(self) -> Mapping[str, str]:
        """Return for each who waits: what for, the place in the queue, and who has it."""
        queue = sorted(self._queue, key=lambda each: queueing.rank(each[0], self._now))
        speaker = pleas.Speaker(self._stock)
        found = {}
        for place, (request, waiting) in enumerate(queue, 1):
            aside = request.workspace in self._set_aside
            where = f"{pleas.ordinal(place)} of {len(queue)} in the queue"
            own = request.own if waiting.reason is Reason.OWN_GPU_BUSY else ()
            found[request.workspace] = speaker.message(
                request.workspace, request.wish, own, where, aside=aside
            )
        return found

    def _claim(self, request: Request, uuids: Iterable[str], holder: str) -> None:
        for uuid in uuids:
            self._stock.claim(Claim(uuid, holder, request.workspace, Hold.of(request.wish)))

    def _holds(self, request: Request) -> bool:
        """Tell whether it holds what it will have."""
        if not request.own:
            return False
        held = request.runs or self._stock.holders.of(request.workspace).issuperset(request.own)
        return held and (request.must_own or self._keeps(request))

    def _keeps(self, request: Request) -> bool:
        """Tell whether it goes on with its own: they are what it asks for, and it runs or can have them."""
        devices, wish = self._stock.devices, request.wish
        if not wish.all and len(request.own) != wish.count:
            return False
        there = [uuid for uuid in request.own if uuid in devices]
        if not set(self._stock.suited(wish)).issuperset(there):
            return False
        return request.runs or self._can_have_own(request)

    def _own(self, request: Request) -> Offer | Waiting:
        own = tuple(sorted(request.own))
        if self._can_have_own(request):
            return Offer(own)
        return Waiting(Reason.OWN_GPU_BUSY, pleas.needs_own(own))

    def _can_have_own(self, request: Request) -> bool:
        hold, sharers, stock = Hold.of(request.wish), request.wish.sharers, self._stock
        return all(
            uuid in stock.devices and stock.is_available(uuid, request.workspace, hold, sharers)
            for uuid in request.own
        )

    def _could_be_served(self, request: Request) -> bool:
        """Tell whether those who hold devices need only leave."""
        own, wish = request.own if request.must_own else (), request.wish
        there = [
            uuid
            for uuid in own or self._stock.suited(wish)
            if uuid in self._stock.devices and not self._stock.withheld(uuid)
        ]
        return len(there) >= (len(own) or (1 if wish.all else wish.count))

    def _aside(self, request: Request) -> tuple[str, ...]:
        """Return what nobody new is to get: all that it could use now, and shared ones as far as that lacks.

        Of the shared ones the first by UUID: so they are the same ones in every pass until they are free.
        """
        if request.must_own:
            return request.own
        wish, stock = request.wish, self._stock
        available = stock.available(wish, request.workspace)
        if Hold.of(wish) is not Hold.ALONE:
            return available
        shared = [
            uuid
            for uuid in stock.suited(wish)
            if uuid not in available and not stock.withheld(uuid) and stock.holders.admits(uuid, Hold.ALL, 0)
        ]
        return (*available, *shared[: wish.count - len(available)])


def withheld(cordons: Mapping[str, Cordon], fences: Mapping[str, Fence]) -> Mapping[str, str]:
    """Return why devices get no new claims, in words, by UUID of the device or of its GPU."""
    fenced = {uuid: f"out of use: {fence.message}" for uuid, fence in fences.items()}
    return fenced | {
        uuid: f"cordoned by {cordon.by}" + (f": {cordon.reason}" if cordon.reason else "")
        for uuid, cordon in cordons.items()
    }
