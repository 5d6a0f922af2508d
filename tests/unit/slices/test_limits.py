"""Limits as both versions of the cgroups show them, from files as a kernel writes them, and from this one."""

import os
from pathlib import Path

import pytest

from controller.api.conditions import Reason
from controller.model import errors, observed
from controller.slices import limits

MIB = 2**20


class Host:
    """A /proc and cgroup trees below a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.proc = root / "proc"
        self.mounts: list[str] = []
        self.paths: list[str] = []
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "7").mkdir()

    def mount(self, name: str, kind: str, options: str, top: str = "/") -> None:
        self.mounts.append(f"30 23 0:26 {top} {self.root}/{name} rw shared:1 - {kind} {kind} {options}")

    def add(self, name: str, path: str, files: dict[str, str]) -> None:
        folder = self.root / name / path.lstrip("/")
        folder.mkdir(parents=True)
        for file, text in files.items():
            (folder / file).write_text(text + "\n")

    def read(self) -> observed.Limits:
        self.write()
        return limits.read_limits(7, self.proc)

    def write(self) -> None:
        """The process's tables, as far as they were told."""
        (self.proc / "self/mountinfo").write_text("\n".join(self.mounts) + "\n")
        (self.proc / "7/cgroup").write_text("\n".join(self.paths) + "\n")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def v1(host: Host, files: dict[str, dict[str, str]]) -> None:
    host.mount("unified", "cgroup2", "rw")
    host.paths.append("0::/")
    for number, (controllers, content) in enumerate(files.items(), 2):
        name = controllers.replace(",", "-")
        host.mount(name, "cgroup", f"rw,{controllers}")
        host.paths.append(f"{number}:{controllers}:/docker/abc")
        host.add(name, "/docker/abc", content)


def v2(host: Host, files: dict[str, str]) -> None:
    host.mount("cgroup", "cgroup2", "rw,nsdelegate")
    host.paths.append("0::/wharf.slice/docker-abc.scope")
    host.add("cgroup", "/wharf.slice/docker-abc.scope", files)


def test_version_1(host: Host) -> None:
    v1(
        host,
        {
            "cpu,cpuacct": {"cpu.cfs_quota_us": "150000", "cpu.cfs_period_us": "100000"},
            "cpuset": {"cpuset.cpus": "0-1,3"},
            "memory": {
                "memory.limit_in_bytes": str(256 * MIB),
                "memory.soft_limit_in_bytes": str(64 * MIB),
                "memory.memsw.limit_in_bytes": str(512 * MIB),
            },
            "pids": {"pids.max": "100"},
        },
    )
    assert host.read() == observed.Limits(1_500_000_000, "0-1,3", 256 * MIB, 64 * MIB, 512 * MIB, 100)


def test_unlimited_in_version_1(host: Host) -> None:
    v1(
        host,
        {
            "cpu,cpuacct": {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"},
            "memory": {
                "memory.limit_in_bytes": "9223372036854771712",
                "memory.soft_limit_in_bytes": "9223372036854771712",
                "memory.memsw.limit_in_bytes": "9223372036854771712",
            },
            "pids": {"pids.max": "max"},
        },
    )
    assert host.read() == observed.Limits()


def test_version_1_without_swap_accounting(host: Host) -> None:
    v1(host, {"memory": {"memory.limit_in_bytes": str(256 * MIB)}})
    assert host.read() == observed.Limits(memory=256 * MIB)


def test_version_2(host: Host) -> None:
    v2(
        host,
        {
            "cpu.max": "50000 100000",
            "cpuset.cpus": "1,0",
            "memory.max": str(256 * MIB),
            "memory.low": str(64 * MIB),
            "memory.swap.max": str(128 * MIB),
            "pids.max": "100",
        },
    )
    assert host.read() == observed.Limits(500_000_000, "0-1", 256 * MIB, 64 * MIB, 384 * MIB, 100)


def test_no_swap_in_version_2_is_memory_alone(host: Host) -> None:
    v2(host, {"memory.max": str(256 * MIB), "memory.swap.max": "0"})
    assert host.read() == observed.Limits(memory=256 * MIB, memory_swap=256 * MIB)


def test_unlimited_in_version_2(host: Host) -> None:
    v2(
        host,
        {
            "cpu.max": "max 100000",
            "cpuset.cpus": "",
            "memory.max": "max",
            "memory.low": "0",
            "memory.swap.max": "max",
            "pids.max": "max",
        },
    )
    assert host.read() == observed.Limits()


def test_a_tree_that_is_mounted_from_below_its_top(host: Host) -> None:
    host.mount("pids", "cgroup", "rw,pids", top="/pod")
    host.mount("memory", "cgroup", "rw,memory", top="/pod")
    host.paths += ["1:pids:/pod/docker/abc", "2:memory:/pod/docker/abc"]
    host.add("pids", "/docker/abc", {"pids.max": "9"})
    host.add("memory", "/docker/abc", {"memory.limit_in_bytes": str(256 * MIB)})
    assert host.read() == observed.Limits(memory=256 * MIB, pids=9)


@pytest.mark.parametrize("missing", ["process", "cgroup", "mounts"])
def test_what_cannot_be_read_is_not_unlimited(host: Host, missing: str) -> None:
    v2(host, {"pids.max": "9"})
    if missing == "mounts":
        host.mounts.clear()
    if missing == "cgroup":
        host.paths[:] = ["0::/elsewhere"]
    if missing == "process":
        (host.proc / "7").rmdir()
        (host.proc / "8").mkdir()
        (host.proc / "self/mountinfo").write_text("\n".join(host.mounts) + "\n")
        with pytest.raises(errors.Retryable):
            limits.read_limits(7, host.proc)
        return
    with pytest.raises(errors.Retryable) as caught:
        host.read()
    assert caught.value.reason is Reason.NOT_SEEN


def test_this_process_has_limits_that_can_be_read() -> None:
    assert isinstance(limits.read_limits(os.getpid()), observed.Limits)


def test_a_process_that_is_gone_does_not_make_the_mounts_be_read_again(host: Host) -> None:
    v2(host, {"memory.max": "104857600", "cpu.max": "max 100000", "pids.max": "max"})
    assert host.read().memory == 100 * MIB
    (host.proc / "self/mountinfo").unlink()
    with pytest.raises(errors.Retryable):
        limits.read_limits(8, host.proc)
    assert limits.read_limits(7, host.proc).memory == 100 * MIB


def test_file_cache_is_no_use_of_memory_where_a_lower_limit_reclaims_it(host: Host) -> None:
    stat = f"cache {40 * MIB}\ntotal_inactive_file {20 * MIB}\ntotal_active_file {10 * MIB}"
    v1(host, {"memory": {"memory.usage_in_bytes": str(100 * MIB), "memory.stat": stat}})
    host.write()
    assert limits.read_memory_use(7, host.proc) == 70 * MIB


def test_where_a_lower_limit_kills_all_memory_is_in_use(host: Host) -> None:
    v2(host, {"memory.current": str(100 * MIB), "memory.stat": f"file {30 * MIB}"})
    host.write()
    assert limits.read_memory_use(7, host.proc) == 100 * MIB


@pytest.mark.parametrize("pid", [7, 8], ids=["no file", "no process"])
def test_use_of_memory_that_cannot_be_read_is_not_known(host: Host, pid: int) -> None:
    v2(host, {})
    host.write()
    assert limits.read_memory_use(pid, host.proc) is None
