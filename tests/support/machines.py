"""Knows the Engine of a machine with systemd: its driver for cgroups is systemd's, its cgroups are v2.

It refuses to boot or end the machine (deploy/dev/machine.py does), and to reach its Engine otherwise than by
the socket: it has a network of its own.
"""

import shutil
from pathlib import Path

from deploy.dev import api, host, image, machine
from tests.support import dockerd

VERB_DEADLINE = 60.0


class MachineDockerd(dockerd.Dockerd):
    """The one Engine of a machine; it tells numbers of processes as the machine's `proc` does."""

    def __init__(self, directory: Path, on: machine.Machine, *, live_restore: bool = True) -> None:
        self.directory = directory
        self.machine = on
        self.socket = on.root / "run" / "docker.sock"
        self.base_url = f"unix://{self.socket}"
        self.bridge = "docker0"
        self.slices = f"wharf{host.digest(directory)}"
        self._live_restore = live_restore
        self._clients = []

    def start(self, *, live_restore: bool | None = None) -> None:
        """Starts it with the sample images; after `kill9` with the same data. Running already is fine."""
        self._live_restore = self._live_restore if live_restore is None else live_restore
        self.directory.mkdir(parents=True, exist_ok=True)
        settings = machine.engine_settings("systemd", live_restore=self._live_restore)
        (self.machine.root / "etc" / "docker" / "daemon.json").write_text(settings, encoding="utf-8")
        self._systemctl("start", "docker.service")
        image.load_missing(api.Api(self.base_url))

    def stop(self) -> None:
        """Removes its containers and networks, ends it and closes all its clients; its images stay in it."""
        self.start()
        self.remove_everything()
        self.close_clients()
        self._systemctl("stop", "docker.service", "containerd.service")
        shutil.rmtree(self.directory)

    def remove_everything(self) -> None:
        """Removes all containers, all networks that were made, all volumes, all slices."""
        super().remove_everything()
        self._systemctl("stop", f"{self.slices}*.slice")  # none is fine for a pattern

    def kill9(self) -> None:
        """Ends dockerd alone with SIGKILL; its containerd and, with live restore, the containers go on."""
        self._systemctl("kill", "--signal=KILL", "--kill-whom=main", "docker.service")

    def kill9_containerd(self) -> None:
        """Ends containerd alone with SIGKILL; systemd brings it back."""
        self._systemctl("kill", "--signal=KILL", "--kill-whom=main", "containerd.service")

    def pid(self) -> int | None:
        """Of dockerd, as the machine counts; None when it does not run."""
        return int(self._systemctl("show", "--value", "--property=MainPID", "docker.service")) or None

    def _systemctl(self, *verb: str) -> str:
        return self.machine.run(["systemctl", *verb], deadline=VERB_DEADLINE)
