"""What an owner's workspaces use together is held by a real kernel, on both versions and by both drivers.

A whole controller runs in the guest. What it did is read from the kernel's files. Figures are left in /job.
"""

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import docker
import pytest

from deploy.dev.guest import Setup
from tests.support import cgroups, process
from tests.support.fleet import limits_of
from tests.systemd.conftest import ENGINE

pytestmark = pytest.mark.systemd

MIB: Final = 2**20
SHARE, EACH = 0.4, 0.3
"""Of the guest's one processor: for all workspaces of an owner, and for each of them."""
HELD: Final = 1.1
"""So much of the share may be measured: quotas are handed out in pieces."""
DEADLINE: Final = 120.0
WINDOW: Final = 3.0
DISK: Final = "/dev/ubda"
DISK_NUMBER: Final = "98:0"
FIGURES: Final = Path("/job/figures")
HUNGRY: Final = """\
while :; do :; done &
while :; do dd if=/dev/zero of=/dev/shm/held bs=1M count=200 conv=notrunc; done 2>/dev/null
"""
HOLDING: Final = "dd if=/dev/zero of=/dev/shm/held bs=1M count=200 2>/dev/null; exec sleep 6000"
POLICY: Final[dict[str, Any]] = {
    "aggregate": {"cpus": str(SHARE), "memory": "400m", "pids": 150},
    "users": {
        "ann": {
            "aggregate": {
                "cpuWeight": 50,
                "memoryHigh": "300m",
                "memoryLow": "100m",
                "io": [{"path": DISK, "read": "1m", "writeOps": 30}],
            }
        },
        "dan": {"aggregate": {"memory": "300m"}},
        "eve": {"aggregate": {"cpuset": "0-1"}},
        "oona": {"aggregate": {"memory": "64m"}},
    },
    "classes": {
        "idle": {
            "image": "sample",
            "command": ["sleep", "6000"],
            "security": {"runAs": "Image"},
            "resources": {"cpus": "0.2", "memory": "64m", "shm": "16m", "pids": 64},
            "lifecycle": {"stopGrace": "0s"},
        },
        "hungry": {
            "image": "sample",
            "command": ["sh", "-c", HUNGRY],
            "security": {"runAs": "Image"},
            "resources": {"cpus": str(EACH), "memory": "256m", "swap": "512m", "shm": "250m", "pids": 64},
            "lifecycle": {"stopGrace": "0s"},
        },
        "holding": {
            "image": "sample",
            "command": ["sh", "-c", HOLDING],
            "security": {"runAs": "Image"},
            "resources": {"cpus": str(EACH), "memory": "256m", "swap": "512m", "shm": "250m", "pids": 64},
            "lifecycle": {"stopGrace": "0s"},
        },
    },
    "defaultClass": "idle",
}
V2: Final = {
    "cpu.max": ("cpu", "40000 100000", "20000 100000"),
    "cpu.weight": ("cpu", "50", "77"),
    "memory.max": ("memory", str(400 * MIB), str(350 * MIB)),
    "memory.high": ("memory", str(300 * MIB), "max"),
    "memory.low": ("memory", str(100 * MIB), "0"),
    "pids.max": ("pids", "150", "20"),
    "io.max": (
        "io",
        f"{DISK_NUMBER} rbps=1048576 wbps=max riops=max wiops=30",
        f"{DISK_NUMBER} rbps=max wbps=max riops=max wiops=max",
    ),
}
V1: Final = {
    "cpu.cfs_quota_us": ("cpu", "40000", "20000"),
    "cpu.shares": ("cpu", "512", "700"),
    "memory.limit_in_bytes": ("memory", str(400 * MIB), str(350 * MIB)),
    "pids.max": ("pids", "150", "20"),
}
"""By file of the kernel's: its controller, what ann's slice should have there, what a hand writes."""
SHOWN: Final = {f"{DISK_NUMBER} rbps=max wbps=max riops=max wiops=max": ""}
"""How the kernel shows what a hand wrote, where that differs."""
MEMORY_MOST: Final = {1: "memory.max_usage_in_bytes", 2: "memory.peak"}
MEMORY_NOW: Final = {1: "memory.usage_in_bytes", 2: "memory.current"}
MEMORY_MAX: Final = {1: "memory.limit_in_bytes", 2: "memory.max"}


def systemctl(*verb: str) -> None:
    subprocess.run(["systemctl", *verb], check=True, timeout=DEADLINE)


@dataclass
class Harbour:
    """The guest, a controller in it, and its Engine."""

    setup: Setup
    site: process.Site
    controller: process.Controller
    docker: docker.APIClient

    def slice(self, owner: str) -> str:
        """The cgroup of an owner; empty for the one above all."""
        root = self.site.slices
        if self.setup.driver == "cgroupfs":
            return f"/{root}/{owner}".rstrip("/")
        return f"/{root}.slice" + (f"/{self.unit(owner)}" if owner else "")

    def unit(self, owner: str) -> str:
        """What systemd calls an owner's slice, by its own tool."""
        escaped = subprocess.check_output(["systemd-escape", "--", owner], text=True).strip()
        return f"{self.site.slices}-{escaped}.slice"

    def files(self) -> Mapping[str, tuple[str, str, str]]:
        return V2 if self.setup.version == 2 else V1

    def has(self, owner: str) -> dict[str, str]:
        """The limits of an owner's slice, as the kernel tells them."""
        return {
            file: cgroups.read(where, self.slice(owner), file) for file, (where, _, _) in self.files().items()
        }

    def right(self) -> dict[str, str]:
        return {file: value for file, (_, value, _) in self.files().items()}

    def there(self, owner: str) -> bool:
        return any(cgroups.folder(where, self.slice(owner)).exists() for where in ("cpu", "memory", "pids"))

    def container(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.docker.inspect_container(f"workspace-{name}")
        return found

    def pid(self, name: str) -> int:
        return int(self.container(name)["State"]["Pid"])

    def is_ready(self) -> bool:
        return self.controller.get("/readyz")[0] == 200

    def restarted(self, driver: str) -> None:
        """Returns once there is another controller, with another driver for slices."""
        self.controller.stop()
        self.site.configure(slices={"root": self.site.slices, "driver": driver})
        self.controller = self.site.run()
        self.until(self.is_ready, "the controller is ready")

    def until(self, condition: Callable[[], object], what: str) -> None:
        self.controller.until(lambda: bool(condition()), what, DEADLINE)

    def up(self, name: str, fields: process.Tree | None = None) -> int:
        """The pid of a workspace's main process, once it runs as specified."""
        self.site.spec(name, fields)
        self.settled(name)
        return self.pid(name)

    def decision(self, name: str) -> dict[str, str]:
        found: dict[str, str] = self.controller.status(name)["decision"]
        return found

    def settled(self, name: str) -> None:
        """Returns once a workspace runs as specified."""
        self.until(lambda: self.decision(name).get("reason") == "AsSpecified", f"{name} runs as specified")

    def leave(self, *names: str) -> None:
        """Returns once the specs and the containers of these workspaces are gone, or stopped for good."""
        for name in names:
            (self.site.specs / f"{name}.yaml").unlink()
        for name in names:
            self.stopped(name)

    def stopped(self, name: str) -> None:
        """Returns once no container of a workspace runs."""
        running = {"name": f"^workspace-{name}$"}
        self.until(lambda: not self.docker.containers(filters=running), f"{name} has stopped")

    def noticed(self, mark: int, name: str) -> None:
        """A limit of the owner's slice was seen to differ since then."""
        self.controller.said("drift_detected", mark, workspace=name, **{"drift.kind": "slice"})

    def used(self, cgroup: str) -> int:
        return int(cgroups.read("memory", cgroup, MEMORY_NOW[self.setup.version]))

    def seconds(self, cgroup: str) -> float:
        """Seconds of processor time that a cgroup had."""
        if self.setup.version == 1:
            return int(cgroups.read("cpuacct", cgroup, "cpuacct.usage")) / 1e9
        return int(cgroups.read("cpu", cgroup, "cpu.stat").split()[1]) / 1e6

    def share(self, *members: str) -> float:
        """Of a processor, that some cgroups had in one window."""

        def spent() -> float:
            return sum(self.seconds(one) for one in members)

        begin, before = time.monotonic(), spent()
        process.until(lambda: time.monotonic() - begin >= WINDOW, "the window is over", step=WINDOW)
        return (spent() - before) / (time.monotonic() - begin)

    def kills(self, cgroup: str) -> int:
        """How many processes of a cgroup and below the kernel killed for memory; version 2."""
        lines = cgroups.read("memory", cgroup, "memory.events").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))

    def uses(self, cgroup: str) -> Iterator[int]:
        """Yield the memory that a cgroup uses, several times."""
        for _ in range(3):
            yield self.used(cgroup)
            self.share(cgroup)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        assert self.site.wharf("pause", "--reason", "test").code == 0
        yield
        assert self.site.wharf("resume").code == 0


@pytest.fixture(scope="module")
def harbour(
    setup: Setup, _client: docker.APIClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Harbour]:
    folder = tmp_path_factory.mktemp("site")
    wharf = folder / "wharf"
    wharf.write_text('#!/bin/sh\nexec python3 -m controller "$@"\n')
    wharf.chmod(0o755)
    before, process.WHARF = process.WHARF, wharf
    site = process.Site(folder / "host", ENGINE, "10.77.0.0/24")
    site.policy(**POLICY)
    site.configure(inspectInterval="10s")
    try:
        found = Harbour(setup, site, site.run(), _client)
        found.until(found.is_ready, "the controller is ready")
        yield found
    finally:
        site.close()
        process.WHARF = before


def record(name: str, value: object) -> None:
    with FIGURES.open("a", encoding="utf-8") as file:
        file.write(f"{name}: {value}\n")


@contextlib.contextmanager
def timed(name: str) -> Iterator[None]:
    begin = time.monotonic()
    yield
    record(f"{name}, seconds", f"{time.monotonic() - begin:.1f}")


@contextlib.contextmanager
def swapping() -> Iterator[None]:
    """The guest has swap meanwhile, so that who wants too much memory waits and is not killed."""
    subprocess.run(["swapon", "/dev/ubdb"], check=True)
    try:
        yield
    finally:
        subprocess.run(["swapoff", "/dev/ubdb"], check=True)


@pytest.fixture(autouse=True)
def nobody_left(harbour: Harbour) -> Iterator[None]:
    """Empty slices go: after each test there is none, of whichever owner."""
    yield
    for file in harbour.site.specs.glob("*.yaml"):
        file.unlink()
    harbour.until(lambda: not harbour.controller.slices(), "all slices have gone")


def test_three_workspaces_of_an_owner_are_held_at_its_slice_and_exceed_it_without_one(
    harbour: Harbour,
) -> None:
    free, alone = _hungry(harbour, "frida", "None", 500 * MIB)
    held, most = _hungry(harbour, "alice", "Auto", 380 * MIB)
    record("processors without slice, with, limit", (round(free, 3), round(held, 3), SHARE))
    record("MiB without slice, most with, limit", (alone // MIB, most // MIB, 400))
    assert free > 1.5 * SHARE
    assert 0.8 * SHARE < held < HELD * SHARE
    assert alone > 400 * MIB >= most


def _hungry(harbour: Harbour, owner: str, driver: str, enough: int) -> tuple[float, int]:
    """The processors and the memory that three workspaces of an owner use, once that is enough memory."""
    harbour.restarted(driver)
    names = [f"{owner}-{number}" for number in range(3)]
    with swapping():
        for name in names:
            harbour.site.spec(name, {"owner": owner, "class": "hungry"})
        for name in names:
            harbour.settled(name)
        own = [cgroups.path(harbour.pid(name), "memory") for name in names]
        all_of_them = own if driver == "None" else [harbour.slice(owner)]
        harbour.until(lambda: sum(map(harbour.used, all_of_them)) > enough, "they have that much memory")
        with harbour.paused():
            share = max(harbour.share(*all_of_them) for _ in range(2))
            memory = sum(map(harbour.used, all_of_them))
        if driver != "None":
            memory = int(cgroups.read("memory", harbour.slice(owner), MEMORY_MOST[harbour.setup.version]))
        harbour.leave(*names)
    return share, memory


def test_every_limit_is_in_the_kernel_and_comes_back_whoever_changes_it(harbour: Harbour) -> None:
    pid = harbour.up("ann")
    assert harbour.has("ann") == harbour.right()
    with harbour.paused():
        mark = harbour.controller.mark()
        for file, (where, _, other) in harbour.files().items():
            cgroups.write(where, harbour.slice("ann"), file, other)
        by_hand = {file: SHOWN.get(other, other) for file, (_, _, other) in harbour.files().items()}
        assert harbour.has("ann") == by_hand
    with timed("every limit that a hand changed is right again"):
        harbour.until(lambda: harbour.has("ann") == harbour.right(), "all limits are right again")
    harbour.noticed(mark, "ann")
    assert harbour.pid("ann") == pid
    if harbour.setup.version == 1:
        said = harbour.controller.slices()["ann"]["notEnforced"]
        assert sorted(one.split(" ")[0] for one in said) == ["io", "memoryHigh", "memoryLow"]


def test_what_systemd_is_told_by_hand_comes_back_and_reading_its_units_anew_changes_nothing(
    harbour: Harbour,
) -> None:
    """Of a slice and of a container's own unit, where systemd has them."""
    pid = harbour.up("ann")
    own = {"memory": 64 * MIB, "cpu": 200, "pids": 64}
    if harbour.setup.driver == "systemd":
        mark = harbour.controller.mark()
        scope = f"docker-{harbour.container('ann')['Id']}.scope"
        systemctl(
            "set-property", "--runtime", harbour.unit("ann"), "MemoryMax=350M", "CPUQuota=20%", "TasksMax=20"
        )
        with timed("what systemd was told of a slice by hand is right again"):
            harbour.until(lambda: harbour.has("ann") == harbour.right(), "the slice is right again")
        harbour.noticed(mark, "ann")
        systemctl("set-property", "--runtime", scope, "MemoryMax=48M", "CPUQuota=10%", "TasksMax=20")
        with timed("what systemd was told of a container by hand is right again"):
            harbour.until(lambda: limits_of(pid) == own, "the container is right again")
        assert harbour.has("ann") == harbour.right()
    systemctl("daemon-reload")
    assert harbour.has("ann") == harbour.right()
    assert limits_of(pid) == own
    assert harbour.pid("ann") == pid


def test_a_slice_that_goes_is_made_again(harbour: Harbour) -> None:
    """By us with its last workspace, and by a hand; daemon-reload comes between, as with each package."""
    long = "n" * 40
    for name, owner in (("dash", "a-b"), ("long", long)):
        harbour.site.spec(name, {"owner": owner})
    for name, owner in (("dash", "a-b"), ("long", long)):
        harbour.settled(name)
        assert cgroups.path(harbour.pid(name), "memory").startswith(f"{harbour.slice(owner)}/")
    systemctl("daemon-reload")
    harbour.leave("dash")
    harbour.until(lambda: not harbour.there("a-b"), "the slice goes with its last workspace")
    with harbour.paused():
        harbour.docker.kill("workspace-long")
        process.until(lambda: not harbour.container("long")["State"]["Running"], "it has ended", DEADLINE)
        if harbour.setup.driver == "systemd":
            systemctl("stop", harbour.unit(long))
        else:
            cgroups.remove(harbour.slice(long))
        process.until(lambda: not harbour.there(long), "the slice has gone", DEADLINE)
    with timed("a slice that a hand removed is there again, and a container in it"):
        harbour.until(lambda: harbour.container("long")["State"]["Running"], "it runs again")
    assert cgroups.read("pids", harbour.slice(long), "pids.max") == "150"
    harbour.up("dash", {"owner": "a-b"})
    assert cgroups.path(harbour.pid("dash"), "memory").startswith(f"{harbour.slice('a-b')}/")


def test_less_memory_than_is_in_use_follows_when_it_is_free_and_kills_nothing(harbour: Harbour) -> None:
    pid = harbour.up("dan", {"class": "holding"})
    dan, hard = harbour.slice("dan"), MEMORY_MAX[harbour.setup.version]
    harbour.until(lambda: harbour.used(dan) > 200 * MIB, "it holds its memory")
    smaller = {**POLICY["users"], "dan": {"aggregate": {"memory": "150m"}}}
    harbour.site.policy(**{**POLICY, "users": smaller})
    harbour.until(lambda: harbour.controller.slices()["dan"]["state"] == "Lowering", "it is told")
    if harbour.setup.version == 2:
        high = int(cgroups.read("memory", dan, "memory.high"))
        assert 140 * MIB < high <= 150 * MIB, "memory is reclaimed first"
    assert cgroups.read("memory", dan, hard) == str(300 * MIB)
    Path(f"/proc/{pid}/root/dev/shm/held").unlink()
    harbour.until(lambda: cgroups.read("memory", dan, hard) == str(150 * MIB), "the hard limit follows")
    if harbour.setup.version == 2:
        harbour.until(lambda: cgroups.read("memory", dan, "memory.high") == "max", "and nothing else stays")
        assert harbour.kills(dan) == 0
    assert harbour.pid("dan") == pid
    harbour.site.policy(**POLICY)


def test_what_the_kernel_kills_for_memory_is_counted_and_stays_in_the_slice(harbour: Harbour) -> None:
    pid = harbour.up("ben")
    harbour.site.spec("oona", {"class": "holding"})
    oona = harbour.slice("oona")
    harbour.until(lambda: harbour.there("oona"), "its slice is there")
    if harbour.setup.version == 2:
        harbour.until(lambda: harbour.kills(oona) > 0, "the kernel kills in it")
        told = harbour.controller.slices
        harbour.until(lambda: told()["oona"]["use"].get("oomKills") == harbour.kills(oona), "it is counted")
        assert harbour.kills(harbour.slice("ben")) == 0
    else:
        failed = "memory.failcnt"
        harbour.until(lambda: int(cgroups.read("memory", oona, failed)) > 0, "it presses against its limit")
        assert "oomKills" not in harbour.controller.slices()["oona"]["use"], "version 1 does not tell"
    assert harbour.pid("ben") == pid


def test_a_hard_limit_that_this_kernel_has_not_keeps_the_owners_workspaces_from_starting(
    harbour: Harbour,
) -> None:
    harbour.site.spec("eve")
    harbour.until(lambda: harbour.decision("eve").get("reason") == "LimitUnenforceable", "it waits")
    assert "cpuset" in harbour.decision("eve")["message"]
    assert harbour.docker.containers(all=True, filters={"name": "^workspace-eve$"}) == []


def test_what_an_owner_is_guaranteed_is_its_own_while_another_one_takes_all_there_is(
    harbour: Harbour,
) -> None:
    """The slice above all ends at 450 MiB meanwhile, too little for both. Version 1 cannot, and says so."""
    guaranteed = {"class": "holding", "resources": {"memoryReservation": "200m"}}
    if harbour.setup.version == 1:
        harbour.up("gil", guaranteed)
        assert "guarantees no memory" in harbour.controller.condition("gil", "LimitNotEnforced")["message"]
        return
    gil, hal, top = harbour.slice("gil"), harbour.slice("hal"), harbour.slice("")
    with swapping():
        harbour.up("gil", guaranteed)
        harbour.until(lambda: harbour.used(gil) > 200 * MIB, "it holds its memory")
        low = {one: cgroups.read("memory", one, "memory.low") for one in (gil, top)}
        for number in range(2):
            harbour.site.spec(f"hal-{number}", {"owner": "hal", "class": "hungry"})
        harbour.until(lambda: harbour.there("hal") and harbour.used(hal) > 300 * MIB, "another takes more")
        with harbour.paused():
            cgroups.write("memory", top, "memory.max", str(450 * MIB))
            least = min(harbour.uses(gil))
            swapped = int(cgroups.read("memory", hal, "memory.swap.current"))
            for cgroup in (gil, top):
                cgroups.write("memory", cgroup, "memory.low", "0")
            process.until(
                lambda: harbour.used(gil) < 190 * MIB, "it loses memory that nobody guarantees", DEADLINE
            )
            cgroups.write("memory", top, "memory.max", "max")
        kills = harbour.kills(gil)
        harbour.leave("gil", "hal-0", "hal-1")
    figures = (200, least // MIB, swapped // MIB)
    record("MiB guaranteed, least in use meanwhile, swapped of the other", figures)
    assert low == {gil: str(200 * MIB), top: str(200 * MIB)}
    assert least > 195 * MIB
    assert swapped > 0
    assert kills == 0
