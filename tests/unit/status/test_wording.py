"""The texts that people and tests read."""

import json
import typing
from datetime import timedelta

import pytest

from controller.api import secrecy
from controller.api.conditions import DriftKind, Reason
from controller.api.config import SliceDriver
from controller.model import actions, memory, slices
from controller.model.gpus import AccessState, Device, Wish
from controller.model.gpustatus import WorkspaceGpus
from controller.model.observed import Bind, Container, ContainerState, Limits, PublishedPort, Unseen
from controller.model.plan import Drift, HostFinding, NotEnforced, Plan, Remedy, Verdict
from controller.model.status import EffectiveValue, ServiceAddress
from controller.model.template import Template
from controller.status import phrases, summary, wording
from tests.support import reports

EXPECTED = actions.Expected(running=True, started_at=reports.NOW, pid=42)
LIMITS = Limits(nano_cpus=500_000_000, memory=64 << 20, pids=100)
TEMPLATE = Template(
    image="sample:1",
    hostname="alice",
    command=("httpd", "--password=x"),
    env=(("TZ", "UTC"), ("API_TOKEN", "hunter2")),
    user="1000:1000",
    init=True,
    binds=(Bind("/home/alice", "/mnt/alice", read_only=False),),
    ports=(PublishedPort(8888, "0.0.0.0", 10003),),
    network="wharf",
    shm=64 << 20,
    limits=LIMITS,
    stop_grace=timedelta(seconds=60),
)
ONE_OF_EACH: tuple[tuple[actions.Action, str], ...] = (
    (actions.PullImage("alice", "sample:1"), "pull sample:1"),
    (actions.EnsureNetwork("wharf", "172.28.0.0/16", inter_container=False), "create network wharf"),
    (
        actions.CreateContainer("alice", "workspace-alice", TEMPLATE, {}),
        (
            "create workspace-alice from sample:1 (network wharf, user 1000:1000, "
            "cpus 0.5, memory 64m, pids 100, shm 64m, port 0.0.0.0:10003 to 8888, "
            "mount /mnt/alice at /home/alice, env TZ API_TOKEN, command httpd)"
        ),
    ),
    (reports.start("alice"), "start workspace-alice"),
    (
        actions.StopContainer("alice", reports.ID, "workspace-alice", timedelta(minutes=1), EXPECTED),
        "stop workspace-alice (grace 60s)",
    ),
    (actions.UnpauseContainer("alice", reports.ID, "workspace-alice"), "unpause workspace-alice"),
    (
        actions.RenameContainer("alice", reports.ID, "workspace-alice", "workspace-alice.0123abcd"),
        "rename workspace-alice to workspace-alice.0123abcd",
    ),
    (actions.RemoveContainer("alice", reports.ID, "workspace-alice", EXPECTED), "remove workspace-alice"),
    (actions.RemoveImage("sha256:12", ("old:1",)), "remove image sha256:12 (old:1)"),
    (actions.RemoveImage("sha256:12", ()), "remove image sha256:12 (without a name)"),
    (
        actions.UpdateLimits("alice", reports.ID, "workspace-alice", LIMITS, EXPECTED),
        "update workspace-alice to cpus 0.5, memory 64m, pids 100",
    ),
    (
        actions.ClearRestartPolicy("alice", reports.ID, "workspace-alice"),
        "clear restart policy of workspace-alice",
    ),
    (
        actions.ConnectNetwork("alice", reports.ID, "workspace-alice", "wharf"),
        "connect workspace-alice to network wharf",
    ),
    (
        actions.PrepareMount(
            "alice", "home", "/mnt/alice", ("/mnt",), create=True, nosuid=False, uid=1000, gid=1000
        ),
        "prepare mount home from /mnt/alice (made for 1000:1000 if missing)",
    ),
    (actions.WriteSecrets("alice", (("token", "alice/token"),), 0, 0), "write secrets token"),
    (actions.WriteRoute("alice", "wharf-alice.yaml", "http:\n"), "write route wharf-alice.yaml"),
    (actions.RemoveRoute("alice", "wharf-alice.yaml"), "remove route wharf-alice.yaml"),
    (
        actions.GrantPorts(
            "alice",
            (memory.PortBlock("alice", "main", 10000, 100),),
            (memory.PortGrant("alice", "alice", "jupyter", 10003),),
        ),
        "grant ports 10000-10099 of main to alice, port 10003 to jupyter",
    ),
    (
        actions.SetSlice(
            SliceDriver.CGROUPFS,
            "alice",
            "/wharf/alice",
            slices.SliceLimits(
                nano_cpus=1_500_000_000,
                cpuset="0-3",
                memory=400 << 20,
                memory_high=300 << 20,
                memory_low=64 << 20,
                swap=0,
                pids=100,
                io_weight=50,
                io=(slices.IoLimit("/home", read=1 << 20),),
            ),
        ),
        (
            "set slice /wharf/alice to cpus 1.5, cpuset 0-3, memory 400m, memoryHigh 300m, memoryLow 64m, "
            "swap 0b, pids 100, ioWeight 50, io /home"
        ),
    ),
    (
        actions.SetSlice(SliceDriver.SYSTEMD, "", "wharf.slice", slices.UNLIMITED),
        "set slice wharf.slice to no limits",
    ),
    (actions.RemoveSlice(SliceDriver.CGROUPFS, "alice", "/wharf/alice"), "remove slice /wharf/alice"),
    (
        actions.LimitCgroup("alice", reports.ID, "workspace-alice", LIMITS, 32 << 20, EXPECTED),
        "limit the cgroup of workspace-alice to cpus 0.5, memory 64m, pids 100, memory_high 32m",
    ),
    (
        actions.LimitCgroup("alice", reports.ID, "workspace-alice", None, None, EXPECTED),
        "limit the cgroup of workspace-alice to memory_high unlimited",
    ),
    (actions.RecordRestarts("alice", memory.Restarts(reports.ID, 3, reports.NOW)), "record restart 3"),
    (actions.RecordLimits("alice", memory.GivenLimits(reports.ID)), "record limits of 0123456789ab"),
    (
        actions.RetainContainer("alice", reports.ID, "workspace-alice.0123abcd", "SpecChanged"),
        "retain workspace-alice.0123abcd (SpecChanged)",
    ),
    (actions.ForgetRetained("alice", reports.ID), "forget retained 0123456789ab"),
    (actions.ForgetWorkspace("alice"), "forget alice"),
    (
        actions.ReturnPorts("alice", (memory.PortGrant("alice", "alice", "web", 10030),)),
        "give back port 10030 of web",
    ),
    (actions.CompleteRestart("alice"), "complete restart"),
    (
        actions.BeginReplacement(
            "alice", memory.Replacement("alice", reports.ID, "v1:a", "sha256:b", reports.NOW)
        ),
        "begin replacement of 0123456789ab",
    ),
    (
        actions.EndReplacement(
            "alice", memory.FailedTemplate("alice", "v1:a", "sha256:b", "no such program", reports.NOW)
        ),
        "give up replacement (no such program)",
    ),
    (
        actions.BeginRollback(
            "alice", memory.Rollback("alice", reports.ID, requested=True, at=reports.NOW, by="root")
        ),
        "begin roll-back to 0123456789ab",
    ),
    (
        actions.EndRollback("alice", memory.Pin("alice", reports.ID, 1, reports.NOW, "root")),
        "end roll-back and pin 0123456789ab",
    ),
)


@pytest.mark.parametrize(("action", "text"), ONE_OF_EACH, ids=lambda value: type(value).__name__)
def test_each_action_has_one_line(action: actions.Action, text: str) -> None:
    assert phrases.describe(action) == text


def test_no_kind_of_action_is_forgotten() -> None:
    assert {type(action) for action, _ in ONE_OF_EACH} == set(typing.get_args(actions.Action))


def test_no_limits_are_unlimited() -> None:
    assert phrases.limits_in_words(Limits()) == "unlimited"


def test_a_plan_is_greppable() -> None:
    replace = reports.decision(
        verdict=Verdict.REPLACE,
        reason=Reason.SPEC_CHANGED,
        message="env differs",
        drifts=(Drift(DriftKind.ENV, "FOO", "a", "b", Remedy.REPLACE),),
        actions=(reports.start("alice"),),
        not_enforced=(NotEnforced("spec.gpu", "comes later"),),
    )
    plan = Plan(
        decisions={"bob": reports.decision("bob"), "alice": replace},
        host_actions=(actions.EnsureNetwork("wharf", None, inter_container=False),),
        findings=(HostFinding(Reason.FOREIGN_CONTAINER, "copy", "its claim is not ours"),),
    )
    assert wording.render(plan) == (
        "host: create network wharf\n"
        "host: ForeignContainer: copy: its claim is not ours\n"
        "alice: Replace (SpecChanged): env differs\n"
        "  drift env FOO a -> b\n"
        "  not enforced spec.gpu: comes later\n"
        "  start workspace-alice\n"
        "bob: Keep (AsSpecified)\n"
    )


def test_a_plan_of_nothing_is_empty() -> None:
    assert wording.render(Plan(decisions={})) == ""


@pytest.mark.parametrize(
    "name", ["API_TOKEN", "DB_PASSWORD", "SSH_KEY", "APIKEY", "client_secret", "PGPASSWD", "AWS_ACCESS_KEY"]
)
def test_values_under_secret_names_are_hidden_everywhere(name: str) -> None:
    drift = Drift(DriftKind.ENV, name, "hunter2", "hunter3", Remedy.REPLACE)
    status = reports.status(
        decided=reports.decision(drifts=(drift,)), effective=(EffectiveValue(f"env.{name}", "hunter2", "x"),)
    )
    texts = (wording.render(Plan({"alice": status.decision})), json.dumps(wording.object_of(status)))
    assert all("hunter" not in text for text in texts)
    assert all(secrecy.HIDDEN in text for text in texts)


@pytest.mark.parametrize("name", ["TZ", "MONKEY", "KEYBOARD", "PATH"])
def test_values_under_other_names_are_shown(name: str) -> None:
    assert (
        wording.drift_in_words(Drift(DriftKind.ENV, name, "a", "b", Remedy.REPLACE)) == f"env {name} a -> b"
    )


def test_a_password_in_a_url_is_hidden() -> None:
    assert secrecy.shown("DATABASE", "postgres://me:hunter2@db/x") == "postgres://(hidden)@db/x"


def test_the_object_is_plain_and_whole() -> None:
    drift = Drift(DriftKind.RESOURCES, "memory", "128m", "64m", Remedy.LIVE)
    status = reports.status(
        decided=reports.decision(drifts=(drift,)),
        services=(ServiceAddress("jupyter", 8888, 10003), ServiceAddress("code", 8080, None)),
        effective=(EffectiveValue("resources.memory", "64m", "policy.yaml:12 class vm"),),
    )
    told = json.loads(json.dumps(wording.object_of(status)))
    assert (told["apiVersion"], told["kind"]) == ("wharfinger.dev/v1", "Workspace")
    assert told["metadata"]["name"] == "alice"
    assert told["metadata"]["labels"] == {"project": "vision"}
    assert told["spec"] == {"class": "vm"}
    assert told["status"]["conditions"][0]["type"] == "Ready"
    assert told["status"]["conditions"][0]["lastTransitionTime"] == "2026-11-22T12:00:00Z"
    assert told["status"]["container"]["startedAt"] == "2026-11-22T12:00:00Z"
    assert told["status"]["ports"] == [
        {"service": "jupyter", "containerPort": 8888, "hostPort": 10003},
        {"service": "code", "containerPort": 8080},
    ]
    assert told["status"]["effective"][0]["origin"] == "policy.yaml:12 class vm"
    assert told["status"]["drift"] == [
        {
            "kind": "resources",
            "field": "memory",
            "observed": "128m",
            "desired": "64m",
            "remedy": "live",
            "since": "2026-11-22T12:00:00Z",
        }
    ]


def test_a_row_has_a_cell_for_each_column() -> None:
    row = wording.row(wording.object_of(reports.status()), reports.later(400))
    assert dict(zip(wording.COLUMNS, row, strict=True)) == {
        "NAME": "alice",
        "OWNER": "alice",
        "READY": "True",
        "STATE": "Running",
        "GPU": "<none>",
        "IDLE": "<none>",
        "REASON": "AsSpecified",
        "AGE": "6m40s",
    }


@pytest.mark.parametrize(
    ("container", "facts", "state"),
    [
        (None, summary.Facts(), "Missing"),
        (reports.container(state=ContainerState.EXITED), summary.Facts(), "Exited"),
        (reports.container(state=ContainerState.EXITED), summary.Facts(spec_running=False), "Stopped"),
        (reports.container(state=ContainerState.PAUSED), summary.Facts(), "Paused"),
        (None, summary.Facts(engine=Unseen(Reason.NOT_SEEN, "x", reports.NOW)), "Unknown"),
    ],
)
def test_the_state_is_one_word(container: Container | None, facts: summary.Facts, state: str) -> None:
    status = summary.summarize(None, reports.spec(), reports.decision(), container, facts, reports.NOW)
    assert wording.state(wording.object_of(status)) == state


def test_who_needs_a_person_says_why_first() -> None:
    held = reports.decision(verdict=Verdict.HOLD, reason=Reason.MOUNT_UNSAFE)
    assert wording.reason(wording.object_of(reports.status(decided=held))) == "MountUnsafe"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (200, "3m20s"),
        (47 * 60 + 5, "47m"),
        (5 * 3600 + 12 * 60, "5h12m"),
        (30 * 3600, "30h"),
        (3 * 86400 + 4 * 3600, "3d4h"),
        (90 * 86400, "90d"),
        (2 * 365 * 86400 + 80 * 86400, "2y80d"),
        (9 * 365 * 86400 + 5 * 86400, "9y"),
    ],
)
def test_ages_are_written_as_kubectl_does(seconds: int, text: str) -> None:
    assert wording.age(reports.NOW, reports.later(seconds)) == text


@pytest.mark.parametrize(
    ("gpus", "cell"),
    [
        (None, "<none>"),
        (WorkspaceGpus(Wish(), ("GPU-1",)), "1"),
        (WorkspaceGpus(Wish(count=2), ("GPU-1",)), "1/2"),
        (WorkspaceGpus(Wish()), "0/1"),
        (WorkspaceGpus(Wish(shared=True, all=True), ("GPU-1", "GPU-2")), "2/all"),
        (WorkspaceGpus(None, ("GPU-1",)), "1/0"),
        (WorkspaceGpus(Wish(), ("GPU-1",), simulated=True), "1:SIMULATED"),
    ],
)
def test_the_column_of_gpus_says_what_it_has_and_what_it_wants(gpus: WorkspaceGpus | None, cell: str) -> None:
    assert wording.gpus(wording.object_of(reports.status(gpus=gpus))) == cell


def test_what_a_workspace_wants_of_the_gpus_and_has_is_in_its_object() -> None:
    device = Device("GPU-1", "A100", 40, "0")
    gpus = WorkspaceGpus(
        Wish(memory=40, model="A100", uuids=("GPU-1",)),
        ("GPU-1", "GPU-2"),
        (device,),
        reports.NOW,
        AccessState.LOST,
    )
    assert wording.object_of(reports.status(gpus=gpus))["status"]["gpus"] == {
        "wanted": {"mode": "Exclusive", "count": 1, "minMemory": 40, "model": "A100", "uuids": ["GPU-1"]},
        "devices": [{"uuid": "GPU-1", "index": "0", "model": "A100", "memory": 40}, {"uuid": "GPU-2"}],
        "access": "lost",
        "waitingSince": "2026-11-22T12:00:00Z",
    }
