"""Knows how to make up a history of calls from a seed, and to play it on two Engines.

It refuses to leave histories to Hypothesis: its choice of rules left nine of ten without a running container,
and it plays what failed again, where a race of the Engine's becomes an error of its own. A history is told
whole when it fails, and the same seed plays it again.
"""

import random
from collections.abc import Callable
from typing import Any

from tests.contract import backends
from tests.contract.gpu_backends import GpuWorld
from tests.contract.sides import Sides
from tests.support import gpus

MIB = 2**20
NAMES = ("ann", "bob", "eve")
NETWORKS = ("left", "right")
SCRIPT = 'trap "exit 0" TERM; while :; do sleep 0.1; done'
PROGRAMS: dict[str, tuple[list[str], bool]] = {
    "under docker-init": (backends.SLEEP, True),
    "deaf": (backends.SLEEP, False),
    "obedient": (["/bin/sh", "-c", SCRIPT], False),
    "good": (["/bin/true"], False),
    "failing": (["/bin/false"], False),
    "absent": (["/nope"], False),
}
LABELS: tuple[dict[str, str], ...] = ({}, {"exitCode": "0"}, {"sample": "mine"}, {"name": "x", "image": "y"})
LIMITS: tuple[dict[str, Any], ...] = (
    {"Memory": 64 * MIB},
    {"Memory": 128 * MIB, "MemorySwap": 128 * MIB},
    {"Memory": 32 * MIB, "MemorySwap": 64 * MIB, "MemoryReservation": 16 * MIB},
    {"Memory": 1000},
    {"NanoCpus": 500_000_000},
    {"CpuQuota": 50_000},
    {"NanoCpus": 0, "Memory": 0},
    {"PidsLimit": 50},
    {"PidsLimit": 0},
    {"CpusetCpus": "0"},
    {"CpusetCpus": "999"},
    {"RestartPolicy": {"Name": "sometimes"}},
    {"RestartPolicy": {"Name": "no", "MaximumRetryCount": 3}},
)
SIGNALS = ("", "KILL", "SIGTERM", "10", "NONE")
UNFIT = ("", "-", "a b")
MOST_BOXES = 5
KNOWN, OTHER = gpus.USUAL[0].uuid, gpus.USUAL[2].instances[0]
NVIDIA = {"Driver": "nvidia", "Capabilities": [["gpu", "utility"]]}
REQUESTS: tuple[list[dict[str, Any]] | None, ...] = (
    [{**NVIDIA, "DeviceIDs": [KNOWN]}],
    [{**NVIDIA, "DeviceIDs": [KNOWN]}],
    [{**NVIDIA, "DeviceIDs": ["GPU-unknown"]}],
    [{**NVIDIA, "DeviceIDs": [KNOWN]}, {**NVIDIA, "DeviceIDs": ["1", OTHER]}],
    [{**NVIDIA, "Driver": "", "Count": 1}],
    [{**NVIDIA, "Count": 1, "DeviceIDs": [KNOWN]}],
    [{**NVIDIA, "Capabilities": [["fpga"]], "DeviceIDs": [KNOWN]}],
    [{"Driver": "cdi", "DeviceIDs": [f"{gpus.KIND}={KNOWN}"]}],
    [],
    None,
)
GONE = 0.05
"""The share of calls for a container that may be gone."""


class History:
    """One history; `play` makes up its steps one by one, by what is there."""

    def __init__(self, both: Sides, seed: int, port: int) -> None:
        self.both = both
        self._random = random.Random(seed)
        self._port = port
        self.both.story.append(f"seed {seed}")

    def play(self, steps: int) -> None:
        """Two networks, a container that runs, and then anything."""
        for network in NETWORKS:
            self.both.call("POST", "/networks/create", {"Name": network, "Driver": "bridge"})
        while not self.both.count:
            self.create()
        self.start()
        acts, weights = zip(*self._acts(), strict=True)
        for _ in range(steps):
            self._random.choices(acts, weights)[0]()
        self.both.compare_events()

    def _acts(self) -> list[tuple[Callable[[], object], int]]:
        return [
            (self.create, 4),
            (self.start, 11),
            (self.stop, 4),
            (self.kill, 2),
            (self.pause, 5),
            (self.end_process, 1),
            (self.rename, 3),
            (self.remove, 3),
            (self.update, 3),
            (self.tie, 4),
        ]

    def _one(self, *, running: bool = False) -> str:
        """A container as people name it: mostly by its id, and mostly one that is there, or that runs."""
        there = (self.both.running() if running else []) or self.both.there()
        gone = not there or self._random.random() < GONE
        number = self._random.randrange(self.both.count) if gone else self._random.choice(there)
        return self._random.choice([f"{{{number}}}"] * 18 + [f"{{{number}:12}}", self._random.choice(NAMES)])

    def _call(self, box: str, verb: str, **query: str) -> None:
        self.both.call("POST", f"/containers/{box}/{verb}", None, **query)

    def create(self) -> None:
        choose = self._random.choice
        if len(self.both.there()) >= MOST_BOXES:
            return self.remove()
        command, init = PROGRAMS[choose(["under docker-init"] * 4 + ["deaf"] * 3 + [*PROGRAMS])]
        mode = choose(["default"] * 8 + ["left"] * 6 + ["nowhere"])
        host: dict[str, Any] = {"Init": init, "NetworkMode": mode}
        if choose([True, False, False]):
            host |= choose(LIMITS)
        if choose([True, False, False]):
            host["PortBindings"] = {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(self._port)}]}
        image = choose([backends.IMAGE] * 9 + ["lab/nothing:1"])
        host |= self._devices()
        body = {"Image": image, "Cmd": command, "Labels": choose(LABELS), "HostConfig": host}
        name = choose([*NAMES, "dan", f"box-{self.both.count}", f"box-{self.both.count}", choose(UNFIT[1:])])
        self.both.call("POST", "/containers/create", body, name=name)
        return None

    def _devices(self) -> dict[str, Any]:
        """What a container is to be made with of devices."""
        return {}

    def start(self) -> None:
        self._call(self._one(), "start")

    def stop(self) -> None:
        box = self._one(running=True)
        self._call(box, self._random.choice(["stop", "restart"]), t=self.both.grace(box))

    def kill(self) -> None:
        signal = self._random.choice(SIGNALS)
        self._call(self._one(running=True), "kill", **({"signal": signal} if signal else {}))

    def pause(self) -> None:
        self._call(self._one(running=True), self._random.choice(["pause", "unpause"]))

    def end_process(self) -> None:
        running = self.both.running()
        if running:
            self.both.end_process(self._random.choice(running))

    def rename(self) -> None:
        name = self._random.choice([*NAMES, *NAMES, "dan", "/dan", *UNFIT])
        self._call(self._one(), "rename", name=name)

    def remove(self) -> None:
        force = self._random.choice(["false", "false", "true"])
        self.both.call("DELETE", f"/containers/{self._one()}", None, force=force, v="false")

    def update(self) -> None:
        self.both.call("POST", f"/containers/{self._one()}/update", self._random.choice(LIMITS))

    def tie(self) -> None:
        network = self._random.choice([*NETWORKS, *NETWORKS, *NETWORKS, "bridge", "nowhere"])
        verb = self._random.choice(["connect", "connect", "disconnect"])
        self.both.call("POST", f"/networks/{network}/{verb}", {"Container": self._one()})


class DeviceHistory(History):
    """One with devices, which come and go."""

    def __init__(self, both: Sides, seed: int, port: int, worlds: tuple[GpuWorld, ...]) -> None:
        super().__init__(both, seed, port)
        self._worlds = worlds

    def _acts(self) -> list[tuple[Callable[[], object], int]]:
        return [*super()._acts(), (self.replug, 3)]

    def _devices(self) -> dict[str, Any]:
        requests = self._random.choice(REQUESTS)
        return {} if requests is None else {"DeviceRequests": requests}

    def replug(self) -> None:
        """From now on there are these devices."""
        there = self._random.choice([gpus.USUAL, gpus.USUAL[1:]])
        self.both.story.append(f"devices: {' '.join(gpu.uuid for gpu in there)}")
        for world in self._worlds:
            world.set_gpus(there)
