"""Out-of-range time, cut at each hand-over: whose it was. Pure, in integers.

A sample's value holds until the next one, and never longer than `hold_ms`: what follows is time
without evidence, which is never called good. Every stretch is closed at its beginning and open at
its end, so no instant counts twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Sample:
    """A temperature at a moment: ms since 1970, thousandths of a degree Celsius."""

    at_ms: int
    celsius_milli: int


@dataclass(frozen=True, slots=True)
class Custody:
    """Who held the goods in [from_ms, to_ms)."""

    holder: bytes
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderTime:
    """How long a holder had the goods, and of that out of range and without evidence, in ms."""

    holder: bytes
    held_ms: int
    above_ms: int
    below_ms: int
    unknown_ms: int


def holder_times(
    samples: Sequence[Sample],
    custody: Sequence[Custody],
    *,
    low_milli: int,
    high_milli: int,
    hold_ms: int,
) -> tuple[HolderTime, ...]:
    """One row for each stretch of custody, in its order; a value at a limit is in range.

    samples: ascending in time. custody: ascending and not overlapping. Raises ValueError otherwise.
    """
    if any(later.at_ms < earlier.at_ms for earlier, later in pairwise(samples)):
        raise ValueError("samples do not ascend in time")
    stretches = _stretches(samples, hold_ms)
    end_ms: int | None = None
    rows = []
    for part in custody:
        if part.to_ms < part.from_ms or (end_ms is not None and part.from_ms < end_ms):
            raise ValueError("custody overlaps, or ends before it begins")
        end_ms = part.to_ms
        known = above = below = 0
        for from_ms, to_ms, value in stretches:
            shared = min(to_ms, part.to_ms) - max(from_ms, part.from_ms)
            if shared > 0:
                known += shared
                above += shared if value > high_milli else 0
                below += shared if value < low_milli else 0
        held = part.to_ms - part.from_ms
        rows.append(
            HolderTime(
                holder=part.holder,
                held_ms=held,
                above_ms=above,
                below_ms=below,
                unknown_ms=held - known,
            )
        )
    return tuple(rows)


def _stretches(samples: Sequence[Sample], hold_ms: int) -> list[tuple[int, int, int]]:
    """[from, to) with the value that holds in it."""
    found = []
    for at, sample in enumerate(samples):
        to_ms = sample.at_ms + hold_ms
        if at + 1 < len(samples):
            to_ms = min(to_ms, samples[at + 1].at_ms)
        found.append((sample.at_ms, to_ms, sample.celsius_milli))
    return found
