"""Whether a code looks copied, from who looked at it, when and where, and whether it was sold.

A copied code works on as many packets as somebody prints, so what gives it away is many people,
far apart, and looks after the sale. It is a sign, no proof: the page says what was seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
VISITORS_MANY: Final = 12  # a household and its guests are fewer
PLACES_MANY: Final = 4
PLACES_AT_ONCE: Final = 3  # in one hour nobody carries a packet through so many networks
VISITORS_AFTER_SALE: Final = 6


@dataclass(frozen=True, slots=True)
class Scan:
    """Somebody looked: when (ms since 1970), who and where, as digests that mean nothing else."""

    time_ms: int
    visitor: str
    place: str


class Sign(Enum):
    """What the looks at a code suggest, the strongest that holds."""

    FIRST = "first"  # nobody looked before
    USUAL = "usual"
    MANY = "many"  # more people than one packet has
    AFTER_SALE = "after_sale"  # many people after it was sold
    AT_ONCE = "at_once"  # in several places within an hour


@dataclass(frozen=True, slots=True)
class Judgement:
    """The sign and the numbers behind it."""

    sign: Sign
    looks: int
    visitors: int
    places: int
    first_ms: int | None

    @property
    def is_suspicious(self) -> bool:
        """Whether people should be warned."""
        return self.sign in (Sign.MANY, Sign.AFTER_SALE, Sign.AT_ONCE)


def judge(scans: Sequence[Scan], *, sold_ms: int | None = None) -> Judgement:
    """What these looks suggest; the one that asks is not among them."""
    rows = sorted(scans, key=lambda scan: scan.time_ms)
    visitors = {scan.visitor for scan in rows}
    places = {scan.place for scan in rows}
    after = {scan.visitor for scan in rows if sold_ms is not None and scan.time_ms > sold_ms}
    sign = Sign.USUAL if rows else Sign.FIRST
    if _at_once(rows):
        sign = Sign.AT_ONCE
    elif len(after) >= VISITORS_AFTER_SALE and len(places) > 1:
        sign = Sign.AFTER_SALE
    elif len(visitors) >= VISITORS_MANY or len(places) >= PLACES_MANY:
        sign = Sign.MANY
    return Judgement(sign, len(rows), len(visitors), len(places), rows[0].time_ms if rows else None)


def _at_once(rows: Sequence[Scan]) -> bool:
    first = 0
    for last, scan in enumerate(rows):
        while rows[first].time_ms < scan.time_ms - HOUR_MS:
            first += 1
        if len({row.place for row in rows[first : last + 1]}) >= PLACES_AT_ONCE:
            return True
    return False
