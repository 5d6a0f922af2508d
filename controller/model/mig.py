"""GPUs as a plan of MIG instances needs them: what each is divided into, what is held, and what would change.

Refuses to know which layouts the hardware allows: that is for planning to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Instance:
    """A GPU instance that is there.

    Attributes:
        profile: such as `1g.10gb`.
        start: its first memory slice.
        size: how many memory slices.
        number: what the driver calls it within its GPU; None where it was not told.
        uuids: of the MIG devices in it.
        holder: who has it, for people; None: it is known that nobody has, and it may be destroyed.
    """

    profile: str
    start: int
    size: int
    number: int | None = None
    uuids: tuple[str, ...] = ()
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class Divisible:
    """A GPU, as it is divided now.

    Attributes:
        model: the product's name.
        divided: its MIG mode is on.
        instances: empty where the mode is off.
        kept: why nothing of it may be changed or given, or empty. A GPU whose MIG mode is off and that
            anybody holds or may hold has such a reason; so has one of which something could not be seen.
    """

    uuid: str
    model: str
    divided: bool
    instances: tuple[Instance, ...] = ()
    kept: str = ""


@dataclass(frozen=True, slots=True)
class SwitchOn:
    """The MIG mode of a GPU that nobody holds is switched on."""

    gpu: str


@dataclass(frozen=True, slots=True)
class Destroy:
    """A free instance goes."""

    gpu: str
    instance: Instance


@dataclass(frozen=True, slots=True)
class Create:
    """An instance is made that begins at a memory slice."""

    gpu: str
    profile: str
    start: int


Change: TypeAlias = SwitchOn | Destroy | Create


@dataclass(frozen=True, slots=True)
class Layout:
    """A way to satisfy all requests.

    Attributes:
        changes: in the order in which they can be made; empty if all that is asked for is there.
        used: the free instances that serve as they are, with their GPU.
    """

    changes: tuple[Change, ...]
    used: tuple[tuple[str, Instance], ...]


@dataclass(frozen=True, slots=True)
class NoLayout:
    """Why the requests cannot all be satisfied.

    Attributes:
        reasons: for each profile that is in the way, sentences for people.
    """

    reasons: Mapping[str, tuple[str, ...]]
