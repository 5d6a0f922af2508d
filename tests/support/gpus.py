"""Knows how to simulate GPUs for an Engine: device nodes, descriptions for CDI, NVIDIA's hook.

It refuses to know the driver's library: what can be asked about a GPU is another simulation's.
"""

import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.dev import userland
from tests.support import dockerd

MISC = 10
"""Major number of the devices that the simulated nodes have in truth; real ones have 195."""

HARMLESS = {237: "loop-control", 229: "fuse", 235: "autofs", 234: "btrfs-control"}
"""Minor numbers of devices that do nothing when they are opened. Neither runc nor the Engine allows them by
itself, as it does /dev/null: whether one opens is for the cgroup to say. The kernel loads what is behind it.
"""

KIND = "nvidia.com/gpu"
HOOK = "nvidia-container-runtime-hook"
PROGRAMS = {HOOK: HOOK, "nvidia": "nvidia-container-runtime"}
"""What an Engine finds under which name, and the file here."""


@dataclass(frozen=True)
class Gpu:
    """One simulated GPU.

    Attributes:
        minor: containers have it as /dev/nvidia<minor>.
        instances: UUIDs of its MIG instances; they open the same node.
    """

    uuid: str
    minor: int
    instances: tuple[str, ...] = ()

    @property
    def index(self) -> int:
        """Its place in lists, which is as good as its minor number here."""
        return self.minor

    @property
    def number(self) -> tuple[int, int]:
        """Major and minor number of what its node is in truth."""
        return MISC, list(HARMLESS)[self.minor]

    @property
    def path(self) -> str:
        """Of its node in a container."""
        return f"/dev/nvidia{self.minor}"

    @property
    def names(self) -> tuple[str, ...]:
        """By which it and its instances can be asked for."""
        return str(self.index), self.uuid, *self.instances


USUAL = (
    Gpu("GPU-0a11e7e5-0000-4000-8000-000000000000", 0),
    Gpu("GPU-0a11e7e5-0000-4000-8000-000000000001", 1),
    Gpu(
        "GPU-0a11e7e5-0000-4000-8000-000000000002",
        2,
        ("MIG-5e01e7e5-0000-5000-8000-000000000020", "MIG-5e01e7e5-0000-5000-8000-000000000021"),
    ),
)


class GpuDockerd(dockerd.Dockerd):
    """An Engine with simulated GPUs.

    Attributes:
        gpus: what it has now.
    """

    runtimes = (dockerd.RUNTIME, "nvidia")

    def __init__(self, directory: Path, gpus: Sequence[Gpu] = USUAL) -> None:
        super().__init__(directory)
        self.gpus: tuple[Gpu, ...] = ()
        (directory / "dev").mkdir(parents=True, exist_ok=True)
        self.set_gpus(gpus)

    def set_gpus(self, gpus: Sequence[Gpu]) -> None:
        """From now on these can be given to containers; those that have others keep them."""
        self.gpus = tuple(gpus)
        for gpu in gpus:
            if not self.node(gpu).exists():
                _make_node(self.node(gpu), gpu)
        lines = [
            " ".join((name, *map(str, (gpu.minor, *gpu.number)))) + "\n" for gpu in gpus for name in gpu.names
        ]
        _replace(self.directory / "gpus", "".join(lines))
        if (self.directory / "cdi").is_dir():
            _replace(self.directory / "cdi" / "nvidia.json", json.dumps(self._specification()))

    def node(self, gpu: Gpu) -> Path:
        """A node of the host that opens the GPU, as /dev/nvidia<minor> would."""
        return self.directory / "dev" / f"nvidia{gpu.minor}"

    def _specification(self) -> dict[str, object]:
        """As `nvidia-ctk cdi generate` writes it, with the nodes of this host's GPUs alone."""
        devices = [
            {
                "name": name,
                "containerEdits": {"deviceNodes": [{"path": gpu.path, "hostPath": str(self.node(gpu))}]},
            }
            for gpu in self.gpus
            for name in gpu.names
        ]
        edits = {"env": ["NVIDIA_VISIBLE_DEVICES=void"]}
        return {"cdiVersion": "0.5.0", "kind": KIND, "containerEdits": edits, "devices": devices}


def with_cdi(directory: Path, gpus: Sequence[Gpu] = USUAL) -> Iterator[GpuDockerd]:
    """An Engine 26.1 that gives GPUs by CDI, and by NVIDIA's hook too."""
    (directory / "cdi").mkdir(parents=True)
    (directory / "root").symlink_to(userland.ensure())
    yield from with_hook(directory, gpus)


def with_hook(directory: Path, gpus: Sequence[Gpu] = USUAL) -> Iterator[GpuDockerd]:
    """An Engine of the host's, 20.10 on Debian 12, that gives GPUs by NVIDIA's hook."""
    lay_programs(directory)
    engine = GpuDockerd(directory, gpus)
    try:
        engine.start()
        yield engine
    finally:
        engine.stop()


def lay_programs(directory: Path) -> None:
    """An Engine in this directory finds NVIDIA's hook and runtime."""
    (directory / "bin").mkdir(parents=True, exist_ok=True)
    for name, file in PROGRAMS.items():
        link = directory / "bin" / name
        link.unlink(missing_ok=True)
        link.symlink_to(Path(__file__).with_name(file))


def opens(node: Path) -> bool:
    """Whether this process may open a node."""
    try:
        os.close(os.open(node, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def devices_cgroup(pid: int) -> Path:
    """The cgroup that says which devices a process may open."""
    lines = Path("/proc", str(pid), "cgroup").read_text(encoding="utf-8").splitlines()
    (path,) = (line.split(":", 2)[2] for line in lines if line.split(":")[1] == "devices")
    return Path("/sys/fs/cgroup/devices") / path[1:]


def has_access(pid: int, gpu: Gpu) -> bool:
    """Whether a container has a rule for a GPU."""
    return _rule(gpu) in (devices_cgroup(pid) / "devices.list").read_text(encoding="utf-8").splitlines()


def take_access(pid: int, gpu: Gpu) -> None:
    """A container loses its rule for a GPU, as at a reload of systemd."""
    assert has_access(pid, gpu)
    (devices_cgroup(pid) / "devices.deny").write_text(_rule(gpu), encoding="utf-8")


def give_access(pid: int, gpu: Gpu) -> None:
    """It has the rule again."""
    (devices_cgroup(pid) / "devices.allow").write_text(_rule(gpu), encoding="utf-8")


def _rule(gpu: Gpu) -> str:
    return "c {}:{} rwm".format(*gpu.number)


def _make_node(node: Path, gpu: Gpu) -> None:
    os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(*gpu.number))
    node.chmod(0o666)
    assert opens(node), f"{gpu.path} cannot be: this host has no /dev/{HARMLESS[gpu.number[1]]} {gpu.number}"


def _replace(path: Path, text: str) -> None:
    """All at once: an Engine reads whenever something changes there."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.rename(path)
