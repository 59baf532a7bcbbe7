"""Units become milli-degrees, rounded half to even."""

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logistics.rules.temperatures import celsius_milli


@pytest.mark.parametrize(
    ("reading", "milli"),
    [
        ((4_000, -3, "CEL"), 4_000), ((4, 0, "CEL"), 4_000), ((40_625, -4, "CEL"), 4_062),
        ((40_635, -4, "CEL"), 4_064), ((-40_625, -4, "CEL"), -4_062), ((-5, -4, "CEL"), 0),
        ((392, -1, "FAH"), 4_000), ((0, 0, "FAH"), -17_778), ((-40, 0, "FAH"), -40_000),
        ((27_715, -2, "KEL"), 4_000), ((50, 0, "P1"), None),
    ],
)  # fmt: skip  # readings
def test_a_reading_in_milli_degrees_by_hand(
    reading: tuple[int, int, str], milli: int | None
) -> None:
    assert celsius_milli(*reading) == milli


@given(st.integers(-(10**7), 10**7), st.integers(-6, 0), st.sampled_from(["CEL", "FAH"]))
def test_it_is_the_exact_value_rounded_once(value: int, exponent: int, unit: str) -> None:
    exact = Decimal(value).scaleb(exponent + 3)
    if unit == "FAH":
        whole, rest = divmod((value * 1000 - 32_000 * 10**-exponent) * 5, 9 * 10**-exponent)
        half = 2 * rest - 9 * 10**-exponent
        assert celsius_milli(value, exponent, unit) == whole + (
            half > 0 or (half == 0 and whole % 2)
        )
    else:
        assert celsius_milli(value, exponent, unit) == exact.quantize(Decimal(1), ROUND_HALF_EVEN)
