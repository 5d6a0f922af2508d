"""`wharf validate`: files judged as the controller would, without an Engine.

It prints what is wrong and where; it repairs nothing and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

import click

from controller.api import config, images, meta, policy, workspace
from controller.api.conditions import Reason
from controller.cli import documents, entry, exits, session, specs
from controller.model.desired import AcceptedPolicy, AcceptedSpec, Finding
from controller.model.effective import Refusal
from controller.model.observed import Account
from controller.planning import resolve
from controller.planning.standing import Standing
from controller.sources import findings, loader, members, positions, readings

_MODELS: Final[Mapping[str, type[meta.ApiModel]]] = {
    "Workspace": workspace.Workspace,
    "ResourcePolicy": policy.ResourcePolicy,
    "ImageCatalog": images.ImageCatalog,
    "ControllerConfig": config.ControllerConfig,
}
_NO_TIME: Final = datetime.min.replace(tzinfo=UTC)

_Parsed: TypeAlias = loader.Parsed[meta.ApiModel]


@dataclass(slots=True)
class _Report:
    """What the files are, what is wrong with them, and what a person should know besides."""

    parsed: list[_Parsed] = field(default_factory=list)
    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)

    def of_kind(self, model: type[documents.ModelT]) -> list[tuple[_Parsed, documents.ModelT]]:
        """The valid documents of one kind."""
        return [(parsed, parsed.value) for parsed in self.parsed if isinstance(parsed.value, model)]


@click.command(
    cls=entry.Command,
    examples=[
        ("wharf validate", "the configured spec directory, policy and catalog"),
        ("wharf validate alice.yaml bob.yaml", "some files before they are put in place"),
        ("wharf validate workspaces.d/", "a directory, as in a commit hook"),
    ],
)
@click.argument("paths", nargs=-1, metavar="[PATH…]", type=click.Path(exists=True, path_type=Path))
@session.PASS_SESSION
def validate(this: session.Session, paths: tuple[Path, ...]) -> int:
    """Check files as the controller would, without an Engine.

    Without PATH, the configuration, the policy with its files of members, the catalog and all spec files that
    it names. Each finding is one line, `file:line:col: path: message`, as compilers print it and editors read
    it. Exit code 1 if there is any.

    Lines with `warning:` do not count: a class or an image that the policy or the catalog lacks, an image
    that is deprecated, a grant that has ended, and files that the controller would not look into.
    """
    report = _Report()
    for path in paths:
        _read_path(path, report)
    if not paths:
        _read_configured(this, report)
    report.errors += _doubles(report.of_kind(workspace.Workspace))
    for parsed, value in report.of_kind(policy.ResourcePolicy):
        report.errors += members.survey(parsed.file, value.spec.groups).findings
    rules = _rules(this, report, is_default=not paths)
    if rules is not None:
        standing = Standing(rules, _now())
        report.warnings += _unresolved(report.of_kind(workspace.Workspace), standing)
        report.warnings += _over(report, standing)
    for finding in sorted(report.errors + report.warnings, key=lambda found: (found.file, found.line)):
        click.echo(str(finding))
    wrong, files = len(report.errors), len(report.parsed)
    if wrong:
        session.say(f"{wrong} finding{'s' * (wrong > 1)}; {files} valid file{'s' * (files != 1)}")
        return exits.ExitCode.ERROR
    session.say(f"{files} valid file{'s' * (files != 1)}")
    return exits.ExitCode.OK


def _read_configured(this: session.Session, report: _Report) -> None:
    """What the configuration names; the spec directory must exist, policy and catalog may be absent."""
    chosen = this.settings
    for file in (chosen.policy_file, chosen.image_catalog_file):
        if file.exists():
            _read_path(file, report)
    _read_directory(chosen.spec_dir, _workspace, report)


def _read_path(path: Path, report: _Report) -> None:
    if path.is_dir():
        _read_directory(path, _model_of, report)
        return
    try:
        text = path.read_bytes()
    except OSError as error:
        raise documents.unreadable(path, error) from error
    _take(text, str(path), _model_of(text), report)


def _read_directory(path: Path, model_of: Callable[[bytes], type[meta.ApiModel]], report: _Report) -> None:
    """Every file of a directory that the controller would look into, and warnings for the others."""
    for name, reading in specs.names(path):
        title = str(path / readings.shown(name))
        if isinstance(reading, readings.NotReadable):
            report.errors.append(findings.of_file(title, reading.message))
        elif reading.text is None:
            size = f"the file has {reading.stamp.size} bytes; at most {positions.MAX_BYTES} (64 KiB) are read"
            report.errors.append(findings.of_file(title, size))
        else:
            _take(reading.text, title, model_of(reading.text), report)
    for child in sorted(path.iterdir()):
        if not readings.is_spec_name(child.name) and not readings.is_leftover(child.name):
            message = "warning: the controller does not look into it: its name is not that of a spec file"
            report.warnings.append(findings.of_file(str(path / readings.shown(child.name)), message))


def _workspace(_: bytes) -> type[meta.ApiModel]:
    """The only kind of the spec directory."""
    return workspace.Workspace


def _model_of(text: bytes) -> type[meta.ApiModel]:
    """The model of the kind that a text claims to be; a workspace where it claims nothing that is known."""
    document = positions.parse(text, "")
    value = document.value if isinstance(document, positions.Document) else None
    kind = value.get("kind") if isinstance(value, dict) else None
    return _MODELS.get(kind, workspace.Workspace) if isinstance(kind, str) else workspace.Workspace


def _take(text: bytes, title: str, model: type[meta.ApiModel], report: _Report) -> None:
    result = loader.parse_document(text, title, model)
    if isinstance(result, loader.Rejection):
        report.errors.extend(result.findings)
    else:
        report.parsed.append(result)


def _doubles(found: Iterable[tuple[_Parsed, workspace.Workspace]]) -> Iterator[Finding]:
    """A finding for each file whose workspace another file declares too."""
    by_name: dict[str, list[_Parsed]] = {}
    for parsed, value in found:
        by_name.setdefault(value.metadata.name, []).append(parsed)
    for name, several in by_name.items():
        for parsed in several:
            others = ", ".join(other.file for other in several if other is not parsed)
            if others:
                message = f'the workspace "{name}" is also declared in {others}; both are rejected'
                place = parsed.place
                yield Finding(parsed.file, place.line, place.column, "metadata.name", message)


def _rules(this: session.Session, report: _Report, *, is_default: bool) -> AcceptedPolicy | None:
    """Policy and catalog among the files, else those of the configuration; None where there is no policy."""
    policies = _sources(report, policy.ResourcePolicy)
    catalogs = _sources(report, images.ImageCatalog)
    if not is_default:
        policies = policies or _configured(this.settings.policy_file, policy.ResourcePolicy)
        catalogs = catalogs or _configured(this.settings.image_catalog_file, images.ImageCatalog)
    if not policies:
        return None
    head = {"apiVersion": meta.API_VERSION, "kind": "ImageCatalog", "metadata": {"name": "none"}}
    catalogs = catalogs or [("images.yaml", {}, images.ImageCatalog.model_validate({**head, "spec": {}}))]
    (file, lines, rules), (catalog_file, catalog_lines, catalog) = policies[0], catalogs[0]
    return AcceptedPolicy(
        rules,
        catalog,
        "",
        members=members.survey(file, rules.spec.groups).members,
        policy_file=Path(file).name,
        catalog_file=Path(catalog_file).name,
        lines=lines,
        catalog_lines=catalog_lines,
    )


_Source: TypeAlias = tuple[str, Mapping[str, int], documents.ModelT]
"""File, lines by path, and the document."""


def _sources(report: _Report, model: type[documents.ModelT]) -> list[_Source[documents.ModelT]]:
    return [(parsed.file, parsed.lines, value) for parsed, value in report.of_kind(model)]


def _configured(file: Path, model: type[documents.ModelT]) -> list[_Source[documents.ModelT]]:
    found = documents.read(file, model)
    return [] if found is None else [(found.file, found.lines, found.value)]


def _now() -> datetime:
    from controller import manager  # noqa: PLC0415 - only for its clock

    return manager.clock()


def _over(report: _Report, standing: Standing) -> Iterator[Finding]:
    """A warning for each grant and exception that has ended, if the policy is among the files."""
    for parsed, _ in report.of_kind(policy.ResourcePolicy)[:1]:
        for line, message in standing.over:
            yield Finding(parsed.file, line or 1, 1, "", f"warning: {Reason.GRANT_OVER}: {message}")


def _unresolved(
    found: Iterable[tuple[_Parsed, workspace.Workspace]], standing: Standing
) -> Iterator[Finding]:
    """Warnings for workspaces that policy or catalog would hold or remark on; accounts are taken to exist."""
    for parsed, value in found:
        owner = resolve.owner_of(value)
        accepted = AcceptedSpec(value, "", 1, "", parsed.file, _NO_TIME, confirmed=True, lines=parsed.lines)
        resolved = resolve.resolve(accepted, standing, Account(owner, 1, 1, f"/home/{owner}"))
        for note in (resolved,) if isinstance(resolved, Refusal) else resolved.notes:
            yield findings.of_file(parsed.file, f"warning: {note.reason}: {note.message}")
