"""Whole passes while the GPUs cannot be seen: only who needs one now is held, and nobody else notices."""

from pathlib import Path

from controller.api.conditions import Reason
from controller.model.gpus import Device, GpuView
from controller.model.observed import Seen, Unseen
from controller.model.plan import Verdict
from tests.support.lab import Site
from tests.support.sim_gpus import SimGpus

GPU = Device("GPU-1", "SIMULATED A100", 80 << 30, "0", minor=0)
WANTS_ONE = "  class: small\n  gpu: {mode: Exclusive}\n"


def with_one(root: Path) -> Site:
    """A host with a GPU that its Engine can give, and two workspaces that want it."""
    site = Site(root)
    site.engine.gpus = SimGpus({GPU.uuid: "/dev/nvidia0"}, nvidia=True)
    site.gpus.seen = Seen(GpuView({GPU.uuid: GPU}, simulated=True), site.clock())
    for name in ("alice", "bob"):
        site.write(name, WANTS_ONE)
    return site


def test_gpus_that_cannot_be_seen_hold_only_who_needs_one_now(tmp_path: Path) -> None:
    site = with_one(tmp_path)
    site.settle()
    waits = site.process.ledger.recall(b"", site.clock()).gpu_waits
    assert len(waits) == 1
    site.gpus.seen = Unseen(Reason.NOT_SEEN, "the driver does not answer", site.clock())
    site.write("carol")
    site.crash()
    site.settle()
    report = site.process.step()
    assert report.complete
    assert report.unseen == ()
    held = {name for name, one in report.plan.decisions.items() if one.verdict is Verdict.HOLD}
    assert held == waits.keys()
    assert report.statuses[held.pop()].decision.message == "the driver does not answer"
    assert {one.verdict for one in report.plan.decisions.values()} == {Verdict.HOLD, Verdict.KEEP}
    assert site.process.ledger.recall(b"", site.clock()).gpu_waits == waits, "nobody lost the place"


def test_a_controller_that_is_killed_on_the_way_gives_no_gpu_to_two(tmp_path: Path) -> None:
    """At each effect between two specs and two containers, of which only one can have the GPU."""
    effects = 0
    for number in range(1, 40):
        root = tmp_path / str(number)
        root.mkdir()
        site = with_one(root)
        site.fuse.at = site.fuse.count + number
        site.settle()
        states = sorted(one.status for one in site.engine.containers.values())
        assert states == ["running"], number
        effects = number
        if site.fuse.at is not None:
            break
    assert effects > 3
