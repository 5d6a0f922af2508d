"""What a kernel can limit, and in which words it is told what it cannot."""

from pathlib import Path

import pytest

from controller.api.config import SliceDriver
from controller.model.slices import Question, SliceLimit
from controller.slices import groups, kernel
from tests.support.cgroup_trees import Tree

MEMORY = {SliceLimit.MEMORY, SliceLimit.MEMORY_HIGH, SliceLimit.MEMORY_LOW, SliceLimit.SWAP}


def examined(
    tree: Tree, driver: SliceDriver = SliceDriver.CGROUPFS, paths: frozenset[str] = frozenset()
) -> kernel.Kernel:
    hierarchies = groups.find(tree.proc)
    top = hierarchies.below({}, "/wharf")
    host = kernel.Host(hierarchies, {}, (top,), tree.sys, tree.proc)
    return kernel.examine(host, Question(driver, "wharf", paths))


def test_version_2_can_all_but_share_disks_that_do_not_share(tmp_path: Path) -> None:
    view = examined(Tree(tmp_path, 2)).view
    assert view.version == 2
    assert view.cannot.keys() == {SliceLimit.IO_WEIGHT}
    assert "bfq" in view.cannot[SliceLimit.IO_WEIGHT]
    assert view.processors == "0-3"
    assert not view.held
    assert view.io_weight_step == 1


def test_disks_share_by_bfq_or_by_what_they_cost(tmp_path: Path) -> None:
    tree = Tree(tmp_path, 2)
    tree.disk("sdb", "8:16", "none mq-deadline [bfq]")
    found = examined(tree)
    assert not found.view.cannot
    assert found.view.io_weight_step == 11
    assert found.terms.io_weight == "io.bfq.weight"
    tree.write(tree.file("/", "io.cost.qos"), "8:16 enable=1 ctrl=auto rpct=0.00")
    found = examined(tree)
    assert found.terms.io_weight == "io.weight"
    assert found.view.io_weight_step == 1


@pytest.mark.parametrize(
    ("driver", "more"), [(SliceDriver.CGROUPFS, set()), (SliceDriver.SYSTEMD, {"cpuset", "swap"})]
)
def test_version_1_lacks_what_it_lacks(tmp_path: Path, driver: SliceDriver, more: set[str]) -> None:
    view = examined(Tree(tmp_path, 1), driver).view
    assert view.version == 1
    assert view.cannot.keys() == {"memoryHigh", "memoryLow", "io", "ioWeight", *more}
    assert view.cannot[SliceLimit.IO].startswith("version 1 of the cgroups does not limit")


def test_swap_that_nobody_counts_is_no_gap_where_there_is_none(tmp_path: Path) -> None:
    for number, (version, name) in enumerate(((1, "memory.memsw.limit_in_bytes"), (2, "memory.swap.max"))):
        tree = Tree(tmp_path / str(number), version)
        for path in ("/", "/own"):
            tree.file(path, name).unlink(missing_ok=True)
        assert "swapaccount=1" in examined(tree).view.cannot[SliceLimit.SWAP]
        tree.write(tree.proc / "swaps", "Filename Type Size Used Priority")
        view = examined(tree).view
        assert view.held == {SliceLimit.SWAP}
        assert SliceLimit.SWAP not in view.cannot


def test_a_controller_that_is_switched_off_limits_nothing(tmp_path: Path) -> None:
    first, second = Tree(tmp_path / "1", 1), Tree(tmp_path / "2", 2)
    text = (first.proc / "self/mountinfo").read_text()
    kept = [line for line in text.splitlines() if not line.endswith("rw,memory")]
    first.write(first.proc / "self/mountinfo", "\n".join(kept))
    second.write(second.file("/", "cgroup.controllers"), "cpuset cpu io pids")
    for tree in (first, second):
        view = examined(tree).view
        assert view.cannot.keys() >= MEMORY
        assert "controller memory" in view.cannot[SliceLimit.MEMORY]


def test_a_cgroup_with_processes_of_its_own_hands_no_memory_on(tmp_path: Path) -> None:
    tree = Tree(tmp_path, 2)
    tree.write(tree.file("/", "cgroup.procs"), "1")
    assert not MEMORY & examined(tree).view.cannot.keys(), "the top of all may"
    tree.write(tree.file("/", "cgroup.type"), "domain")
    view = examined(tree).view
    assert view.cannot.keys() == {*MEMORY, SliceLimit.IO, SliceLimit.IO_WEIGHT}
    assert view.cannot[SliceLimit.MEMORY].endswith("hands memory on to no slice: it has processes of its own")
    tree.write(tree.file("/", "cgroup.subtree_control"), "cpu memory io")
    assert not MEMORY & examined(tree).view.cannot.keys()


def test_an_old_kernel_that_counts_each_cgroup_alone_cannot_limit_them_together(tmp_path: Path) -> None:
    tree = Tree(tmp_path, 1)
    tree.add("/wharf")
    tree.write(tree.file("/wharf", "memory.use_hierarchy"), "0")
    assert "use_hierarchy" in examined(tree).view.cannot[SliceLimit.MEMORY]


def test_a_kernel_without_quotas_says_so(tmp_path: Path) -> None:
    for number, (version, name) in enumerate(((1, "cpu.cfs_quota_us"), (2, "cpu.max"))):
        tree = Tree(tmp_path / str(number), version)
        for path in ("/", "/own"):
            tree.file(path, name).unlink(missing_ok=True)
        assert "CONFIG_CFS_BANDWIDTH" in examined(tree).view.cannot[SliceLimit.CPUS]


def test_processors_are_told_by_sysfs_where_there_are_no_cpusets(tmp_path: Path) -> None:
    tree = Tree(tmp_path, 2)
    tree.file("/", "cpuset.cpus.effective").unlink()
    tree.write(tree.sys / "devices/system/cpu/online", "0-1,4")
    assert examined(tree).view.processors == "0-1,4"


def test_a_path_that_nobody_can_look_at_has_no_device(tmp_path: Path) -> None:
    view = examined(Tree(tmp_path, 2), paths=frozenset({"/no/such/path"})).view
    assert view.devices == {}
    assert view.no_device == {"/no/such/path": "/no/such/path: No such file or directory"}
