"""Excursions: hand-computed at the boundaries, and against a slow definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logistics.rules.excursion import Limit, cumulative_ms, excursions, longest_ms
from logistics.rules.stretches import Sample, Stretch, held

MINUTE = 60_000


def stretches_of(values: list[int], *, gap_ms: int = 5 * MINUTE) -> list[Stretch]:
    """A reading a minute of these values."""
    samples = [Sample(at * MINUTE, value) for at, value in enumerate(values)]
    return list(held(samples, to_ms=len(values) * MINUTE, gap_ms=gap_ms))


@pytest.mark.parametrize(
    ("limit", "values", "minutes"),
    [
        (Limit(value=4000, is_upper=True), [4000, 4000], 0),
        (Limit(value=4000, is_upper=True), [4000, 4001, 4000], 1),
        (Limit(value=4000, is_upper=True, counts_at=True), [4000, 3999, 4000], 2),
        (Limit(value=4000, is_upper=True, hysteresis=500), [4100, 3600, 3500, 3600], 2),
        (Limit(value=4000, is_upper=True, hysteresis=500), [3600, 3600, 4100], 1),
        (Limit(value=4000, is_upper=True, counts_at=True, hysteresis=500), [4000, 3500, 3499], 2),
        (Limit(value=0, is_upper=False), [0, -1, 0], 1),
        (Limit(value=0, is_upper=False, counts_at=True), [0, 1, 0], 2),
        (Limit(value=0, is_upper=False, hysteresis=200), [-1, 199, 200], 2),
        (Limit(value=-18_000, is_upper=True), [-18_000, -17_999, -25_000], 1),
    ],
)
def test_the_limit_itself_and_the_hysteresis_are_as_stated(
    limit: Limit, values: list[int], minutes: int
) -> None:
    assert cumulative_ms(excursions(stretches_of(values), limit)) == minutes * MINUTE


def test_the_longest_and_the_total_of_three_excursions_by_hand() -> None:
    values = [1, 9, 9, 1, 9, 1, 9, 9, 9, 1]
    found = excursions(stretches_of(values), Limit(value=5, is_upper=True))
    assert [item.length_ms // MINUTE for item in found] == [2, 1, 3]
    assert (longest_ms(found), cumulative_ms(found)) == (3 * MINUTE, 6 * MINUTE)
    assert (longest_ms([]), cumulative_ms([])) == (0, 0)


def test_the_worst_value_is_told_of_either_side() -> None:
    warm = excursions(stretches_of([6, 9, 7]), Limit(value=5, is_upper=True))
    cold = excursions(stretches_of([-6, -9, -7]), Limit(value=-5, is_upper=False))
    assert (warm[0].worst, cold[0].worst) == (9, -9)


def test_time_without_evidence_ends_an_excursion_and_counts_against_nobody() -> None:
    samples = [Sample(0, 9), Sample(20 * MINUTE, 9)]
    found = excursions(
        list(held(samples, to_ms=21 * MINUTE, gap_ms=5 * MINUTE)), Limit(value=5, is_upper=True)
    )
    assert [item.length_ms for item in found] == [5 * MINUTE, MINUTE]


def slow(values: list[int], limit: Limit) -> list[int]:
    """By definition, value after value: lengths of the excursions in minutes."""
    lengths, inside = list[int](), False
    for value in values:
        edge = limit.value
        if inside:
            edge += -limit.hysteresis if limit.is_upper else limit.hysteresis
        past = value - edge if limit.is_upper else edge - value
        now = past >= 0 if limit.counts_at else past > 0
        if now and inside:
            lengths[-1] += 1
        elif now:
            lengths.append(1)
        inside = now
    return lengths


@given(
    st.lists(st.integers(-4, 4), min_size=1, max_size=40),
    st.builds(
        lambda value, upper, at, hysteresis: Limit(
            value=value, is_upper=upper, counts_at=at, hysteresis=hysteresis
        ),
        st.integers(-2, 2), st.booleans(), st.booleans(), st.integers(0, 3),
    ),
)  # fmt: skip  # in order
def test_any_row_of_values_has_the_excursions_of_the_definition(
    values: list[int], limit: Limit
) -> None:
    found = excursions(stretches_of(values), limit)
    assert [item.length_ms // MINUTE for item in found] == slow(values, limit)
