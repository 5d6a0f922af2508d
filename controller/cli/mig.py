"""`wharf mig`: MIG instances of the host's GPUs; what is asked for, and how the plan is printed.

It makes no plan itself, and nothing of it ever changes a GPU: the commands are for a person to copy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, assert_never

import click

from controller.api import meta
from controller.cli import entry, exits, gpus, session, tables, trees
from controller.model.mig import Change, Create, Destroy, Instance, Layout, NoLayout, SwitchOn
from controller.planning import mig as planning
from controller.planning import migwords

ENTRIES: Final = {
    "plan": entry.Entry("controller.cli.mig:plan", "The fewest changes to have certain instances.", "Look"),
}

_REQUEST: Final = re.compile(r"(?:([1-9][0-9]?)x)?([0-9]+g\.[0-9]+gb(?:\+[a-z0-9.]+)*)")
_PART: Final = re.compile(r"[0-9]+c\.([0-9]+g\..+)")

mig = entry.Group(
    name="mig",
    entries=ENTRIES,
    examples=[('wharf mig plan --for "2x3g.40gb,1x1g.10gb"', "what to change so that these can be given")],
    help="MIG instances of the host's GPUs. Nothing here changes one.",
    context_settings=entry.CONTEXT,
)


class Requests(click.ParamType[Mapping[str, int]]):
    """How many instances of which profiles: `2x3g.40gb,1g.10gb`."""

    name = "instances"

    def convert(
        self, value: str | Mapping[str, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> Mapping[str, int]:
        """The count of each profile; what is said twice is added."""
        if not isinstance(value, str):
            return value
        wanted: dict[str, int] = {}
        for part in value.split(","):
            found = _REQUEST.fullmatch(part.strip())
            if found is None:
                self.fail(_advice(part.strip()), param, ctx)
            wanted[found[2]] = wanted.get(found[2], 0) + int(found[1] or 1)
        return wanted


def _advice(part: str) -> str:
    compute = _PART.search(part)
    if compute is not None:
        return f"{part}: parts of an instance are not planned; ask for {compute[1]}, and divide that by hand"
    return f'"{part}" is no request; write 1 to 99, x, and a profile, such as 2x3g.40gb, with commas between'


@click.command(
    cls=entry.Command,
    examples=[
        ('wharf mig plan --for "2x3g.40gb,1x1g.10gb"', "which instances to destroy and to create"),
        ("wharf mig plan --for 7g.80gb -o json", "the same for a script"),
    ],
)
@click.option(
    "--for", "wanted", type=Requests(), required=True, metavar="INSTANCES", help="What shall be there, free."
)
@click.option("-o", "--output", "form", type=click.Choice(["text", "json"]), default="text", help="Format.")
@session.PASS_SESSION
def plan(this: session.Session, wanted: Mapping[str, int], form: str) -> int:
    """Show the fewest changes of MIG instances after which all that is asked for is there and free.

    Free instances that fit are used as they are; only free ones are destroyed, and only where it must be.
    What anybody has, what is cordoned or fenced, and what could not be seen is never touched. The MIG mode of
    a GPU is switched on only if nothing else helps, and only where nobody has the GPU.

    Nothing is changed. The commands are printed to be copied; somebody may take an instance meanwhile, so ask
    again before you run them. Where it cannot be had, the reasons are printed: what fits, what is in the way.

    Known are A30, A100 (40 and 80 GB), H100 and H200. Instances with +me are planned, too: one on each GPU.

    Exit code 0: all is there; 2: something is to be changed; 1: it cannot be had.
    """
    found = planning.plan(wanted, gpus.divisible(this))
    if form == "json":
        click.echo(tables.to_json(_object(wanted, found)))
    else:
        click.echo("".join(f"{line}\n" for line in _lines(found)), nl=False)
        session.say(_summary(found))
    if isinstance(found, NoLayout):
        return exits.ExitCode.ERROR
    return exits.ExitCode.PENDING if found.changes else exits.ExitCode.OK


def _lines(found: Layout | NoLayout) -> list[str]:
    if isinstance(found, NoLayout):
        return list(migwords.reasons(found))
    lines = [f"use the free {one.profile} at slice {one.start} of {gpu}" for gpu, one in found.used]
    lines += [migwords.words(change) for change in found.changes]
    commands = migwords.commands(found)
    return [*lines, *(("", *commands) if commands else ())]


def _summary(found: Layout | NoLayout) -> str:
    if isinstance(found, NoLayout):
        return "it cannot be had; nothing was changed"
    if not found.changes:
        return "all of it is there and free; nothing is to be changed"
    counts = [(word, sum(isinstance(change, kind) for change in found.changes)) for word, kind in _VERBS]
    said = ", ".join(f"{count} to {word}" for word, count in counts if count)
    return f"{said}; nothing was changed\nnew instances have new UUIDs: make the CDI specs anew afterwards"


_VERBS: Final = (("switch on", SwitchOn), ("destroy", Destroy), ("create", Create))


def _object(wanted: Mapping[str, int], found: Layout | NoLayout) -> trees.Json:
    layout = found if isinstance(found, Layout) else Layout((), ())
    return {
        "apiVersion": meta.API_VERSION,
        "kind": "MigPlan",
        "wanted": dict(wanted),
        "possible": isinstance(found, Layout),
        "changes": [_change(change) for change in layout.changes],
        "used": [{"gpu": gpu, **_instance(one)} for gpu, one in layout.used],
        "commands": list(migwords.commands(layout)),
        "reasons": {name: list(said) for name, said in found.reasons.items()}
        if isinstance(found, NoLayout)
        else {},
    }


def _change(change: Change) -> trees.Json:
    match change:
        case SwitchOn(gpu):
            return {"action": "SwitchOn", "gpu": gpu}
        case Destroy(gpu, one):
            return {"action": "Destroy", "gpu": gpu, **_instance(one)}
        case Create(gpu, profile, start):
            return {"action": "Create", "gpu": gpu, "profile": profile, "start": start}
        case _:
            assert_never(change)


def _instance(one: Instance) -> trees.Object:
    return {"profile": one.profile, "start": one.start, "uuids": list(one.uuids)}
