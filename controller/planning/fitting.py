"""Knows which devices of a host are what somebody asks for, and which of the free ones to give first.

Refuses to know who asks. What is small serves first, so that what is large stays free for those who need it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from controller.model.gpus import Device, Wish
from controller.planning.claimed import Claim, Hold, Holders

_Kind: TypeAlias = tuple[str | None, int, str, tuple[str, ...], bool]


class Stock:
    """The devices of a host and who holds them; remembers which are what a wish asks for."""

    def __init__(
        self, devices: Mapping[str, Device], claims: Iterable[Claim], withheld: Mapping[str, str]
    ) -> None:
        self.devices = devices
        self.holders = Holders(devices, claims)
        self._withheld = withheld
        self._divided = {device.parent for device in devices.values()}
        self._suited: dict[_Kind, tuple[str, ...]] = {}
        self._open: dict[tuple[_Kind, Hold, int], tuple[int, tuple[str, ...]]] = {}
        self._version = 0
        self._unused = Counter(
            device.parent
            for device in devices.values()
            if device.parent is not None and not self.holders.is_used(device.uuid)
        )

    @property
    def version(self) -> int:
        """Another number after each claim."""
        return self._version

    def claim(self, claim: Claim) -> None:
        """Count one more claim."""
        device = self.devices.get(claim.uuid)
        if device is not None and device.parent is not None and not self.holders.is_used(device.uuid):
            self._unused[device.parent] -= 1
        self.holders.add(claim)
        self._version += 1

    def withheld(self, uuid: str) -> str:
        """Return why a device of the host is not to be given to anybody, in words, or nothing."""
        reason = self._withheld.get(uuid, "")
        return reason or self._withheld.get(self.devices[uuid].whole, "")

    def suited(self, wish: Wish) -> tuple[str, ...]:
        """Return the devices that are what is asked for, whoever has them, sorted."""
        kind = _kind(wish)
        found = self._suited.get(kind)
        if found is None:
            devices = sorted(self.devices.values(), key=lambda device: device.uuid)
            found = tuple(device.uuid for device in devices if self._suits(device, wish))
            self._suited[kind] = found
        return found

    def available(self, wish: Wish, workspace: str) -> tuple[str, ...]:
        """Return those of them that a workspace can have now; what it holds itself is no obstacle."""
        hold = Hold.of(wish)
        found = self._available(wish, hold)
        mine = self.holders.around(workspace)
        if not mine:
            return found
        more = mine & frozenset(self.suited(wish)) - frozenset(found)
        also = (uuid for uuid in more if self.is_available(uuid, workspace, hold, wish.sharers))
        return (*found, *sorted(also))

    def is_available(self, uuid: str, workspace: str, hold: Hold, sharers: int) -> bool:
        """Tell whether a workspace can have a device of the host now."""
        return not self.withheld(uuid) and not self.holders.rivals(uuid, workspace, hold, sharers)

    def best(self, available: Iterable[str], count: int) -> tuple[str, ...]:
        """Return as many of the devices as are asked for, sorted.

        That of the least memory first; of these the one that the fewest share; of these the one on the GPU
        with the fewest other unused instances, so that unused ones stay together; of these the first by UUID.
        """
        left = list(available)
        taken: list[str] = []
        by_gpu: Counter[str] = Counter()

        def cost(uuid: str) -> tuple[int, int, int, str]:
            device = self.devices[uuid]
            unused = 0 if device.parent is None else self._unused[device.parent] - by_gpu[device.parent]
            return device.memory, self.holders.seats(uuid), unused, uuid

        while len(taken) < count:
            chosen = min(left, key=cost)
            left.remove(chosen)
            taken.append(chosen)
            by_gpu[self.devices[chosen].whole] += 1
        return tuple(sorted(taken))

    def _available(self, wish: Wish, hold: Hold) -> tuple[str, ...]:
        """Of what somebody could have who has no claims yet; what is not available stays so."""
        key = (_kind(wish), hold, wish.sharers)
        version, found = self._open.get(key, (-1, ()))
        if version < 0:
            found = tuple(uuid for uuid in self.suited(wish) if not self.withheld(uuid))
        if version != self._version:
            admits, sharers = self.holders.admits, wish.sharers
            found = tuple([uuid for uuid in found if admits(uuid, hold, sharers)])
            self._open[key] = self._version, found
        return found

    def _suits(self, device: Device, wish: Wish) -> bool:
        if device.divided or device.uuid in self._divided:
            return False
        if wish.uuids and device.uuid not in wish.uuids:
            return False
        if device.profile != wish.profile and not (wish.profile is None and (wish.uuids or wish.all)):
            return False
        name = device.model.casefold()
        return device.memory >= wish.memory and all(word in name for word in wish.model.casefold().split())


def _kind(wish: Wish) -> _Kind:
    return wish.profile, wish.memory, wish.model, wish.uuids, wish.all
