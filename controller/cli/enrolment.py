"""`wharf import users`: a spec file for each login of a list, in the spec directory or wherever it is wanted.

A file that is there is never written to; what a list says is read by `rosters`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from controller.api import meta, workspace
from controller.api import policy as policies
from controller.cli import documents, entry, exits, logins, rosters, session, specs
from controller.cli.imports import read
from controller.model.desired import Finding
from controller.sources import loader, positions, readings


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One workspace that is to be written: for whom, under which name, and the spec's text."""

    entry: rosters.Entry
    name: str
    text: bytes


@click.command(
    cls=entry.Command,
    examples=[
        (
            "wharf import users logins.txt --class vm",
            "a workspace of the class vm for each, in the spec directory",
        ),
        ("wharf import users logins.txt --class vm --dry-run", "show the files, write none"),
        (
            "wharf import users config.sh --class lab --dir ./workspaces.d",
            'from USERS="alice bob", elsewhere',
        ),
    ],
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--class", "class_name", required=True, metavar="CLASS", help="The class of all of them.")
@click.option(
    "--dir", "directory", type=click.Path(path_type=Path), help="Where to; default: the spec directory."
)
@click.option("--dry-run", is_flag=True, help="Print the files and write none.")
@session.PASS_SESSION
def users(
    this: session.Session,
    file: Path,
    class_name: str,
    directory: Path | None,
    dry_run: bool,  # noqa: FBT001 - click passes flags by name
) -> int:
    """Write a spec file for each login of a list.

    The list has a login a line; `login:group`, a passwd file, columns below a line of headings, and
    USERS="alice bob" as in a config.sh are read too. What can be read in two ways is an error.

    A workspace is called as its owner's login, in lower case, with a dash for each run of anything but
    letters and digits: Jane.Doe@uni.example has jane-doe-uni-example. Logins that would share a name are an
    error, and nothing is written.

    Files and workspaces that are there are left as they are, and reported: then the exit code is 5.
    """
    wanted = tuple(_wanted(_entries(file), class_name, file))
    _check_class(this, class_name)
    target = this.settings.spec_dir if directory is None else directory
    existing = _existing(target)
    refused = [one for one in wanted if not _place(one, target, existing, dry_run=dry_run)]
    return exits.ExitCode.REFUSED if refused else exits.ExitCode.OK


def _place(one: _Wanted, target: Path, existing: Mapping[str, str], *, dry_run: bool) -> bool:
    """Write one file and tell it; False, and that is told, where something is there already."""
    path = target / f"{one.name}.yaml"
    if one.name in existing:
        session.say(f"{target / existing[one.name]} declares workspace/{one.name}; it is left as it is")
        return False
    if path.is_symlink() or path.exists() or not (dry_run or specs.create(path, one.text)):
        session.say(f"{path} is there; it is left as it is")
        return False
    click.echo(f"# {path}\n{one.text.decode()}" if dry_run else f"workspace/{one.name} created\n", nl=False)
    return True


def _entries(file: Path) -> tuple[rosters.Entry, ...]:
    try:
        text = read(file).decode("utf-8")
    except UnicodeDecodeError as error:
        raise exits.Failure(exits.ExitCode.ERROR, f"{file}: it is no text in UTF-8") from error
    found = rosters.parse(text, str(file))
    findings = [one for one in found if isinstance(one, Finding)]
    if findings:
        raise exits.Failure(exits.ExitCode.ERROR, "\n".join(map(str, findings)))
    return tuple(one for one in found if isinstance(one, rosters.Entry))


def _wanted(entries: Iterable[rosters.Entry], class_name: str, file: Path) -> Iterator[_Wanted]:
    """The workspaces of a list.

    Raises:
        exits.Failure: two would share a name, or a login or the class makes no valid spec.
    """
    wrong: list[str] = []
    first: dict[str, rosters.Entry] = {}
    for one in entries:
        name = logins.label(one.login)
        if not 0 < len(name) <= logins.LONGEST:
            wrong.append(
                f'{file}:{one.line}:1: "{one.login}" makes no name of 1 to {logins.LONGEST} characters'
            )
        elif name in first:
            other = f'"{first[name].login}" (line {first[name].line})'
            wrong.append(f'{file}:{one.line}:1: "{one.login}" and {other} would both be {name}')
        first.setdefault(name, one)
    if wrong:
        raise exits.Failure(exits.ExitCode.ERROR, "\n".join([*wrong, "nothing was written"]))
    for name, one in first.items():
        yield _Wanted(one, name, _text(name, one.login, class_name))


def _text(name: str, owner: str, class_name: str) -> bytes:
    spec = {
        "apiVersion": meta.API_VERSION,
        "kind": "Workspace",
        "metadata": {"name": name},
        "spec": {"owner": owner, "class": class_name},
    }
    text = f"{positions.dump(spec)}...\n".encode()
    result = loader.parse_document(text, f"workspace/{name}", workspace.Workspace)
    if isinstance(result, loader.Rejection):
        raise exits.Failure(exits.ExitCode.ERROR, "\n".join(map(str, result.findings)))
    return text


def _check_class(this: session.Session, class_name: str) -> None:
    """A class that the policy of this host lacks is a mistake; without a policy nobody knows."""
    policy = documents.load(this.settings.policy_file, policies.ResourcePolicy)
    if policy is not None and class_name not in policy.spec.classes:
        known = ", ".join(sorted(policy.spec.classes)) or "none"
        near = entry.suggestion(class_name, policy.spec.classes)
        message = f'{this.settings.policy_file} has no class "{class_name}"{near}; it has: {known}'
        raise exits.Failure(exits.ExitCode.ERROR, message)


def _existing(directory: Path) -> dict[str, str]:
    """The file that declares each workspace of a directory, valid or not."""
    found = {}
    for file, reading in specs.names(directory):
        if isinstance(reading, readings.Reading) and reading.text is not None:
            result = loader.parse_document(reading.text, file, workspace.Workspace)
            if result.name is not None:
                found[result.name] = file
    return found
