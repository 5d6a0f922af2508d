"""Builds the simulated `libnvidia-ml.so.1` once, and says how a program is made to find it.

It refuses to build without a C compiler: what depends on it fails and says so.
"""

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.dev import host
from tests.support.nvml.scenario import VARIABLE, Scenario

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
NAME = "libnvidia-ml.so.1"
SOURCES = ("nvml.c", "scenario.c")
OPTIONS = ("-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-Wl,-soname,{NAME}")


@dataclass(frozen=True, slots=True)
class SimulatedNvml:
    """A scenario of one's own, and the environment in which a program meets it."""

    scenario: Path

    def write(self, scenario: Scenario) -> None:
        """Makes it what the library answers from now on."""
        scenario.write(self.scenario)

    @property
    def environment(self) -> dict[str, str]:
        """Variables to add to a program's own."""
        others = os.environ.get("LD_LIBRARY_PATH")
        path = f"{build().parent}:{others}" if others else str(build().parent)
        return {"LD_LIBRARY_PATH": path, VARIABLE: str(self.scenario)}


def simulated(directory: Path, scenario: Scenario) -> SimulatedNvml:
    """A library that answers as `scenario` says, which lies in `directory` from now on."""
    nvml = SimulatedNvml(directory / "nvml.scenario")
    nvml.write(scenario)
    return nvml


def build() -> Path:
    """The library, built unless these sources were built before."""
    texts = [(HERE / name).read_bytes() for name in (*SOURCES, "scenario.h")]
    digest = hashlib.sha256(b"\0".join([*texts, " ".join(OPTIONS).encode()])).hexdigest()[:16]
    library = ROOT / ".dev" / "nvml" / digest / NAME
    if not library.exists():
        if host.find_program("gcc") is None or not Path("/usr/include/stdio.h").exists():
            host.install("gcc", "libc6-dev")
        library.parent.mkdir(parents=True, exist_ok=True)
        unfinished = library.with_name(f".{os.getpid()}")
        sources = [str(HERE / name) for name in SOURCES]
        subprocess.run(["gcc", *OPTIONS, "-o", str(unfinished), *sources], check=True, timeout=60)
        unfinished.rename(library)
    return library
