"""Evidence as one history after another: a chain that did what it says, and what truly happened under it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from controller.audit.evidence import Ask, Deed, Evidence, Happening, Standing

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
BEGAN = NOON - timedelta(hours=1)
ID = "a" * 64
OTHER = "b" * 64


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def deed(kind: str = "StopContainer", /, **changes: object) -> Deed:
    facts: dict[str, object] = {"workspace": "alice", "container_id": ID, "name": "workspace-alice"}
    if kind in {"StopContainer", "RemoveContainer"}:
        running = kind == "StopContainer"
        facts["expected"] = {"running": running, "started_at": BEGAN.isoformat(), "pid": 77 if running else 0}
    if kind == "CreateContainer":
        del facts["container_id"]
    made = Deed(
        at=NOON,
        epoch=3,
        intent=5,
        place=0,
        workspace="alice",
        verdict="Stop",
        reason="SpecStopped",
        cause=None,
        disrupts=kind == "StopContainer",
        kind=kind,
        facts=facts,
        result="",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def happening(what: str = "stop", /, **changes: object) -> Happening:
    made = Happening(
        at=later(1),
        what=what,
        container_id=ID,
        name="workspace-alice",
        workspace="alice",
        by="controller",
        epoch=3,
        intent=5,
        started_at=BEGAN,
        pid=77 if what == "stop" else 0,
        ever_ran=True,
        seen_at=later(-0.5),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def standing(**changes: object) -> Standing:
    made = Standing(
        container_id=ID,
        name="workspace-alice",
        workspace="alice",
        owned=True,
        running=True,
        kept=False,
        started_at=BEGAN,
        pid=77,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def ask(what: str, subject: str = "alice", at: datetime = NOON - timedelta(minutes=1)) -> Ask:
    return Ask(at, what, subject)


def stopped(**changes: object) -> Evidence:
    """A person asked for a stop, and the controller carried it out."""
    made = Evidence(
        at=later(2),
        deeds=(deed(),),
        happenings=(happening(),),
        asks=(ask("stop"),),
        epoch=3,
    )
    return replace(made, **changes)  # type: ignore[arg-type]
