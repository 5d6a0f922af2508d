"""Knows which devices are claimed, by whom and how, and whom a device would admit besides.

Refuses to know where a claim was seen, and whether a device is healthy. A GPU and its MIG instances exclude
each other: a claim on one of them shuts the other, whatever kind of claim it is.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from controller.model.gpus import Device, Wish


class Hold(StrEnum):
    """How a device is held."""

    ALONE = "alone"
    """Nobody else may use it."""
    SHARE = "share"
    """It takes one of the device's seats: others may use it too, as many as the policy says."""
    ALL = "all"
    """Its holder uses all that nobody holds alone: it takes no seat, and nobody gets the device alone."""

    @classmethod
    def of(cls, wish: Wish) -> "Hold":
        """Return how a workspace with this wish holds its devices."""
        if wish.all:
            return cls.ALL
        return cls.SHARE if wish.shared else cls.ALONE


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody has a device, or may have it at any moment.

    Attributes:
        uuid: of a whole GPU or of a MIG instance; it may be one that is not there any more.
        holder: who, in words: `workspace bob`, `container "jupyter" (not ours)`, `process 4711 of alice`.
        workspace: ours that it is; empty: a stranger, who holds it alone whatever `hold` says.
    """

    uuid: str
    holder: str
    workspace: str = ""
    hold: Hold = Hold.ALONE

    @property
    def alone(self) -> bool:
        """Nobody else can be admitted beside it."""
        return not self.workspace or self.hold is Hold.ALONE

    def of_other_than(self, workspace: str) -> bool:
        """Tell whether somebody else holds it; strangers are different from everybody."""
        return not self.workspace or self.workspace != workspace


class Holders:
    """Who holds what, of the devices of a host. Claims can be added and never go."""

    def __init__(self, devices: Mapping[str, Device], claims: Iterable[Claim] = ()) -> None:
        self._kin: dict[str, list[str]] = defaultdict(list)
        for device in devices.values():
            if device.parent is not None:
                self._kin[device.uuid].append(device.parent)
                self._kin[device.parent].append(device.uuid)
        self._claims: dict[str, list[Claim]] = defaultdict(list)
        self._of: dict[str, set[str]] = defaultdict(set)
        self._used: set[str] = set()
        self._shut: set[str] = set()
        self._seats: Counter[str] = Counter()
        for claim in claims:
            self.add(claim)

    def add(self, claim: Claim) -> None:
        """Count one more claim; several of one workspace on a device count once."""
        uuid = claim.uuid
        known = self._claims[uuid]
        if claim in known:
            return
        if claim.hold is Hold.SHARE and not any(
            one.workspace == claim.workspace and one.hold is Hold.SHARE for one in known
        ):
            self._seats[uuid] += 1
        known.append(claim)
        self._used.update((uuid, *self._kin.get(uuid, ())))
        self._shut.update(self._kin.get(uuid, ()))
        if claim.alone:
            self._shut.add(uuid)
        if claim.workspace:
            self._of[claim.workspace].add(uuid)

    def on(self, uuid: str) -> tuple[Claim, ...]:
        """Return the claims on a device and on those that it excludes."""
        return (*self._claims.get(uuid, ()), *self._on_kin(uuid))

    def of(self, workspace: str) -> frozenset[str]:
        """Return the UUIDs of the devices that a workspace holds."""
        return frozenset(self._of.get(workspace, ()))

    def around(self, workspace: str) -> frozenset[str]:
        """Return the UUIDs of the devices that a workspace holds, and of those that these exclude."""
        held = self._of.get(workspace, set())
        return frozenset(held).union(*(self._kin.get(uuid, ()) for uuid in held))

    def seats(self, uuid: str) -> int:
        """Return how many workspaces share a device."""
        return self._seats[uuid]

    def is_used(self, uuid: str) -> bool:
        """Tell whether anybody has a claim on a device, or on one that it excludes."""
        return uuid in self._used

    def admits(self, uuid: str, hold: Hold, sharers: int) -> bool:
        """Tell whether a device can be given to a workspace that has no claim yet.

        Args:
            uuid: of the device.
            hold: how it would be held.
            sharers: how many workspaces a shared device takes.
        """
        if hold is Hold.ALONE:
            return uuid not in self._used
        return uuid not in self._shut and (hold is Hold.ALL or self._seats[uuid] < sharers)

    def rivals(self, uuid: str, workspace: str, hold: Hold, sharers: int) -> tuple[Claim, ...]:
        """Return the claims of others that keep a workspace from holding a device so; empty: it can be had.

        Every claim of others keeps it from holding it alone; their shares keep it from sharing where no seat
        is left.
        """
        others = [claim for claim in self._claims.get(uuid, ()) if claim.of_other_than(workspace)]
        kin = [claim for claim in self._on_kin(uuid) if claim.of_other_than(workspace)]
        if hold is Hold.ALONE:
            return (*others, *kin)
        barring = [claim for claim in others if claim.alone]
        seated = [claim for claim in others if claim.hold is Hold.SHARE and not claim.alone]
        if hold is Hold.SHARE and len({claim.workspace for claim in seated}) >= sharers:
            barring += seated
        return (*barring, *kin)

    def _on_kin(self, uuid: str) -> Iterator[Claim]:
        for other in self._kin.get(uuid, ()):
            yield from self._claims.get(other, ())
