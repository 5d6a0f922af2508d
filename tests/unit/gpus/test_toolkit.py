"""What of NVIDIA's container toolkit is found on a host."""

from pathlib import Path

import pytest

from controller.gpus import toolkit
from controller.model.preflight import Toolkit


def program(folder: Path, name: str, script: str = "") -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_a_host_without_it_has_nothing(tmp_path: Path) -> None:
    assert toolkit.look(tmp_path, str(tmp_path)) == Toolkit()


def test_version_hook_and_descriptions_are_found(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    program(programs, "nvidia-ctk", "echo NVIDIA Container Toolkit CLI version 1.17.8; echo commit: f2")
    program(programs, "nvidia-container-runtime-hook")
    for folder in ("etc/cdi", "var/run/cdi"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/cdi/nvidia.yaml").write_text("kind: nvidia.com/gpu\ndevices:\n- name: GPU-0a-1b\n")
    (tmp_path / "var/run/cdi/mig.json").write_text(
        '{"kind": "nvidia.com/gpu", "devices": [{"name": "MIG-2c"}]}'
    )
    (tmp_path / "etc/cdi/other.json").write_text('{"kind": "vendor.example/gpu", "devices": "GPU-9"}')
    (tmp_path / "etc/cdi/folder").mkdir()
    found = toolkit.look(tmp_path, str(programs))
    assert found == Toolkit("1.17.8", hook=True, described=frozenset({"GPU-0a-1b", "MIG-2c"}))


@pytest.mark.parametrize("script", ["exit 1", "echo no idea", "exec sleep 600"])
def test_a_program_that_does_not_tell_its_version_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr(toolkit, "PATIENCE", 0.2)
    program(tmp_path / "bin", "nvidia-ctk", script)
    assert toolkit.look(tmp_path, f"{tmp_path}/bin").version == ""
