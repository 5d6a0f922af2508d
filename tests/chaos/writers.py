"""Knows the program that writes in every workspace, and whether anything that it wrote is lost.

It refuses to ask the controller or the Engine: it reads files. Each value is a line of eight bytes. It is
appended to a file in its container's writable layer, then to one on a mount, both brought to the disk, then
to a third file on another mount: now it is acknowledged.
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FIRST = 1000001
LINE = 8
LAYER_FILE = Path("work/counter")
PROGRAM = """
last() { found=$(tail -c 8 "$1" 2>/dev/null); echo "${found:-1000000}"; }
put() { until printf '%s\\n' "$2" >> "$1"; do sleep 0.2; done 2>/dev/null; sync "$1"; }
until mkdir -p /work; do sleep 0.2; done 2>/dev/null
value=$(last /data/counter)
layer=$(last /work/counter)
while value=$((value + 1)); do
    [ "$layer" -ge "$value" ] || put /work/counter "$value"
    put /data/counter "$value"
    printf '%s\\n' "$value" >> /ack/counter
    sleep 0.3
done
"""
COMMAND = ("/bin/sh", "-c", PROGRAM)


class LossError(Exception):
    """Something that was written is not there, or is there in another order; the message says what.

    Attributes:
        values: how many are lost, as far as that can be told; one at least.
    """

    def __init__(self, message: str, values: int = 1) -> None:
        super().__init__(message)
        self.values = max(1, values)


@dataclass(frozen=True)
class Written:
    """A file's values: all from `first` to `last`; none if `last` is less."""

    first: int
    last: int

    @property
    def holds(self) -> bool:
        """Whether there is any."""
        return self.last >= self.first


def read(path: Path) -> Written:
    """The values of a file; none where there is no file.

    Raises:
        LossError: they are not one sequence without gap.
    """
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        lines = []
    if not lines:
        return Written(FIRST, FIRST - 1)
    try:
        values = [int(line) for line in lines]
    except ValueError as error:
        raise LossError(f"{path}: {error}") from None
    for before, after in itertools.pairwise(values):
        if after != before + 1:
            raise LossError(f"{path}: {after} follows {before}")
    if any(len(line) != LINE for line in lines):
        raise LossError(f"{path}: a line is torn")
    return Written(values[0], values[-1])


def last_value(path: Path) -> int:
    """The last complete value of a file that is being written; 0 where there is none."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return 0
    complete = text[: len(text) // LINE * LINE]
    return int(complete[-LINE:] or b"0")


@dataclass
class Truth:
    """What one workspace has written, and what was seen of it.

    Attributes:
        storage: the directory of its two mounts, `data` and `ack`.
        layers: the values of each of its containers when they were last read, by container id.
        gone: containers whose layer a person took.
    """

    storage: Path
    layers: dict[str, Written] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    seen: int = FIRST - 1

    @property
    def acknowledged(self) -> int:
        """The last value that its writer has brought everywhere; 0 for none."""
        return last_value(self.storage / "ack" / "counter")

    def judge(self, uppers: Mapping[str, Path]) -> int:
        """Compare what is there with what was there; how many values were acknowledged in all.

        `uppers` are the directories of the writable layers of all its containers, by container id.

        Raises:
            LossError: something is lost.
        """
        acknowledged = self.acknowledged
        mounted = read(self.storage / "data" / "counter")
        if mounted.first != FIRST or mounted.last < max(acknowledged, self.seen):
            owed = max(acknowledged, self.seen)
            lost = owed - mounted.last
            raise LossError(f"{self.storage}: {mounted} on the mount, {owed} was written", lost)
        self.seen = mounted.last
        for container in self.layers.keys() - uppers.keys() - self.gone:
            raise LossError(
                f"{self.storage}: the layer of {container[:12]} with {self.layers[container]} is gone"
            )
        for container, upper in uppers.items():
            found, before = read(upper / LAYER_FILE), self.layers.get(container)
            if before and before.holds and (found.first != before.first or found.last < before.last):
                raise LossError(f"{upper}: {found} in the layer of {container[:12]}, {before} was there")
            self.layers[container] = found
        missing = list(_gaps(self._kept(), acknowledged))
        if missing:
            lost = sum(gap.last - gap.first + 1 for gap in missing)
            raise LossError(f"{self.storage}: {missing} in no layer of {acknowledged} acknowledged", lost)
        return max(0, acknowledged - FIRST + 1)

    def _kept(self) -> list[Written]:
        """What the layers hold; a layer that a person took held all until the next one begins."""
        held = [(container, one) for container, one in self.layers.items() if one.holds]
        held.sort(key=lambda item: (item[1].first, item[1].last))
        ends = [*(one.first - 1 for _, one in held[1:]), self.seen]
        return [
            Written(one.first, max(one.last, end) if container in self.gone else one.last)
            for (container, one), end in zip(held, ends, strict=False)
        ]


def _gaps(layers: Iterable[Written], last: int) -> Iterable[Written]:
    """What no layer holds of the values up to the last one."""
    due = FIRST
    for one in layers:
        if one.first > due:
            yield Written(due, one.first - 1)
        due = max(due, one.last + 1)
    if due <= last:
        yield Written(due, last)
