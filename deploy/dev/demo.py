"""Knows a tour of the controller on real containers: what a person types, and what must be seen after it.

It refuses to go on after a line that did not do what it should, and to leave anything behind.
Run it as `make demo`.
"""

import argparse
import re
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

from deploy.dev import host, simulated, stage

CAROL = """\
apiVersion: wharfinger.dev/v1
kind: Workspace
metadata:
  name: carol
spec:
  class: small
  command: [httpd, -f, -p, "8888", -h, /srv]
  services:
    - {name: jupyter, port: 8888, expose: Port}
  lifecycle: {stopGrace: 1s}
...
"""
GINA = """\
apiVersion: wharfinger.dev/v1
kind: Workspace
metadata:
  name: gina
spec:
  class: small
  gpu: {mode: Exclusive}
...
"""
WITH_ENV = CAROL.replace("  class: small\n", "  class: small\n  env: {GREETING: hello}\n")
WITHOUT_UNIT = CAROL.replace("  class: small\n", "  class: small\n  resources: {memory: 128}\n")
ID = "docker inspect -f '{{.Id}} {{.State.StartedAt}}' workspace-carol"


class WrongError(Exception):
    """A line of the tour did not do what it should; the message says what was expected and what was seen."""


class Tour:
    """Types lines on a stage, prints them and what they said, and checks it."""

    def __init__(self, scene: stage.Stage) -> None:
        self.scene = scene
        self._number = 0

    def chapter(self, title: str) -> None:
        """Prints a heading."""
        self._number += 1
        print(f"\n--- {self._number}. {title}", flush=True)

    def note(self, text: str) -> None:
        """Prints what was found to be so."""
        print(f"# {text}", flush=True)

    def type(self, line: str, pattern: str = "", code: int = 0) -> str:
        """Runs a line once; its output must have the pattern, its exit status must be `code`.

        Returns:
            standard output and standard error together.

        Raises:
            WrongError: it was otherwise.
        """
        return self._judge(line, self.scene.type(line), pattern, code)

    def see(self, line: str, pattern: str) -> str:
        """Repeats a line that only looks until its output has the pattern; like `type` otherwise."""
        return self._judge(line, self.scene.until(line, pattern), pattern, 0)

    def file(self, name: str, text: str, *, shown: str | None = None) -> None:
        """Writes a file beside the tour and prints it, or only its lines that have `shown`."""
        (self.scene.root / name).write_text(text, encoding="utf-8")
        line = f"cat {name}" if shown is None else f"grep {shlex.quote(shown)} {name}"
        self._judge(line, self.scene.type(line), "", 0)

    def same(self, before: str, after: str, what: str) -> None:
        """Raises WrongError unless both are equal."""
        if before != after:
            raise WrongError(f"{what}: before {before!r}, after {after!r}")
        self.note(what)

    def _judge(self, line: str, typed: stage.Typed, pattern: str, code: int) -> str:
        said = (typed.out + typed.err).rstrip()
        print(f"$ {line}\n{said}" if said else f"$ {line}", flush=True)
        if typed.code != code:
            raise WrongError(f"`{line}` ended with {typed.code}, not with {code}")
        if not re.search(pattern, said, re.MULTILINE):
            raise WrongError(f"`{line}` does not say {pattern!r}")
        return said


def create(tour: Tour) -> None:
    """A spec is dropped, a container runs and serves."""
    tour.chapter("Create: a spec file is dropped, a container runs")
    tour.file("carol.yaml", CAROL)
    tour.type("cp carol.yaml .dev/etc/workspaces.d/")
    tour.see("wharf get workspaces", r"^carol +carol +True +Running .* AsSpecified")
    port = re.search(r"^(\d+)", tour.see("wharf get ports carol --no-headers", r"^\d+ +carol"))
    assert port is not None, "the pattern was seen"
    tour.see(f"curl -s http://127.0.0.1:{port[1]}/", "sample workspace")


def drift(tour: Tour) -> None:
    """A limit is changed by hand; it is put back without a restart."""
    tour.chapter("Drift: somebody changes a limit by hand")
    before = tour.type(ID)
    tour.type("docker update --memory 256m --memory-swap 256m workspace-carol")
    tour.see("docker inspect -f '{{.HostConfig.Memory}}' workspace-carol", "^67108864$")
    tour.see("wharf get events carol | grep Drifted", r"resources memory 256m -> 64m")
    series = 'wharfinger_drift_detected_total{kind="resources",source="event"}'
    tour.see(f"curl -s http://127.0.0.1:9464/metrics | grep '{series}'", r" [1-9]")
    tour.same(before, tour.type(ID), "the same container, not restarted")


def repair(tour: Tour) -> None:
    """The container is removed by hand; a new one takes its place."""
    tour.chapter("Repair: somebody removes the container")
    before = tour.type("docker inspect -f '{{.Id}}' workspace-carol")
    tour.type("docker rm -f workspace-carol", "workspace-carol")
    tour.see("wharf get workspace carol", r"True +Running .* AsSpecified")
    after = tour.see("docker inspect -f '{{.Id}}' workspace-carol", "^[0-9a-f]{64}$")
    if before == after:
        raise WrongError("the container is still the old one")
    tour.note("a new container of the same spec")


def plan(tour: Tour) -> None:
    """A change that needs a new container waits for the owner."""
    tour.chapter("Plan: a change that needs a new container waits for its owner")
    before = tour.type(ID)
    tour.file("carol.yaml", WITH_ENV, shown="env:")
    tour.type("cp carol.yaml .dev/etc/workspaces.d/")
    tour.see("wharf plan", r"^carol: Wait \(ChangePending\): env changed.*\n +drift env GREETING")
    tour.same(before, tour.type(ID), "nobody was disturbed")
    tour.type("wharf restart carol")
    tour.see("docker exec workspace-carol sh -c 'echo $GREETING'", "^hello$")
    tour.see("wharf get retained", r"^workspace-carol\.[0-9a-f]{8} +carol +SpecChanged")


def reject(tour: Tour) -> None:
    """A spec that is not valid changes nothing and says where it is wrong."""
    tour.chapter("Bad spec: nothing happens to the workspace, and the message says where")
    before = tour.type(ID)
    tour.file("bad.yaml", WITHOUT_UNIT, shown="memory:")
    message = r"carol\.yaml:7:\d+: spec\.resources\.memory: a size needs its unit"
    tour.type("cp bad.yaml .dev/etc/workspaces.d/carol.yaml")
    tour.see("wharf get events carol | grep SpecRejected", message)
    tour.type("wharf validate .dev/etc/workspaces.d/carol.yaml", message, code=1)
    tour.same(before, tour.type(ID), "the workspace runs on, on its last accepted spec")
    tour.type("cp carol.yaml .dev/etc/workspaces.d/")
    tour.see("wharf get workspace carol", r"True +Running .* AsSpecified")


def stop(tour: Tour) -> None:
    """A person stops and starts a workspace without an edit of its spec."""
    tour.chapter("Stop and start: a person's word, kept until taken back")
    tour.type("wharf stop carol")
    tour.see("wharf get workspace carol", r"False +Stopped .* StoppedByRequest")
    tour.type("wharf start carol")
    tour.see("wharf get workspace carol", r"True +Running .* AsSpecified")


def delete(tour: Tour) -> None:
    """A workspace is deleted; its container is kept and comes back with its spec."""
    tour.chapter("Delete: the container is kept, and comes back with its spec")
    before = tour.type("docker inspect -f '{{.Id}}' workspace-carol")
    tour.type("wharf delete workspace carol --yes", "deleted")
    tour.see("wharf get retained", r"^workspace-carol\.[0-9a-f]{8} +carol +SpecRemoved")
    tour.type("wharf get workspace carol", code=3)
    tour.type("wharf apply -f carol.yaml", r"^http://127\.0\.0\.1:\d+/")
    tour.same(before, tour.type("docker inspect -f '{{.Id}}' workspace-carol"), "the very same container")


def gpus(tour: Tour) -> None:
    """A workspace gets a GPU, a second one waits and says its place, a third finds the other out of use."""
    tour.chapter("GPUs, SIMULATED: one has one, one waits for its place, one GPU is out of use")
    first, second = (one.uuid for one in simulated.GPUS)
    tour.see("wharf get gpus", f"^{first} +0 +SIMULATED ")
    tour.type(f"wharf cordon gpu {second} --reason 'fan is loud'", second)
    tour.file("gina.yaml", GINA)
    tour.type("cp gina.yaml .dev/etc/workspaces.d/")
    tour.see("wharf get workspace gina", r"True +Running +1:SIMULATED .* AsSpecified")
    tour.see(f"wharf get gpus | grep {first}", "gina")
    tour.type("sed 's/name: gina/name: hugo/' gina.yaml > .dev/etc/workspaces.d/hugo.yaml")
    tour.see("wharf plan hugo", f"Wait .*GpuQueued.*1st of 1 in the queue.*workspace gina has {first}")
    tour.type(f"wharf uncordon gpu {second}", second)
    tour.see("wharf get workspace hugo", r"True +Running +1:SIMULATED .* AsSpecified")
    tour.see("wharf get gpus", f"^{second} +1 +SIMULATED .* hugo ")


CHAPTERS: tuple[Callable[[Tour], None], ...] = (create, drift, repair, plan, reject, stop, delete, gpus)


def main() -> int:
    """Makes the tour; 0 when every line did what it should, 1 with one line on stderr when not."""
    parser = argparse.ArgumentParser(prog="demo", description="A tour on real containers.")
    parser.add_argument("--engine", required=True, help="address of the Engine")
    parser.add_argument("--subnet", help="of the workspaces' network; default: the usual one")
    parser.add_argument("--gpus", action="store_true", help="the Engine gives simulated GPUs")
    parser.add_argument("directory", type=Path, help="made anew for the tour")
    arguments = parser.parse_args()
    begin = time.monotonic()
    try:
        place = arguments.directory.resolve()
        with stage.Stage(place, arguments.engine, arguments.subnet, gpus=arguments.gpus) as scene:
            tour = Tour(scene)
            for chapter in CHAPTERS:
                if scene.gpus or chapter is not gpus:
                    chapter(tour)
            if not scene.gpus:
                tour.note("no chapter on GPUs: this Engine simulates none; `make demo GPUS=sim` has it")
    except (host.SetupError, WrongError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130
    print(f"\nEvery step did what it should, in {time.monotonic() - begin:.0f} s; all is removed again.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
