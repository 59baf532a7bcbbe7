"""A route with a width, against great circles in floats and by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logistics.rules.corridor import Corridor, corridor, cosine_e9, is_on_route, off_route_ms
from logistics.rules.errors import RingError
from logistics.rules.rings import Place

HAMBURG, BREMEN = (535_500_000, 99_900_000), (530_800_000, 88_000_000)


@given(st.integers(-900_000_000, 900_000_000))
def test_the_cosine_is_right_to_nine_places(lat_e7: int) -> None:
    assert abs(cosine_e9(lat_e7) / 1e9 - math.cos(math.radians(lat_e7 / 1e7))) < 1e-9


def test_the_width_itself_is_on_the_route_by_hand() -> None:
    """1e-7 degrees are 11.119508 mm: 8,993 of them are 99.9987 m, 8,994 are 100.0099 m."""
    equator = corridor([(0, 0), (0, 10_000_000)], 100)
    assert is_on_route(equator, 8_993, 5_000_000)
    assert not is_on_route(equator, 8_994, 5_000_000)
    assert is_on_route(equator, 0, -8_993)
    assert not is_on_route(equator, 0, 10_008_994)


@given(st.integers(528_000_000, 538_000_000), st.integers(85_000_000, 103_000_000))
def test_distance_to_the_line_is_what_floats_say_but_at_the_very_edge(lat: int, lon: int) -> None:
    route, width_m = corridor([HAMBURG, BREMEN], 5_000), 5_000
    scale = math.cos(math.radians((HAMBURG[0] + BREMEN[0]) / 2e7))
    metre = 0.011119508
    ax, ay = HAMBURG[1] * scale * metre, HAMBURG[0] * metre
    bx, by = BREMEN[1] * scale * metre, BREMEN[0] * metre
    px, py = lon * scale * metre, lat * metre
    along = ((px - ax) * (bx - ax) + (py - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2)
    along = min(1.0, max(0.0, along))
    distance = math.hypot(px - ax - along * (bx - ax), py - ay - along * (by - ay))
    if abs(distance - width_m) > 1:
        assert is_on_route(route, lat, lon) == (distance < width_m)


def test_a_leg_across_the_antimeridian_takes_the_shorter_way() -> None:
    route = corridor([(0, 1_799_000_000), (0, -1_799_000_000)], 1_000)
    assert is_on_route(route, 0, 1_800_000_000)
    assert is_on_route(route, 0, -1_800_000_000)
    assert not is_on_route(route, 0, 0)


def test_time_off_the_route_is_counted_like_any_other() -> None:
    route = corridor([(0, 0), (0, 10_000_000)], 100)
    places = [Place(0, 0, 0), Place(10, 100_000, 0), Place(30, 0, 0), Place(90, 0, 0)]
    assert off_route_ms(places, route, to_ms=100, gap_ms=40) == (20, 80)


@pytest.mark.parametrize(
    ("points", "width_m"),
    [
        ([(0, 0)], 10),
        ([(0, 0), (0, 1)], 0),
        ([(0, 0), (0, 1)], 100_001),
        ([(0, 0), (0, 2 * 10**9)], 9),
    ],
)
def test_what_is_no_route_is_refused(points: list[tuple[int, int]], width_m: int) -> None:
    with pytest.raises(RingError):
        corridor(points, width_m)


def test_one_point_twice_is_a_circle() -> None:
    circle = Corridor(((0, 0), (0, 0)), 100)
    assert is_on_route(circle, 8_993, 0)
    assert not is_on_route(circle, 8_993, 8_993)
