"""Knows how to say what somebody waits for of the GPUs, and who has it.

Refuses to decide anything. A few of those who have it are named, the rest are counted.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from itertools import islice
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
        self._seen: dict[tuple[str, ...], tuple[_Said, _Said]] = {}

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
        parts += [said.to(workspace) for said in self._look(uuids)]
        if aside:
            parts.append("what becomes free is set aside for it")
        return "; ".join(part for part in parts if part)

    def _look(self, uuids: tuple[str, ...]) -> "tuple[_Said, _Said]":
        """Say who has some of these devices, and why others are given to nobody."""
        found = self._seen.get(uuids)
        if found is not None:
            return found
        held: dict[tuple[str, str], set[str]] = defaultdict(set)
        withheld: dict[tuple[str, str], set[str]] = defaultdict(set)
        for uuid in uuids:
            if uuid not in self._stock.devices:
                withheld["not there any more", ""].add(uuid)
            elif reason := self._stock.withheld(uuid):
                withheld[reason, ""].add(uuid)
            for claim in self._stock.holders.on(uuid):
                aside = claim.holder == set_aside(claim.workspace)
                (withheld if aside else held)[claim.holder, claim.workspace].add(uuid)
        most = sorted(held, key=lambda who: (-len(held[who]), who))
        found = self._seen[uuids] = (
            _Said([(name, f"{holder} has {_uuids(held[holder, name])}") for holder, name in most]),
            _Said([(name, f"{_are(withheld[why, name])} {why}") for why, name in sorted(withheld)]),
        )
        return found


class _Said:
    """Phrases, each about a workspace or (empty) about somebody else; nobody is told of itself."""

    def __init__(self, phrases: Sequence[tuple[str, str]]) -> None:
        self._phrases = phrases
        self._about = Counter(name for name, _ in phrases)

    def to(self, workspace: str) -> str:
        """Return the first few that are not about a workspace, and how many more; nothing for none."""
        others = (phrase for name, phrase in self._phrases if name != workspace)
        return _counted(list(islice(others, NAMED)), len(self._phrases) - self._about[workspace])


def _uuids(uuids: Collection[str]) -> str:
    return next(iter(uuids)) if len(uuids) == 1 else f"{len(uuids)} of them"


def _are(uuids: Collection[str]) -> str:
    return f"{_uuids(uuids)} {'is' if len(uuids) == 1 else 'are'}"


def _some(words: Sequence[str]) -> str:
    """Name the first few, and count the rest."""
    return _counted(words[:NAMED], len(words))


def _counted(named: Sequence[str], number: int) -> str:
    return ", ".join(named) + (f" and {number - len(named)} more" if number > len(named) else "")
