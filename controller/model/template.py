"""What a container is made from, complete: all that the Engine is told when it makes one.

Refuses to name the workspace's identity: labels are given beside it.
"""

from dataclasses import dataclass
from datetime import timedelta

from controller.model.gpus import VISIBLE_DEVICES, Attachment
from controller.model.observed import Bind, Limits, PublishedPort

LEAST_RESERVATION = 6 * 2**20
"""The least guaranteed memory that the Engine takes, bytes; this or less is none."""


@dataclass(frozen=True, slots=True)
class Template:
    """All that a container is made from. What of it needs a new container is in its hash.

    Attributes:
        user: `uid:gid`, or None for the image's.
        env: what is added to the image's.
        command: None for the image's.
        shm: bytes.
        log_max_size, log_max_files: rotation of the container's log.
        stop_grace: given to the Engine for those who stop it by hand.
        capabilities: of the kernel, by name without CAP_: these and no others; None for the Engine's choice.
        privileged: every capability and every device of the host.
        runtime: the Engine's name of what runs it, None for its default.
        gpus: the devices that it gets; None for none. Not in the hash: the label `.gpus` names them.
        cgroup_parent: the slice that it is in, as the Engine is told; empty for the Engine's own choice. Not
            in the hash: a container that was made without one stays without.
    """

    image: str
    hostname: str
    command: tuple[str, ...] | None
    env: tuple[tuple[str, str], ...]
    user: str | None
    init: bool
    binds: tuple[Bind, ...]
    ports: tuple[PublishedPort, ...]
    network: str
    shm: int
    limits: Limits
    stop_grace: timedelta
    log_max_size: str = "10m"
    log_max_files: int = 3
    capabilities: tuple[str, ...] | None = None
    privileged: bool = False
    runtime: str | None = None
    gpus: Attachment | None = None
    cgroup_parent: str = ""

    @property
    def environment(self) -> tuple[tuple[str, str], ...]:
        """What is added to the image's environment, with the devices that are visible."""
        if self.gpus is None:
            return self.env
        return tuple(sorted({**dict(self.env), VISIBLE_DEVICES: self.gpus.visible}.items()))
