"""Charges, roundings and caps, by hand."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logistics.rules.errors import ContractError
from logistics.rules.money import MINOR_MAX, Charge, Rounding, capped, divided


@pytest.mark.parametrize(
    ("rounding", "amounts"),
    [
        (Rounding.UP, [0, 1, 1, 1, 2, 2]),
        (Rounding.DOWN, [0, 0, 0, 1, 1, 1]),
        (Rounding.HALF_UP, [0, 0, 1, 1, 1, 2]),
        (Rounding.HALF_EVEN, [0, 0, 0, 1, 1, 2]),
    ],
)
def test_each_rounding_is_what_it_is_called(rounding: Rounding, amounts: list[int]) -> None:
    assert amounts == [divided(n, 4, rounding) for n in (0, 1, 2, 4, 5, 6)]


def test_half_to_even_goes_both_ways() -> None:
    assert [divided(n, 2, Rounding.HALF_EVEN) for n in (1, 3, 5, 7)] == [0, 2, 2, 4]


@given(st.integers(0, 10**12), st.integers(1, 10**6), st.sampled_from(list(Rounding)))
def test_no_rounding_is_off_by_one_or_more(
    numerator: int, denominator: int, rounding: Rounding
) -> None:
    assert abs(divided(numerator, denominator, rounding) - Fraction(numerator, denominator)) < 1


def test_a_charge_by_hand() -> None:
    hourly = {"fact": "x", "rate": 15_000, "free": 1_800_000, "unit": 3_600_000}
    for rounding, amounts in {
        Rounding.BEGUN: [0, 0, 15_000, 15_000, 30_000],
        Rounding.COMPLETED: [0, 0, 0, 15_000, 15_000],
        Rounding.HALF_UP: [0, 0, 0, 15_000, 15_000],
        Rounding.UP: [0, 0, 1, 15_000, 15_001],
    }.items():
        charge = Charge(**hourly, rounding=rounding)  # type: ignore[arg-type]  # a row of it
        values = (0, 1_800_000, 1_800_001, 5_400_000, 5_400_001)
        assert amounts == [charge.of(value) for value in values]
    assert Charge(fact="x", fixed=40_000).of(1) == 40_000


def test_the_sum_is_capped() -> None:
    assert capped([300, 300], 500) == 500
    assert capped([], 500) == 0


@pytest.mark.parametrize(
    "change", [{"fixed": -1}, {"rate": MINOR_MAX + 1}, {"unit": 0}, {"free": -1}]
)
def test_an_impossible_charge_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(ContractError, match="charge"):
        Charge(fact="x", **change)  # type: ignore[arg-type]  # wrong on purpose
