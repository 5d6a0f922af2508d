"""Knows how GPUs are written in the Engine's words: requests for devices, a variable, nodes, names of CDI.

It refuses to know which GPUs there are, and what a name means: indexes, UUIDs and CDI names stay as written.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from controller.engine import transport
from controller.model.gpus import NOTHING_ATTACHED, VISIBLE_DEVICES, Attached, Attachment, Driver

ALL: Final = "all"
CAPABILITIES: Final = [["gpu"]]
"""What the Engine chooses a device driver by; NVIDIA's gives computing and tools with it."""
_GPU_DRIVERS: Final = frozenset({"", *Driver})
"""Of a request; without a name it is NVIDIA's that takes one for a GPU."""
_NODE: Final = re.compile(r"/dev/(?:nvidia|char/195:)(\d{1,2})")
"""A GPU's own node, by either of its names; nodes that all GPUs share (minors above 250) open none."""
_RULE: Final = re.compile(r"a .*|c (?:195|\*):(\d{1,2}|\*) [rwm]*[rw][rwm]*")
"""Of a cgroup, by which a container may open GPUs of which it makes the nodes itself."""
_NO_DEVICES: Final = frozenset({"", "void", "none"})
"""Values of the variable for which NVIDIA's hook adds no device."""
_BARE: Final = frozenset({"Driver", "DeviceIDs", "Capabilities"})


def render(attachment: Attachment | None) -> list[transport.Row]:
    """The requests of a create."""
    if attachment is None:
        return []
    request: dict[str, object] = {"Driver": attachment.driver.value, "DeviceIDs": list(attachment.names)}
    if attachment.driver is Driver.NVIDIA:
        request["Capabilities"] = CAPABILITIES
    return [request]


def parse(host_config: transport.Row, env: Mapping[str, str]) -> Attached:
    """What a container was made with."""
    paths = [_plain_path(str(device.get("PathOnHost") or "")) for device in host_config.get("Devices") or ()]
    rules = list(filter(None, map(_RULE.fullmatch, host_config.get("DeviceCgroupRules") or ())))
    names, every = set[str](), "/dev" in paths or any(_is_wide(rule) for rule in rules)
    for request in _requests(host_config):
        ids = request.get("DeviceIDs") or ()
        every = every or bool(request.get("Count")) or any(_means_all(name) for name in ids)
        names |= {str(name) for name in ids if not _means_all(name)}
    nodes = {f"/dev/nvidia{found[1]}" for found in map(_NODE.fullmatch, paths) if found}
    nodes |= {f"/dev/nvidia{rule[1]}" for rule in rules if not _is_wide(rule)}
    visible = env.get(VISIBLE_DEVICES)
    if visible is None:
        visible = ALL if reads_the_variable(host_config, "") and _is_early(env) else ""
    if not (names or every or nodes or visible):
        return NOTHING_ATTACHED
    return Attached(tuple(sorted(names)), every, visible, tuple(sorted(nodes)))


def uses_any(attached: Attached, *, honours: bool) -> bool:
    """Whether a container that was made so may use a GPU; `honours`: its runtime reads the variable."""
    by_variable = honours and attached.visible not in _NO_DEVICES
    return bool(attached.names or attached.all or attached.nodes) or by_variable


def reads_the_variable(host_config: transport.Row, default_runtime: str) -> bool:
    """Whether a container gets the devices that NVIDIA_VISIBLE_DEVICES names, asked or not.

    Its runtime may see to that; and a request for none has the Engine call the hook, which reads it, too.
    """
    by_runtime = "nvidia" in (host_config.get("Runtime") or default_runtime)
    return by_runtime or any(_asks_for_none(request) for request in _requests(host_config))


def foreign_requests(host_config: transport.Row) -> list[transport.Row]:
    """Requests for devices that the controller never writes: other drivers, counts, options, capabilities."""
    return [request for request in host_config.get("DeviceRequests") or () if not _is_plain(request)]


def parse_cdi(info: transport.Row) -> frozenset[str] | None:
    """Names that the Engine attaches devices by: empty where it does not tell them, None where it cannot.

    Engines tell the directories of the descriptions since version 25, and the names since 28.3.
    """
    if not info.get("CDISpecDirs"):
        return None
    found = info.get("DiscoveredDevices") or ()
    return frozenset(str(device["ID"]) for device in found if device.get("Source") == Driver.CDI.value)


def _requests(host_config: transport.Row) -> Iterator[transport.Row]:
    """Those that may be for GPUs."""
    for request in host_config.get("DeviceRequests") or ():
        if (request.get("Driver") or "") in _GPU_DRIVERS:
            yield request


def _asks_for_none(request: transport.Row) -> bool:
    """Tell a request as `--gpus 0` makes it; some Engines say `void` to the hook then, and others nothing."""
    return request.get("Driver") != Driver.CDI.value and not (
        request.get("Count") or request.get("DeviceIDs")
    )


def _is_early(env: Mapping[str, str]) -> bool:
    """Whether an image is of the first ones with CUDA, which get all devices unless they say otherwise."""
    return bool(env.get("CUDA_VERSION")) and not env.get("NVIDIA_REQUIRE_CUDA")


def _is_wide(rule: re.Match[str]) -> bool:
    return "*" in rule[0] or rule[1] is None


def _plain_path(path: str) -> str:
    return "/" + posixpath.normpath(path).lstrip("/") if path else ""


def _means_all(name: Any) -> bool:  # noqa: ANN401 - JSON
    return str(name).rpartition("=")[2] == ALL


def _is_plain(request: transport.Row) -> bool:
    """As `render` writes it, or as `docker run --gpus device=NAME` does."""
    driver, given = request.get("Driver") or "", {name for name, value in request.items() if value}
    capabilities = request.get("Capabilities") or []
    expected = [[], [[]]] if driver == Driver.CDI.value else [CAPABILITIES]
    return driver in _GPU_DRIVERS and given <= _BARE and "DeviceIDs" in given and capabilities in expected
