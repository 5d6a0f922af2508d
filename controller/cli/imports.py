"""`wharf import`: what other systems have, as files of our own; the files read and written, and what is said.

It knows no format from within: `ds01` translates limits files, `rosters` reads lists of users.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import click

from controller.api import policy as policies
from controller.cli import entry, exits, session, specs
from controller.cli.ds01 import translation
from controller.cli.ds01.notes import Kind, Report
from controller.model.desired import Finding
from controller.sources import findings, foreign, loader, positions

ENTRIES: Final = {
    "ds01": entry.Entry("controller.cli.imports:ds01", "A DS01 limits file as a policy.", "Import"),
    "users": entry.Entry("controller.cli.enrolment:users", "A list of logins as workspaces.", "Import"),
}

_MEMBERS: Final = ".members"
_NOT_GROUPS: Final = {
    "archived.members": "it kept people out of an automatic classification, which there is none of here",
    "group-overrides.txt": "it steered an automatic classification, which there is none of here",
}
_LONGEST_FILE: Final = foreign.MAX_BYTES
_MISSING: Final = (
    "not in any DS01 file, so not in the policy: classes with images, portPools, mountRoots; "
    "config/examples/lab-policy.yaml has samples"
)

imports = entry.Group(
    name="import",
    entries=ENTRIES,
    examples=[
        ("wharf import ds01 resource-limits.yaml > policy.yaml", "a DS01 limits file as a policy"),
        (
            "wharf import users logins.txt --class vm --dir workspaces.d",
            "a workspace for each login of a list",
        ),
    ],
    help="Carry over what other systems have.",
    context_settings=entry.CONTEXT,
)


@click.command(
    cls=entry.Command,
    examples=[
        (
            "wharf import ds01 resource-limits.yaml > policy.yaml",
            "the policy; what is to be said is on stderr",
        ),
        (
            "wharf import ds01 resource-limits.yaml --users-file user-overrides.yaml",
            "overrides in their own file",
        ),
        ("wharf import ds01 resource-limits.yaml --groups groups/", "members in groups/NAME.members"),
        ("wharf import ds01 resource-limits.yaml --as-written", "overrides on top of their group, as meant"),
    ],
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--users-file", type=click.Path(path_type=Path), help="Overrides of users: user-overrides.yaml."
)
@click.option(
    "--groups", type=click.Path(path_type=Path), help="Directory of NAME.members, one login a line."
)
@click.option("--exemptions", type=click.Path(path_type=Path), help="Exemptions: lifecycle-exemptions.yaml.")
@click.option("--members-dir", type=click.Path(path_type=Path), help="Write members there, a file a group.")
@click.option("--as-written", is_flag=True, help="Lay overrides over the user's group, which DS01 did not.")
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", help="Format.")
def ds01(file: Path, as_written: bool, output: str, **beside: Path | None) -> None:  # noqa: FBT001
    """Translate a DS01 limits file of any of its three formats into a ResourcePolicy on stdout.

    On stderr: which format it is and why, what was ambiguous, what is not carried over and why, what never
    had an effect, and what is carried over in another shape. Each line begins with file and line.

    A user with an override gets what they really had: DS01 laid it over the defaults and skipped the group.
    With --as-written it is laid over the group.

    With --members-dir each group's members are written to DIR/GROUP.members, and the policy names the file;
    it belongs beside the policy. Files that are there are left as they are: then nothing is done, and the
    exit code is 5.

    Exit code 1, and nothing on stdout, if a file cannot be read or a value has no certain meaning.
    """
    report = Report()
    found = translation.translate(_sources(file, beside, report), report, as_written=as_written)
    directory = beside["members_dir"]
    lists = {} if directory is None else _take_members(found.policy, directory)
    text = positions.dump(found.policy)
    errors = [*report.errors, *(() if report.errors else _wrong(text, file))]
    if errors:
        raise exits.Failure(exits.ExitCode.ERROR, "\n".join(map(str, errors)))
    _write(lists)
    session.say(_format(found))
    for line in (*report.lines(), _MISSING):
        session.say(line)
    click.echo(text if output == "yaml" else f"{json.dumps(found.policy, indent=2)}\n", nl=False)


def _sources(file: Path, beside: Mapping[str, Path | None], report: Report) -> translation.Sources:
    groups, users, exemptions = (beside[name] for name in ("groups", "users_file", "exemptions"))
    return translation.Sources(
        limits=_tree(file, report),
        users=None if users is None else _tree(users, report),
        members={} if groups is None else _members(groups, report),
        exemptions=None if exemptions is None else _tree(exemptions, report),
    )


def _take_members(policy: translation.Json, directory: Path) -> Mapping[Path, str]:
    """Replace the members of each group by the name of a file; the files' texts."""
    found: dict[Path, str] = {}
    spec = policy["spec"]
    groups = spec.get("groups", {}) if isinstance(spec, dict) else {}
    for name, group in groups.items():
        if "members" in group:
            found[directory / f"{name}{_MEMBERS}"] = "".join(f"{login}\n" for login in group["members"])
            rest = {key: value for key, value in group.items() if key != "members"}
            groups[name] = {"membersFile": f"{directory.name}/{name}{_MEMBERS}", **rest}
    return found


def _write(lists: Mapping[Path, str]) -> None:
    """Write new files, if none of them is there yet."""
    there = [f"{file} is there; nothing was written" for file in lists if os.path.lexists(file)]
    if there:
        raise exits.Failure(exits.ExitCode.REFUSED, "\n".join(there))
    for file, text in lists.items():
        if not specs.create(file, text.encode()):
            raise exits.Failure(exits.ExitCode.REFUSED, f"{file} is there; it is left as it is")


def _tree(file: Path, report: Report) -> foreign.Node:
    tree = foreign.parse(read(file), str(file))
    if isinstance(tree, Finding):
        raise exits.Failure(exits.ExitCode.ERROR, str(tree))
    for node in tree.repeats:
        report.remark(Kind.AMBIGUOUS, node, f"{node.key} is given twice; the last one counts, as in DS01")
    return tree.root


def read(file: Path) -> bytes:
    """The content of a file of another system.

    Raises:
        exits.Failure: it cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return stream.read(_LONGEST_FILE + 1)
    except OSError as error:
        raise exits.Failure(exits.ExitCode.ERROR, f"{file}: {error.strerror or error}") from error


def _members(directory: Path, report: Report) -> Mapping[str, tuple[foreign.Node, ...]]:
    """The login names in every `NAME.members`, by group."""
    try:
        files = sorted(directory.iterdir())
    except OSError as error:
        raise exits.Failure(exits.ExitCode.ERROR, f"{directory}: {error.strerror or error}") from error
    found = {}
    for file in files:
        whole = foreign.Node(str(file), findings.START, (file.name,), "", None)
        if file.name in _NOT_GROUPS:
            report.say(Kind.DROPPED, whole, _NOT_GROUPS[file.name])
        elif file.suffix == _MEMBERS:
            found[file.stem] = tuple(_logins(file))
        else:
            report.say(Kind.UNKNOWN, whole, "it is no list of members")
    return found


def _logins(file: Path) -> Iterator[foreign.Node]:
    found = 0
    for number, line in enumerate(read(file).decode("utf-8", "replace").splitlines(), 1):
        login = line.partition("#")[0].strip()
        if login:
            place = findings.Position(number, line.index(login) + 1)
            yield foreign.Node(str(file), place, ("members", found), login, login)
            found += 1


def _wrong(text: str, file: Path) -> tuple[Finding, ...]:
    """What the controller would say against the policy; it reads 64 KiB at most."""
    result = loader.parse_document(text.encode(), f"the policy made of {file}", policies.ResourcePolicy)
    return result.findings if isinstance(result, loader.Rejection) else ()


def _format(found: translation.Translation) -> str:
    signs = {node.key: node.place.line for node in reversed(found.signs)}
    told = ", ".join(f"{key} (line {line})" for key, line in list(signs.items())[::-1][:4])
    why = f"it has {told}" if told else "no key tells, so it is read as the newest"
    return f"DS01, {found.generation.value}: {why}"
