"""What the unit of the service must say, whatever else is changed in it."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

UNIT = Path(__file__).resolve().parents[3] / "deploy" / "systemd" / "wharfinger.service"


@pytest.fixture(scope="module")
def unit() -> Mapping[str, list[str]]:
    values: dict[str, list[str]] = defaultdict(list)
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        name, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            values[name].extend(value.split())
    return values


def test_secrets_of_running_workspaces_survive_a_restart(unit: Mapping[str, list[str]]) -> None:
    assert unit["RuntimeDirectory"] == ["wharfinger"]
    assert unit["RuntimeDirectoryPreserve"] == ["yes"]


def test_the_engine_may_restart_without_the_controller(unit: Mapping[str, list[str]]) -> None:
    assert "docker.service" in unit["Wants"]
    assert not {"Requires", "BindsTo", "PartOf", "Requisite"} & unit.keys()


def test_it_can_write_where_it_must(unit: Mapping[str, list[str]]) -> None:
    assert unit["StateDirectory"] == ["wharfinger"]
    assert "/run/lock" in unit["ReadWritePaths"]


def test_systemd_hears_of_its_life(unit: Mapping[str, list[str]]) -> None:
    assert unit["Type"] == ["notify"]
    assert int(unit["WatchdogSec"][0]) >= 30


@pytest.mark.parametrize("name", ["ProtectControlGroups", "PrivateDevices", "ProtectProc", "PrivateUsers"])
def test_what_would_blind_it_is_not_set(unit: Mapping[str, list[str]], name: str) -> None:
    assert name not in unit
