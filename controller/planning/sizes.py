"""Knows what is to be measured of workspaces, and which of them take more than their soft limits.

Refuses every consequence: whoever is above a soft limit is told so, and goes on.
"""

from collections.abc import Iterator, Mapping

from controller.api import labels, quantities
from controller.model.effective import Effective
from controller.model.observed import EngineView
from controller.model.sizes import Measured, Usage, Wanted

HOME: str = "home"
"""Name of the mount that is taken for the owner's home, wherever it is in the container."""


def wanted(effectives: Mapping[str, Effective], view: EngineView) -> Mapping[str, Wanted]:
    """Return what is to be measured of each workspace."""
    ids = {container.name: container.id for container in view.containers.values()}
    return {
        name: Wanted(ids.get(labels.container_name(name), ""), _home(effective))
        for name, effective in effectives.items()
    }


def _home(effective: Effective) -> str:
    """The mount that is called home, else the one at the account's home directory."""
    home = ""
    for mount in effective.mounts:
        if mount.name == HOME:
            return mount.source
        if effective.account is not None and mount.target == effective.account.home:
            home = mount.source
    return home


def excess(usage: Usage, effective: Effective) -> str:
    """Say what of a workspace is larger than its owner was told, or nothing."""
    return "; ".join(_excess(usage, effective))


def _excess(usage: Usage, effective: Effective) -> Iterator[str]:
    layer, home = effective.storage_layer, effective.storage_home
    if layer is not None and isinstance(usage.layer, Measured):
        size = usage.layer.size + (usage.log.size if isinstance(usage.log, Measured) else 0)
        if size > layer:
            yield f"the container wrote {_text(size)} outside its mounts, more than {_text(layer)}"
    if home is not None and isinstance(usage.home, Measured) and usage.home.size > home:
        yield f"{usage.home_path} has {_text(usage.home.size)}, more than {_text(home)}"


def _text(size: int) -> str:
    """Bytes for people, to a tenth of a unit."""
    for unit, name in ((1 << 40, "t"), (1 << 30, "g"), (1 << 20, "m"), (1 << 10, "k")):
        if size >= unit:
            return f"{size / unit:.1f}".removesuffix(".0") + name
    return quantities.format_bytes(size)
