"""How GPUs are shown, and what of them other commands need; it reads what a view of the host has.

It calls nothing 0 that the hardware does not tell, and no device by its index: that is for people's eyes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from controller.cli import exits, people, session, tables, trees, views
from controller.model.gpus import AccessState, Ailment, Cordon, Device, Fence
from controller.model.gpustatus import DeviceState, DeviceStatus, GpuStatus
from controller.model.mig import Divisible
from controller.planning import migview
from controller.status import gpus as shape
from controller.status import wording

UNTOLD: Final = "N/A"
"""Shown where hardware or driver do not tell."""
_LABEL_WIDTH: Final = 14


def find(found: trees.Json, name: str) -> trees.Object:
    """The device that a person names by its UUID, or by the beginning of it.

    Raises:
        exits.Failure: there is none, several begin so, or it is an index.
    """
    items = {trees.name_of(item): item for item in trees.each(found, "items")}
    known = {uuid: trees.text(item, "index", default="") for uuid, item in items.items()}
    try:
        return items[shape.find(name.removeprefix("gpu/"), known)]
    except ValueError as error:
        raise exits.Failure(exits.ExitCode.ERROR, str(error)) from error
    except LookupError as error:
        unseen = trees.text(found, "unseen", default="")
        code = exits.ExitCode.UNREACHABLE if unseen else exits.ExitCode.NOT_FOUND
        raise exits.Failure(code, f"{error}: {unseen}" if unseen else str(error)) from error


def say_unseen(found: trees.Json) -> None:
    """Say on stderr what keeps the rows from being the whole truth."""
    for key, words in (("unseen", "the GPUs could not be looked at"), ("mismatch", "nothing new can start")):
        text = trees.text(found, key, default="")
        if text:
            session.say(f"{words}: {text}")
    if any("processes" not in item for item in trees.each(found, "items")):
        session.say("the driver does not tell which processes use the GPUs")


def kind(_: datetime) -> tables.Kind:
    """The columns of `wharf get gpus`."""
    columns = [
        tables.Column("UUID", trees.name_of),
        tables.Column("INDEX", lambda item: trees.text(item, "index")),
        tables.Column("MODEL", lambda item: trees.text(item, "model")),
        tables.Column("PROFILE", lambda item: trees.text(item, "profile")),
        tables.Column("MEMORY", lambda item: _size(item, "memory")),
        tables.Column("HOLDER", _holders),
        tables.Column("UTIL", _busy),
        tables.Column("USED", lambda item: _size(item, "memoryUsed")),
        tables.Column("PROCS", lambda item: _count(item, foreign=False)),
        tables.Column("FOREIGN", lambda item: _count(item, foreign=True)),
        tables.Column("STATE", lambda item: trees.text(item, "state")),
        tables.Column("PARENT", lambda item: trees.text(item, "parent"), wide=True),
        tables.Column("WHY", _why, wide=True),
    ]
    return tables.Kind("gpu", "GPUs", columns)


FOREIGN: Final = tables.Kind(
    "gpu",
    "use without a grant",
    [
        tables.Column("KIND", lambda item: shape.FOREIGN_WORDS.get(trees.text(item, "foreign"), trees.NONE)),
        tables.Column("WHO", lambda item: trees.text(item, "who")),
        tables.Column("USER", lambda item: trees.text(item, "user")),
        tables.Column("PID", lambda item: trees.text(item, "pid")),
        tables.Column("COMMAND", lambda item: trees.text(item, "command")),
        tables.Column("USED", lambda item: _size(item, "memory")),
        tables.Column("GPU", lambda item: trees.text(item, "name")),
        tables.Column("INDEX", lambda item: trees.text(item, "index")),
        tables.Column("MODEL", lambda item: trees.text(item, "model")),
    ],
)
"""The columns of `wharf get gpus --foreign`."""


def foreign(items: Sequence[trees.Object]) -> tuple[trees.Object, ...]:
    """Each use without a grant, with the device that it is of; of one user together."""
    rows = [
        {**user, **{key: item[key] for key in ("name", "index", "model") if key in item}}
        for item in items
        for user in trees.each(item, "processes")
        if "foreign" in user
    ]
    keys = ("user", "foreign", "who", "name", "pid")
    return tuple(sorted(rows, key=lambda row: [trees.text(row, key, default="") for key in keys]))


def _size(item: trees.Object, key: str) -> str:
    size = item.get(key)
    return wording.size(size) if isinstance(size, int) else UNTOLD


def _busy(item: trees.Object) -> str:
    busy = item.get("utilization")
    return f"{busy:.0%}" if isinstance(busy, int | float) else UNTOLD


def _count(item: trees.Object, *, foreign: bool) -> str:
    if "processes" not in item:
        return UNTOLD
    users = trees.each(item, "processes")
    return str(sum("foreign" in user if foreign else "pid" in user for user in users))


def _texts(item: trees.Json, key: str) -> list[str]:
    found = trees.at(item, key)
    return [str(one) for one in found] if isinstance(found, Sequence) and not isinstance(found, str) else []


def _holders(item: trees.Object) -> str:
    return ", ".join(name.removeprefix("workspace ") for name in _texts(item, "holders")) or trees.NONE


def _why(item: trees.Object) -> str:
    fence, cordon = trees.text(item, "fence", "message", default=""), _cordon(item)
    return "; ".join(filter(None, (fence, cordon, trees.text(item, "doubt", default="")))) or trees.NONE


def _cordon(item: trees.Object) -> str:
    reason, by = trees.text(item, "cordon", "reason", default=""), trees.text(item, "cordon", "by")
    return f"{reason} ({by})" if reason else ""


def of_workspace(item: trees.Object, now: datetime) -> str:
    """What a workspace has and wants: `GPU-8f2e (A100, index 0); waits for 2 since … (5m ago)`."""
    told = trees.at(item, "status", "gpus")
    if told is None:
        return trees.NONE
    parts = [", ".join(_named(device) for device in trees.each(told, "devices")) or "none"]
    since = trees.at(told, "waitingSince")
    if isinstance(since, str):
        parts.append(
            f"waits for {trees.text(told, 'wanted', 'count', default='all')}, since {_ago(since, now)}"
        )
    if trees.at(told, "access") == AccessState.LOST:
        parts.append("its container cannot open them any more")
    unseen = trees.text(told, "unseen", default="")
    return "; ".join([*parts, f"the GPUs could not be looked at: {unseen}"] if unseen else parts)


def _named(device: trees.Object) -> str:
    keys = [key for key in ("model", "profile") if key in device]
    words = [trees.text(device, key) for key in keys]
    words += [f"index {trees.text(device, 'index')}"] if "index" in device else []
    uuid = trees.text(device, "uuid")
    return f"{uuid} ({', '.join(words)})" if words else uuid


# all about one


def lines(
    item: trees.Object, found: trees.Json, events: Sequence[trees.Object], now: datetime
) -> Iterator[str]:
    """All that is known of one device, of those `found`, for a person to read."""
    facts = {
        "UUID": trees.name_of(item),
        "Model": trees.text(item, "model"),
        "Index": _index(item),
        "Profile": trees.text(item, "profile"),
        "Part of": trees.text(item, "parent"),
        "Memory": _size(item, "memory"),
        "State": trees.text(item, "state"),
        "Held by": ", ".join(_texts(item, "holders")) or trees.NONE,
        "Utilization": _busy(item),
        "Memory used": _size(item, "memoryUsed"),
        "Driver": trees.text(found, "driver"),
        "Cordon": _cordon_line(item, now),
        "Fence": _fence_line(item, now),
    }
    doubt = trees.text(item, "doubt", default="")
    for label, fact in (facts | ({"Doubt": doubt} if doubt else {})).items():
        yield f"{label + ':':<{_LABEL_WIDTH}}{fact}"
    yield from people.section("Used by", _users(item))
    yield from people.section("Faults", _troubles(item, now))
    yield from people.section("Who waits for GPUs", _queue(found, now))
    yield from people.section("Events", _events(events, now))


def _index(item: trees.Object) -> str:
    index = trees.text(item, "index")
    return index if index == trees.NONE else f"{index} (it may be another one after each boot)"


def _cordon_line(item: trees.Object, now: datetime) -> str:
    cordon = trees.at(item, "cordon")
    if cordon is None:
        return trees.NONE
    drain = ", and those who have it shall leave" if trees.at(cordon, "drain") else ""
    return f"{_cordon(item)}, {_ago(trees.text(cordon, 'at'), now)}{drain}"


def _fence_line(item: trees.Object, now: datetime) -> str:
    fence = trees.at(item, "fence")
    if fence is None:
        return trees.NONE
    since, ends = _ago(trees.text(fence, "since"), now), trees.at(fence, "endsAt")
    if trees.text(item, "state") == DeviceState.GONE:
        return f"{trees.text(fence, 'message')}, since {since}; stays until the device is seen again"
    left = (
        f"ends in {wording.duration(datetime.fromisoformat(ends) - now)} if nothing more happens"
        if isinstance(ends, str)
        else "stays while that lasts"
    )
    return f"{trees.text(fence, 'message')}, since {since}; {left}"


def _ago(moment: str, now: datetime) -> str:
    return f"{moment} ({wording.age(datetime.fromisoformat(moment), now)} ago)"


def _users(item: trees.Object) -> list[str]:
    if "processes" not in item:
        return ["the driver does not tell which processes use it"]
    rows = [
        [
            trees.text(user, "pid"),
            trees.text(user, "user"),
            trees.text(user, "command"),
            _size(user, "memory"),
            trees.text(user, "who"),
            shape.FOREIGN_WORDS.get(trees.text(user, "foreign", default=""), ""),
        ]
        for user in trees.each(item, "processes")
    ]
    headers = ["PID", "USER", "COMMAND", "USED", "WHO", "WITHOUT A GRANT"]
    return tables.render(headers, rows, header=True, colour=False) if rows else []


def _troubles(item: trees.Object, now: datetime) -> Iterator[str]:
    for trouble in trees.each(item, "troubles"):
        lasts = ", and lasts" if trouble.get("lasts") else ""
        yield f"{trees.text(trouble, 'message')}, {_ago(trees.text(trouble, 'at'), now)}{lasts}"


def _queue(found: trees.Json, now: datetime) -> Iterator[str]:
    for waiter in trees.each(found, "queue"):
        since = wording.age(datetime.fromisoformat(trees.text(waiter, "since")), now)
        yield f"{trees.text(waiter, 'workspace')}, for {since}: {trees.text(waiter, 'message', default='')}"


def _events(events: Sequence[trees.Object], now: datetime) -> Iterator[str]:
    for event in events:
        age = wording.age(datetime.fromisoformat(trees.text(event, "time")), now)
        yield f"{age} ago {trees.text(event, 'reason')}: {trees.text(event, 'message', default='')}"


# for plans of MIG instances


def divisible(this: session.Session) -> tuple[Divisible, ...]:
    """The GPUs as they are divided now, and what of them is held or out of use.

    Raises:
        exits.Failure: they could not be looked at.
    """
    return migview.divisible(seen_inventory(views.open_view(this).gpus().value))


def seen_inventory(found: trees.Json) -> GpuStatus:
    """What an answer tells of the devices, but for who uses them and how much.

    Raises:
        exits.Failure: they could not be looked at.
    """
    unseen = trees.text(found, "unseen", default="")
    if unseen:
        message = f"the GPUs could not be looked at: {unseen}"
        raise exits.Failure(exits.ExitCode.UNREACHABLE, message)
    return GpuStatus(
        devices=tuple(_status(item) for item in trees.each(found, "items")),
        driver=trees.text(found, "driver", default=""),
        library=trees.text(found, "library", default=""),
        mismatch=trees.text(found, "mismatch", default=""),
        simulated=trees.at(found, "simulated") is True,
    )


def _status(item: trees.Object) -> DeviceStatus:
    uuid = trees.name_of(item)
    cordon, fence = trees.at(item, "cordon"), trees.at(item, "fence")
    return DeviceStatus(
        device=_device(item),
        there=item.get("state") != DeviceState.GONE,
        holders=tuple(_texts(item, "holders")),
        workspaces=tuple(_texts(item, "workspaces")),
        users=None,
        cordon=None if cordon is None else _cordon_of(uuid, cordon),
        fence=None if fence is None else _fence_of(uuid, fence),
        doubt=trees.text(item, "doubt", default=""),
    )


def _cordon_of(uuid: str, cordon: trees.Json) -> Cordon:
    reason, by = trees.text(cordon, "reason"), trees.text(cordon, "by")
    return Cordon(uuid, reason, _moment(cordon, "at"), by, trees.at(cordon, "drain") is True)


def _fence_of(uuid: str, fence: trees.Json) -> Fence:
    since, last = _moment(fence, "since"), _moment(fence, "last")
    return Fence(uuid, Ailment(trees.text(fence, "ailment")), trees.text(fence, "message"), since, last)


def _moment(value: trees.Json, key: str) -> datetime:
    return datetime.fromisoformat(trees.text(value, key))


def _device(item: trees.Object) -> Device:
    memory, place, number = (item.get(key) for key in ("memory", "placement", "instance"))
    start, size = place if isinstance(place, Sequence) and len(place) == 2 else (None, None)  # noqa: PLR2004 - a pair
    return Device(
        uuid=trees.name_of(item),
        model=trees.text(item, "model", default=""),
        memory=memory if isinstance(memory, int) else 0,
        index=trees.text(item, "index", default=""),
        parent=trees.text(item, "parent", default="") or None,
        profile=trees.text(item, "profile", default="") or None,
        placement=(start, size) if isinstance(start, int) and isinstance(size, int) else None,
        divided=item.get("divided") is True,
        instance=number if isinstance(number, int) else None,
    )
