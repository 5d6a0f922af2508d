"""Knows what a broken text may cost and what it must not do, and counts what became of each.

It refuses to make texts. A rule that is broken is an escape: an exception, too much time, too much memory, or
another workspace that was touched.
"""

import dataclasses
import datetime as dt
import pathlib
import resource
import time

from controller.api.images import ImageCatalog
from controller.api.policy import ResourcePolicy
from controller.api.workspace import Workspace
from controller.model.observed import Seen
from controller.sources import directory, loader
from tests.fuzz import samples
from tests.support import specfiles

SMALL_BYTES = 16 * 1024
SMALL_SECONDS = 0.05
LARGE_SECONDS = 0.15
"""Processor time that a text may take: up to `SMALL_BYTES`, and beyond."""
LIMIT_BYTES = 64 * 2**20
"""What the process may grow by at its peak."""
ATTEMPTS = 5
"""On a busy machine the same work takes more processor time."""
SCAN_EVERY = 50
BYSTANDER = "bystander"


@dataclasses.dataclass
class Tally:
    """What became of one kind of text; times in milliseconds of processor time."""

    kind: str
    inputs: int = 0
    accepted: int = 0
    rejected: int = 0
    slowest_ms: float = 0.0
    slowest: str = ""
    escapes: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Figures:
    """What became of all texts; `slowest` and `largest` are the names of those that took most."""

    inputs: int
    escapes: int
    slowest_ms: float
    slowest: str
    memory_mib: float
    largest: str


class Judge:
    """Tries texts, one after another, in this process; `folder` is an empty directory for spec files."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.tallies: dict[str, Tally] = {}
        self._folder = folder
        for text in samples.texts().values():  # what the first use of a model costs is no text's fault
            loader.parse_document(text, "a.yaml", samples.model_of(text))
        self._before = self._peak = peak_bytes()
        self._largest = ""

    def try_text(self, kind: str, name: str, text: bytes) -> None:
        """Try one text and count it."""
        tally = self.tallies.setdefault(kind, Tally(kind))
        tally.inputs += 1
        try:
            verdict, seconds = _cost(text)
            untouched = tally.inputs % SCAN_EVERY != 1 or _is_bystander_untouched(text, self._folder)
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            tally.escapes.append(f"{name}: {type(error).__name__}: {error}")
            return
        tally.accepted += isinstance(verdict, loader.Parsed)
        tally.rejected += isinstance(verdict, loader.Rejection)
        if seconds * 1000 > tally.slowest_ms:
            tally.slowest_ms, tally.slowest = seconds * 1000, name
        if seconds >= limit_seconds(text):
            tally.escapes.append(f"{name}: took {seconds * 1000:.0f} ms")
        if not untouched:
            tally.escapes.append(f"{name}: another workspace was touched")
        self._weigh(tally, name)

    def _weigh(self, tally: Tally, name: str) -> None:
        """A text that brought a new peak is the largest so far."""
        peak = peak_bytes()
        if peak > self._peak:
            self._peak, self._largest = peak, name
            if peak - self._before >= LIMIT_BYTES:
                tally.escapes.append(f"{name}: memory grew by {(peak - self._before) >> 20} MiB")

    def figures(self) -> Figures:
        """All tallies together."""
        slowest = max(self.tallies.values(), key=lambda tally: tally.slowest_ms)
        return Figures(
            inputs=sum(tally.inputs for tally in self.tallies.values()),
            escapes=sum(len(tally.escapes) for tally in self.tallies.values()),
            slowest_ms=slowest.slowest_ms,
            slowest=slowest.slowest,
            memory_mib=(self._peak - self._before) / 2**20,
            largest=self._largest,
        )

    def report(self) -> dict[str, object]:
        """All that is known, for JSON."""
        figures = self.figures()
        kinds = [dataclasses.asdict(tally) for tally in self.tallies.values()]
        return {"ok": figures.escapes == 0, **dataclasses.asdict(figures), "kinds": kinds}


def limit_seconds(text: bytes) -> float:
    """Processor time that a text of this size may take."""
    return SMALL_SECONDS if len(text) <= SMALL_BYTES else LARGE_SECONDS


def peak_bytes() -> int:
    """The most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _cost(
    text: bytes,
) -> tuple[loader.Parsed[Workspace | ResourcePolicy | ImageCatalog] | loader.Rejection, float]:
    """The verdict and the processor time it took, in seconds; the best of a few where one looks slow."""
    cost, model = float("inf"), samples.model_of(text)
    for _ in range(ATTEMPTS):
        begun = time.thread_time()
        verdict = loader.parse_document(text, "alice.yaml", model)
        cost = min(cost, time.thread_time() - begun)
        if cost < limit_seconds(text):
            break
    return verdict, cost


def _is_bystander_untouched(text: bytes, folder: pathlib.Path) -> bool:
    """Whether another workspace's spec is read as ever beside a broken file, and that one is told of."""
    (folder / "broken.yaml").write_bytes(text)
    (folder / f"{BYSTANDER}.yaml").write_bytes(specfiles.workspace(BYSTANDER))
    specs = directory.SpecDirectory(str(folder), dt.timedelta(0))
    specs.observe(specfiles.LATE)
    scan = specs.observe(specfiles.LATE + dt.timedelta(seconds=1))
    if not isinstance(scan, Seen):
        return False
    told = {spec.file for spec in scan.value.files.values()} | {bad.file for bad in scan.value.rejected}
    return "broken.yaml" in told and BYSTANDER in scan.value.files
