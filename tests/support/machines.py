"""Knows the Engine of a machine with systemd: its driver for cgroups is systemd's, its cgroups are v2.

It refuses to boot or end the machine (deploy/dev/machine.py does), and to reach its Engine otherwise than by
the socket: it has a network of its own.
"""

import json
from pathlib import Path

from deploy.dev import api, image, machine
from tests.support import dockerd

UNIT = """\
[Unit]
Wants=containerd.service
After=containerd.service
[Service]
Type=notify
ExecStart=/usr/sbin/dockerd --containerd=/run/containerd/containerd.sock
Delegate=yes
KillMode=process
"""
"""Debian's is woken by its socket, and by systemd when it was killed: here that is for the test to do."""
SETTINGS = {
    "exec-opts": ["native.cgroupdriver=systemd"],
    "storage-driver": "overlay2",
    "iptables": False,
    "ip6tables": False,
}
VERB_DEADLINE = 60.0


class MachineDockerd(dockerd.Dockerd):
    """The one Engine of a machine; it tells numbers of processes as the machine's `proc` does."""

    def __init__(self, directory: Path, on: machine.Machine, *, live_restore: bool = True) -> None:
        self.directory = directory
        self.machine = on
        self.socket = on.root / "run" / "docker.sock"
        self.base_url = f"unix://{self.socket}"
        self.bridge = "docker0"
        self._live_restore = live_restore
        self._clients = []

    def start(self, *, live_restore: bool | None = None) -> None:
        """Starts it with the sample images; after `kill9` with the same data. Running already is fine."""
        self._live_restore = self._live_restore if live_restore is None else live_restore
        self.directory.mkdir(parents=True, exist_ok=True)
        self._write("etc/systemd/system/docker.service", UNIT)
        settings = {**SETTINGS, "live-restore": self._live_restore}
        self._write("etc/docker/daemon.json", json.dumps(settings))
        self._systemctl("start", "docker.service")
        image.load_missing(api.Api(self.base_url))

    def stop(self) -> None:
        """Removes its containers and networks, ends it and closes all its clients; its images stay."""
        self.start()
        self.remove_everything()
        self.close_clients()
        self._systemctl("stop", "docker.service", "containerd.service")

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

    def _write(self, path: str, text: str) -> None:
        file = self.machine.root / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
