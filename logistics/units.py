"""Scaled integers instead of floats, and the UN/ECE Recommendation 20 codes of their units.

A value is `value * 10**exponent`. Two machines that read "4.30" hold the same integers; two floats
may print alike and hash apart. Nothing here rounds: what has no exact form at a scale is refused or
kept finer.
"""

import re
from dataclasses import dataclass
from typing import Final

from logistics.errors import NumberError

INT64_MAX: Final = (1 << 63) - 1
EXPONENT_MIN: Final = -12
EXPONENT_MAX: Final = 12
# A longer text is no measurement; the bound also keeps a hostile exponent from costing memory.
NUMBER_CHARS_MAX: Final = 40

# Code -> (name, symbol). Source: UN/ECE Recommendation 20, revision 17.
UNITS: Final = {
    "CEL": ("degree Celsius", "°C"),
    "FAH": ("degree Fahrenheit", "°F"),
    "KEL": ("kelvin", "K"),
    "P1": ("percent", "%"),
    "A97": ("hectopascal", "hPa"),
    "2Z": ("millivolt", "mV"),
    "VLT": ("volt", "V"),
    "LUX": ("lux", "lx"),
    "C62": ("one", ""),
    "C26": ("millisecond", "ms"),
    "AMP": ("ampere", "A"),
    "KGM": ("kilogram", "kg"),
    "KWH": ("kilowatt hour", "kWh"),
    "MMT": ("millimetre", "mm"),
    "MTR": ("metre", "m"),
    "MTS": ("metre per second", "m/s"),
    "WTT": ("watt", "W"),
    "59": ("part per million", "ppm"),
    "DBM": ("decibel-milliwatt", "dBm"),
}

_NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,3}))?\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Scaled:
    """The number `value * 10**exponent`; value within 64 bits, exponent -12 to 12."""

    value: int
    exponent: int


def parse_decimal(text: str) -> Scaled:
    """The number that a JSON text states, exactly, with as many decimals as it was written with.

    Raises NumberError for anything but a JSON number within the limits ("NaN", "1e999", 400
    digits).
    """
    return _exact(_matched(text))


def _matched(text: str) -> re.Match[str]:
    match = _NUMBER.match(text) if len(text) <= NUMBER_CHARS_MAX else None
    if match is None:
        raise NumberError(f"not a number: {text[:NUMBER_CHARS_MAX]!r}")
    return match


def _exact(match: re.Match[str]) -> Scaled:
    sign, whole, fraction, power = match.groups(default="")
    value = int(whole + fraction)
    exponent = int(power or "0") - len(fraction)
    return _within_limits(-value if sign else value, exponent)


def parse_measured(text: str) -> Scaled:
    """As parse_decimal, but a finer number than 1e-12 is the nearest one that is not.

    Programs that pass a value through a float print it as 21.400000000000002; that is the reading
    21.4, and no reason to lose it. Raises NumberError.
    """
    match = _matched(text)
    if match[4] or len(match[3] or "") <= -EXPONENT_MIN:
        return _exact(match)
    sign, whole, fraction = match[1], match[2], match[3]
    kept, rest = fraction[:-EXPONENT_MIN], fraction[-EXPONENT_MIN:]
    value = int(whole + kept) + (rest[0] >= "5")
    return _within_limits(-value if sign else value, EXPONENT_MIN)


def _within_limits(value: int, exponent: int) -> Scaled:
    """Moves trailing zeros between value and exponent until both are within their limits."""
    if value == 0:
        return Scaled(0, min(max(exponent, EXPONENT_MIN), 0))
    while value % 10 == 0 and (exponent < EXPONENT_MIN or abs(value) > INT64_MAX):
        value, exponent = value // 10, exponent + 1
    if not EXPONENT_MIN <= exponent <= EXPONENT_MAX or abs(value) > INT64_MAX:
        raise NumberError("more digits or a larger power of ten than 64 bits hold")
    return Scaled(value, exponent)


def rescale(number: Scaled, exponent: int) -> int:
    """The same number counted in `10**exponent`. Raises NumberError where that is not exact."""
    shift = number.exponent - exponent
    if shift >= 0:
        return number.value * int(10**shift)
    quotient, rest = divmod(number.value, int(10**-shift))
    if rest:
        raise NumberError(f"{number.value}e{number.exponent} is finer than 1e{exponent}")
    return quotient


def at_scale(number: Scaled, exponent: int) -> Scaled:
    """The number at the wanted exponent; kept as written where it is finer than that or too
    large.
    """
    try:
        value = rescale(number, exponent)
    except NumberError:
        return number
    return Scaled(value, exponent) if abs(value) <= INT64_MAX else number


def decimal_text(value: int, exponent: int) -> str:
    """The number in plain digits: (4300, -3) -> "4.300", (-5, -1) -> "-0.5", (7, 2) -> "700"."""
    if exponent >= 0:
        return str(value * int(10**exponent))
    digits = str(abs(value)).rjust(1 - exponent, "0")
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[:exponent]}.{digits[exponent:]}"


def with_symbol(value: int, exponent: int, unit: str) -> str:
    """For people: "4.300 °C"; a unit that is not in the table is shown by its code."""
    symbol = UNITS.get(unit, (unit, unit))[1]
    return f"{decimal_text(value, exponent)} {symbol}".rstrip()
