"""Scaled integers: exact or refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logistics.errors import NumberError
from logistics.units import (
    Scaled,
    at_scale,
    decimal_text,
    parse_decimal,
    parse_measured,
    rescale,
    with_symbol,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4.30", Scaled(430, -2)),
        ("-0.5", Scaled(-5, -1)),
        ("0", Scaled(0, 0)),
        ("0.000", Scaled(0, -3)),
        ("12e3", Scaled(12, 3)),
        ("1.5E-3", Scaled(15, -4)),
        ("9223372036854775807", Scaled(9_223_372_036_854_775_807, 0)),
        ("92233720368547758070", Scaled(9_223_372_036_854_775_807, 1)),
    ],
)
def test_a_number_keeps_its_digits(text: str, expected: Scaled) -> None:
    assert expected == parse_decimal(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "NaN",
        "Infinity",
        "1e999",
        "9" * 41,
        "1.",
        ".5",
        "+1",
        "01",
        "1e",
        "0x1",
        "1_0",
        "٣",
        "1\n",
        "92233720368547758071",
        "1e-13",
        "1e13",
    ],
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(NumberError):
        parse_decimal(text)


@given(st.decimals(-(10**6), 10**6, places=3))
def test_a_decimal_comes_back_as_it_was(number: Decimal) -> None:
    scaled = parse_decimal(f"{number:f}")
    assert number == Decimal(decimal_text(scaled.value, scaled.exponent))


def test_rescaling_never_rounds() -> None:
    assert 4300 == rescale(Scaled(43, -1), -3)
    with pytest.raises(NumberError):
        rescale(Scaled(4301, -3), -2)
    assert Scaled(4301, -3) == at_scale(Scaled(4301, -3), -2)


def test_people_see_symbols() -> None:
    assert "4.300 °C" == with_symbol(4300, -3, "CEL")
    assert "-0.05 %" == with_symbol(-5, -2, "P1")
    assert "700 XYZ" == with_symbol(7, 2, "XYZ")
    assert "1" == with_symbol(1, 0, "C62")


@pytest.mark.parametrize(
    ("text", "value", "exponent"),
    [
        ("21.4", 214, -1),
        ("21.400000000000002", 21_400_000_000_000, -12),
        ("-0.1000000000005", -100_000_000_001, -12),
        ("0.99999999999951", 1_000_000_000_000, -12),
        ("0.0000000000001", 0, -12),
    ],
)
def test_what_a_float_printed_is_the_nearest_number_that_is_held(
    text: str, value: int, exponent: int
) -> None:
    assert Scaled(value, exponent) == parse_measured(text)


@pytest.mark.parametrize("text", ["1e999", "9" * 30 + ".0000000000001", "1" * 41, "x"])
def test_what_64_bits_do_not_hold_stays_no_number(text: str) -> None:
    with pytest.raises(NumberError):
        parse_measured(text)
