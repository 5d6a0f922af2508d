"""Knows what the designs of a whole host rest on, and keeps them as long as that stays the same.

Refuses to make a design.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import is_

from controller.api.config import SliceDriver
from controller.model.desired import AcceptedSpec
from controller.model.effective import Refusal
from controller.model.memory import PortBlock, PortGrant
from controller.model.observed import Account, AccountSeen
from controller.planning.case import Blueprint
from controller.planning.standing import Standing


@dataclass(frozen=True, slots=True)
class Grounds:
    """All that the designs of one pass rest on.

    Attributes:
        recorded, known: accounts by login name, as the ledger has them and as the host tells of them now.
        slices: who makes them, and in which version of the cgroups.
        busy: who is on a port of the host, where that matters.
    """

    specs: tuple[AcceptedSpec, ...]
    standing: Standing
    epoch: int
    port_blocks: tuple[PortBlock, ...]
    port_grants: tuple[PortGrant, ...]
    recorded: Mapping[str, Account]
    known: Mapping[str, AccountSeen]
    slices: tuple[SliceDriver, int]
    busy: Mapping[int, str] = field(default_factory=dict)

    def same(self, other: "Grounds") -> bool:
        """Tell whether both give the same designs; specs and standing must be the very same objects."""
        return (
            len(self.specs) == len(other.specs)
            and all(map(is_, self.specs, other.specs))
            and self.standing is other.standing
            and self.epoch == other.epoch
            and self.port_blocks == other.port_blocks
            and self.port_grants == other.port_grants
            and self.recorded == other.recorded
            and self.known == other.known
            and self.slices == other.slices
            and self.busy == other.busy
        )


class Draft:
    """Designs, and what they rest on: they are made anew when that is another."""

    def __init__(self) -> None:
        self.grounds: Grounds | None = None
        self._designs: Mapping[str, Blueprint | Refusal] = {}

    def get(
        self, grounds: Grounds, make: Callable[[], Mapping[str, Blueprint | Refusal]]
    ) -> Mapping[str, Blueprint | Refusal]:
        """Return the designs on these grounds; `make` is asked when they are others than before."""
        if self.grounds is None or not grounds.same(self.grounds):
            self._designs, self.grounds = make(), grounds
        return self._designs
