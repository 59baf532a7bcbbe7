"""Mean kinetic temperature: closed forms, an independent computation, and the same digits always.

USP <1160> gives the formula and its constants (83.144 kJ/mol, 8.3144 J/(mol K)); it prints no
worked figures, so the numbers here are computed by hand from it, in rational logarithms or floats.
"""

import math
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logistics.rules.errors import EvidenceError
from logistics.rules.mkt import mean_kinetic_celsius_milli, mean_kinetic_kelvin
from logistics.rules.stretches import Stretch


def row(*values: tuple[int, int]) -> list[Stretch]:
    """Stretches of (milli-degrees, milliseconds)."""
    found, at = [], 0
    for value, length in values:
        found.append(Stretch(from_ms=at, to_ms=at + length, low=value, high=value))
        at += length
    return found


def by_floats(values: list[tuple[int, int]], ratio: float = 10_000.0) -> float:
    """USP's formula in floats, kelvin."""
    total = sum(length for _, length in values)
    harm = math.fsum(
        length * math.exp(-ratio / (value / 1000 + 273.15)) for value, length in values
    )
    return ratio / -math.log(harm / total)


# 10000 / -ln((exp(-10000/293.15) + exp(-10000/303.15)) / 2) and its like, worked out apart.
@pytest.mark.parametrize(
    ("values", "kelvin"),
    [
        ([(20_000, 1), (30_000, 1)], "299.5"),
        ([(5_000, 23), (25_000, 1)], None),
        ([(2_000, 1), (8_000, 1)], None),
        ([(25_000, 15), (40_000, 15), (15_000, 15)], None),
    ],
)
def test_it_agrees_with_the_formula_to_a_millionth(
    values: list[tuple[int, int]], kelvin: str | None
) -> None:
    got = mean_kinetic_kelvin(row(*values))
    assert abs(float(got) - by_floats(values)) < 1e-6
    if kelvin is not None:
        assert abs(got - Decimal(kelvin)) < Decimal("0.7")


@pytest.mark.parametrize("celsius_milli", [-80_000, -18_000, 0, 4_000, 25_000, 40_000])
def test_a_constant_temperature_is_its_own_mean(celsius_milli: int) -> None:
    got = mean_kinetic_kelvin(row((celsius_milli, 7), (celsius_milli, 900_000)))
    assert abs(got - Decimal(celsius_milli + 273_150) / 1000) < Decimal("1e-25")
    assert mean_kinetic_celsius_milli(row((celsius_milli, 1))) == celsius_milli


TEMPERATURES = st.lists(
    st.tuples(st.integers(-80_000, 80_000), st.integers(1, 10**9)), min_size=1, max_size=20
)


@given(TEMPERATURES)
def test_it_lies_between_the_arithmetic_mean_and_the_greatest(
    values: list[tuple[int, int]],
) -> None:
    got = mean_kinetic_kelvin(row(*values))
    assert abs(float(got) - by_floats(values)) < 1e-6
    mean = sum(v * n for v, n in values) / sum(n for _, n in values) / 1000 + 273.15
    assert mean - 1e-6 <= float(got) <= max(v for v, _ in values) / 1000 + 273.15 + 1e-9


@given(TEMPERATURES, st.randoms())
def test_the_digits_do_not_depend_on_order_or_on_how_time_is_cut(
    values: list[tuple[int, int]], random: object
) -> None:
    cut = [piece for value, n in values for piece in ((value, n // 3), (value, n - n // 3))]
    random.shuffle(cut)  # type: ignore[attr-defined]  # a Random
    assert mean_kinetic_kelvin(row(*values)) == mean_kinetic_kelvin(row(*cut))


def test_the_callers_decimal_context_changes_nothing() -> None:
    before = mean_kinetic_kelvin(row((4_000, 5), (9_000, 7)))
    with localcontext() as context:
        context.prec = 3
        assert mean_kinetic_kelvin(row((4_000, 5), (9_000, 7))) == before


def test_another_activation_energy_weighs_otherwise() -> None:
    values = [(5_000, 1), (30_000, 1)]
    got = mean_kinetic_kelvin(row(*values), 50_000)
    assert abs(float(got) - by_floats(values, 50_000 / 8.3144)) < 1e-6


def test_no_time_summaries_and_the_impossible_are_refused() -> None:
    for bad in ([], row((-273_150, 1)), [Stretch(from_ms=0, to_ms=1, low=0, high=1)]):
        with pytest.raises(EvidenceError):
            mean_kinetic_kelvin(bad)
