"""Time beyond a limit: cumulative, longest without a break, how often, and how far.

A limit is open or closed: with `counts_at` the limit itself is already beyond it. Hysteresis: an
excursion begins beyond the limit and ends at the first sample that is no longer beyond the limit
moved inwards by the hysteresis. Time without evidence ends an excursion: what nobody measured is
not counted against anyone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from logistics.rules.stretches import Stretch


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Above or below which a value is beyond; value and hysteresis (>= 0) in thousandths."""

    value: int
    is_upper: bool
    counts_at: bool = False
    hysteresis: int = 0

    def is_beyond(self, stretch: Stretch, *, inside_excursion: bool) -> bool:
        """Whether the stretch's worst value is beyond the limit that holds now."""
        moved = self.hysteresis if inside_excursion else 0
        if self.is_upper:
            over = stretch.high - (self.value - moved)
        else:
            over = self.value + moved - stretch.low
        return over > 0 or (self.counts_at and over == 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Excursion:
    """[from_ms, to_ms) beyond the limit, with the worst value in it."""

    from_ms: int
    to_ms: int
    worst: int

    @property
    def length_ms(self) -> int:
        """How long it was."""
        return self.to_ms - self.from_ms


def excursions(stretches: Sequence[Stretch], limit: Limit) -> list[Excursion]:
    """All excursions, in order. The stretches ascend and do not overlap."""
    found: list[Excursion] = []
    open_until: int | None = None
    for stretch in stretches:
        goes_on = open_until == stretch.from_ms
        if not limit.is_beyond(stretch, inside_excursion=goes_on):
            open_until = None
            continue
        worst = stretch.high if limit.is_upper else stretch.low
        if goes_on:
            last = found.pop()
            worst = max(last.worst, worst) if limit.is_upper else min(last.worst, worst)
            found.append(Excursion(from_ms=last.from_ms, to_ms=stretch.to_ms, worst=worst))
        else:
            found.append(Excursion(from_ms=stretch.from_ms, to_ms=stretch.to_ms, worst=worst))
        open_until = stretch.to_ms
    return found


def cumulative_ms(found: Sequence[Excursion]) -> int:
    """Time beyond the limit in all."""
    return sum(item.length_ms for item in found)


def longest_ms(found: Sequence[Excursion]) -> int:
    """The longest excursion, 0 where there is none."""
    return max((item.length_ms for item in found), default=0)
