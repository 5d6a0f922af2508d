"""`wharf plan`: what would be done now, why, and who would notice.

It shows a plan and publishes the schema of its JSON; it makes no plan and carries none out.
"""

from __future__ import annotations

import types
import typing
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Final, cast

import click

from controller.api import meta
from controller.api.conditions import DriftKind, Reason
from controller.cli import entry, exits, names, session, tables, trees, views
from controller.model.memory import Cause
from controller.model.plan import Remedy, Verdict
from controller.status import planned

_CLOSED: Final[Mapping[str, type[StrEnum]]] = {
    "verdict": Verdict,
    "reason": Reason,
    "remedy": Remedy,
    "kind": DriftKind,
    "cause": Cause,
}
_PLAIN: Final[Mapping[object, str]] = {str: "string", int: "integer", bool: "boolean"}


@click.command(
    cls=entry.Command,
    examples=[
        ("wharf plan", "what would be done now on the whole host, to whom, and when"),
        ("wharf plan alice", "only one workspace, also if nothing is to be done"),
        ("wharf plan -o json", "for a script; exit code 2 says that something is to be done"),
        ("wharf plan --spec-dir ./workspaces.d", "what these specs would change, as for a merge request"),
    ],
)
@click.argument("chosen", type=names.WorkspaceName(), nargs=-1, metavar="[NAME…]")
@click.option("-o", "--output", "form", type=click.Choice(["text", "json"]), default="text", help="Format.")
@click.option(
    "--spec-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Plan as if the specs were the files of this directory, and no others.",
)
@session.PASS_SESSION
def plan(this: session.Session, chosen: tuple[str, ...], form: str, spec_dir: Path | None) -> int:
    """Show what would be done now and why, for the whole host or the workspaces that are named.

    Under each decision stand the differences from the spec, the actions in order, whose work would be
    interrupted and for how long, and when it happens. Workspaces that are as specified are left out unless
    they are named.

    With --spec-dir the files of that directory count as they read now, those that are missing as removed;
    a file that is not valid is told as `wharf validate` does, and is exit code 1.

    Exit code 0: nothing to do; 2: something to do; 7: the Engine does not answer, so nobody knows.
    """
    whole, findings = _proposed(this, spec_dir) if spec_dir else (views.open_view(this).plan().value, ())
    decisions = _chosen(trees.each(whole, "decisions"), chosen)
    for line in findings:
        click.echo(line, err=form == "json")
    if form == "json":
        described = {
            "apiVersion": meta.API_VERSION,
            "kind": "Plan",
            **(whole if isinstance(whole, Mapping) else {}),
        }
        click.echo(tables.to_json({**described, "decisions": list(decisions)}))
    else:
        shown = [item for item in decisions if chosen or not _is_quiet(item)]
        lines = [] if chosen else list(_host(whole))
        lines += [line for item in shown for line in _lines(item)]
        click.echo("".join(f"{line}\n" for line in lines), nl=False)
        session.say(_summary(decisions))
    of_host = () if chosen else (*_texts(trees.at(whole, "hostActions")), *trees.each(whole, "upkeep"))
    return exits.ExitCode.ERROR if findings else _code(decisions, of_host)


def _proposed(this: session.Session, spec_dir: Path) -> tuple[trees.Json, tuple[str, ...]]:
    """The plan for the specs of a directory, and what is wrong with its files."""
    report = views.survey(this.settings, spec_dir)
    for part, _, message in report.unseen:
        if part == "specs":
            raise exits.Failure(exits.ExitCode.ERROR, message)
    found = (replace(finding, file=str(spec_dir / finding.file)) for finding in report.file_findings)
    return cast("trees.Json", planned.plan_object(report.plan, report.statuses)), tuple(map(str, found))


def _code(decisions: Sequence[trees.Object], of_host: Sequence[object]) -> int:
    if any(item.get("reason") == Reason.ENGINE_UNAVAILABLE for item in decisions):
        return exits.ExitCode.UNREACHABLE
    pending = any(_texts(item.get("actions")) for item in decisions) or of_host
    return exits.ExitCode.PENDING if pending else exits.ExitCode.OK


def _chosen(decisions: Sequence[trees.Object], wanted: Sequence[str]) -> Sequence[trees.Object]:
    known = {trees.text(item, "workspace"): item for item in decisions}
    missing = [name for name in wanted if name not in known]
    if missing:
        raise views.not_found("workspace", missing)
    return [known[name] for name in wanted] if wanted else decisions


def _is_quiet(item: trees.Object) -> bool:
    return item.get("verdict") == Verdict.KEEP and not item.get("drift")


def _host(whole: trees.Json) -> Iterator[str]:
    yield from (f"host: {action}" for action in _texts(trees.at(whole, "hostActions")))
    for item in trees.each(whole, "upkeep"):
        yield from (f"host: {action}" for action in _texts(item.get("actions")))
    for found in trees.each(whole, "findings"):
        reason, subject = trees.text(found, "reason"), trees.text(found, "subject")
        yield f"host: {reason}: {subject}: {trees.text(found, 'message')}"


def _lines(item: trees.Object) -> Iterator[str]:
    message = trees.text(item, "message", default="")
    head = f"{trees.text(item, 'workspace')}: {trees.text(item, 'verdict')} ({trees.text(item, 'reason')})"
    yield f"{head}: {message}" if message else head
    for drift in trees.each(item, "drift"):
        kind, field = trees.text(drift, "kind"), trees.text(drift, "field")
        yield f"  drift {kind} {field} {trees.text(drift, 'observed')} -> {trees.text(drift, 'desired')}"
    for gap in trees.each(item, "notEnforced"):
        yield f"  not enforced {trees.text(gap, 'path')}: {trees.text(gap, 'message')}"
    for note in trees.each(item, "notes"):
        yield f"  note {trees.text(note, 'reason')}: {trees.text(note, 'message')}"
    yield from (f"  {action}" for action in _texts(item.get("actions")))
    if item.get("interruption"):
        owner = trees.text(item, "owner", default=trees.text(item, "workspace"))
        yield f"  interrupts {owner}: {trees.text(item, 'interruption')}"
    if item.get("when"):
        yield f"  when: {trees.text(item, 'when')}"


def _summary(decisions: Sequence[trees.Object]) -> str:
    """`2 to do (1 disrupts: bob), 1 waits, 1 held, 40 as specified`."""
    count: Counter[str] = Counter()
    for item in decisions:
        verdict = trees.text(item, "verdict")
        count[verdict if verdict in {"Keep", "Wait", "Hold"} else "to do"] += 1
    disrupted = [
        trees.text(item, "workspace") for item in decisions if item.get("disrupts") and item.get("actions")
    ]
    who = f" (disrupts {', '.join(disrupted)})" if disrupted else ""
    rest = f"{count['Wait']} waiting, {count['Hold']} held, {count['Keep']} as specified"
    return f"{count['to do']} to do{who}, {rest}"


def _texts(value: trees.Json) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return ()
    return tuple(item for item in value if isinstance(item, str))


def plan_schema() -> dict[str, object]:
    """The JSON Schema (draft 2020-12) of what `wharf plan -o json` prints."""
    described = _schema(planned.PlanObject, "")
    properties = described["properties"]
    required = described["required"]
    assert isinstance(properties, dict)
    assert isinstance(required, list)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Plan",
        "description": "What the controller would do now, as `wharf plan -o json` prints it.",
        **described,
        "properties": {
            "apiVersion": {"const": meta.API_VERSION},
            "kind": {"const": "Plan"},
            **properties,
        },
        "required": ["apiVersion", "kind", *required],
    }


def _schema(kind: object, name: str) -> dict[str, object]:
    """The schema of one annotation of a plan's typed dictionaries; `name` is the key that it belongs to."""
    if kind is str and name in _CLOSED:
        return {"type": "string", "enum": [str(member) for member in _CLOSED[name]]}
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if isinstance(kind, types.GenericAlias):
        below = kind.__args__[-1]
        if kind.__origin__ is list:
            return {"type": "array", "items": _schema(below, "")}
        return {"type": "object", "additionalProperties": _schema(below, "")}
    assert isinstance(kind, type), f"a typed dictionary is expected, not {kind}"
    hints = typing.get_type_hints(kind)
    return {
        "type": "object",
        "description": (kind.__doc__ or "").partition("\n")[0],
        "properties": {key: _schema(hint, key) for key, hint in hints.items()},
        "required": sorted(getattr(kind, "__required_keys__", ())),
        "additionalProperties": False,
    }
