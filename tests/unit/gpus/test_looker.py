"""What is seen when the driver hangs, differs from its library, is upgraded, or is not there."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from controller.gpus import child, presence
from controller.gpus.looker import Looker
from controller.gpus.processes import Processes
from controller.model.gpus import GpuView
from tests.support.nvml import library
from tests.support.nvml.scenario import VARIABLE, Fault, Gpu, Hang, Process, Scenario
from tests.unit.gpus.conftest import START, Lab

A = "GPU-a"
ONE = Scenario(gpus=(Gpu(A),), processes=(Process(A, os.getpid()),))
PATIENCE = 0.3
"""Seconds that a hanging driver has in these tests."""


@contextmanager
def impatient(looker: Looker) -> Iterator[None]:
    usual, looker._patience = looker._patience, PATIENCE
    yield
    looker._patience = usual


@pytest.mark.parametrize("call", ["nvmlInitWithFlags", "nvmlDeviceGetCount", "nvmlDeviceGetName"])
def test_a_driver_that_hangs_is_given_up_in_time_and_seen_again_when_it_answers(lab: Lab, call: str) -> None:
    if call != "nvmlInitWithFlags":
        lab.see(ONE)
    began = time.monotonic()
    with impatient(lab.looker() if not lab.lookers else lab.lookers[-1]):
        unseen = lab.miss(replace(ONE, hangs=(Hang(call),)))
    assert time.monotonic() - began < PATIENCE + 2
    assert unseen.message == "the driver did not answer within 0 s"
    assert set(lab.see(ONE).devices) == {A}


def test_no_more_than_a_few_readers_are_left_hanging(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that hangs in the driver cannot be killed; these are not killed by the test itself."""
    hanging = [subprocess.Popen(["sleep", "600"]) for _ in range(child.MOST_ABANDONED)]
    monkeypatch.setattr(child, "_abandoned", list(hanging))
    try:
        assert lab.miss(ONE).message == "4 processes that asked the driver hang in it"
        hanging[0].kill()
        hanging[0].wait()
        assert set(lab.see(ONE).devices) == {A}
    finally:
        for one in hanging:
            one.kill()
            one.wait()


def test_a_reader_that_is_ended_is_followed_by_another(lab: Lab) -> None:
    lab.see(ONE)
    lab.lookers[-1].interrupt()
    assert lab.miss().message == "the process that asks the driver ended"
    assert not lab.lookers[-1].connected
    assert set(lab.see().devices) == {A}
    assert lab.lookers[-1].connected


@pytest.mark.parametrize("answer", ["", "[]", "{}", "no JSON", '{"gpus": 3, "driver": "", "library": ""}'])
def test_an_answer_that_is_none_is_not_seen(lab: Lab, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr(child, "COMMAND", ("/bin/sh", "-c", f"read line; echo '{answer}'"))
    lab.miss(ONE)
    monkeypatch.undo()
    assert set(lab.see().devices) == {A}


def test_the_reader_ends_with_the_one_who_asks(lab: Lab) -> None:
    environment = {**os.environ, **lab.nvml.environment}
    with subprocess.Popen(child.COMMAND, stdin=subprocess.PIPE, cwd=child.CODE, env=environment) as reader:
        assert reader.stdin is not None
        reader.stdin.close()
        assert reader.wait(10) == 0


# driver and library


def test_a_mismatch_is_seen_with_what_was_known_before(lab: Lab) -> None:
    before = lab.see(ONE)
    lab.lookers[-1].close()  # as when the driver was upgraded
    mismatch = replace(ONE, faults=(Fault("nvmlInitWithFlags", "LIB_RM_VERSION_MISMATCH"),))
    for _ in range(2):
        view = lab.see(mismatch)
        assert view.mismatch.startswith("driver and library differ")
        assert (view.devices, view.processes) == (before.devices, None)
    back = lab.see(ONE)
    assert (back.mismatch, back.processes) == ("", before.processes)


def test_a_mismatch_from_the_beginning_is_seen_without_devices(lab: Lab) -> None:
    view = lab.see(replace(ONE, faults=(Fault("nvmlInitWithFlags", "LIB_RM_VERSION_MISMATCH"),)))
    assert (bool(view.mismatch), dict(view.devices), view.processes) == (True, {}, None)


def test_an_upgrade_beneath_a_running_reader_is_noticed(lab: Lab, tmp_path: Path) -> None:
    """The old library goes on working; what is started now gets the new one, which does not."""
    shutil.copy(library.build(), tmp_path / library.NAME)
    lab.nvml.write(ONE)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path), VARIABLE: str(lab.nvml.scenario)}
    looker = Looker(Processes(str), lambda: START, environment)
    lab.lookers.append(looker)
    lab.see()
    lab.nvml.write(replace(ONE, faults=(Fault("nvmlInitWithFlags", "LIB_RM_VERSION_MISMATCH"),)))
    assert not lab.see().mismatch
    shutil.copy(library.build(), tmp_path / "new")
    (tmp_path / "new").rename(tmp_path / library.NAME)
    assert lab.see().mismatch


# no GPUs


def test_without_library_and_driver_there_are_no_gpus(lab: Lab, tmp_path: Path) -> None:
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    looker = Looker(Processes(str), lambda: START, environment)
    lab.lookers.append(looker)
    assert looker.absent() == (not presence.anything(environment))
    if looker.absent():  # as on any machine without a GPU
        assert looker.look(0) == GpuView()


@pytest.mark.parametrize(
    ("file", "is_driver"),
    [
        ("dev/nvidia0", True),
        ("dev/nvidiactl", True),
        ("proc/driver/nvidia/version", True),
        ("usr/lib64/libnvidia-ml.so.1", False),
        ("opt/libnvidia-ml.so.1", False),
    ],
)
def test_any_trace_of_a_driver_is_reason_to_ask_it(tmp_path: Path, file: str, is_driver: bool) -> None:
    environment = {"LD_LIBRARY_PATH": f":{tmp_path}/opt"}
    assert not presence.anything(environment, tmp_path)
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).touch()
    assert presence.anything(environment, tmp_path)
    assert presence.has_driver(tmp_path) == is_driver


def test_the_linker_s_cache_tells_of_a_library_anywhere(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    cache = tmp_path / "etc/ld.so.cache"
    cache.write_bytes(b"glibc-ld.so.cache1.1\0libc.so.6\0/opt/libc.so.6\0")
    assert not presence.anything({}, tmp_path)
    cache.write_bytes(b"glibc-ld.so.cache1.1\0libnvidia-ml.so.1\0/opt/libnvidia-ml.so.1\0")
    assert presence.anything({}, tmp_path)
