"""Knows how to have GPUs that are not there: an Engine that gives them, and a driver that tells of them.

It refuses to look like real ones: model and UUID of each say SIMULATED, so that every line about one does.
"""

import os
import re
from pathlib import Path

from deploy.dev import host
from tests.support import gpus
from tests.support.nvml import library, scenario

GPUS = tuple(gpus.Gpu(f"GPU-SIMULATED-{minor}", minor) for minor in range(2))
FIRST_WITH_CDI = 25
"""Engine that can give devices by their descriptions; an older one needs NVIDIA's hook."""


def engine(directory: Path) -> gpus.GpuDockerd:
    """A private Engine that gives simulated GPUs, running, with the sample images.

    Raises:
        SetupError: it cannot be had on this host.
    """
    why = obstacle()
    if why:
        raise host.SetupError(why)
    if _has_cdi():
        (directory / "cdi").mkdir(parents=True, exist_ok=True)
    gpus.lay_programs(directory)
    try:
        made = gpus.GpuDockerd(directory, GPUS)
        made.start()
    except AssertionError as error:
        raise host.SetupError(str(error)) from error
    return made


def driver(directory: Path) -> dict[str, str]:
    """Variables with which a controller meets a driver of these GPUs; its answers lie in the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    told = tuple(
        scenario.Gpu(one.uuid, minor=one.minor, bus=f"0000:0{one.minor}:00.0", busy=0, used=0) for one in GPUS
    )
    return library.simulated(directory, scenario.Scenario(gpus=told)).environment


def obstacle() -> str:
    """Why this host cannot have such an Engine; empty: it can."""
    if os.geteuid() != 0:
        return "only root can start a private Engine with simulated GPUs"
    host.ensure_programs({"dockerd": "docker.io"})
    if not _has_cdi() and not Path("/sys/fs/cgroup/devices").is_dir():
        return f"simulated GPUs need an Engine from {FIRST_WITH_CDI}.0 on, or version 1 of the cgroups"
    return ""


def _has_cdi() -> bool:
    found = re.search(r"version (\d+)\.", host.call("dockerd", "--version"))
    return found is not None and int(found[1]) >= FIRST_WITH_CDI
