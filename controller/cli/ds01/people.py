"""Who is in which group of a DS01 limits file, and who has an override; it knows no limit."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from controller.cli.ds01 import sheet
from controller.cli.ds01.notes import Kind, Report
from controller.cli.logins import LONGEST
from controller.sources.foreign import Node

_OVERRIDES = "user_overrides"


@dataclass(frozen=True, slots=True)
class Roster:
    """The group of each login name that is in one, and what each group is called in the policy."""

    groups: dict[str, str]
    labels: Mapping[str, str]


def roster(top: Mapping[str, Node], members: Mapping[str, tuple[Node, ...]], report: Report) -> Roster:
    """Who is where: the first group that lists somebody has them, as in DS01."""
    found: dict[str, str] = {}
    named = sheet.section(top.get("groups"), report)
    for name, node in named.items():
        for member in (*_inline(node, report), *members.get(name, ())):
            login = sheet.login(member, report)
            first = found.setdefault(login, name) if login is not None else name
            if first != name:
                message = (
                    f"{login} is in the group {first} too; the first group counted there, and has them here"
                )
                report.say(Kind.AMBIGUOUS, member, message)
    for name, nodes in members.items():
        if name not in named:
            for member in nodes:
                message = f"the limits file has no group {name}, so its members are in none"
                report.say(Kind.AMBIGUOUS, member, message)
    return Roster(found, _labels(named, report))


def _inline(node: Node, report: Report) -> Iterator[Node]:
    yield from sheet.texts(sheet.section(node, report).get("members"), report)


def _labels(named: Mapping[str, Node], report: Report) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name, node in named.items():
        label = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        if not label or len(label) > LONGEST or label in found.values():
            report.refuse(
                node, f'the group "{name}" would be called "{label}", which is taken or no name; rename it'
            )
        elif label != name:
            report.remark(Kind.CHANGED, node, f"the group {name} is called {label}: names have dashes")
        found[name] = label
    return found


def overrides(inline: Node | None, file: Node | None, report: Report) -> Mapping[str, Node]:
    """Each user's override; one in the file of overrides takes the place of one in the limits file."""
    if inline is not None and isinstance(inline.value, str):
        report.say(Kind.AMBIGUOUS, inline, "overrides are in another file: give it with --users-file")
        inline = None
    found = dict(sheet.section(inline, report))
    beside = sheet.section(file, report)
    if set(beside) == {_OVERRIDES}:
        beside = sheet.section(beside[_OVERRIDES], report)
    for name, node in beside.items():
        if name in found:
            report.say(
                Kind.AMBIGUOUS, found[name], f"the override in {node.file} takes its place, as in DS01"
            )
        found[name] = node
    for name, node in list(found.items()):
        if node.value is None:
            report.say(Kind.DROPPED, found.pop(name), "it holds nothing")
    return found
