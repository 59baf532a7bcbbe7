"""Rings: edges and corners by hand, refusals, and an independent definition of inside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logistics.rules.errors import EvidenceError, RingError
from logistics.rules.rings import Place, Ring, ring, stays

SQUARE = [(0, 0), (0, 100), (100, 100), (100, 0)]
DART = [(0, 0), (50, 30), (0, 100), (100, 30)]  # not convex


@pytest.mark.parametrize(
    ("point", "inside"),
    [
        ((50, 50), True), ((0, 0), True), ((100, 100), True), ((0, 50), True), ((50, 100), True),
        ((-1, 50), False), ((101, 50), False), ((50, -1), False), ((50, 101), False),
        ((0, -1), False), ((100, 101), False),
    ],
)  # fmt: skip  # points
def test_a_point_on_an_edge_or_corner_is_inside(point: tuple[int, int], inside: bool) -> None:
    for corners in (SQUARE, SQUARE[::-1], SQUARE[2:] + SQUARE[:2]):
        assert ring(corners).holds(*point) == inside


def test_a_slanting_edge_holds_exactly_its_own_points() -> None:
    slant = ring([(0, 0), (700_000_001, 350_000_003), (0, 350_000_003)])
    assert not slant.holds(2, 1)
    assert ring([(0, 0), (400, 200), (0, 200)]).holds(2, 1)
    assert not ring([(0, 0), (400, 200), (0, 200)]).holds(3, 1)


def by_area(corners: list[tuple[int, int]], lat: int, lon: int) -> bool:
    """Winding by crossings of a ray to the north, edges checked first: another definition."""
    crossings, count = 0, len(corners)
    for index in range(count):
        (a_lat, a_lon), (b_lat, b_lon) = corners[index], corners[(index + 1) % count]
        cross = (b_lon - a_lon) * (lat - a_lat) - (b_lat - a_lat) * (lon - a_lon)
        in_box = min(a_lat, b_lat) <= lat <= max(a_lat, b_lat) and (
            min(a_lon, b_lon) <= lon <= max(a_lon, b_lon)
        )
        if cross == 0 and in_box:
            return True
        if min(a_lon, b_lon) <= lon < max(a_lon, b_lon):
            # Where the edge passes this meridian, over the common denominator (b_lon - a_lon).
            above = a_lat * (b_lon - a_lon) + (b_lat - a_lat) * (lon - a_lon)
            crossings += (above > lat * (b_lon - a_lon)) == (b_lon > a_lon)
    return crossings % 2 == 1


@given(st.integers(-10, 110), st.integers(-10, 110), st.sampled_from([SQUARE, DART]))
def test_inside_is_what_another_definition_says(
    lat: int, lon: int, corners: list[tuple[int, int]]
) -> None:
    assert ring(corners).holds(lat, lon) == by_area(corners, lat, lon)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=7),
    st.integers(-1, 10),
    st.integers(-1, 10),
)
def test_any_ring_that_is_taken_agrees_with_the_other_definition(
    corners: list[tuple[int, int]], lat: int, lon: int
) -> None:
    try:
        taken = ring(corners)
    except RingError:
        return
    assert taken.holds(lat, lon) == by_area(corners, lat, lon)


@pytest.mark.parametrize(
    ("corners", "words"),
    [
        ([(0, 0), (10, 10), (0, 10), (10, 0)], "cross or touch"),
        ([(0, 0), (0, 10), (5, 10), (0, 5), (5, 0)], "cross or touch"),
        ([(0, 0), (0, 10), (10, 10), (10, 0), (0, 0)], "stands twice"),
        ([(0, 0), (0, 10), (0, 5)], "cross or touch"),
        ([(0, 0), (0, 10)], "2 corners"),
        ([(0, n) for n in range(129)], "129 corners"),
        ([(900_000_001, 0), (0, 10), (10, 0)], "not on the earth"),
        ([(0, 1_800_000_001), (0, 10), (10, 0)], "not on the earth"),
        ([(800_000_000, 0), (800_000_000, 1_200_000_000), (800_000_000, -1_200_000_000)], "pole"),
        ([(0, 0), (0, 1_800_000_000), (10, 0)], "half a turn"),
    ],
)
def test_what_is_no_ring_is_refused_by_its_reason(
    corners: list[tuple[int, int]], words: str
) -> None:
    with pytest.raises(RingError, match=words):
        ring(corners)


@pytest.mark.parametrize("first", range(4))
def test_a_ring_across_the_antimeridian_holds_both_sides(first: int) -> None:
    corners = [
        (-10_000_000, 1_790_000_000), (-10_000_000, -1_790_000_000),
        (10_000_000, -1_790_000_000), (10_000_000, 1_790_000_000),
    ]  # fmt: skip  # corners
    fiji = ring(corners[first:] + corners[:first])
    inside = [1_795_000_000, 1_800_000_000, -1_800_000_000, -1_795_000_000, 1_790_000_000]
    assert all(fiji.holds(0, lon) for lon in inside)
    assert not any(fiji.holds(0, lon) for lon in (0, 1_789_999_999, -1_789_999_999))


DOCK = ring(SQUARE)
IN, OUT = (50, 50), (500, 500)


def visit(
    *steps: tuple[int, tuple[int, int]], leave_ms: int = 0, to_ms: int = 100
) -> list[tuple[int, int]]:
    places = [Place(at, *where) for at, where in steps]
    found = stays(places, DOCK, to_ms=to_ms, gap_ms=30, leave_ms=leave_ms)
    return [(stay.from_ms, stay.to_ms) for stay in found]


def test_a_stay_begins_inside_and_ends_at_the_first_place_outside() -> None:
    assert visit((0, OUT), (10, IN), (20, IN), (30, OUT)) == [(10, 30)]
    assert visit((0, IN), (10, OUT), (20, IN)) == [(0, 10), (20, 50)]


def test_a_jump_over_the_fence_shorter_than_allowed_belongs_to_the_stay() -> None:
    steps = ((0, IN), (10, OUT), (19, IN), (25, OUT))
    assert visit(*steps, leave_ms=10) == [(0, 25)]
    assert visit(*steps, leave_ms=9) == [(0, 10), (19, 25)]


def test_an_absence_that_nobody_saw_joins_nothing() -> None:
    assert visit((0, IN), (50, IN), leave_ms=10_000) == [(0, 30), (50, 80)]
    assert visit((0, IN), (10, OUT), (70, IN), leave_ms=10_000) == [(0, 10), (70, 100)]


def test_places_whose_times_fall_are_refused() -> None:
    with pytest.raises(EvidenceError):
        visit((10, IN), (0, IN))


def test_a_ring_is_the_same_value_again() -> None:
    assert ring(SQUARE) == Ring(tuple(SQUARE))
