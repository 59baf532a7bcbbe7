"""A journey as the page's script draws it: one value of plain numbers. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from logistics.rules.errors import EvidenceError
from logistics.rules.mkt import mean_kinetic_celsius_milli
from logistics.rules.stretches import Sample, held
from portal.chart.spells import (
    HOLDS,
    Interval,
    Limits,
    Spell,
    length_by_holder,
    silences,
    spells,
)
from portal.journey.queries import Line, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """What stands under one time axis. holders: who held the goods, in time order."""

    span: Interval
    lines: tuple[Line, ...]
    limits: Limits
    holders: tuple[Interval, ...] = ()
    gaps: tuple[Interval, ...] = ()
    track: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The answer before the evidence. Lengths in ms; values in thousandths of a degree."""

    least_milli: int | None
    greatest_milli: int | None
    outside_ms: int
    spells: tuple[Spell, ...]
    by_holder: dict[str, int]
    silent_ms: int
    kinetic_milli: int | None
    count: int


def _kinetic(journey: Journey) -> int | None:
    """Mean kinetic temperature by the rules that contracts use; None where not every reading is
    here, or there is no time between them.
    """
    if any(line.hold_ms > HOLDS * line.channel.interval_ms for line in journey.lines):
        return None
    stretches = [
        stretch
        for line in journey.lines
        for stretch in held(
            [Sample(point.at_ms, point.milli) for point in line.known],
            to_ms=line.span.to_ms,
            gap_ms=line.hold_ms,
        )
    ]
    try:
        return mean_kinetic_celsius_milli(stretches)
    except EvidenceError:
        return None


def spells_of(journey: Journey, line: Line) -> list[Spell]:
    """The line's spells outside the journey's limits."""
    return spells(line.known, journey.limits, hold_ms=line.hold_ms, end_ms=line.span.to_ms)


def account_of(journey: Journey) -> Account:
    """The journey in a few numbers, over all its lines."""
    values = [point.milli for line in journey.lines for point in line.known]
    found = [spell for line in journey.lines for spell in spells_of(journey, line)]
    quiet = [gap for line in journey.lines for gap in silences_of(line)]
    return Account(
        least_milli=min(values, default=None),
        greatest_milli=max(values, default=None),
        outside_ms=sum(spell.length_ms for spell in found),
        spells=tuple(found),
        by_holder=length_by_holder(found, journey.holders),
        silent_ms=sum(gap.to_ms - gap.from_ms for gap in quiet),
        kinetic_milli=_kinetic(journey),
        count=len(values),
    )


def silences_of(line: Line) -> list[Interval]:
    """Where the line has nothing to draw: hatched, never bridged."""
    span = line.span
    whole = silences(line.known, hold_ms=line.hold_ms, from_ms=span.from_ms, to_ms=span.to_ms)
    return sorted([*whole, *line.thin], key=lambda gap: gap.from_ms)


def drawing_of(journey: Journey) -> dict[str, Any]:
    """The value that `journey.js` draws; times in ms, values in thousandths, places in 1e-7
    degrees.
    """
    return {
        "from": journey.span.from_ms,
        "to": journey.span.to_ms,
        "limits": [journey.limits.low_milli, journey.limits.high_milli],
        "lines": [_line(journey, line) for line in journey.lines],
        "holders": _intervals(journey.holders),
        "gaps": _intervals(journey.gaps),
        "track": [[p.at_ms, p.lat_e7, p.lon_e7, p.flags] for p in journey.track],
    }


def _line(journey: Journey, line: Line) -> dict[str, Any]:
    found = spells_of(journey, line)
    return {
        "name": f"{line.channel.device} · {line.channel.channel}",
        "unit": line.channel.unit,
        "proven": line.proven_ms,
        "t": [point.at_ms for point in line.points],
        "v": [point.milli for point in line.points],
        "spells": [[s.from_ms, s.to_ms, s.side.value, s.extreme_milli] for s in found],
        "silences": _intervals(silences_of(line)),
        "marks": [list(mark) for mark in line.marks],
    }


def _intervals(found: Sequence[Interval]) -> list[list[Any]]:
    return [[item.from_ms, item.to_ms, item.name] for item in found]
