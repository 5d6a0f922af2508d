"""Commands that take GPUs out of use and put them back: cordon, drain, uncordon.

They know the requests and the words for their results; who gets which device is the controller's.
"""

import click

from controller.cli import entry, names, session, trees

_KIND = click.argument("kind", type=entry.Kind({"gpu": ("gpus",)}))
_NAMES = click.argument("chosen", type=names.GpuName(), nargs=-1, required=True, metavar="UUID…")
_REASON = click.option("--reason", required=True, help="Why; it is shown wherever the device is.")


@click.command(
    cls=entry.Command,
    examples=[
        ('wharf cordon gpu GPU-8f2e4a0c --reason "its fan is loud"', "the beginning of a UUID will do"),
    ],
)
@_KIND
@_NAMES
@_REASON
@session.PASS_SESSION
def cordon(this: session.Session, kind: str, chosen: tuple[str, ...], reason: str) -> None:  # noqa: ARG001
    """Take GPUs or MIG instances out of use: nobody gets them anew.

    What runs on them goes on. It survives restarts of the controller and holds until `wharf uncordon`. With a
    GPU all its instances are out of use. A device is named by its UUID or the beginning of it: an index may
    mean another one after each boot.
    """
    for name in chosen:
        answer = this.controller().post("gpus", name, "cordon", body={"reason": reason})
        click.echo(f"gpu/{trees.text(answer.value, 'uuid')} cordoned")


@click.command(
    cls=entry.Command,
    examples=[('wharf drain gpu GPU-8f2e4a0c --reason "a new one comes on Monday"', "and tell who has it")],
)
@_KIND
@_NAMES
@_REASON
@session.PASS_SESSION
def drain(this: session.Session, kind: str, chosen: tuple[str, ...], reason: str) -> None:  # noqa: ARG001
    """Take GPUs out of use, and ask those who have them to leave.

    Nobody is stopped for it: workspaces that have the device get the note GpuDraining, with the reason, and
    are printed here. What is made anew gets another device; what only stops waits for its own until
    `wharf approve`. It holds until `wharf uncordon`.
    """
    for name in chosen:
        body: trees.Object = {"reason": reason, "drain": True}
        answer = this.controller().post("gpus", name, "cordon", body=body).value
        told = trees.at(answer, "workspaces")
        who = ", ".join(str(one) for one in told) if isinstance(told, list) else ""
        click.echo(f"gpu/{trees.text(answer, 'uuid')} draining: {who or 'no workspace has it'}")


@click.command(cls=entry.Command, examples=[("wharf uncordon gpu GPU-8f2e4a0c", "let it be granted again")])
@_KIND
@_NAMES
@session.PASS_SESSION
def uncordon(this: session.Session, kind: str, chosen: tuple[str, ...]) -> None:  # noqa: ARG001
    """Put GPUs back into use that a person took out of it.

    One that is out of use by itself, for a fault, stays so until the fault is gone for gpus.cleanAfter.
    """
    for name in chosen:
        answer = this.controller().post("gpus", name, "uncordon").value
        already = " already" if trees.at(answer, "already") else ""
        why = trees.text(answer, "outOfUse", default="")
        still = f"; nobody gets it yet: {why}" if why else ""
        click.echo(f"gpu/{trees.text(answer, 'uuid')} uncordoned{already}{still}")
