"""How a host is judged before a controller runs: each fact's level, and a remedy for whatever is not ok."""

from dataclasses import replace

import pytest

from controller.api.conditions import Reason
from controller.api.config import GpuAttach
from controller.model.gpus import Ailment, Device, GpuView, Trouble
from controller.model.observed import Obstacle, Unseen
from controller.model.preflight import (
    EngineFacts,
    Files,
    GpuFacts,
    Place,
    PoolUse,
    Preflight,
    PruneJob,
    Toolkit,
)
from controller.status import preflight
from controller.status.checks import Level
from tests.support import reports

GIB = 2**30
ENGINE = EngineFacts("E", "26.1.5", (1, 45), True, "overlay2", "systemd", "2", "/var/lib/docker")  # noqa: FBT003
PLACES = {
    "state": Place("/var/lib/wharfinger", True, True, 0, 0o700, "ext4", 50 * GIB, 100 * GIB),  # noqa: FBT003
    "runtime": Place("/run/wharfinger", True, True, 0, 0o755, "tmpfs", GIB, GIB),  # noqa: FBT003
    "secrets": Place("/etc/wharfinger/secrets", True, True, 0, 0o700, "ext4"),  # noqa: FBT003
    "specs": Place("/etc/wharfinger/workspaces.d", True, True, 0, 0o775, "ext4"),  # noqa: FBT003
    "proxy": Place("/etc/traefik/dynamic", True, True, 0, 0o755, "ext4"),  # noqa: FBT003
    "docker": Place("/var/lib/docker", True, True, 0, 0o711, "ext4", 50 * GIB, 100 * GIB),  # noqa: FBT003
}
FILES = Files(PLACES, {"/mnt/storage": (None, None)}, clock_synchronised=True)
GOOD = Preflight(0, ENGINE, FILES, (PoolUse("main", 100, 79),))
SUID = Obstacle(Reason.MOUNT_UNSAFE, "mounted without nosuid")


def engine(**changes: object) -> Preflight:
    return replace(GOOD, engine=replace(ENGINE, **changes))  # type: ignore[arg-type]


def files(**changes: object) -> Preflight:
    return replace(GOOD, files=replace(FILES, **changes))  # type: ignore[arg-type]


def place(name: str, **changes: object) -> Preflight:
    return files(places={**PLACES, name: replace(PLACES[name], **changes)})  # type: ignore[arg-type]


def test_a_runtime_that_the_policy_names_and_the_engine_has_is_ok() -> None:
    facts = replace(engine(runtimes=frozenset({"sysbox-runc"})), nested_runtime="sysbox-runc")
    (found,) = [check for check in preflight.judge(facts) if check.what == "runtime"]
    assert found.level is Level.OK


def test_on_a_good_host_everything_is_ok() -> None:
    assert {check.level for check in preflight.judge(GOOD)} == {Level.OK}


@pytest.mark.parametrize(
    ("facts", "level", "what", "words"),
    [
        (replace(GOOD, uid=1000), Level.WARN, "user", "root"),
        (
            replace(GOOD, engine=Unseen(Reason.ENGINE_UNAVAILABLE, "no socket", reports.NOW)),
            Level.FAIL,
            "engine",
            "docker.host",
        ),
        (engine(api_version=(1, 40)), Level.FAIL, "engine", "20.10"),
        (engine(live_restore=False), Level.WARN, "live restore", "daemon.json"),
        (engine(storage_driver="vfs"), Level.WARN, "storage driver", "overlay2"),
        (engine(cgroup_version="1"), Level.WARN, "cgroup", "version 2"),
        (engine(lacks=("swap limits",)), Level.WARN, "limits", "swap limits"),
        (engine(seccomp=False), Level.WARN, "seccomp", "system calls"),
        (replace(GOOD, nested_runtime="sysbox-runc"), Level.WARN, "runtime", "daemon.json"),
        (place("state", file_system="nfs4"), Level.FAIL, "state dir", "local disk"),
        (place("state", file_system="tmpfs"), Level.WARN, "state dir", "reboot"),
        (place("state", mode=0o770), Level.FAIL, "state dir", "chmod 0750 /var/lib/wharfinger"),
        (place("state", uid=1000), Level.FAIL, "state dir", "chown root"),
        (place("state", is_directory=False), Level.FAIL, "state dir", "no directory"),
        (place("runtime", file_system="ext4"), Level.WARN, "runtime dir", "/run"),
        (place("secrets", mode=0o777), Level.FAIL, "secrets dir", "chmod 0755"),
        (place("specs", mode=0o777), Level.FAIL, "spec dir", "chmod 0775"),
        (place("specs", exists=False), Level.FAIL, "spec dir", "specDir"),
        (place("specs", exists=False, error="Permission denied"), Level.FAIL, "spec dir", "as root"),
        (place("proxy", exists=False), Level.FAIL, "proxy dir", "proxy.directory"),
        (place("proxy", is_directory=False), Level.FAIL, "proxy dir", "no directory"),
        (place("proxy", uid=1000), Level.FAIL, "proxy dir", "chown root /etc/traefik/dynamic"),
        (place("proxy", mode=0o775), Level.FAIL, "proxy dir", "chmod 0755"),
        (place("proxy", file_system="nfs4"), Level.WARN, "proxy dir", "hear of changes"),
        (place("docker", free=9 * GIB), Level.WARN, "Docker's disk", "9.0GiB free of 100GiB"),
        (place("docker", free=11 * GIB, used=100 * GIB), Level.WARN, "Docker's disk", "workspaces wait"),
        (place("docker", free=2 * GIB, used=98 * GIB), Level.FAIL, "Docker's disk", "make room"),
        (place("state", free=2 * GIB), Level.FAIL, "state disk", "make room"),
        (files(clock_synchronised=False), Level.WARN, "clock", "timedatectl"),
        (files(clock_synchronised=None), Level.WARN, "clock", "NTP"),
        (files(mount_roots={"/mnt/storage": (SUID, SUID)}), Level.FAIL, "mount root", "nosuid"),
        (files(mount_roots={"/mnt/storage": (None, SUID)}), Level.WARN, "mount root", "runAs: Image"),
        (
            files(prune_jobs=(PruneJob("/etc/cron.d/tidy", 3, "docker system prune -f"),)),
            Level.WARN,
            "prune job",
            "/etc/cron.d/tidy:3: docker system prune -f: it would remove stopped workspaces",
        ),
        (files(unread=("/var/spool/cron/root",)), Level.WARN, "prune job", "/var/spool/cron/root"),
        (replace(GOOD, policy="policy.yaml:3:1: spec.x: unknown"), Level.FAIL, "policy", "policy.yaml:3:1"),
        (replace(GOOD, ledger="state.db is damaged"), Level.FAIL, "ledger", "damaged"),
        (replace(GOOD, pools=(PoolUse("main", 100, 80),)), Level.WARN, "ports", "80 of 100"),
        (replace(GOOD, pools=(PoolUse("main", 100, 100),)), Level.FAIL, "ports", "enlarge"),
    ],
)
def test_each_flaw_is_named_and_nothing_else_is(
    facts: Preflight, level: Level, what: str, words: str
) -> None:
    wrong = [check for check in preflight.judge(facts) if check.level is not Level.OK]
    assert {(check.level, check.what) for check in wrong} >= {(level, what)}
    assert len(wrong) == 1
    assert words in str(wrong[0])


def test_the_job_that_prunes_is_told_what_to_use_instead() -> None:
    (warning,) = [
        check
        for check in preflight.judge(files(prune_jobs=(PruneJob("/etc/crontab", 1, "docker prune"),)))
        if check.level is Level.WARN
    ]
    assert "wharf gc" in warning.remedy


def test_another_controller_is_no_trouble() -> None:
    told = [
        str(check)
        for check in preflight.judge(replace(GOOD, holder="process 42"))
        if check.what == "controller"
    ]
    assert told == ["ok    controller        process 42"]


def test_what_is_not_made_yet_is_no_trouble() -> None:
    places = {**PLACES, "state": Place("/var/lib/wharfinger", exists=False, file_system="ext4")}
    assert {check.level for check in preflight.judge(files(places=places))} == {Level.OK}


A = Device("GPU-a", "H100", 80 * GIB)
VIEW = GpuView({"GPU-a": A}, driver="550.1", library="12.550.1")
KIT = Toolkit("1.17.8", hook=True, described=frozenset({"GPU-a"}))
CDI: frozenset[str] = frozenset()
HOOK = replace(ENGINE, cgroup_driver="cgroupfs")


def gpus(
    view: GpuView | Unseen = VIEW,
    kit: Toolkit = KIT,
    attach: GpuAttach = GpuAttach.AUTO,
    engine: EngineFacts = HOOK,
    *,
    is_listed: bool = False,
) -> Preflight:
    return replace(GOOD, engine=engine, gpus=GpuFacts(view, attach, kit, is_listed))


@pytest.mark.parametrize(
    ("facts", "lines"),
    [
        (GOOD, []),
        (gpus(GpuView()), ["gpus: no driver of NVIDIA here"]),
        (gpus(GpuView(driver="550.1")), ["gpus: the driver has no device"]),
        (
            gpus(engine=replace(ENGINE, cdi=CDI)),
            ["gpus: 1 GPU, driver 550.1, library 12.550.1", "gpu attachment: by CDI"],
        ),
        (
            gpus(replace(VIEW, simulated=True)),
            [
                "gpus: SIMULATED: 1 GPU, driver 550.1, library 12.550.1",
                "gpu attachment: SIMULATED: by NVIDIA's hook",
            ],
        ),
        (gpus(is_listed=True), ["gpus: 1 GPU"]),
        (
            gpus(kit=Toolkit(), engine=replace(ENGINE, cdi=frozenset({"nvidia.com/gpu=GPU-a"}))),
            ["gpus: 1 GPU, driver 550.1, library 12.550.1", "gpu attachment: by CDI"],
        ),
        (
            gpus(
                GpuView(
                    {"GPU-a": replace(A, divided=True), "MIG-a": replace(A, uuid="MIG-a", parent="GPU-a")},
                    driver="550.1",
                    library="12.550.1",
                ),
                replace(KIT, described=frozenset({"MIG-a"})),
                engine=replace(ENGINE, cdi=CDI),
            ),
            ["gpus: 1 GPU, 1 MIG instance, driver 550.1, library 12.550.1", "gpu attachment: by CDI"],
        ),
    ],
)
def test_gpus_that_can_be_granted_are_ok(facts: Preflight, lines: list[str]) -> None:
    found = [check for check in preflight.judge(facts) if check.what.startswith("gpu")]
    assert [f"{check.what}: {check.detail}" for check in found] == lines
    assert {check.level for check in found} <= {Level.OK}


LOST = Trouble("GPU-a", Ailment.LOST, "the driver cannot reach it", reports.NOW)


@pytest.mark.parametrize(
    ("facts", "what", "words"),
    [
        (gpus(Unseen(Reason.NOT_SEEN, "it hangs", reports.NOW)), "gpus", "nvidia-smi"),
        (gpus(replace(VIEW, mismatch="differ")), "gpus", "restart the host"),
        (gpus(replace(VIEW, processes=None)), "gpu users", "none is granted"),
        (gpus(GpuView({"GPU-a": replace(A, divided=True)})), "mig", "wharf mig plan"),
        (gpus(replace(VIEW, troubles=(LOST,))), "gpu health", "cannot reach it"),
        (gpus(attach=GpuAttach.CDI), "gpu attachment", "daemon.json"),
        (gpus(kit=Toolkit(), engine=replace(ENGINE, cdi=CDI)), "gpu attachment", "nvidia-ctk cdi generate"),
        (gpus(kit=Toolkit()), "gpu attachment", "install the NVIDIA Container Toolkit"),
        (gpus(attach=GpuAttach.DEVICE_REQUEST, engine=ENGINE), "gpu attachment", "daemon-reload"),
        (gpus(kit=replace(KIT, version="1.17.7")), "gpu toolkit", "1.17.8"),
        (gpus(kit=replace(KIT, version="1.9.12")), "gpu toolkit", "CVE"),
    ],
)
def test_whatever_keeps_gpus_from_being_granted_is_a_warning_with_a_remedy(
    facts: Preflight, what: str, words: str
) -> None:
    (found,) = [check for check in preflight.judge(facts) if check.level is not Level.OK]
    assert (found.level, found.what) == (Level.WARN, what)
    assert words in str(found)
