"""Spells: for how long values were outside limits, for how long nothing was measured, whose
minutes they were.

A reading stands until the next one, but never longer than `hold_ms`: what was not measured is a
silence, neither good nor bad.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from portal.chart.thin import Point

HOLDS: Final = 3  # a reading stands for so many of its intervals


class Side(StrEnum):
    """Which limit was passed."""

    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, slots=True)
class Limits:
    """From and to what is allowed, ends included, thousandths; None where there is no such end."""

    low_milli: int | None
    high_milli: int | None

    def side(self, milli: int) -> Side | None:
        """Which limit a value passes, if any."""
        if self.high_milli is not None and milli > self.high_milli:
            return Side.ABOVE
        if self.low_milli is not None and milli < self.low_milli:
            return Side.BELOW
        return None


@dataclass(frozen=True, slots=True)
class Spell:
    """Values outside on one side, without a break: from, to (ms), the most extreme value."""

    from_ms: int
    to_ms: int
    side: Side
    extreme_milli: int

    @property
    def length_ms(self) -> int:
        """How long it was."""
        return self.to_ms - self.from_ms


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of time, ms since 1970; `name`: the holder, or why nothing was measured."""

    from_ms: int
    to_ms: int
    name: str = ""


def spells(points: Sequence[Point], limits: Limits, *, hold_ms: int, end_ms: int) -> list[Spell]:
    """Every spell outside the limits, in time order. end_ms: how far the last reading may stand."""
    found: list[Spell] = []
    for index, point in enumerate(points):
        side = limits.side(point.milli)
        if side is None:
            continue
        following = points[index + 1].at_ms if index + 1 < len(points) else end_ms
        until = max(point.at_ms, min(following, point.at_ms + hold_ms))
        last = found[-1] if found else None
        if last and last.side is side and last.to_ms == point.at_ms:
            found[-1] = Spell(
                last.from_ms, until, side, _worse(side, last.extreme_milli, point.milli)
            )
        else:
            found.append(Spell(point.at_ms, until, side, point.milli))
    return found


def _worse(side: Side, one: int, other: int) -> int:
    return max(one, other) if side is Side.ABOVE else min(one, other)


def silences(points: Sequence[Point], *, hold_ms: int, from_ms: int, to_ms: int) -> list[Interval]:
    """Where no reading stands between from and to."""
    found, covered = [], from_ms
    for point in points:
        if point.at_ms > covered:
            found.append(Interval(covered, min(point.at_ms, to_ms)))
        covered = max(covered, min(point.at_ms + hold_ms, to_ms))
    if covered < to_ms:
        found.append(Interval(covered, to_ms))
    return found


def long_enough(found: Iterable[Spell], least_ms: int) -> list[Spell]:
    """The spells that are worth an alert: a door that was opened for a moment is none."""
    return [spell for spell in found if spell.length_ms >= least_ms]


def length_by_holder(found: Iterable[Spell], holders: Sequence[Interval]) -> dict[str, int]:
    """Milliseconds outside limits by who held the goods; "" for time that nobody signed for."""
    shares: dict[str, int] = {}
    for spell in found:
        left = spell.length_ms
        for holder in holders:
            part = min(spell.to_ms, holder.to_ms) - max(spell.from_ms, holder.from_ms)
            if part > 0:
                shares[holder.name] = shares.get(holder.name, 0) + part
                left -= part
        if left > 0:
            shares[""] = shares.get("", 0) + left
    return shares
