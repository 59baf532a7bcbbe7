"""Mean kinetic temperature against worked examples and its own nature."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.chart.kinetic import mean_kinetic_milli


def test_a_steady_temperature_is_its_own_mean() -> None:
    assert mean_kinetic_milli({5_000: 1440}) == 5_000
    assert mean_kinetic_milli({}) is None


def test_a_warm_day_weighs_more_than_its_hours() -> None:
    # By hand: exp(-34.112) and exp(-32.987) mean exp(-33.399), that is 299.41 K.
    assert mean_kinetic_milli({20_000: 1, 30_000: 1}) == pytest.approx(26_260, abs=5)


@given(st.dictionaries(st.integers(-80_000, 80_000), st.integers(1, 50), min_size=1, max_size=40))
def test_it_lies_between_the_plain_mean_and_the_greatest(weights: dict[int, int]) -> None:
    found = mean_kinetic_milli(weights)
    plain = sum(value * count for value, count in weights.items()) / sum(weights.values())
    assert found is not None
    assert plain - 1 <= found <= max(weights) + 1


def test_absolute_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="absolute zero"):
        mean_kinetic_milli({-273_150: 1})
