"""One line of the table: samples of ours, samples of a peer taken in turn with them, and a goal."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound for the median, from below or from above; of the ratio, or of our own value."""

    bound: float
    is_minimum: bool
    of_ratio: bool

    def is_met(self, median: float) -> bool:
        """Return True when the median is on the right side of the bound."""
        return median >= self.bound if self.is_minimum else median <= self.bound

    def text(self, unit: str) -> str:
        """The bound as the table says it: `≥ 5 ×`, or `≤ 600 bytes`."""
        return f"{'≥' if self.is_minimum else '≤'} {number(self.bound)} " + (
            "×" if self.of_ratio else unit
        )


def ratio_at_least(bound: float) -> Goal:
    """The goal that ours divided by the peer's reaches this."""
    return Goal(bound, is_minimum=True, of_ratio=True)


def ratio_at_most(bound: float) -> Goal:
    """The goal that ours divided by the peer's needs no more than this."""
    return Goal(bound, is_minimum=False, of_ratio=True)


def at_most(bound: float) -> Goal:
    """The goal that our own value is no more than this."""
    return Goal(bound, is_minimum=False, of_ratio=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A measured figure; without samples it is one that could not be measured.

    The n-th samples of `ours` and `theirs` were taken one after the other, so their quotient holds
    on a machine whose speed changes while it is measured.
    """

    name: str
    unit: str
    ours: tuple[float, ...]
    peer: str  # what the other samples are: a peer, or a ceiling
    theirs: tuple[float, ...]
    goal: Goal | None = None
    note: str = ""

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours by theirs, sample by sample."""
        return tuple(our / their for our, their in zip(self.ours, self.theirs, strict=True))

    @property
    def verdict(self) -> str:
        """`held`, `not held`, `reported` (it has no goal) or `not measured`."""
        if not self.ours:
            return "not measured"
        if self.goal is None:
            return "reported"
        judged = self.ratios if self.goal.of_ratio else self.ours
        return "held" if self.goal.is_met(statistics.median(judged)) else "not held"

    def row(self) -> str:
        """The line of the Markdown table."""
        goal = self.goal.text(self.unit) if self.goal else ""
        cells = [self.name, goal, "", "", "", self.verdict]
        if self.ours:
            cells[2] = f"{spread(self.ours)} {self.unit}"
            cells[3] = f"{self.peer}: {number(statistics.median(self.theirs))}"
            cells[4] = f"{spread(self.ratios)} ×"
        if self.note:
            cells[0] += f" ({self.note})"
        return f"| {' | '.join(cells)} |"

    def to_value(self) -> dict[str, Any]:
        """The figure for `--json`."""
        goal = self.goal
        return {
            "name": self.name,
            "unit": self.unit,
            "peer": self.peer,
            "note": self.note,
            "goal": None
            if goal is None
            else {
                "bound": goal.bound,
                "side": "at least" if goal.is_minimum else "at most",
                "of": "ratio" if goal.of_ratio else "ours",
            },
            "ours": summary(self.ours),
            "theirs": summary(self.theirs),
            "ratio": summary(self.ratios),
            "verdict": self.verdict,
        }


def summary(samples: Sequence[float]) -> dict[str, Any] | None:
    """min, median, max and the samples themselves; None where there are none."""
    if not samples:
        return None
    return {
        "min": min(samples),
        "median": statistics.median(samples),
        "max": max(samples),
        "samples": list(samples),
    }


def spread(samples: Sequence[float]) -> str:
    """`min / median / max`, or one number where they are all alike."""
    low, middle, high = (
        number(n) for n in (min(samples), statistics.median(samples), max(samples))
    )
    return f"**{middle}**" if low == middle == high else f"{low} / **{middle}** / {high}"


def number(value: float) -> str:
    """The value with three digits that count."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 100 or value == round(value):
        return f"{value:.0f}"
    return f"{value:.{1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3}f}"


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    head = (
        "| figure | goal | ours: min / **median** / max | beside it: median "
        "| ours by theirs: min / **median** / max | |\n|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(figure.row() for figure in figures)
