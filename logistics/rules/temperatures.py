"""Readings' temperatures as milli-degrees Celsius, the scale on which contracts judge."""

from typing import Final

CELSIUS: Final = "CEL"
FAHRENHEIT: Final = "FAH"
KELVIN: Final = "KEL"
_MILLI: Final = -3


def celsius_milli(value: int, exponent: int, unit: str) -> int | None:
    """`value * 10**exponent` in a unit as milli-degrees Celsius, rounded half to even.

    None for a unit that is no temperature.
    """
    scale = exponent - _MILLI
    numerator, denominator = (value * 10**scale, 1) if scale >= 0 else (value, 10**-scale)
    if unit == FAHRENHEIT:
        numerator, denominator = (numerator - 32_000 * denominator) * 5, denominator * 9
    elif unit == KELVIN:
        numerator -= 273_150 * denominator
    elif unit != CELSIUS:
        return None
    whole, rest = divmod(numerator, denominator)
    is_half = 2 * rest == denominator
    return whole + (whole % 2 if is_half else 2 * rest > denominator)
