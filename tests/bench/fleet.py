"""Knows what the measured workspaces look like, and how their spec files get into place.

It refuses to start anything.
"""

import dataclasses
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from controller.activity import listening
from tests.support import cgroups

IMAGE = "wharf-sample:1"
MEMORY = 64 * 2**20
BLOCK = 4
LARGEST = 1024
"""Most workspaces of one fleet."""
PORTS = range(12000, 32000)

POLICY = f"""apiVersion: wharfinger.dev/v1
kind: ResourcePolicy
metadata: {{name: bench}}
spec:
  defaultClass: bench
  classes:
    bench:
      image: {{reference: "{IMAGE}"}}
      security: {{runAs: Image}}
      resources: {{cpus: "0.5", memory: 64m, shm: 16m, pids: 64}}
      mounts:
        - {{name: home, source: "ROOT/{{owner}}", target: "/home/{{owner}}", mode: ReadWrite, create: true}}
      lifecycle: {{stopGrace: 2s}}
  portPools:
    - {{name: main, from: FIRST, to: LAST, block: {BLOCK}, bind: 127.0.0.1}}
  mountRoots: [ROOT]
  allowSuidMounts: true
"""
SPEC = """apiVersion: wharfinger.dev/v1
kind: Workspace
metadata: {{name: {name}}}
spec:
  uid: 20000
  gid: 20000
  command: [httpd, -f, -p, "8888", -h, /srv]
  services:
    - {{name: jupyter, port: 8888, expose: Port}}
...
"""


@dataclasses.dataclass(frozen=True)
class Place:
    """The files of one controller, below one directory."""

    base: Path

    @property
    def config(self) -> Path:
        """The controller's configuration."""
        return self.base / "controller.yaml"

    @property
    def specs(self) -> Path:
        """The spec directory."""
        return self.base / "workspaces.d"

    @property
    def homes(self) -> Path:
        """What the workspaces mount lies below it."""
        return self.base / "homes"

    @property
    def runtime(self) -> Path:
        """The controller's sockets."""
        return self.base / "run"


def prepare(base: Path, docker_host: str, subnet: str, settings: Mapping[str, object]) -> Place:
    """Write policy and configuration, without specs; `settings` are keys of the configuration by path."""
    place = Place(base)
    for folder in (place.specs, place.homes):
        folder.mkdir(parents=True)
    (base / "policy.yaml").write_text(_policy(place.homes), encoding="utf-8")
    keys: dict[str, object] = {
        "docker.host": docker_host,
        "network.subnet": subnet,
        "metrics.listen": "127.0.0.1:0",
        "stateDir": str(base / "state"),
        "runtimeDir": str(place.runtime),
        "gpus.source": "None",
        "slices.root": cgroups.root_of(base),
        "log.format": "Json",
        **settings,
    }
    lines = ["apiVersion: wharfinger.dev/v1", "kind: ControllerConfig"]
    groups: dict[str, list[str]] = {}
    for key, value in keys.items():
        group, dot, leaf = key.partition(".")
        groups.setdefault(group if dot else "", []).append(f"{leaf if dot else group}: {value}")
    lines += groups.pop("", [])
    lines += [f"{group}: {{{', '.join(f'{item}' for item in items)}}}" for group, items in groups.items()]
    place.config.write_text("\n".join(_quoted(line) for line in lines) + "\n", encoding="utf-8")
    return place


def _policy(homes: Path) -> str:
    """The policy, with a range of ports in which nobody on this host listens now."""
    taken, size = listening.host_listeners(), BLOCK * LARGEST
    first = next(port for port in PORTS if not taken & set(range(port, port + size)))
    text = POLICY.replace("ROOT", str(homes))
    return text.replace("FIRST", str(first)).replace("LAST", str(first + size - 1))


def _quoted(line: str) -> str:
    """Addresses have colons, which a flow mapping takes for its own."""
    for address in ("unix://", "127.0.0.1:"):
        before, found, after = line.partition(address)
        if found:
            end = min((i for i in (after.find(","), after.find("}")) if i >= 0), default=len(after))
            line = f'{before}"{address}{after[:end]}"{after[end:]}'
    return line


def names(prefix: str, count: int) -> tuple[str, ...]:
    """Workspace names."""
    return tuple(f"{prefix}{number:04}" for number in range(count))


def rename_in(place: Place, workspaces: Iterable[str]) -> None:
    """Write specs beside the spec directory, then rename all of them into place, as fast as it goes."""
    hold = place.base / "incoming"
    hold.mkdir()
    written = []
    for name in workspaces:
        path = hold / f"{name}.yaml"
        path.write_text(SPEC.format(name=name), encoding="utf-8")
        written.append(path)
    for path in written:
        path.rename(place.specs / path.name)
    hold.rmdir()


def discard(place: Place) -> None:
    """Remove everything of a controller that has ended; of its slices, when its Engine ends."""
    shutil.rmtree(place.base)
    cgroups.leave(cgroups.root_of(place.base))
