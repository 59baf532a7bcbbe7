"""Whose minutes they were."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logistics.holder_minutes import Custody, HolderTime, Sample, holder_times

MINUTE = 60_000
A, B, C = b"a", b"b", b"c"


def times(
    samples: list[tuple[int, int]], custody: list[tuple[bytes, int, int]], hold: int = 5
) -> tuple[HolderTime, ...]:
    """Minutes and whole degrees in, milliseconds out; limits 2 to 8 degrees."""
    return holder_times(
        [Sample(at * MINUTE, celsius * 1000) for at, celsius in samples],
        [Custody(holder, start * MINUTE, end * MINUTE) for holder, start, end in custody],
        low_milli=2_000,
        high_milli=8_000,
        hold_ms=hold * MINUTE,
    )


def test_an_excursion_across_a_hand_over_is_cut_at_the_minute() -> None:
    rows = times([(0, 5), (10, 12), (20, 5)], [(A, 0, 14), (B, 14, 30)], hold=60)
    assert [(A, 4 * MINUTE), (B, 6 * MINUTE)] == [(row.holder, row.above_ms) for row in rows]
    assert [0, 0] == [row.unknown_ms for row in rows]


def test_a_value_at_a_limit_is_in_range_and_one_beside_it_is_not() -> None:
    (row,) = times([(0, 2), (1, 8), (2, 9), (3, 1)], [(A, 0, 4)], hold=1)
    assert (MINUTE, MINUTE, 0) == (row.above_ms, row.below_ms, row.unknown_ms)


def test_silence_is_time_without_evidence_and_never_good() -> None:
    (row,) = times([(0, 5), (30, 5)], [(A, 0, 40)], hold=5)
    assert (40 * MINUTE, 30 * MINUTE, 0) == (row.held_ms, row.unknown_ms, row.above_ms)
    (nothing,) = times([], [(A, 0, 40)])
    assert 40 * MINUTE == nothing.unknown_ms


def test_what_lies_outside_custody_is_nobodys() -> None:
    rows = times([(0, 20)], [(A, 10, 12), (B, 20, 22)], hold=60)
    assert [2 * MINUTE, 2 * MINUTE] == [row.above_ms for row in rows]


@pytest.mark.parametrize("custody", [[(A, 0, 10), (B, 9, 20)], [(A, 5, 4)]])
def test_custody_that_overlaps_is_refused(custody: list[tuple[bytes, int, int]]) -> None:
    with pytest.raises(ValueError, match="overlaps"):
        times([(0, 5)], custody)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(-5, 15)), max_size=20),
    st.lists(st.integers(0, 60), min_size=2, max_size=5),
    st.integers(1, 20),
)
def test_the_parts_are_the_whole_by_a_count_of_every_minute(
    samples: list[tuple[int, int]], cuts: list[int], hold: int
) -> None:
    samples.sort(key=lambda item: item[0])
    cuts.sort()
    custody = [(bytes([at]), start, end) for at, (start, end) in enumerate(pairwise(cuts))]
    for row, (_, start, end) in zip(times(samples, custody, hold), custody, strict=True):
        above = below = unknown = 0
        for minute in range(start, end):
            before = [item for item in samples if item[0] <= minute]
            if not before or minute >= before[-1][0] + hold:
                unknown += 1
            else:
                above += before[-1][1] > 8
                below += before[-1][1] < 2
        assert (above, below, unknown) == tuple(
            ms // MINUTE for ms in (row.above_ms, row.below_ms, row.unknown_ms)
        )
