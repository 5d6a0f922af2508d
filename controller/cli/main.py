"""The `wharf` command: the table of its commands, and how its errors become messages and exit codes.

It knows no command from within: each is imported when it is called, so that small ones stay quick.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from controller.cli import entry, exits, session

_LOOK: Final = "Look"
_CHANGE: Final = "Change"
_RUN: Final = "Run"

ENTRIES: Final = {
    "get": entry.Entry("controller.cli.get:get", "Show workspaces, events, ports and more as rows.", _LOOK),
    "describe": entry.Entry(
        "controller.cli.describe:describe", "Show all about a workspace, user or GPU.", _LOOK
    ),
    "explain": entry.Entry("controller.cli.explain:explain", "Tell why a workspace is as it is.", _LOOK),
    "plan": entry.Entry("controller.cli.plan:plan", "Show what would be done now, and why.", _LOOK),
    "top": entry.Entry("controller.cli.top:top", "Show who uses what right now.", _LOOK),
    "validate": entry.Entry("controller.cli.validate:validate", "Check files without an Engine.", _LOOK),
    "logs": entry.Entry("controller.cli.logs:logs", "Print the log of a workspace's container.", _LOOK),
    "check": entry.Entry("controller.cli.check:check", "Look whether the host is fit for it.", _LOOK),
    "audit": entry.Entry("controller.cli.audit:audit", "Judge what was done by the promises.", _LOOK),
    "mig": entry.Entry("controller.cli.mig:mig", "Plan the MIG instances of the GPUs.", _LOOK),
    "apply": entry.Entry("controller.cli.apply:apply", "Write a workspace's spec and wait for it.", _CHANGE),
    "import": entry.Entry("controller.cli.imports:imports", "Carry over what other systems have.", _CHANGE),
    "delete": entry.Entry("controller.cli.delete:delete", "Remove a workspace; its data is kept.", _CHANGE),
    "start": entry.Entry("controller.cli.lifecycle:start", "Start a workspace.", _CHANGE),
    "stop": entry.Entry("controller.cli.lifecycle:stop", "Stop a workspace until `wharf start`.", _CHANGE),
    "restart": entry.Entry("controller.cli.lifecycle:restart", "Stop and start a workspace.", _CHANGE),
    "approve": entry.Entry("controller.cli.changes:approve", "Let a held or parked change go.", _CHANGE),
    "rollback": entry.Entry("controller.cli.changes:rollback", "Put the container before back.", _CHANGE),
    "forget": entry.Entry("controller.cli.custody:forget", "Remove kept containers.", _CHANGE),
    "adopt": entry.Entry("controller.cli.custody:adopt", "Make a foreign container ours.", _CHANGE),
    "gc": entry.Entry("controller.cli.gc:gc", "Remove images that nothing uses.", _CHANGE),
    "cordon": entry.Entry("controller.cli.cordons:cordon", "Take a GPU out of use.", _CHANGE),
    "drain": entry.Entry("controller.cli.cordons:drain", "Ask those who have a GPU to leave it.", _CHANGE),
    "uncordon": entry.Entry("controller.cli.cordons:uncordon", "Put a GPU back into use.", _CHANGE),
    "pause": entry.Entry("controller.cli.lifecycle:pause", "Change nothing by itself any more.", _CHANGE),
    "resume": entry.Entry("controller.cli.lifecycle:resume", "End a pause.", _CHANGE),
    "run": entry.Entry("controller.cli.run:run", "Be the controller.", _RUN),
    "version": entry.Entry("controller.cli.about:version", "Print the version.", _RUN),
    "completion": entry.Entry("controller.cli.about:completion", "Print a shell's completion script.", _RUN),
}

_HELP: Final = """Keeps each user's workspace container as its spec file says.

Data is printed on stdout, messages on stderr.

\b
Exit codes:
  0    done, or already so
  1    error
  2    changes are pending (plan only)
  3    not found
  4    not permitted
  5    refused by policy, or held until a person acts
  6    timed out
  7    the controller or the Engine is not reachable
  64   the command line is wrong
  130  interrupted
"""

_EXAMPLES: Final = (
    ("wharf get workspaces", "what there is and how it is"),
    ("wharf describe workspace alice", "all about one workspace"),
    ("wharf apply -f alice.yaml", "make or change a workspace"),
    ("wharf plan", "what the controller would do now, and why"),
)


@click.group(cls=entry.Group, entries=ENTRIES, examples=_EXAMPLES, help=_HELP, context_settings=entry.CONTEXT)
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="WHARF_CONFIG",
    help="The controller's configuration, also WHARF_CONFIG; default: /etc/wharfinger/controller.yaml.",
)
@click.pass_context
def wharf(context: click.Context, config_file: Path | None) -> None:
    """Carry the configuration to the command that is called."""
    context.obj = session.Session(config_file, dict(os.environ))


def invoke(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (None: the process's own) and return its exit code; messages go to stderr."""
    try:
        result = wharf.main(
            None if arguments is None else list(arguments), prog_name="wharf", standalone_mode=False
        )
    except click.UsageError as error:
        error.show()
        return exits.ExitCode.USAGE
    except click.ClickException as error:
        error.show()
        return exits.ExitCode.ERROR
    except exits.Failure as failure:
        session.say(failure.message)
        return failure.code
    except (click.Abort, KeyboardInterrupt):
        session.say("interrupted")
        return exits.ExitCode.INTERRUPTED
    except entry.ReaderGoneError:
        _silence_stdout()
        return exits.ExitCode.OK
    return result if isinstance(result, int) else exits.ExitCode.OK


def _silence_stdout() -> None:
    """Keep the interpreter from flushing to a reader that is gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Be the `wharf` command."""
    sys.exit(invoke())
