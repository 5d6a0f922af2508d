"""Knows what of the host's GPUs one workspace can have in one pass, or why it can have none.

Refuses to choose devices, and to decide what comes of it.
"""

from dataclasses import dataclass
from typing import Final

from controller.api.conditions import Reason
from controller.model.gpus import Attachment, Wish
from controller.model.plan import Note, Verdict
from controller.planning.fitting import Stock


@dataclass(frozen=True, slots=True)
class Shortage:
    """Why devices cannot be had now."""

    verdict: Verdict
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Gear:
    """What a workspace that wants or has GPUs can have.

    Attributes:
        grant: what a new container gets; None: nothing was offered, or none is asked for.
        lack: why no new container can be made.
        own_lack: why the container that is there cannot be started with its own devices.
        rival: who else claims the devices of a container that never ran, in words, or empty.
        lost: why the container that runs cannot open its devices, or empty.
        notes: what a person should know of its devices.
    """

    grant: Attachment | None = None
    lack: Shortage | None = None
    own_lack: Shortage | None = None
    rival: str = ""
    lost: str = ""
    notes: tuple[Note, ...] = ()


EMPTY: Final = Stock({}, (), {})
"""Of a host of which no devices are known. Nothing is ever claimed of it."""


def fits(stock: Stock, wish: Wish, own: tuple[str, ...]) -> bool:
    """Tell whether devices are what a wish asks for, whoever else uses them; one that is gone may be."""
    if not own or (not wish.all and len(own) != wish.count):
        return False
    return set(stock.suited(wish)).issuperset(uuid for uuid in own if uuid in stock.devices)
