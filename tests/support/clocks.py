"""Knows how to start a program whose time of day is wrong, and what a wrong clock must not change.

It refuses to touch the host's clock; monotonic time goes on as it does.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deploy.dev import host
from tests.support import dockerd as dockerd_support

LIBRARIES = "/usr/lib/*/faketime/libfaketimeMT.so.1"


def shifted(seconds: int) -> dict[str, str]:
    """Environment of a program whose clock is so many seconds ahead."""
    host.ensure_programs({"faketime": "faketime"})
    (library,) = Path("/").glob(LIBRARIES.removeprefix("/"))
    return {"LD_PRELOAD": str(library), "FAKETIME": f"{seconds:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def day(timestamp: str) -> str:
    """The day of a timestamp."""
    return timestamp[:10]


def today(shift: int) -> str:
    """The day that a clock shows which is so many seconds ahead."""
    return f"{datetime.now(UTC) + timedelta(seconds=shift):%Y-%m-%d}"


def everything(engine: dockerd_support.Dockerd) -> list[tuple[Any, ...]]:
    """Every container with its name and when it was started and ended last."""
    client = engine.client()
    found = [client.inspect_container(one["Id"]) for one in client.containers(all=True)]
    return sorted(
        (one["Id"], one["Name"], one["State"]["StartedAt"], one["State"]["FinishedAt"]) for one in found
    )
