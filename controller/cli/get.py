"""`wharf get`: rows of every kind of object.

It knows what is asked for; `views` knows where objects are found, `shapes` and `tables` how they are printed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import click

from controller.cli import control, entry, exits, gpus, names, session, shapes, slices, tables, trees, views

KINDS: Final[Mapping[str, Sequence[str]]] = {
    "workspaces": ("workspace", "ws"),
    "events": ("event", "ev"),
    "ports": ("port",),
    "retained": (),
    "policy": ("policies",),
    "images": ("image",),
    "gpus": ("gpu",),
    "slices": ("slice",),
}
_POLL_SECONDS: Final = 1.0
_EVENT_LIMIT: Final = 1000
_OF_FILES: Final = frozenset({"policy"})
_SAY_UNSEEN: Final = {"gpus": gpus.say_unseen, "slices": slices.say_unseen}
_OF_WORKSPACES: Final = frozenset({"events", "ports", "retained"})
"""Kinds whose objects are asked for by workspace, so that a name may mean several."""


@dataclass(frozen=True, slots=True)
class _Request:
    """What was asked for: the kind, the names (empty: all), the format, and whether it is asked again."""

    kind: str
    names: tuple[str, ...]
    form: str
    header: bool
    watched: bool = False


@click.command(
    cls=entry.Command,
    examples=[
        ("wharf get workspaces", "all workspaces"),
        ("wharf get workspaces -w", "the same, and each change until Ctrl-C"),
        ("wharf get workspace alice -o yaml", "one workspace: its spec and all of its status"),
        ("wharf get ws -o name", "names for a script"),
        ("wharf get events alice", "what happened to one workspace"),
        ("wharf get ports", "which host port reaches what"),
        ("wharf get images", "what the catalog has, whether it may be used, and how many do"),
        ("wharf get gpus", "which GPUs there are, who holds each, and what it does"),
        ("wharf get gpus --foreign", "who uses a GPU without a grant"),
        ("wharf get slices", "what each owner's workspaces use together, and of how much"),
        ("wharf get retained alice", "which containers are kept of a workspace, and how large they are"),
    ],
)
@click.argument("kind", type=entry.Kind(KINDS))
@click.argument("chosen", type=names.WorkspaceName(), nargs=-1, metavar="[NAME…]")
@click.option("-o", "--output", "form", type=click.Choice(tables.FORMATS), default="table", help="Format.")
@click.option("-w", "--watch", is_flag=True, help="Then print each row again whenever it changes.")
@click.option("--foreign", is_flag=True, help="Of GPUs: who uses one without a grant.")
@click.option("--no-headers", "bare", is_flag=True, help="Leave out the line of headers.")
@session.PASS_SESSION
def get(this: session.Session, /, kind: str, chosen: tuple[str, ...], form: str, **flags: bool) -> None:
    """Show objects of one KIND as rows.

    KIND is workspaces (ws), events (ev), ports, retained, policy, images, gpus or slices. With names, only
    those; for events, ports and retained a name is the workspace's, for slices the owner's. A name that does
    not exist is exit code 3. Below the ports are the owners' blocks; one that is held until a time has no
    workspace any more.

    It works while no controller runs: then files, Engine and ledger are read, and that is said.
    """
    if flags["foreign"] and (kind != "gpus" or flags["watch"]):
        raise click.UsageError("--foreign is for GPUs, and not with --watch")
    request = _Request(kind, chosen, form, not flags["bare"], watched=flags["watch"])
    if flags["watch"]:
        _watch(this, request)
        return
    found = _read_files(this, request) if kind in _OF_FILES else _read(views.open_view(this), request)
    if flags["foreign"]:
        click.echo(_show_foreign(request, found), nl=False)
        return
    click.echo(_show(request, found), nl=False)


def _read_files(this: session.Session, request: _Request) -> control.Answer:
    """The objects that are in the policy's file, as `{"items": [...]}`."""
    from controller.cli import documents  # noqa: PLC0415 - the other kinds do not need it

    return _chosen(request, documents.policy(this))


def _read(view: views.View, request: _Request) -> control.Answer:
    """The objects of the view that were asked for, as `{"items": [...]}`."""
    if request.kind == "events" and len(request.names) == 1:
        return view.events(request.names[0], _EVENT_LIMIT)
    readers = {
        "workspaces": view.workspaces,
        "events": lambda: view.events(None, _EVENT_LIMIT),
        "ports": view.ports,
        "retained": view.retained,
        "images": view.images,
        "gpus": view.gpus,
        "slices": view.slices,
    }
    return _chosen(request, readers[request.kind]())


def _chosen(request: _Request, found: control.Answer) -> control.Answer:
    """Only the objects that were named; each name of a workspace must exist."""
    if request.kind in _SAY_UNSEEN and not request.watched:
        _SAY_UNSEEN[request.kind](found.value)
    if not request.names:
        return found
    items = trees.each(found.value, "items")
    if request.kind == "retained":
        items = tuple(item for item in items if {item.get("workspace"), item.get("name")} & {*request.names})
        known = {item.get(key) for item in items for key in ("workspace", "name")}
        missing = [name for name in request.names if name not in known]
        if missing:
            raise views.not_found("retained", missing)
        return control.Answer({"items": items}, found.at)
    if request.kind in {"events", "ports"}:
        key = "subject" if request.kind == "events" else "workspace"
        items = tuple(item for item in items if item.get(key) in request.names)
        owners = {item.get("owner") for item in items}
        blocks = [block for block in trees.each(found.value, "blocks") if block.get("owner") in owners]
        return control.Answer({"items": items, "blocks": blocks}, found.at)
    if request.kind == "gpus":
        return control.Answer({"items": [gpus.find(found.value, name) for name in request.names]}, found.at)
    by_name = {trees.name_of(item): item for item in items}
    chosen = [name.removeprefix("slice/") for name in request.names]
    missing = [name for name in chosen if name not in by_name]
    if missing:
        raise views.not_found(shapes.SHAPES[request.kind](found.at).name, missing)
    return control.Answer({"items": [by_name[name] for name in chosen]}, found.at)


def _show(request: _Request, found: control.Answer) -> str:
    kind = shapes.SHAPES[request.kind](found.at)
    items = trees.each(found.value, "items")
    named = request.kind not in _OF_WORKSPACES
    is_one = named and len(request.names) == 1 and len(items) == 1
    if is_one and request.form in {"json", "yaml"}:
        printed = tables.to_json(items[0]) if request.form == "json" else tables.to_yaml(items[0])
        return printed.rstrip("\n") + "\n"
    blocks = trees.each(found.value, "blocks")
    if request.form in {"table", "wide"}:
        if not items:
            session.say(f"no {kind.title}")
        parts = ((kind, items), (shapes.BLOCKS, blocks))
        return "\n".join(
            tables.show(one, rows, request.form, header=request.header) for one, rows in parts if rows
        )
    if request.form != "name":
        items += blocks
    return tables.show(kind, items, request.form, header=request.header)


def _show_foreign(request: _Request, found: control.Answer) -> str:
    rows = gpus.foreign(trees.each(found.value, "items"))
    if not rows and request.form in {"table", "wide"}:
        session.say("nobody is known to use a GPU without a grant")
        return ""
    return tables.show(gpus.FOREIGN, rows, request.form, header=request.header)


def _watch(this: session.Session, request: _Request) -> None:
    """Print the rows, then each row that is new or differs but for its age, until interrupted."""
    if request.form not in {"table", "wide", "name"} or request.kind in _OF_FILES:
        raise click.UsageError("--watch shows rows of what runs; use it with -o table, wide or name")
    view = views.open_view(this)
    if not view.online:
        raise exits.Failure(exits.ExitCode.UNREACHABLE, "--watch needs a running controller")
    known: dict[str, trees.Object] = {}
    header = request.header
    for found in _poll(view, request):
        changed = _changes(known, trees.each(found.value, "items"))
        shown = tables.show(shapes.SHAPES[request.kind](found.at), changed, request.form, header=header)
        header = header and not changed
        sys.stdout.write(shown)
        sys.stdout.flush()


def _poll(view: views.View, request: _Request) -> Iterator[control.Answer]:
    while True:
        yield _read(view, request)
        time.sleep(_POLL_SECONDS)


def _without_use(item: trees.Object) -> trees.Object:
    """A workspace without what it uses, which no row of it shows and which never stays."""
    status = item.get("status")
    if not isinstance(status, Mapping) or "slice" not in status:
        return item
    return {**item, "status": {key: value for key, value in status.items() if key != "slice"}}


def _changes(known: dict[str, trees.Object], items: Sequence[trees.Object]) -> list[trees.Object]:
    """The items that are not as they were last time; `known` is brought up to date."""
    changed = []
    for item in items:
        key = trees.name_of(item) or str({name: item.get(name) for name in ("port", "subject", "reason")})
        told = _without_use(item)
        if known.get(key) != told:
            changed.append(item)
        known[key] = told
    return changed
