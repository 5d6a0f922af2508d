"""Knows how to say what somebody waits for of the GPUs, and who has it.

Refuses to decide anything. A few of those who have it are named, the rest are counted.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from controller.model.gpus import Wish
from controller.planning.fitting import Stock

NAMED: Final = 3
"""Holders, devices and reasons in one sentence."""
_GIB: Final = 1 << 30


def what(wish: Wish) -> str:
    """Say what a wish asks for: `2 GPUs with at least 40 GiB`."""
    noun = "GPU" if wish.profile is None else "MIG instance"
    if wish.all:
        words = f"every {noun} that nobody has alone"
    else:
        words = f"{wish.count} {noun}" + ("s" if wish.count > 1 else "")
        if wish.shared:
            words = f"a share of {words}"
    if wish.profile is not None:
        words += f" {wish.profile}"
    if wish.model:
        words += f" of {wish.model}"
    if wish.memory:
        words += f" with at least {wish.memory / _GIB:.4g} GiB"
    if wish.uuids:
        words += f" out of {_some(sorted(wish.uuids))}"
    return words


def never(wish: Wish, suited: int) -> str:
    """Say that the host can never give what is asked for."""
    return f"asks for {what(wish)}; this host has {suited or 'none'}" + (" such" if suited else "")


def needs_own(own: Sequence[str]) -> str:
    """Say that no other devices will do."""
    return f"needs {_some(own)}, with which its container was made"


def set_aside(workspace: str) -> str:
    """Say in place of a holder why nobody new gets a device that a workspace waits for."""
    return f"set aside for workspace {workspace}"


def ordinal(place: int) -> str:
    """Return `1st`, `2nd`, `11th`."""
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"


class Speaker:
    """Says to each who waits how it stands; looks at who has what once for all who want the same."""

    def __init__(self, stock: Stock) -> None:
        self._stock = stock
        self._seen: dict[tuple[str, ...], tuple[dict[tuple[str, str], list[str]], dict[str, list[str]]]] = {}

    def message(self, workspace: str, wish: Wish, own: Sequence[str], where: str, *, aside: bool) -> str:
        """Say what a workspace waits for, where it is in the queue, and who has it.

        Args:
            workspace: who waits.
            wish: what it asks for.
            own: the devices that it must have; empty: any that are what it asks for.
            where: its place.
            aside: what becomes free is set aside for it.
        """
        parts = [f"{needs_own(sorted(own)) if own else f'waits for {what(wish)}'}; {where}"]
        uuids = tuple(sorted(own)) or self._stock.suited(wish)
        held, withheld = self._look(uuids)
        holders = [
            f"{holder} has {_uuids(devices)}" for (holder, name), devices in held.items() if name != workspace
        ]
        if holders:
            parts.append(_some(holders))
        reasons = [
            f"{_uuids(devices)} {_is(devices)} {reason}"
            for reason, devices in withheld.items()
            if reason != set_aside(workspace)
        ]
        parts += reasons[:NAMED]
        if aside:
            parts.append("what becomes free is set aside for it")
        return "; ".join(parts)

    def _look(self, uuids: tuple[str, ...]) -> tuple[dict[tuple[str, str], list[str]], dict[str, list[str]]]:
        """Return the devices of each holder, and those that nobody may get, by the reason."""
        found = self._seen.get(uuids)
        if found is not None:
            return found
        held: dict[tuple[str, str], set[str]] = defaultdict(set)
        withheld: dict[str, list[str]] = defaultdict(list)
        for uuid in uuids:
            if uuid not in self._stock.devices:
                withheld["not there any more"].append(uuid)
            elif reason := self._stock.withheld(uuid):
                withheld[reason].append(uuid)
            for claim in self._stock.holders.on(uuid):
                if claim.holder == set_aside(claim.workspace):
                    withheld[claim.holder].append(uuid)
                else:
                    held[claim.holder, claim.workspace].add(uuid)
        ordered = {who: sorted(held[who]) for who in sorted(held, key=lambda who: (-len(held[who]), who))}
        found = self._seen[uuids] = ordered, dict(sorted(withheld.items()))
        return found


def _uuids(uuids: Sequence[str]) -> str:
    return uuids[0] if len(uuids) == 1 else f"{len(uuids)} of them"


def _is(uuids: Sequence[str]) -> str:
    return "is" if len(uuids) == 1 else "are"


def _some(words: Iterable[str]) -> str:
    """Name the first few, and count the rest."""
    all_of_them = list(words)
    shown = ", ".join(all_of_them[:NAMED])
    return shown + (f" and {len(all_of_them) - NAMED} more" if len(all_of_them) > NAMED else "")
