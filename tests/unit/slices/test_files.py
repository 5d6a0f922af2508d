"""How limits read and are written, in the words of both versions."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from controller.model.slices import UNLIMITED, IoLimit, SliceLimit, SliceLimits
from controller.slices import cpusets, files, reading, writing
from controller.slices.files import Terms
from controller.slices.groups import CONTROLLERS, Group

MIB = 2**20
TERMS = Terms("0-3", 1000 * MIB, "io.weight", {"/home": "8:0", "/data": "8:0", "/scratch": "8:16"})


def group(version: int) -> Group:
    return Group(version, dict.fromkeys(CONTROLLERS, ""))


def limits(version: int, text: Mapping[str, str], terms: Terms = TERMS) -> SliceLimits:
    return files.read_limits(lambda path: text.get(path.lstrip("/")), group(version), terms)


@pytest.mark.parametrize("version", [1, 2])
def test_a_cgroup_without_files_has_no_limits(version: int) -> None:
    assert limits(version, {}) == UNLIMITED


@pytest.mark.parametrize(
    ("version", "text", "expected"),
    [
        (1, {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}, UNLIMITED),
        (1, {"cpu.cfs_quota_us": "25000", "cpu.cfs_period_us": "50000"}, SliceLimits(nano_cpus=5 * 10**8)),
        (1, {"cpu.shares": "1024"}, UNLIMITED),
        (1, {"cpu.shares": "2"}, SliceLimits(cpu_weight=1)),
        (1, {"cpuset.cpus": ""}, UNLIMITED),
        (1, {"cpuset.cpus": "0-3"}, UNLIMITED),
        (1, {"cpuset.cpus": "2,0"}, SliceLimits(cpuset="0,2")),
        (1, {"memory.limit_in_bytes": "9223372036854771712"}, UNLIMITED),
        (1, {"memory.limit_in_bytes": "4096"}, SliceLimits(memory=4096)),
        (
            1,
            {"memory.limit_in_bytes": "4096", "memory.memsw.limit_in_bytes": "12288"},
            SliceLimits(memory=4096, swap=8192),
        ),
        (1, {"memory.memsw.limit_in_bytes": str(1010 * MIB)}, SliceLimits(swap=10 * MIB)),
        (1, {"memory.memsw.limit_in_bytes": str(10 * MIB)}, SliceLimits(swap=0)),
        (1, {"pids.max": "max"}, UNLIMITED),
        (1, {"pids.max": "0"}, SliceLimits(pids=0)),
        (2, {"cpu.max": "max 100000"}, UNLIMITED),
        (2, {"cpu.max": "150000 100000"}, SliceLimits(nano_cpus=1_500_000_000)),
        (2, {"cpuset.cpus": "1", "cpuset.cpus.effective": "1"}, SliceLimits(cpuset="1")),
        (2, {"cpuset.cpus": "1-2", "cpuset.cpus.effective": "1"}, SliceLimits(cpuset="1-2")),
        (2, {"cpuset.cpus": "8", "cpuset.cpus.effective": "0-2"}, SliceLimits(cpuset="0-2")),
        (2, {"cpuset.cpus": "8", "cpuset.cpus.effective": "0-3"}, UNLIMITED),
        (2, {"cpuset.cpus": "", "cpuset.cpus.effective": "0-2"}, UNLIMITED),
        (2, {"io.max": "8:0 rbps=max burst=5 wbps=max"}, UNLIMITED),
        (2, {"cpu.weight": "7"}, SliceLimits(cpu_weight=7)),
        (2, {"memory.max": "0"}, SliceLimits(memory=0)),
        (2, {"memory.low": "max"}, SliceLimits(memory_low=2**63 - 1)),
        (2, {"memory.low": "8192", "memory.high": "4096"}, SliceLimits(memory_low=8192, memory_high=4096)),
        (2, {"memory.swap.max": "0"}, SliceLimits(swap=0)),
        (2, {"io.weight": "default 200\n8:0 300"}, SliceLimits(io_weight=200)),
        (2, {"io.max": "8:0 rbps=max wbps=max riops=max wiops=max"}, UNLIMITED),
        (
            2,
            {"io.max": "8:16 rbps=5 wbps=max riops=max wiops=7\n8:0 rbps=max wbps=6 riops=max wiops=max"},
            SliceLimits(io=(IoLimit("/data", write=6), IoLimit("/scratch", read=5, write_ops=7))),
        ),
        (2, {"io.max": "7:0 rbps=5"}, SliceLimits(io=(IoLimit("/dev/block/7:0", read=5),))),
    ],
)
def test_how_limits_read(version: int, text: Mapping[str, str], expected: SliceLimits) -> None:
    assert limits(version, text) == expected


@pytest.mark.parametrize("weight", [*range(1, 400), 1000, 9999, 10000])
def test_weights_come_back_as_they_were_written(weight: int) -> None:
    assert files.weight_of_shares(files.shares_of_weight(weight)) == weight
    kept = files.bfq_of_weight(weight)
    assert 1 <= kept <= 1000
    again = files.weight_of_bfq(kept)
    assert weight - files.BFQ_STEP < again <= weight
    assert files.bfq_of_weight(again) == kept


@pytest.mark.parametrize(("version", "name"), files.BFQ_WEIGHTS.items())
def test_weights_of_bfq_are_read_where_it_decides(version: int, name: str) -> None:
    terms = Terms("0", 0, name, {})
    assert limits(version, {name: "default 136" if version == 2 else "136"}, terms).io_weight == 496
    assert limits(version, {name: "136"}, Terms("0", 0, "", {})).io_weight == 100


def test_weights_of_io_are_written_wherever_there_is_a_file(tmp_path: Path) -> None:
    here = Group(2, dict.fromkeys(CONTROLLERS, str(tmp_path)))
    for name in ("io.weight", "io.bfq.weight"):
        (tmp_path / name).write_text("default 100\n")
    writing.write_limits(here, SliceLimits(io_weight=500), {SliceLimit.IO_WEIGHT}, TERMS)
    assert (tmp_path / "io.weight").read_text() == "default 500"
    assert (tmp_path / "io.bfq.weight").read_text() == "136"


def test_a_disk_that_is_limited_no_more_is_set_free(tmp_path: Path) -> None:
    here = Group(2, dict.fromkeys(CONTROLLERS, str(tmp_path)))
    (tmp_path / "io.max").write_text("7:0 rbps=5 wbps=max riops=max wiops=max\n")
    writing.write_limits(here, UNLIMITED, {SliceLimit.IO}, TERMS)
    assert (tmp_path / "io.max").read_text() == "7:0 rbps=max wbps=max riops=max wiops=max"


def test_a_line_of_io_max_says_all_four() -> None:
    assert files.line_of("8:0", IoLimit("/x", read=5, write_ops=2)) == "8:0 rbps=5 wbps=max riops=max wiops=2"


def test_swap_cannot_be_limited_where_the_kernel_counts_none(tmp_path: Path) -> None:
    here = Group(1, dict.fromkeys(CONTROLLERS, str(tmp_path)))
    (tmp_path / "memory.limit_in_bytes").write_text("-1")
    asked = SliceLimits(memory=MIB, swap=0)
    writing.write_limits(here, asked, {SliceLimit.MEMORY, SliceLimit.SWAP}, TERMS)
    assert (tmp_path / "memory.limit_in_bytes").read_text() == str(MIB)
    assert files.read_limits(reading.read, here, TERMS) == SliceLimits(memory=MIB)


@pytest.mark.parametrize(
    ("before", "child", "after", "expected"),
    [
        ("0-3", "0-3", "1", "1"),
        ("0-3", "0-1", "1-2", "1"),
        ("0-3", "0", "2-3", "2-3"),
        ("1", "1", "0-3", "0-3"),
        ("0-3", "2", "2-3", "2"),
        ("0-1", "", "1", "1"),
    ],
)
def test_who_has_no_processors_of_his_own_follows_his_slice(
    tmp_path: Path, before: str, child: str, after: str, expected: str
) -> None:
    (tmp_path / "container").mkdir()
    (tmp_path / "cpuset.cpus").write_text(before)
    (tmp_path / "container/cpuset.cpus").write_text(child)
    cpusets.write(str(tmp_path), after)
    assert (tmp_path / "cpuset.cpus").read_text() == after
    assert (tmp_path / "container/cpuset.cpus").read_text() == expected


def test_what_is_further_below_follows_too(tmp_path: Path) -> None:
    inner = tmp_path
    for name in ("cpuset.cpus", "container/cpuset.cpus", "container/own/cpuset.cpus"):
        inner = tmp_path / name
        inner.parent.mkdir(exist_ok=True)
        inner.write_text("0-3")
    for after in ("1", "2-3", "0-3"):
        cpusets.write(str(tmp_path), after)
        assert {one.read_text() for one in tmp_path.rglob("cpuset.cpus")} == {after}


def test_what_is_refused_keeps_no_other_limit_from_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, write = Group(2, dict.fromkeys(CONTROLLERS, str(tmp_path))), reading.write
    for name in ("cpu.max", "memory.max", "memory.high", "pids.max", "cpuset.cpus", "cpu.weight"):
        (tmp_path / name).write_text("max")
    for name in ("memory.low", "memory.swap.max"):
        (tmp_path / name).write_text("0")
    (tmp_path / "io.max").write_text("8:0 rbps=5 wbps=max riops=max wiops=max")
    refused = {"cpu.max": 22, "memory.high": 16, "io.max": 19}

    def refuse(path: str, text: str) -> None:
        if number := refused.get(Path(path).name):
            raise OSError(number, "refused", path)
        write(path, text)

    monkeypatch.setattr(reading, "write", refuse)
    asked = SliceLimits(nano_cpus=10**9, memory=MIB, memory_high=MIB, pids=5)
    with pytest.raises(OSError, match=r"cpu\.max"):
        writing.write_limits(here, asked, frozenset(SliceLimit), TERMS)
    assert (tmp_path / "pids.max").read_text() == "5"
    assert (tmp_path / "memory.max").read_text() == "max", "what comes before it failed"
    del refused["memory.high"]
    with pytest.raises(OSError, match=r"cpu\.max"):
        writing.write_limits(here, asked, frozenset(SliceLimit), TERMS)
    assert (tmp_path / "memory.max").read_text() == str(MIB)


def test_a_cgroup_without_processors_gets_those_of_the_one_above(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    for name, text in (("cpuset.cpus", "0-3"), ("cpuset.mems", "0")):
        (tmp_path / name).write_text(text + "\n")
        (inner / name).write_text("\n")
    (inner / "cpuset.cpus").write_text("2\n")
    cpusets.fill(str(inner))
    assert (inner / "cpuset.cpus").read_text() == "2\n"
    assert (inner / "cpuset.mems").read_text() == "0"
    cpusets.write(str(inner), None)
    assert (inner / "cpuset.cpus").read_text() == "0-3"


def test_a_long_file_is_read_to_its_end(tmp_path: Path) -> None:
    for size in (4095, 4096, 8192, 10_000):
        (tmp_path / "file").write_text("x" * size)
        assert len(reading.read(str(tmp_path / "file")) or "") == size


def test_only_so_many_files_are_kept_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    most = reading._SPARED + 1
    monkeypatch.setattr("resource.getrlimit", lambda _: (most, most))
    for name in "ab":
        (tmp_path / name).write_text(name)
    reader = reading.Reader()
    for _ in range(2):
        reader.begin()
        assert [reader.read(str(tmp_path / name)) for name in "abc"] == ["a", "b", None]
        reader.end()
        assert reader.files() == (str(tmp_path / "a"),)
    reader.begin()
    assert reader.read(str(tmp_path / "b")) == "b"
    reader.end()
    assert str(tmp_path / "a") not in reader.files()
    reader.close()
    assert reader.files() == ()


def test_what_is_there_and_cannot_be_read_is_not_gone(tmp_path: Path) -> None:
    reader = reading.Reader()
    reader.begin()
    with pytest.raises(IsADirectoryError):
        reader.read(str(tmp_path))
    with pytest.raises(IsADirectoryError):
        reading.read(str(tmp_path))
    assert reading.read(str(tmp_path / "gone")) is None
    assert reading.read(f"{__file__}/inside") is None
    reader.end()
