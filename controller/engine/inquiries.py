"""Knows how single questions of people are put to the Engine: one container, sizes, the Engine itself.

It refuses to remember answers: passes have the observer, and nothing is decided on what is learnt here.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from controller.engine import calls, gpus, images, parsing, transport
from controller.model import errors
from controller.model.images import ImageStore
from controller.model.observed import Stranger, Unseen
from controller.model.preflight import EngineFacts


class Inquiries:
    """Asks one Engine. Every method may be called from any thread.

    `arrived` tells when an image came to this host.
    """

    def __init__(self, client: calls.EngineClient, arrived: images.Arrived = lambda _root, _id: None) -> None:
        self._client = client
        self._arrived = arrived

    def container(self, name: str) -> Stranger | None:
        """The container of exactly that name, whoever made it; None if there is none.

        Raises:
            errors.EffectError: the Engine does not answer.
        """
        row = self._client.inspect_container(name)
        if row is None or str(row.get("Name", "")).removeprefix("/") != name:
            return None
        config = row.get("Config") or {}
        created = parsing.parse_time(str(row["Created"]))
        assert created is not None, "every container was created"
        return Stranger(
            id=str(row["Id"]),
            name=name,
            image=str(config.get("Image", "")),
            created=created,
            labels=dict(config.get("Labels") or {}),
            running=bool((row.get("State") or {}).get("Running")),
        )

    def layer_sizes(self, ids: Iterable[str]) -> Mapping[str, int]:
        """Bytes in the writable layers of these containers; those that cannot be asked for are left out."""
        sizes: dict[str, int] = {}
        for container_id in ids:
            try:
                size = self._client.layer_size(container_id)
            except errors.EffectError:
                continue
            if size is not None:
                sizes[container_id] = size
        return sizes

    def images(self, references: Iterable[str], now: datetime) -> ImageStore | Unseen:
        """All images, and what the references mean; Unseen where the Engine does not answer."""
        return images.look(self._client, references, self._arrived, now)

    def facts(self) -> EngineFacts:
        """What the Engine says of itself, as far as its set-up can be judged by it.

        Raises:
            errors.EffectError: the Engine does not answer.
        """
        info = self._client.info()
        return EngineFacts(
            engine_id=str(info.get("ID", "")),
            version=str(info.get("ServerVersion", "")),
            api_version=_api_version(self._client.version()),
            live_restore=bool(info.get("LiveRestoreEnabled")),
            storage_driver=str(info.get("Driver", "")),
            cgroup_driver=str(info.get("CgroupDriver", "")),
            cgroup_version=str(info.get("CgroupVersion") or "1"),
            root_dir=str(info.get("DockerRootDir", "")),
            lacks=tuple(name for name, key in _NEEDED.items() if not info.get(key)),
            runtimes=frozenset(info.get("Runtimes") or {}),
            cdi=gpus.parse_cdi(info),
            seccomp=any(option.startswith("name=seccomp") for option in info.get("SecurityOptions") or ()),
        )


_NEEDED = {
    "memory limits": "MemoryLimit",
    "CPU limits": "CpuCfsQuota",
    "process limits": "PidsLimit",
    "swap limits": "SwapLimit",
}


def _api_version(version: transport.Row) -> tuple[int, int]:
    major, _, minor = str(version.get("ApiVersion", "0.0")).partition(".")
    return int(major), int(minor)
