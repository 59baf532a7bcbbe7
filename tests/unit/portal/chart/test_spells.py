"""How long values were outside, and whose minutes they were."""

from hypothesis import given
from hypothesis import strategies as st

from portal.chart.spells import (
    Interval,
    Limits,
    Side,
    Spell,
    length_by_holder,
    long_enough,
    silences,
    spells,
)
from portal.chart.thin import Point

CHILLED = Limits(2_000, 8_000)
MINUTE = 60_000


def every_minute(*values: int) -> list[Point]:
    return [Point(index * MINUTE, value) for index, value in enumerate(values)]


def test_a_spell_lasts_until_the_first_reading_inside() -> None:
    points = every_minute(4_000, 9_000, 9_500, 8_000, 1_000)
    found = spells(points, CHILLED, hold_ms=3 * MINUTE, end_ms=5 * MINUTE)
    assert [
        Spell(MINUTE, 3 * MINUTE, Side.ABOVE, 9_500),
        Spell(4 * MINUTE, 5 * MINUTE, Side.BELOW, 1_000),
    ] == found


def test_a_silence_ends_a_spell_and_is_neither_good_nor_bad() -> None:
    points = [Point(0, 9_000), Point(100 * MINUTE, 9_000)]
    found = spells(points, CHILLED, hold_ms=3 * MINUTE, end_ms=101 * MINUTE)
    assert [3 * MINUTE, MINUTE] == [spell.length_ms for spell in found]
    quiet = silences(points, hold_ms=3 * MINUTE, from_ms=0, to_ms=101 * MINUTE)
    assert [Interval(3 * MINUTE, 100 * MINUTE)] == quiet


def test_minutes_are_cut_at_each_hand_over_and_what_nobody_held_is_nobodys() -> None:
    spell = Spell(0, 10 * MINUTE, Side.ABOVE, 9_000)
    holders = [Interval(0, 4 * MINUTE, "grower"), Interval(4 * MINUTE, 9 * MINUTE, "carrier")]
    shares = length_by_holder([spell], holders)
    assert {"grower": 4 * MINUTE, "carrier": 5 * MINUTE, "": MINUTE} == shares


def test_a_moment_is_no_alert() -> None:
    short, long = Spell(0, MINUTE, Side.ABOVE, 9_000), Spell(0, 9 * MINUTE, Side.ABOVE, 9_000)
    assert [long] == long_enough([short, long], 5 * MINUTE)


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), max_size=60))
def test_silences_and_readings_cover_all_time_once(rows: list[tuple[int, int]]) -> None:
    points = [Point(at, milli) for at, milli in sorted(rows)]
    quiet = silences(points, hold_ms=500, from_ms=0, to_ms=10_000)
    spoken = spells(points, Limits(None, -1), hold_ms=500, end_ms=10_000)
    total = sum(gap.to_ms - gap.from_ms for gap in quiet) + sum(s.length_ms for s in spoken)
    assert total == 10_000
