"""Rings of corners on the map, in 1e-7 degrees, and time spent inside one.

An edge is straight in latitude and longitude and takes the shorter way round the earth, so a ring
may lie across the antimeridian; one around a pole is refused, as is one that crosses or touches
itself. **A point on an edge or corner is inside.** All of it is integer arithmetic and exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from logistics.rules.errors import EvidenceError, RingError
from logistics.rules.stretches import ends_of

CORNERS_MAX: Final = 128
HALF_TURN_E7: Final = 1_800_000_000
TURN_E7: Final = 2 * HALF_TURN_E7
LAT_MAX_E7: Final = 900_000_000

Corner = tuple[int, int]  # latitude, longitude


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was at UTC milliseconds since 1970; degrees times 1e7."""

    at_ms: int
    lat_e7: int
    lon_e7: int


@dataclass(frozen=True, slots=True)
class Ring:
    """Corners in order, the first not repeated; longitudes unwrapped from the first corner on."""

    corners: tuple[Corner, ...]

    def holds(self, lat_e7: int, lon_e7: int) -> bool:
        """True for a point inside, on an edge or on a corner."""
        lons = [lon for _, lon in self.corners]
        shifted = (lon_e7 + turn for turn in (-TURN_E7, 0, TURN_E7))
        return any(
            min(lons) <= lon <= max(lons) and _holds(self.corners, lat_e7, lon) for lon in shifted
        )


def ring(corners: Sequence[Corner]) -> Ring:
    """The ring of these corners; raises RingError."""
    if not 3 <= len(corners) <= CORNERS_MAX:
        raise RingError(f"{len(corners)} corners, not 3 to {CORNERS_MAX}")
    for lat, lon in corners:
        if not -LAT_MAX_E7 <= lat <= LAT_MAX_E7 or not -HALF_TURN_E7 <= lon <= HALF_TURN_E7:
            raise RingError(f"corner {lat}, {lon} is not on the earth")
    unwrapped = _unwrapped([*corners, corners[0]])
    if unwrapped[-1] != unwrapped[0]:
        raise RingError("the ring goes around a pole")
    _check_simple(unwrapped[:-1])
    return Ring(tuple(unwrapped[:-1]))


def _unwrapped(corners: Sequence[Corner]) -> list[Corner]:
    """Each longitude moved by whole turns so that it is less than half a turn from the last."""
    done = [corners[0]]
    for lat, lon in corners[1:]:
        step = (lon - done[-1][1]) % TURN_E7
        if step == HALF_TURN_E7:
            raise RingError("an edge of half a turn has no shorter way: add a corner")
        done.append((lat, done[-1][1] + (step if step < HALF_TURN_E7 else step - TURN_E7)))
    return done


def _side(a: Corner, b: Corner, p: Corner) -> int:
    """Above 0 where p is left of a to b, 0 where it is on the line."""
    return (b[1] - a[1]) * (p[0] - a[0]) - (b[0] - a[0]) * (p[1] - a[1])


def _is_on(a: Corner, b: Corner, p: Corner) -> bool:
    return (
        _side(a, b, p) == 0
        and min(a[0], b[0]) <= p[0] <= max(a[0], b[0])
        and min(a[1], b[1]) <= p[1] <= max(a[1], b[1])
    )


def _meet(a: Corner, b: Corner, c: Corner, d: Corner) -> bool:
    """Whether two edges have a point in common."""
    if any((_is_on(a, b, c), _is_on(a, b, d), _is_on(c, d, a), _is_on(c, d, b))):
        return True
    return (_side(a, b, c) > 0) != (_side(a, b, d) > 0) and (
        (_side(c, d, a) > 0) != (_side(c, d, b) > 0)
    )


def _check_simple(corners: Sequence[Corner]) -> None:
    """Raises RingError where edges meet elsewhere than at the corner that they share."""
    count = len(corners)
    if len(set(corners)) < count:
        raise RingError("a corner stands twice")
    edges = list(pairwise([*corners, corners[0]]))
    for i, (a, b) in enumerate(edges):
        for j in range(i + 1, count):
            c, d = edges[j]
            if j == i + 1:
                bad = _is_on(a, b, d) or _is_on(c, d, a)
            elif i == 0 and j == count - 1:
                bad = _is_on(a, b, c) or _is_on(c, d, b)
            else:
                bad = _meet(a, b, c, d)
            if bad:
                raise RingError(f"edges {i} and {j} cross or touch")


def _holds(corners: Sequence[Corner], lat: int, lon: int) -> bool:
    point, inside = (lat, lon), False
    for a, b in pairwise([*corners, corners[0]]):
        if _is_on(a, b, point):
            return True
        if (a[0] > lat) != (b[0] > lat) and (_side(a, b, point) > 0) == (b[0] > a[0]):
            inside = not inside
    return inside


@dataclass(frozen=True, slots=True)
class Stay:
    """[from_ms, to_ms) inside a ring."""

    from_ms: int
    to_ms: int

    @property
    def length_ms(self) -> int:
        """How long it was."""
        return self.to_ms - self.from_ms


def stays(
    places: Sequence[Place], where: Ring, *, to_ms: int, gap_ms: int, leave_ms: int = 0
) -> list[Stay]:
    """The stays inside a ring. A place holds until the next one, at most `gap_ms`.

    leave_ms: hysteresis in time. Absences shorter than this, seen and without a gap, belong to the
    stay, so that a receiver that jumps over the fence and back makes one stay and not two.
    Raises EvidenceError where times fall.
    """
    found: list[Stay] = []
    end_of_last = None  # of the evidence, without a gap, since the last stay ended
    for place, until in _held_places(places, to_ms, gap_ms):
        if not where.holds(place.lat_e7, place.lon_e7):
            end_of_last = until if end_of_last == place.at_ms else None
        elif (
            found
            and end_of_last == place.at_ms
            and (place.at_ms - found[-1].to_ms < max(1, leave_ms))
        ):
            found[-1], end_of_last = Stay(found[-1].from_ms, until), until
        else:
            found.append(Stay(place.at_ms, until))
            end_of_last = until
    return found


def _held_places(places: Sequence[Place], to_ms: int, gap_ms: int) -> list[tuple[Place, int]]:
    if any(later.at_ms < earlier.at_ms for earlier, later in pairwise(places)):
        raise EvidenceError("places are not in the order of their times")
    ends = ends_of([place.at_ms for place in places], to_ms)
    held = [
        (place, min(end, place.at_ms + gap_ms, to_ms))
        for place, end in zip(places, ends, strict=True)
    ]
    return [(place, end) for place, end in held if end > place.at_ms]
