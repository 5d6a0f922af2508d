"""How the slices stand in one pass: what each should have, what it has, and what keeps both apart.

Refuses to say that a slice is as it should be where nobody knows what it should be.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from controller.api.config import SliceDriver
from controller.model.observed import Unseen
from controller.model.slices import ContainerUse, Slice, SliceLimit, SliceLimits


@dataclass(frozen=True, slots=True)
class Difference:
    """One limit that is not as it should be now, in words."""

    limit: SliceLimit
    observed: str
    desired: str


@dataclass(frozen=True, slots=True)
class OwnerSlice:
    """One owner's slice.

    Attributes:
        owner: login name; `slices.ROOT` for the slice above all.
        name: as a container's parent is named to the Engine.
        active: something of the owner's runs, or is to run.
        wanted: what policy and reservations ask for and this kernel can; None where nobody knows what the
            policy says of the owner.
        now: as much of that as can be had without killing anything; None likewise.
        found: the slice that is there, None if there is none or it was not seen.
        differences: between that and `now`; none where the slice is to go, or may be missing.
        refused: hard limits that are asked for and that this kernel cannot, with why, or empty.
        gaps: other limits that are asked for and have no effect, with why.
        lowering: what is not lowered yet because it is in use, or empty.
        waits: why nothing of the owner's is started in this pass, or empty.
    """

    owner: str
    name: str
    active: bool = False
    wanted: SliceLimits | None = None
    now: SliceLimits | None = None
    found: Slice | None = None
    differences: tuple[Difference, ...] = ()
    refused: str = ""
    gaps: tuple[str, ...] = ()
    lowering: str = ""
    waits: str = ""


@dataclass(frozen=True, slots=True)
class SlicesStatus:
    """All slices.

    Attributes:
        driver: who makes them; NONE: nobody does, and all else is empty.
        version: of the cgroups that limits are set in; 0 where that was not seen.
        unseen: why they could not be looked at.
        owners: by login name, but for those who have no limits and on whom there is nothing to say.
        root: the slice above all, None where it could not be looked at.
        promised: workspaces that would be guaranteed more memory than there is, with the numbers.
        uses: by full id of a container, of those that run and could be read.
    """

    driver: SliceDriver = SliceDriver.NONE
    version: int = 0
    unseen: Unseen | None = None
    owners: Mapping[str, OwnerSlice] = field(default_factory=dict)
    root: OwnerSlice | None = None
    promised: Mapping[str, str] = field(default_factory=dict)
    uses: Mapping[str, ContainerUse] = field(default_factory=dict)

    def where_seen(self, *parts: object) -> "SlicesStatus":
        """Return this where all these parts of a look were seen; else that nothing is known, and why."""
        unseen = next((part for part in parts if isinstance(part, Unseen)), None)
        return self if unseen is None else SlicesStatus(self.driver, self.version, unseen)


NONE: Final = SlicesStatus()
"""Of a host on which nobody makes slices."""
