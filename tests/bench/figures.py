"""Knows what a measured figure is, and how a run's figures read as a table, as JSON and as a page.

It refuses to measure.
"""

import dataclasses
import math
import statistics
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure: samples, how they are summed up, and the most that is good enough (None: for information).

    `summary` is `median`, `p95` or `max`.
    """

    number: str
    title: str
    unit: str
    samples: tuple[float, ...]
    summary: str = "median"
    target: float | None = None

    @property
    def value(self) -> float:
        """The samples in one number."""
        if self.summary == "p95":
            return percentile(self.samples, 0.95)
        return max(self.samples) if self.summary == "max" else statistics.median(self.samples)

    @property
    def verdict(self) -> str:
        """`ok`, `missed`, or nothing where there is no target."""
        if self.target is None:
            return ""
        return "ok" if self.value <= self.target else "missed"

    def row(self) -> tuple[str, ...]:
        """Its cells: number, title, value, spread, target, verdict."""
        least, most = _short(min(self.samples)), _short(max(self.samples))
        spread = f"{_short(statistics.median(self.samples))} ({least} to {most})"
        value = f"{_short(self.value)} {self.unit}".strip()
        target = "" if self.target is None else f"<= {_short(self.target)} {self.unit}".strip()
        return (
            self.number,
            self.title,
            f"{value} ({self.summary})",
            spread,
            str(len(self.samples)),
            target,
            self.verdict,
        )

    def as_json(self) -> dict[str, object]:
        """The same for programs."""
        return {**dataclasses.asdict(self), "value": self.value, "verdict": self.verdict}


HEADINGS = ("", "figure", "value", "median (min to max)", "n", "target", "")


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that is at least as large as this share of them."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def table(figures: Sequence[Figure]) -> str:
    """For a terminal."""
    rows = [HEADINGS, *(figure.row() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def markdown(figures: Sequence[Figure]) -> str:
    """For a page."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    lines += ["| " + " | ".join(figure.row()) + " |" for figure in figures]
    return "\n".join(lines)


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
