"""Knows how decisions and GPUs come together: in the order of the queue, and only who uses them gets any.

Refuses to keep devices for a workspace that cannot use them in this pass, whatever else it waits for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from controller.api.conditions import Reason
from controller.model.plan import Decision, Verdict
from controller.planning import equipment as equipment_module
from controller.planning.allocation import Allotment, Offer, Waiting
from controller.planning.budget import Rationing
from controller.planning.equipment import QUEUED, Equipment, Need
from controller.planning.gear import Gear, Shortage
from controller.planning.queueing import Request

Decide: TypeAlias = Callable[[str, Gear | None], Decision]
Ration: TypeAlias = Callable[[Mapping[str, Decision]], Rationing]


@dataclass(frozen=True, slots=True)
class Granted:
    """Decisions within the budget, with the devices that they use.

    Attributes:
        queued: who waits for devices and for nothing else.
    """

    rationing: Rationing
    queued: frozenset[str] = frozenset()


def grant(equipment: Equipment, prospects: Mapping[str, Decision], decide: Decide, ration: Ration) -> Granted:
    """Give devices to those who would use them, and decide about them anew with what they got.

    Args:
        equipment: the devices of this pass.
        prospects: what would be done with each workspace that got all that it asks for.
        decide: decides about one workspace with what it got.
        ration: holds and delays what disturbs too many. Who is held gets no devices: then there is a second
            round without them.
    """
    needs = {
        name: need
        for name, decision in prospects.items()
        if (need := equipment.need(name, decision)) is not None
    }
    if not needs:
        return Granted(ration(prospects))
    first = _Round(equipment, needs, decide)
    rationing = ration({**prospects, **first.decisions})
    parked = {
        name: rationing.decisions[name]
        for name, decision in first.decisions.items()
        if equipment_module.used(decision) and not rationing.decisions[name].actions
    }
    if not parked:
        return Granted(rationing, first.queued)
    rest = {name: need for name, need in needs.items() if name not in parked}
    second = _Round(equipment, rest, decide)
    again = ration({**prospects, **second.decisions, **parked})
    held = {one.workspace: one for one in (*rationing.held, *again.held)}
    return Granted(Rationing(again.decisions, tuple(held.values())), second.queued)


@dataclass
class _Round:
    """The queue, once from its head to its end."""

    equipment: Equipment
    needs: Mapping[str, Need]
    decide: Decide
    decisions: dict[str, Decision] = field(default_factory=dict)
    queued: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        allotment = self.equipment.allotment(need.request for need in self.needs.values())
        for request in allotment.order:
            self.decisions[request.workspace] = self._serve(allotment, request)
        messages = allotment.messages()
        for name, message in messages.items():
            decision = self.decisions[name]
            others = "with other devices" if self.needs[name].wanted else "without any"
            other = f"; `wharf approve {name}` has it made anew {others}"
            own = decision.reason is Reason.OWN_GPU_BUSY and not self.equipment.is_on_its_way_back(name)
            text = message + (other if own else "")
            due = self.equipment.next_change
            self.decisions[name] = replace(decision, message=text, retry_at=decision.retry_at or due)
        self.queued = frozenset(messages)

    def _serve(self, allotment: Allotment, request: Request) -> Decision:
        name, starts = request.workspace, self.needs[request.workspace].starts
        bare, blocked = self.equipment.prospect(name) or Gear(), self.equipment.blocked
        if blocked is not None:
            return self.decide(name, replace(bare, lack=blocked, own_lack=blocked))
        answer = allotment.offer(request)
        if isinstance(answer, Offer) and (not starts or answer.uuids == tuple(sorted(request.own))):
            gear = bare if starts else replace(bare, grant=self.equipment.attachment(answer.uuids))
        elif starts:
            gear = self._unequipped(bare, request, answer)
        else:
            assert isinstance(answer, Waiting)
            gear = replace(bare, lack=self.equipment.shortage(answer))
        decision = self.decide(name, gear)
        others = gear.own_lack is not None and request.must_own and self.needs[name].wanted
        if others and self.equipment.is_approved(decision):
            return self._anew(allotment, request, answer, gear)
        return self._counted(allotment, request, answer, decision)

    def _unequipped(self, bare: Gear, request: Request, answer: Offer | Waiting) -> Gear:
        """Return what somebody has whose container cannot be started with its own devices."""
        if isinstance(answer, Waiting):
            short = replace(bare, own_lack=self.equipment.shortage(answer))
        else:
            message = "those that it was made with are held by others or out of use"
            wanted = self.needs[request.workspace].wanted
            grant = self.equipment.attachment(answer.uuids) if wanted else None
            short = replace(bare, own_lack=Shortage(Verdict.WAIT, Reason.OWN_GPU_BUSY, message), grant=grant)
        return short if request.must_own else replace(short, rival=self.equipment.rivals(request))

    def _anew(self, allotment: Allotment, request: Request, own: Offer | Waiting, gear: Gear) -> Decision:
        """Offer other devices to a workspace that may be made anew, as a person said."""
        other = replace(request, own=(), must_own=False)
        answer = allotment.offer(other)
        if isinstance(answer, Offer):
            gear = replace(gear, grant=self.equipment.attachment(answer.uuids))
        elif answer.reason not in QUEUED:  # there are no others: it waits for its own
            other, answer = request, own
        return self._counted(allotment, other, answer, self.decide(request.workspace, gear))

    def _counted(
        self, allotment: Allotment, request: Request, answer: Offer | Waiting, decision: Decision
    ) -> Decision:
        taken = equipment_module.used(decision)
        if taken:
            allotment.take(request, Offer(tuple(sorted(taken))))
        elif isinstance(answer, Waiting) and decision.reason in QUEUED:
            allotment.join(request, answer)
        return decision
