"""Knows how a host's /proc, /sys and cgroups look as files, in both versions, and lays them in a directory.

It refuses to act as a kernel: a file says what was written into it last, and a new folder is empty.
"""

from pathlib import Path

V1_CONTROLLERS = ("cpu,cpuacct", "cpuset", "memory", "pids", "blkio")
V2_CONTROLLERS = "cpuset cpu io memory pids"
V1_FILES = {
    "cpu.cfs_quota_us": "-1",
    "cpu.cfs_period_us": "100000",
    "cpu.shares": "1024",
    "cpu.stat": "nr_periods 0\nnr_throttled 0\nthrottled_time 1500000000",
    "cpuacct.usage": "2500000000",
    "cpuset.cpus": "0-3",
    "cpuset.mems": "0",
    "memory.limit_in_bytes": "9223372036854771712",
    "memory.memsw.limit_in_bytes": "9223372036854771712",
    "memory.soft_limit_in_bytes": "9223372036854771712",
    "memory.usage_in_bytes": "8192000",
    "memory.memsw.usage_in_bytes": "9216000",
    "memory.stat": "cache 1\ninactive_file 1\ntotal_inactive_file 4096\ntotal_active_file 8192",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2",
    "memory.use_hierarchy": "1",
    "pids.max": "max",
    "pids.current": "0",
    "blkio.throttle.io_service_bytes_recursive": "8:0 Read 1000\n8:0 Write 2000\n253:0 Read 5\nTotal 3005",
    "blkio.bfq.weight": "100",
    "cgroup.procs": "",
}
V2_FILES = {
    "cgroup.controllers": V2_CONTROLLERS,
    "cgroup.subtree_control": "",
    "cgroup.type": "domain",
    "cgroup.procs": "",
    "cpu.max": "max 100000",
    "cpu.weight": "100",
    "cpu.stat": "usage_usec 2500000\nuser_usec 1\nsystem_usec 1\nthrottled_usec 1500000",
    "cpu.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=3000000\nfull avg10=0.00 total=1000000",
    "cpuset.cpus": "",
    "memory.max": "max",
    "memory.high": "max",
    "memory.low": "0",
    "memory.swap.max": "max",
    "memory.current": "8192000",
    "memory.swap.current": "1024000",
    "memory.stat": "anon 1\nfile 2\ninactive_file 4096\nactive_file 8192",
    "memory.events": "low 0\nhigh 0\nmax 0\noom 1\noom_kill 2",
    "memory.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=500000",
    "pids.max": "max",
    "pids.current": "0",
    "io.max": "",
    "io.weight": "default 100",
    "io.bfq.weight": "default 100",
    "io.stat": "8:0 rbytes=1000 wbytes=2000 rios=1 wios=1 dbytes=0 dios=0\n253:0 rbytes=5 wbytes=6",
    "io.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=250000",
}


class Tree:
    """A host below a directory.

    Attributes:
        version: of its cgroups.
        proc, sys: what it has for /proc and /sys.
    """

    def __init__(self, directory: Path, version: int, above: str = "") -> None:
        """Lay out a host whose slices are below `above`, where nothing runs yet but ourselves."""
        self.version = version
        self.above = above
        self.proc, self.sys, self.groups = directory / "proc", directory / "sys", directory / "cgroup"
        self.write(self.proc / "self/mountinfo", "\n".join(self._mounts()))
        self.write(self.proc / "meminfo", "MemTotal:       16384 kB\nMemFree:        1 kB")
        self.write(self.proc / "swaps", "Filename Type Size Used Priority\n/dev/vdb partition 1 0 -2")
        self.write(self.proc / "self/cgroup", self.table("/own"))
        self.write(self.sys / "devices/system/cpu/online", "0-3")
        self.disk("sda", "8:0", "none [mq-deadline] bfq")
        for path in ("/own", above or "/"):
            self.add(path)
        top = V2_FILES | {"cpuset.cpus.effective": "0-3"}
        for name in ("cpu.max", "memory.swap.max", "memory.current", "cgroup.type", "cpu.weight"):
            del top[name]
        if version == 2:
            for file in self.groups.glob("*"):
                if file.is_file():
                    file.unlink()
            self.add("/", top)

    def _mounts(self) -> list[str]:
        names = V1_CONTROLLERS if self.version == 1 else ()
        lines = ["22 1 8:0 / / rw - ext4 /dev/sda rw"]
        lines += [f"30 23 0:26 / {self.groups}/{one} rw - cgroup cgroup rw,{one}" for one in names]
        unified = self.groups if self.version == 2 else self.groups / "unified"  # noqa: PLR2004
        return [*lines, f"31 23 0:27 / {unified} rw - cgroup2 cgroup2 rw"]

    def write(self, path: Path, text: str) -> None:
        """Writes a file, and the folders above it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")

    def disk(self, name: str, number: str, scheduler: str) -> None:
        """Gives the host a disk."""
        self.write(self.sys / "block" / name / "dev", number)
        self.write(self.sys / "block" / name / "queue/scheduler", scheduler)

    def table(self, path: str) -> str:
        """What the kernel says of the cgroups of a process that is there in all hierarchies."""
        names = (*V1_CONTROLLERS, "name=systemd") if self.version == 1 else ()
        lines = [f"{number}:{name}:{path}" for number, name in enumerate(names, 1)]
        return "\n".join([*lines, f"0::{path if self.version == 2 else '/'}"])  # noqa: PLR2004

    def file(self, path: str, name: str) -> Path:
        """Returns one of the files of a cgroup."""
        if self.version == 2:  # noqa: PLR2004
            return self.groups / path.strip("/") / name
        kind = name.partition(".")[0]
        tree = "cpu,cpuacct" if kind in {"cpu", "cpuacct"} else "memory" if kind == "cgroup" else kind
        return self.groups / tree / path.strip("/") / name

    def add(self, path: str, files: dict[str, str] | None = None) -> None:
        """Makes a cgroup with all files that one has; `files` in place of these."""
        for name, text in (
            (V1_FILES if self.version == 1 else V2_FILES).items() if files is None else files.items()
        ):
            self.write(self.file(path, name), text)

    def run(self, pid: int, path: str, **files: str) -> None:
        """Runs a process in a cgroup of its own, whose files say something else where a dot is `_`."""
        self.write(self.proc / str(pid) / "cgroup", self.table(path))
        self.write(self.proc / str(pid) / "comm", "python")
        self.add(path)
        self.write(self.file(path, "pids.current"), "1")
        for name, text in files.items():
            self.write(self.file(path, name.replace("_", ".", 1)), text)
