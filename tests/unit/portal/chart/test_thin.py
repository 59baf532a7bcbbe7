"""Fewer points, and not one breach less."""

from hypothesis import given
from hypothesis import strategies as st

from portal.chart.thin import Point, bucket_for, envelope, thinned

ROWS = st.lists(st.tuples(st.integers(0, 5_000), st.integers(-60_000, 60_000)), max_size=300)


def points_of(rows: list[tuple[int, int]]) -> list[Point]:
    return [Point(at, milli) for at, milli in sorted(rows, key=lambda row: row[0])]


@given(ROWS, st.integers(1, 2_000))
def test_every_bucket_keeps_its_least_and_greatest_exactly(
    rows: list[tuple[int, int]], bucket_ms: int
) -> None:
    points = points_of(rows)
    assert envelope(points, bucket_ms) == envelope(thinned(points, bucket_ms), bucket_ms)


@given(ROWS, st.integers(1, 2_000), st.integers(-60_000, 60_000))
def test_a_breach_of_any_limit_is_drawn_in_the_bucket_where_it_was(
    rows: list[tuple[int, int]], bucket_ms: int, limit: int
) -> None:
    points = points_of(rows)
    drawn = {p.at_ms // bucket_ms for p in thinned(points, bucket_ms) if p.milli > limit}
    assert {p.at_ms // bucket_ms for p in points if p.milli > limit} == drawn


@given(ROWS, st.integers(1, 2_000))
def test_what_is_drawn_was_measured_in_order_and_at_most_four_to_a_bucket(
    rows: list[tuple[int, int]], bucket_ms: int
) -> None:
    points = points_of(rows)
    kept = thinned(points, bucket_ms)
    rest = iter(points)
    assert all(point in rest for point in kept)
    assert len(kept) <= 4 * len(envelope(points, bucket_ms))
    assert kept[:1] == points[:1]
    assert kept[-1:] == points[-1:]


@given(st.integers(1, 10**10), st.integers(4, 10_000))
def test_a_bucket_is_as_long_as_the_bound_on_points_wants(span_ms: int, points_max: int) -> None:
    assert span_ms / bucket_for(span_ms, points_max) <= points_max / 4
