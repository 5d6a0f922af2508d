"""Builders of what a ledger is given, and every method of it that writes; knows no expectation."""

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Final

from controller.api.conditions import Reason
from controller.api.config import SliceDriver
from controller.api.workspace import Workspace
from controller.ledger.ledger import Ledger
from controller.model import actions, gpus, memory, outcomes, plan, slices
from controller.model.desired import AcceptedSpec
from controller.model.observed import Account, Limits, PublishedPort
from controller.model.status import Event
from controller.model.template import Template

NOW: Final = dt.datetime(2026, 3, 1, 12, 0, 0, 250, tzinfo=dt.UTC)
MINUTE: Final = dt.timedelta(minutes=1)
NONCE: Final = b"n" * 32
CONTAINER: Final = "c0ffee" * 10 + "c0ff"


def spec(
    name: str = "alice", owner: str | None = None, generation: int = 1, **fields: object
) -> AcceptedSpec:
    stated: dict[str, object] = {"class": "vm", **fields, **({"owner": owner} if owner else {})}
    document = {
        "apiVersion": "wharfinger.dev/v1",
        "kind": "Workspace",
        "metadata": {"name": name},
        "spec": stated,
    }
    workspace = Workspace.model_validate(document)
    lines = {"spec.class": 6}
    return AcceptedSpec(
        workspace, "u-1", generation, "d" * 64, f"{name}.yaml", NOW, confirmed=True, lines=lines
    )


def decision(workspace: str = "alice", *chain: actions.Action) -> plan.Decision:
    return plan.Decision(
        workspace,
        plan.Verdict.START,
        Reason.CONTAINER_EXITED,
        message="it exited",
        actions=chain or (start(workspace),),
        container_id=CONTAINER,
    )


def disrupting(plain: plan.Decision) -> plan.Decision:
    return dataclasses.replace(plain, disrupts=True, cause=memory.Cause.EDITED)


def start(workspace: str = "alice") -> actions.StartContainer:
    never_ran = actions.Expected(running=False, started_at=None, pid=0)
    return actions.StartContainer(workspace, CONTAINER, f"workspace-{workspace}", never_ran)


def create(workspace: str = "alice", **env: str) -> actions.CreateContainer:
    template = Template(
        image="img",
        hostname=workspace,
        command=None,
        env=tuple(env.items()),
        user=None,
        init=True,
        binds=(),
        ports=(PublishedPort(22, "0.0.0.0", 10022),),
        network="wharf",
        shm=2**26,
        limits=Limits(memory=2**30),
        stop_grace=MINUTE,
        gpus=gpus.Attachment(gpus.Driver.CDI, ("GPU-1",), ("nvidia.com/gpu=GPU-1",)),
    )
    return actions.CreateContainer(workspace, f"workspace-{workspace}", template, {"a": "b"})


def block(owner: str = "alice", base: int = 10000, size: int = 100, pool: str = "main") -> memory.PortBlock:
    return memory.PortBlock(owner, pool, base, size)


def grant(
    port: int, service: str = "ssh", workspace: str = "alice", owner: str = "alice"
) -> memory.PortGrant:
    return memory.PortGrant(owner, workspace, service, port)


def grant_ports(
    *grants: memory.PortGrant, blocks: tuple[memory.PortBlock, ...] = (), workspace: str = "alice"
) -> actions.GrantPorts:
    return actions.GrantPorts(workspace, blocks, grants)


def event(message: str = "it exited", subject: str = "alice", at: dt.datetime = NOW) -> Event:
    return Event(at, subject, Reason.CONTAINER_EXITED, message, warning=True)


SUSPENSION: Final = memory.Suspension(running=False, desired_state="Running", at=NOW, by="root")
PAUSE: Final = memory.Pause("move of the disks", NOW, "root")
BACKOFF: Final = memory.BackOff(2, NOW + MINUTE, Reason.REFUSED_BY_ENGINE, "no", "1:abc")
RESTARTS: Final = memory.Restarts(CONTAINER, 3, NOW)
GIVEN: Final = memory.GivenLimits(CONTAINER, 10**9, "0-3", 2**30, None, 2**31, 100)
ACCOUNT: Final = Account("alice", 2001, 2001, "/home/alice")

REPLACEMENT: Final = memory.Replacement("alice", CONTAINER, "v1:abc", "sha256:1", NOW)
ROLLBACK: Final = memory.Rollback("alice", CONTAINER, requested=True, at=NOW, by="root")
PIN: Final = memory.Pin("alice", CONTAINER, 1, NOW, "root")
FAILED: Final = memory.FailedTemplate("alice", "v1:abc", "sha256:1", "no such program", NOW)
ADOPTION: Final = memory.Adoption(CONTAINER, "alice", NOW, "root")
APPROVAL: Final = memory.Approval("bob", "v1:abc:sha256:1:True", NOW, "root")
REMOVAL: Final = memory.RemovalRequest("alice", NOW, "root")
IDENTITY: Final = memory.Identity("11" * 16, CONTAINER)
CONTENT: Final = memory.Content("lab/jupyter@sha256:" + "e" * 64, "sha256:" + "1" * 64, "lab/jupyter:1", NOW)
CORDON: Final = gpus.Cordon("GPU-1", "its fan is loud", NOW, "root", drain=True)
FENCE: Final = gpus.Fence("GPU-1", gpus.Ailment.XID, "it fell off the bus", NOW, NOW + MINUTE, 79, lasts=True)
HELD: Final = memory.Held("alice", memory.Cause.EDITED, "1:abc", NOW)

LEDGER_ACTIONS: Final[dict[str, actions.LedgerAction]] = {
    "GrantPorts": grant_ports(grant(10122), blocks=(block(base=10100),)),
    "ReturnPorts": actions.ReturnPorts("alice", (grant(10022),)),
    "RecordRestarts": actions.RecordRestarts("bob", RESTARTS, GIVEN),
    "RecordLimits": actions.RecordLimits("bob", GIVEN),
    "RetainContainer": actions.RetainContainer("bob", "d" * 64, "workspace-bob.1", Reason.SPEC_CHANGED),
    "ForgetRetained": actions.ForgetRetained("alice", CONTAINER),
    "ForgetWorkspace": actions.ForgetWorkspace("alice"),
    "CompleteRestart": actions.CompleteRestart("alice"),
    "BeginReplacement": actions.BeginReplacement("bob", dataclasses.replace(REPLACEMENT, workspace="bob")),
    "EndReplacement": actions.EndReplacement("alice", failed=None),
    "BeginRollback": actions.BeginRollback("bob", dataclasses.replace(ROLLBACK, workspace="bob")),
    "EndRollback": actions.EndRollback("alice", pin=None),
}


def set_slice(ledger: Ledger, owner: str, verdict: plan.Verdict) -> None:
    action = actions.SetSlice(
        SliceDriver.CGROUPFS, owner, f"/wharf/{owner}", slices.SliceLimits(nano_cpus=10**9)
    )
    chain = plan.Decision(slices.subject(owner), verdict, Reason.SLICE_DRIFTED, actions=(action,))
    intent = ledger.open_intent(chain, NOW)
    ledger.resolve_intent(intent, (outcomes.Succeeded(action, 0.1),), NOW)


def furnish(ledger: Ledger) -> None:
    """Give the ledger one of everything, all of it of the workspace alice."""
    ledger.next_epoch("E", NOW)
    ledger.accept([spec()])
    ledger.record_spec_identity((7, 2**64 - 1))
    ledger.remember_source("policy", "kind: ResourcePolicy\n", "a" * 64)
    ledger.open_intent(disrupting(decision("alice", create(), start())), NOW)
    ledger.set_backoff("alice", BACKOFF)
    ledger.suspend("alice", SUSPENSION)
    ledger.request_restart("alice", NOW)
    ledger.pause("alice", PAUSE)
    ledger.pause(None, PAUSE)
    ledger.record_account(ACCOUNT)
    ledger.record_event(event())
    ledger.prove_host("boot 1")
    ledger.adopt(ADOPTION)
    ledger.approve(APPROVAL)
    ledger.hold([HELD])
    ledger.request_forgetting(CONTAINER, NOW)
    ledger.request_removal(REMOVAL)
    ledger.identify([IDENTITY], [])
    ledger.record_contents([CONTENT])
    ledger.record_asked(CONTENT.reference, NOW)
    ledger.cordon(CORDON)
    ledger.fence([FENCE], [])
    ledger.note_gpu_waits({"alice": NOW})
    set_slice(ledger, "alice", plan.Verdict.CREATE)
    set_slice(ledger, "alice", plan.Verdict.UPDATE)
    for action in (
        actions.EndRollback("alice", PIN),
        actions.EndReplacement("alice", FAILED),
        actions.BeginReplacement("alice", REPLACEMENT),
        actions.BeginRollback("alice", ROLLBACK),
        grant_ports(grant(10022), blocks=(block(),)),
        grant_ports(grant(10922, owner="zoe", workspace="zoe"), blocks=(block("zoe", 10900),)),
        actions.ForgetWorkspace("zoe"),
        actions.RecordRestarts("alice", RESTARTS, GIVEN),
        actions.RetainContainer("alice", CONTAINER, "workspace-alice.1", Reason.SPEC_CHANGED),
    ):
        outcome = ledger.execute(action, NOW)
        assert isinstance(outcome, outcomes.Succeeded)


WRITES: Final[dict[str, Callable[[Ledger], object]]] = {
    "probe": lambda ledger: ledger.probe(NOW),
    "next_epoch": lambda ledger: ledger.next_epoch("E", NOW),
    "accept": lambda ledger: ledger.accept([spec("bob")]),
    "record_spec_identity": lambda ledger: ledger.record_spec_identity((1, 2)),
    "remember_source": lambda ledger: ledger.remember_source("policy", "other", "b"),
    "open_intent": lambda ledger: ledger.open_intent(decision("bob"), NOW),
    "resolve_intent": lambda ledger: ledger.resolve_intent(1, (outcomes.Succeeded(start(), 0.1),), NOW),
    "abandon_intents": lambda ledger: ledger.abandon_intents(NOW),
    "set_backoff": lambda ledger: ledger.set_backoff("alice", None),
    "suspend": lambda ledger: ledger.suspend("bob", SUSPENSION),
    "clear_suspension": lambda ledger: ledger.clear_suspension("alice"),
    "request_restart": lambda ledger: ledger.request_restart("bob", NOW),
    "pause": lambda ledger: ledger.pause("bob", PAUSE),
    "resume": lambda ledger: ledger.resume(None),
    "record_account": lambda ledger: ledger.record_account(Account("bob", 1, 1, "/")),
    "hold": lambda ledger: ledger.hold([dataclasses.replace(HELD, workspace="bob")]),
    "approve": lambda ledger: ledger.approve(dataclasses.replace(APPROVAL, workspace="alice")),
    "request_rollback": lambda ledger: ledger.request_rollback(
        dataclasses.replace(ROLLBACK, workspace="bob")
    ),
    "adopt": lambda ledger: ledger.adopt(dataclasses.replace(ADOPTION, container_id="d" * 64)),
    "request_forgetting": lambda ledger: ledger.request_forgetting("d" * 64, NOW),
    "request_removal": lambda ledger: ledger.request_removal(dataclasses.replace(REMOVAL, workspace="bob")),
    "clear_removal": lambda ledger: ledger.clear_removal("alice"),
    "identify": lambda ledger: ledger.identify([], [IDENTITY.instance]),
    "record_contents": lambda ledger: ledger.record_contents([dataclasses.replace(CONTENT, digest="other")]),
    "record_asked": lambda ledger: ledger.record_asked("lab/other:1", NOW),
    "cordon": lambda ledger: ledger.cordon(dataclasses.replace(CORDON, drain=False)),
    "uncordon": lambda ledger: ledger.uncordon(CORDON.uuid),
    "fence": lambda ledger: ledger.fence([dataclasses.replace(FENCE, uuid="GPU-2")], [FENCE.uuid]),
    "note_gpu_waits": lambda ledger: ledger.note_gpu_waits({"bob": NOW}),
    "prove_host": lambda ledger: ledger.prove_host("boot 2"),
    "record_event": lambda ledger: ledger.record_event(event("other")),
}
"""Each changes what `furnish` left (abandon_intents after another epoch)."""
