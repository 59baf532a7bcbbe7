"""How time between two samples is attributed, against a judge that looks at every millisecond."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logistics.rules.errors import EvidenceError
from logistics.rules.stretches import Sample, Stretch, covered_ms, held, within

SAMPLES = st.lists(st.tuples(st.integers(0, 60), st.integers(-3, 3)), max_size=12).map(
    lambda rows: [Sample(*row) for row in sorted(rows, key=lambda row: row[0])]
)


def value_at(samples: list[Sample], at_ms: int, gap_ms: int) -> int | None:
    """By definition: the last sample at or before the moment, if not a gap or more ago."""
    before = [sample for sample in samples if sample.at_ms <= at_ms]
    if not before or at_ms >= before[-1].at_ms + gap_ms:
        return None
    return before[-1].value


@given(SAMPLES, st.integers(1, 20), st.integers(1, 80))
def test_each_millisecond_has_the_value_of_the_definition(
    samples: list[Sample], gap_ms: int, to_ms: int
) -> None:
    drawn = {
        at: stretch.high
        for stretch in held(samples, to_ms=to_ms, gap_ms=gap_ms)
        for at in range(stretch.from_ms, stretch.to_ms)
    }
    by_definition = {at: value_at(samples, at, gap_ms) for at in range(to_ms)}
    assert {at: value for at, value in by_definition.items() if value is not None} == drawn


def test_a_value_holds_up_to_the_next_reading_and_a_gap_at_most() -> None:
    row = list(held([Sample(0, 1), Sample(10, 2), Sample(100, 3)], to_ms=110, gap_ms=30))
    assert [(s.from_ms, s.to_ms, s.low) for s in row] == [(0, 10, 1), (10, 40, 2), (100, 110, 3)]
    assert covered_ms(row) == 50
    assert [(s.from_ms, s.to_ms) for s in within(row, 5, 20)] == [(5, 10), (10, 20)]


def test_times_that_fall_are_refused() -> None:
    with pytest.raises(EvidenceError, match="after one at"):
        list(held([Sample(2, 1), Sample(1, 1)], to_ms=3, gap_ms=1))


def test_what_lies_outside_is_cut_away() -> None:
    stretch = Stretch(from_ms=0, to_ms=10, low=1, high=2)
    assert stretch.clipped(10, 20) is None
    assert stretch.clipped(-5, 0) is None
    assert stretch.clipped(4, 6) == Stretch(from_ms=4, to_ms=6, low=1, high=2)
