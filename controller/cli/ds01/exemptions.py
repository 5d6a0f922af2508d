"""DS01's exemptions from idle and longest run time: as grants with an end, or as fields of users without one.

It does not know what time it is: one that is over is carried over too, and has no effect.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from controller.api import fields
from controller.cli import logins
from controller.cli.ds01 import keys, sheet, values
from controller.cli.ds01.notes import Kind, Report
from controller.sources.foreign import Node

Json = dict[str, object]

_FIELDS: Final = {
    **dict.fromkeys(keys.IDLE_TIMEOUT, "idleTimeout"),
    **dict.fromkeys(keys.MAX_RUNTIME, "maxRuntime"),
}
_ZONE: Final = re.compile(r"(Z|[+-][0-9]{2}:?[0-9]{2})$")
_REASON: Final = "exempt in DS01"
_NOBODY: Final = "unknown"


@dataclass(slots=True)
class Exempt:
    """What came of the exemptions: grants, and fields of users by login name."""

    grants: list[Json] = field(default_factory=list)
    users: dict[str, Json] = field(default_factory=dict)


def translate(root: Node | None, report: Report) -> Exempt:
    """Everybody's exemptions; `root` is the file: a list, or a mapping with the list under `exemptions`."""
    found = Exempt()
    if root is None or root.value is None:
        return found
    items: Node | None = root
    if isinstance(root.value, Mapping):
        items = root.value.get("exemptions")
        if items is None:
            report.refuse(root, "a list of exemptions is expected, at the top or under exemptions")
    for item in items.children() if items is not None else ():
        _add(found, sheet.section(item, report), item, report)
    if isinstance(root.value, str | int | float):
        report.refuse(root, "a list of exemptions is expected")
    return found


def _add(found: Exempt, entry: Mapping[str, Node], item: Node, report: Report) -> None:
    user = sheet.login(entry.get("username", item), report)
    lifecycle = _lifecycle(entry.get("exempt_from"), item, report)
    for key in ("approved_on", "category"):
        if key in entry:
            report.say(Kind.DROPPED, entry[key], "there is no field for it")
    if user is None or not lifecycle:
        return
    exemption: Json = {"lifecycle": lifecycle, "reason": reason(entry.get("reason"), report) or _REASON}
    approved = approved_by(entry.get("approved_by"), report)
    expires = _expires(entry.get("expires_on"), report)
    if expires is None:
        given = {"approvedBy": approved} if approved else {}
        found.users[user] = merged(found.users.get(user, {}), {**exemption, **given})
        return
    if approved is None:
        report.remark(Kind.AMBIGUOUS, item, f"it names nobody who allowed it; approvedBy is {_NOBODY}")
    label = logins.label(user) or "user"
    name = f"exempt-{label}"[:36].strip("-")
    taken = {grant["name"] for grant in found.grants}
    while name in taken:
        name = f"exempt-{label}"[:36].strip("-") + f"-{len(taken) + 1}"
    start: Json = {"name": name, "users": [user]}
    found.grants.append(start | exemption | {"approvedBy": approved or _NOBODY, "expires": expires})


def _lifecycle(node: Node | None, item: Node, report: Report) -> Json:
    found: Json = {}
    for limit in sheet.texts(node, report):
        if limit.text in _FIELDS:
            report.take(limit)
            found[_FIELDS[limit.text]] = None
        else:
            report.say(Kind.UNKNOWN, limit, f'nothing is known of an exemption from "{limit.text}"')
    if not found:
        report.remark(
            Kind.AMBIGUOUS, item, "it exempts from nothing that is known, so it is not carried over"
        )
    return found


def _expires(node: Node | None, report: Report) -> str | None:
    if node is None or node.value is None:
        if node is not None:
            report.take(node)
        return None
    try:
        moment = values.moment(node)
    except ValueError as error:
        report.refuse(node, str(error))
        return None
    report.take(node)
    if not _ZONE.search(node.text):
        report.say(Kind.AMBIGUOUS, node, "it names no zone; taken for UTC")
    return None if moment is None else fields.format_timestamp(moment)


def reason(node: Node | None, report: Report) -> str | None:
    """Free text on one line; None where there is none."""
    if node is None:
        return None
    report.take(node)
    return None if node.value is None else values.line_of_text(node) or None


def approved_by(node: Node | None, report: Report) -> str | None:
    """Who allowed something, as a login name; other text becomes one. None where nobody is named."""
    if node is None:
        return None
    report.take(node)
    name = re.sub(r"[^A-Za-z0-9_.@+-]+", ".", node.text).strip(".-")[:64]
    if node.value is None or not name:
        return None
    if name != node.text:
        report.say(Kind.CHANGED, node, f"approvedBy is a login name, so it is written {name}")
    return name


def merged(first: Json, second: Json) -> Json:
    """Two users' fields as one: the second's are stronger, reasons are joined."""
    both = first | second
    if isinstance(first.get("lifecycle"), dict) and isinstance(second.get("lifecycle"), dict):
        both["lifecycle"] = {**dict(first["lifecycle"]), **dict(second["lifecycle"])}  # type: ignore[call-overload]
    if "reason" in first and "reason" in second and first["reason"] != second["reason"]:
        both["reason"] = f"{first['reason']}; {second['reason']}"
    return both
