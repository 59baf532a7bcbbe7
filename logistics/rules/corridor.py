"""A route with a width: how far a place is from a line of points, in integers.

On the scale of a corridor the earth is flat: a degree of latitude is 111,195,080 mm (mean radius
6,371,008.8 m, IUGG), one of longitude that times the cosine of the leg's middle latitude, which a
fixed decimal context gives. Within 100 km of a leg that is true to a few metres in a kilometre. A
place exactly as far as the width is inside.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Final

from logistics.rules.errors import RingError
from logistics.rules.rings import HALF_TURN_E7, LAT_MAX_E7, TURN_E7, Corner, Place
from logistics.rules.stretches import ends_of

POINTS_MAX: Final = 512
WIDTH_M_MAX: Final = 100_000
_NANOMETRES_PER_E7: Final = 11_119_508  # 1e-7 degrees of latitude
_COSINE_SCALE: Final = 10**9
_PI: Final = Decimal("3.1415926535897932384626433832795029")
_CONTEXT: Final = Context(prec=34, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Corridor:
    """Points of the route in order and how far a place may be from it."""

    points: tuple[Corner, ...]
    width_m: int


def corridor(points: Sequence[Corner], width_m: int) -> Corridor:
    """The corridor along these points; raises RingError."""
    if not 2 <= len(points) <= POINTS_MAX or not 0 < width_m <= WIDTH_M_MAX:
        raise RingError(f"not 2 to {POINTS_MAX} points and 1 to {WIDTH_M_MAX} m")
    if any(abs(lat) > LAT_MAX_E7 or abs(lon) > HALF_TURN_E7 for lat, lon in points):
        raise RingError("a point that is not on the earth")
    return Corridor(tuple(points), width_m)


@lru_cache(maxsize=4096)
def cosine_e9(lat_e7: int) -> int:
    """Cosine of a latitude times 1e9, rounded half to even: a Taylor series in decimals."""
    x = _CONTEXT.divide(_CONTEXT.multiply(Decimal(lat_e7), _PI), Decimal(HALF_TURN_E7))
    square, term, total = _CONTEXT.multiply(x, x), Decimal(1), Decimal(1)
    for n in range(2, 40, 2):
        term = _CONTEXT.divide(_CONTEXT.multiply(term, -square), Decimal(n * (n - 1)))
        total = _CONTEXT.add(total, term)
    return int(_CONTEXT.to_integral_value(_CONTEXT.multiply(total, Decimal(_COSINE_SCALE))))


def is_on_route(route: Corridor, lat_e7: int, lon_e7: int) -> bool:
    """Whether a place is within the width of any leg; a leg takes the shorter way round."""
    return any(
        _near(start, end, (lat_e7, lon_e7), route.width_m) for start, end in pairwise(route.points)
    )


def _near(start: Corner, end: Corner, place: Corner, width_m: int) -> bool:
    """The squared distance to the leg is at most the squared width; exact in integers."""
    scale = cosine_e9((start[0] + end[0]) // 2)
    leg_y, leg_x = _flat(start, end, scale)
    to_y, to_x = _flat(start, place, scale)
    length2 = leg_x * leg_x + leg_y * leg_y
    along = to_x * leg_x + to_y * leg_y
    width2 = (width_m * 10**9 * _COSINE_SCALE) ** 2
    if along <= 0 or not length2:
        return to_x * to_x + to_y * to_y <= width2
    if along >= length2:
        return (to_x - leg_x) ** 2 + (to_y - leg_y) ** 2 <= width2
    across = to_x * leg_y - to_y * leg_x
    return across * across <= width2 * length2


def _flat(origin: Corner, place: Corner, scale: int) -> tuple[int, int]:
    """(north, east) of the origin, in nanometres times 1e9."""
    east = (place[1] - origin[1] + HALF_TURN_E7) % TURN_E7 - HALF_TURN_E7
    north = (place[0] - origin[0]) * _COSINE_SCALE
    return north * _NANOMETRES_PER_E7, east * scale * _NANOMETRES_PER_E7


def off_route_ms(
    places: Sequence[Place], route: Corridor, *, to_ms: int, gap_ms: int
) -> tuple[int, int]:
    """(time off the route, time with evidence); a place holds until the next, at most a gap."""
    ends = ends_of([place.at_ms for place in places], to_ms)
    off = covered = 0
    for place, end in zip(places, ends, strict=True):
        length = max(0, min(end, place.at_ms + gap_ms, to_ms) - place.at_ms)
        covered += length
        if not is_on_route(route, place.lat_e7, place.lon_e7):
            off += length
    return off, covered
