"""How the Engine's JSON reads, odd corners first."""

from datetime import UTC, datetime
from typing import Any

import pytest

from controller.engine import parsing
from controller.model import observed

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def row(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """An inspect with as little in it as an Engine may send."""
    whole: dict[str, Any] = {
        "Id": "ab" * 32,
        "Name": "/workspace-alice",
        "Image": "sha256:1",
        "Created": "2026-11-22T12:30:47.149648369Z",
        "State": {"Status": "running", "Running": True, "Pid": 7, "StartedAt": "2026-11-22T12:30:47Z"},
        "Config": {"Image": "lab/image:1", "Env": None, "Cmd": None, "Labels": None},
        "HostConfig": {"NetworkMode": "wharf"},
        "NetworkSettings": {"Networks": None},
    }
    return {**whole, **changes}


def container(**changes: Any) -> observed.Container:  # noqa: ANN401 - JSON
    return parsing.parse_container(row(**changes), NOW, observed.Limits(), frozenset())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        (None, None),
        ("2026-11-22T12:30:47.149648369Z", datetime(2026, 11, 22, 12, 30, 47, 149648, tzinfo=UTC)),
        ("2026-11-22T12:30:47.1Z", datetime(2026, 11, 22, 12, 30, 47, 100000, tzinfo=UTC)),
        ("2026-11-22T12:30:47Z", datetime(2026, 11, 22, 12, 30, 47, tzinfo=UTC)),
        ("2026-11-22T14:30:47.5+02:00", datetime(2026, 11, 22, 12, 30, 47, 500000, tzinfo=UTC)),
    ],
)
def test_times(text: str | None, expected: datetime | None) -> None:
    assert parsing.parse_time(text) == expected


@pytest.mark.parametrize(
    ("host_config", "expected"),
    [
        ({}, observed.Limits()),
        (
            {"Memory": 0, "MemorySwap": -1, "NanoCpus": 0, "CpusetCpus": "", "PidsLimit": None},
            observed.Limits(),
        ),
        ({"PidsLimit": 0}, observed.Limits()),
        ({"PidsLimit": -1}, observed.Limits()),
        ({"CpuQuota": 50_000}, observed.Limits(nano_cpus=500_000_000)),
        ({"CpuQuota": 50_000, "CpuPeriod": 25_000}, observed.Limits(nano_cpus=2_000_000_000)),
        ({"CpuQuota": -1}, observed.Limits()),
        ({"CpusetCpus": "3,0-1,2"}, observed.Limits(cpuset="0-3")),
        (
            {
                "Memory": 5,
                "MemoryReservation": 4,
                "MemorySwap": 6,
                "NanoCpus": 7,
                "CpusetCpus": "1",
                "PidsLimit": 8,
            },
            observed.Limits(7, "1", 5, 4, 6, 8),
        ),
    ],
)
def test_limits(host_config: dict[str, Any], expected: observed.Limits) -> None:
    assert parsing.parse_limits(host_config) == expected


def test_binds_read_the_same_whichever_way_they_were_asked_for() -> None:
    mounts = [
        {"Type": "bind", "Source": "/b", "Target": "/y"},
        {"Type": "bind", "Source": "/a", "Target": "/x", "ReadOnly": True},
        {"Type": "tmpfs", "Target": "/t"},
    ]
    expected = (observed.Bind("/x", "/a", read_only=True), observed.Bind("/y", "/b", read_only=False))
    assert parsing.parse_binds({"Mounts": mounts}) == expected
    assert parsing.parse_binds({"Binds": ["/b:/y", "/a:/x:z,ro", "volume:/v"]}) == expected
    assert parsing.parse_other({"Mounts": mounts}) == ("Mount tmpfs:/t",)
    assert parsing.parse_other({"Binds": ["/b:/y", "volume:/v"]}) == ("Volume volume:/v",)


def test_ports_without_an_address_are_on_every_one_and_without_a_number_any() -> None:
    bindings = {
        "22/tcp": [{"HostIp": "", "HostPort": "10022"}, {"HostIp": "127.0.0.1", "HostPort": ""}],
        "53/udp": [{"HostPort": "53"}],
        "80/tcp": None,
    }
    assert parsing.parse_ports({"PortBindings": bindings}) == (
        observed.PublishedPort(22, "0.0.0.0", 10022),
        observed.PublishedPort(22, "127.0.0.1", 0),
    )
    assert parsing.parse_other({"PortBindings": bindings}) == ("Port 53/udp",)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("CapAdd", ["SYS_ADMIN"]),
        ("CapDrop", ["CHOWN"]),
        ("Devices", [{"PathOnHost": "/dev/sda"}]),
        ("DeviceRequests", [{"Count": -1}]),
        ("VolumesFrom", ["other"]),
        ("PidMode", "host"),
        ("IpcMode", "host"),
        ("IpcMode", "container:x"),
        ("UTSMode", "host"),
        ("UsernsMode", "host"),
        ("SecurityOpt", ["seccomp=unconfined"]),
        ("PublishAllPorts", True),
        ("AutoRemove", True),
    ],
)
def test_what_the_controller_never_writes_is_named(field: str, value: object) -> None:
    assert parsing.parse_other({field: value}) == (f"{field}={value}",)


def test_capabilities_are_known_where_all_are_dropped_and_some_added() -> None:
    given = {"CapDrop": ["ALL"], "CapAdd": ["CAP_KILL", "chown"]}
    assert parsing.parse_capabilities(given) == ("CHOWN", "KILL")
    assert parsing.parse_other(given) == ()
    assert parsing.parse_capabilities({"CapDrop": ["ALL"]}) == ()
    assert parsing.parse_capabilities({"CapDrop": None, "CapAdd": ["CAP_KILL"]}) is None


def test_the_option_that_the_engine_gives_the_privileged_is_no_difference() -> None:
    option = {"SecurityOpt": ["label=disable"]}
    assert parsing.parse_other({"Privileged": True, **option}) == ()
    assert parsing.parse_other(option) == ("SecurityOpt=['label=disable']",)


def test_an_engine_s_defaults_are_no_difference() -> None:
    defaults: dict[str, object] = {
        "Privileged": False,
        "CapAdd": None,
        "Devices": [],
        "PidMode": "",
        "IpcMode": "private",
        "UTSMode": "",
        "SecurityOpt": None,
        "PublishAllPorts": False,
        "OomKillDisable": None,
    }
    assert parsing.parse_other(defaults) == ()


def test_the_slice_that_a_container_was_made_for_is_told_and_no_difference() -> None:
    seen = container(HostConfig={"NetworkMode": "wharf", "CgroupParent": "/wharf/alice"}).configuration
    assert (seen.cgroup_parent, seen.other) == ("/wharf/alice", ())


def test_the_least_that_an_engine_may_send_is_enough() -> None:
    seen = container()
    assert (seen.name, seen.pid, seen.exit_code, seen.health) == ("workspace-alice", 7, None, "none")
    made = seen.configuration
    assert (made.env, made.command, made.networks, made.restart_policy) == ({}, (), frozenset(), "no")
    assert (seen.address, seen.error, seen.labels) == ("", "", {})


def test_the_address_is_the_one_on_the_container_s_own_network() -> None:
    networks = {"a": {"IPAddress": "10.0.0.1"}, "wharf": {"IPAddress": "172.28.0.2"}}
    assert container(NetworkSettings={"Networks": networks}).address == "172.28.0.2"
    networks["wharf"]["IPAddress"] = ""
    assert container(NetworkSettings={"Networks": networks}).address == "10.0.0.1"


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ({"Status": "created"}, None),
        ({"Status": "created", "ExitCode": 127}, 127),
        ({"Status": "exited", "ExitCode": 0}, 0),
        ({"Status": "running", "Running": True, "ExitCode": 0}, None),
        ({"Status": "dead", "ExitCode": 137}, 137),
    ],
)
def test_an_exit_code_is_of_what_ended_or_could_not_begin(state: dict[str, Any], code: int | None) -> None:
    assert container(State=state).exit_code == code


def test_health_and_end_are_read_from_the_state() -> None:
    state = {
        "Status": "exited",
        "OOMKilled": True,
        "FinishedAt": "2026-11-22T12:30:47Z",
        "Error": "text",
        "Health": {"Status": "unhealthy"},
    }
    seen = container(State=state)
    assert (seen.oom_killed, seen.error, seen.health) == (True, "text", observed.Health.UNHEALTHY)
    assert seen.finished_at == datetime(2026, 11, 22, 12, 30, 47, tzinfo=UTC)


@pytest.mark.parametrize(
    ("test", "expected"),
    [(None, False), ([], False), (["NONE"], False), (["CMD", "/check"], True), (["CMD-SHELL", "x"], True)],
)
def test_an_image_has_a_health_check_or_not(test: list[str] | None, expected: object) -> None:
    image = parsing.parse_image({"Id": "sha256:1", "Config": {"Healthcheck": {"Test": test}}})
    assert image.health_check is expected


def test_a_network_lets_containers_reach_each_other_unless_it_says_no() -> None:
    bare = {"Id": "1", "Name": "wharf", "IPAM": {"Config": None}, "Options": None}
    assert parsing.parse_network(bare) == observed.Network("1", "wharf", "", "", inter_container=True)
    told = {
        "Driver": "bridge",
        "IPAM": {"Config": [{"Subnet": "10.0.0.0/24"}]},
        "Options": {parsing.ICC: "false"},
    }
    expected = observed.Network("1", "wharf", "bridge", "10.0.0.0/24", inter_container=False)
    assert parsing.parse_network({**bare, **told}) == expected


def test_facts_name_what_the_kernel_can_enforce() -> None:
    info = {
        "ID": "X",
        "MemTotal": 5,
        "NCPU": 2,
        "SystemTime": "2026-11-22T12:30:47Z",
        "MemoryLimit": True,
        "SwapLimit": False,
        "PidsLimit": True,
    }
    facts = parsing.parse_facts(info)
    assert (facts.memory, facts.cpus, facts.cgroup_version, facts.cgroup_driver) == (5, 2, 1, "")
    assert facts.enforced == {"memory", "memory_reservation", "pids"}
