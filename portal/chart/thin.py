"""Fewer points than there are readings, with every bucket's least and greatest kept exactly.

An average hides a breach; the envelope of least and greatest cannot. Each output point is one of
the input points.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True, slots=True)
class Point:
    """A reading: when, by the gateway's clock (ms since 1970), and thousandths of its unit."""

    at_ms: int
    milli: int


def thinned(points: Sequence[Point], bucket_ms: int) -> list[Point]:
    """First, least, greatest and last point of every bucket, in time order.

    points: times not falling. bucket_ms > 0; buckets begin at multiples of it. Of equal values the
    earliest stands. What has at most four points in each bucket comes back unchanged.
    """
    kept: list[Point] = []
    for _, group in groupby(points, key=lambda point: point.at_ms // bucket_ms):
        kept += _corners(list(group))
    return kept


def _corners(group: list[Point]) -> list[Point]:
    low = min(range(len(group)), key=lambda index: group[index].milli)
    high = max(range(len(group)), key=lambda index: group[index].milli)
    return [group[index] for index in sorted({0, low, high, len(group) - 1})]


def bucket_for(span_ms: int, points_max: int) -> int:
    """A bucket's length so that a span has at most points_max / 4 buckets, a whole number of ms."""
    return max(1, -(-span_ms * 4 // points_max))


def envelope(points: Iterable[Point], bucket_ms: int) -> dict[int, tuple[int, int]]:
    """(least, greatest) of every bucket that has a point, by the bucket's number."""
    found: dict[int, tuple[int, int]] = {}
    for point in points:
        number = point.at_ms // bucket_ms
        low, high = found.get(number, (point.milli, point.milli))
        found[number] = (min(low, point.milli), max(high, point.milli))
    return found
