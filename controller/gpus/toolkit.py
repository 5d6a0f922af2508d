"""Knows what of NVIDIA's container toolkit is on the host: its version, its hook, the devices it describes.

Refuses to judge, and to wait long for the one program that it runs.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from controller.model.preflight import Toolkit

PATIENCE: Final = 3.0
"""Seconds that the program has to say its version."""
_PROGRAM: Final = "nvidia-ctk"
_HOOKS: Final = ("nvidia-container-runtime-hook", "nvidia-container-runtime")
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""An Engine's, whatever the path of who asks."""
_VERSION: Final = re.compile(r"version (\d+\.\d+\.\d+)")
_UUID: Final = re.compile(r"(?:GPU|MIG)-[0-9A-Za-z-]+")
_DESCRIPTIONS: Final = ("etc/cdi", "var/run/cdi")
_LARGEST: Final = 16 * 2**20


def look(root: Path = Path("/"), path: str = _PATH) -> Toolkit:
    """Look once; `path` is where programs are."""
    described: set[str] = set()
    for text in _descriptions(root):
        described.update(_UUID.findall(text))
    hook = any(shutil.which(name, path=path) for name in _HOOKS)
    return Toolkit(_version(path), hook=hook, described=frozenset(described))


def _version(path: str) -> str:
    program = shutil.which(_PROGRAM, path=path)
    if program is None:
        return ""
    try:
        told = subprocess.run(  # noqa: S603 - a program of the host's own
            [program, "--version"], capture_output=True, timeout=PATIENCE, check=False, env=dict(os.environ)
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _VERSION.search(told.stdout.decode(errors="replace"))
    return found[1] if found else ""


def _descriptions(root: Path) -> Iterator[str]:
    """What describes devices of NVIDIA to an Engine, whatever its format."""
    for folder in _DESCRIPTIONS:
        for file in sorted((root / folder).glob("*")):
            try:
                text = file.read_bytes()[:_LARGEST].decode(errors="replace")
            except OSError:
                continue
            if "nvidia.com/gpu" in text:
                yield text
