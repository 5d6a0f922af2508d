"""Knows which GPUs are meant by what a container was made with: UUIDs, CDI names, indexes, nodes, "all".

Refuses to take a name that it does not know for nothing: it may mean any device.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from controller.api import labels
from controller.model.gpus import Attached, Device
from controller.model.observed import Container

CDI_KIND: Final = "nvidia.com/gpu"
"""Of the names under which NVIDIA's tools describe devices."""
NOTHING: Final = frozenset({"", "void", "none"})
"""Values of the variable for which a hook adds no device."""
_VENDOR: Final = "nvidia.com"
"""Of CDI kinds, and of all below it: `management.nvidia.com/gpu` means the same devices."""
_UNIQUE: Final = ("GPU-", "MIG-")


def of(container: Container) -> tuple[str, ...]:
    """Return the UUIDs that a container of ours was granted, sorted: as its label says, which is signed.

    An adopted one may have none; then it is as it was made.
    """
    label = container.labels.get(labels.GPUS)
    if label:
        return tuple(sorted(label.split(",")))
    names = container.configuration.gpus.names
    return tuple(sorted(name.removeprefix(f"{CDI_KIND}=") for name in names)) if names else ()


def given(container: Container, known: Mapping[str, Device]) -> tuple[str, ...]:
    """Return the UUIDs of all devices that a container of ours reaches once it starts, sorted.

    These are more than its grant where it was made with others: an adopted one, or one of an older version
    whose image says "all".
    """
    own = of(container)
    if not has_any(container) or (own and set(own) <= known.keys() and not other_than(container, own, known)):
        return own
    granted = own if container.labels.get(labels.GPUS) else ()
    configuration = container.configuration
    meant = Names(known).meant(configuration.gpus, honours="nvidia" in configuration.runtime)
    return tuple(sorted(meant.union(granted)))


def has_any(container: Container) -> bool:
    """Tell whether a container was granted or given GPUs, in whatever way."""
    attached = container.configuration.gpus
    if container.labels.get(labels.GPUS) or attached.names or attached.all or attached.nodes:
        return True
    return attached.visible not in NOTHING and "nvidia" in container.configuration.runtime


def other_than(container: Container, own: tuple[str, ...], devices: Mapping[str, Device]) -> str:
    """Return what a container was given beside its grant, in words, or nothing; how does not count."""
    attached = container.configuration.gpus
    aliases = {cdi_name(devices[uuid]) for uuid in own if uuid in devices}
    granted = {*own, *aliases, *(f"{CDI_KIND}={uuid}" for uuid in own)}
    visible = () if attached.visible in NOTHING else attached.visible.split(",")
    given = {*attached.names, *attached.nodes, *visible, *(("all",) if attached.all else ())}
    if given - granted:
        return ", ".join(sorted(given - granted))
    return "" if len(attached.names) == len(own) else f"{len(attached.names)} of {len(own)}"


def by_hook(container: Container) -> bool:
    """Tell whether a hook gave a container its GPUs: an update of a running one takes them away again."""
    attached = container.configuration.gpus
    cdi = any("=" in name for name in attached.names)
    return has_any(container) and not cdi


def cdi_name(device: Device) -> str:
    """Return the name under which the Engine attaches a device by CDI."""
    return device.cdi or f"{CDI_KIND}={device.uuid}"


class Names:
    """Finds devices by the names that people and programs have for them."""

    def __init__(self, devices: Mapping[str, Device]) -> None:
        self._all = frozenset(devices)
        self._by_name = {uuid: uuid for uuid in devices}
        for device in devices.values():
            self._by_name |= dict.fromkeys(filter(None, (device.cdi, device.index)), device.uuid)
        self._by_minor = {
            device.minor: device.uuid
            for device in devices.values()
            if device.minor is not None and device.parent is None
        }

    def meant(self, attached: Attached, *, honours: bool) -> frozenset[str]:
        """Return the UUIDs of what a container may use; `honours`: the variable counts for it."""
        if attached.all:
            return self._all
        found = set(self._named(attached.names))
        if honours and attached.visible not in NOTHING:
            found.update(self._named(attached.visible.split(",")))
        for node in attached.nodes:
            uuid = self._by_minor.get(int(node.removeprefix("/dev/nvidia")))
            found.update(self._all if uuid is None else (uuid,))
        return frozenset(found)

    def _named(self, names: Iterable[str]) -> Iterator[str]:
        for name in names:
            kind, _, own = name.strip().rpartition("=")
            if name in self._by_name:
                yield self._by_name[name]
            elif kind and not _is_nvidia(kind):
                continue  # of another vendor, and not in our inventory
            elif own.startswith(_UNIQUE):
                yield from self._beginning(own) or (own,)  # it may not be there any more
            else:
                short = own.removeprefix("gpu").removeprefix("mig")
                yield from (self._by_name[short],) if short in self._by_name else self._all

    def _beginning(self, own: str) -> list[str]:
        """Return the UUIDs that begin so: NVIDIA's hook takes the first of them."""
        return [uuid for uuid in self._all if uuid.lower().startswith(own.lower())]


def _is_nvidia(kind: str) -> bool:
    vendor = kind.partition("/")[0]
    return vendor == _VENDOR or vendor.endswith(f".{_VENDOR}")
