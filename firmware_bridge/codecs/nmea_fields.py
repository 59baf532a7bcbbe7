"""The fields of RMC, GGA and ZDA as integers with units; None where a receiver left one empty.

A field that is there but wrong raises FieldError, which the decoder turns into a rejection.
Source: NMEA 0183 as published in the gpsd project's "NMEA Revealed", sections RMC, GGA, ZDA.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

_DECIMAL = re.compile(r"(-?)([0-9]{1,9})(?:\.([0-9]{0,9}))?\Z", re.ASCII)
_COORDINATE = re.compile(r"([0-9]{2,3})([0-9]{2})(?:\.([0-9]{1,9}))?\Z", re.ASCII)
_CLOCK = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})(?:\.([0-9]{1,6}))?\Z", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CENTURY_SPLIT: Final = 80  # two-digit years: 80 to 99 are the last century's
# RMC mode letter -> GGA quality digit; N is no fix.
_MODES: Final = {"A": 1, "D": 2, "P": 3, "R": 4, "F": 5, "E": 6, "M": 7, "S": 8, "": 1}


class FieldError(ValueError):
    """A field is present but not what its sentence prescribes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rmc:
    """Recommended minimum: place, motion and date. fix is None where the receiver has none."""

    time_of_day_ms: int
    fix: int | None
    lat_e7: int
    lon_e7: int
    speed_mm_s: int | None
    course_cdeg: int | None
    day_ms: int | None  # midnight of the date, UTC since 1970


@dataclass(frozen=True, slots=True, kw_only=True)
class Gga:
    """Fix data: place, height and quality, without a date."""

    time_of_day_ms: int
    fix: int | None
    lat_e7: int
    lon_e7: int
    altitude_mm: int | None
    hdop_centi: int | None
    satellites: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Zda:
    """Time and date."""

    time_of_day_ms: int
    day_ms: int | None


def rmc(fields: Sequence[str]) -> Rmc | None:
    """RMC's fields; None before the receiver knows the time. Raises FieldError."""
    if len(fields) < 9:
        raise FieldError("RMC has fewer than nine fields")
    clock = _time_of_day_ms(fields[0])
    if clock is None:
        return None
    mode = fields[11] if len(fields) > 11 else ""
    has_fix = fields[1] == "A" and mode != "N" and fields[2] != "" and fields[4] != ""
    if has_fix and mode not in _MODES:
        raise FieldError("unknown mode")
    return Rmc(
        time_of_day_ms=clock,
        fix=_MODES[mode] if has_fix else None,
        lat_e7=_coordinate_e7(fields[2], fields[3], "NS") if has_fix else 0,
        lon_e7=_coordinate_e7(fields[4], fields[5], "EW") if has_fix else 0,
        speed_mm_s=_within(_scaled(fields[6], 1_852_000, 3600), 0, 10**9),
        course_cdeg=_within(_scaled(fields[7], 100), 0, 36_000),
        day_ms=_day_ms(fields[8][:2], fields[8][2:4], _year(fields[8][4:])) if fields[8] else None,
    )


def gga(fields: Sequence[str]) -> Gga | None:
    """GGA's fields; None before the receiver knows the time. Raises FieldError."""
    if len(fields) < 9:
        raise FieldError("GGA has fewer than nine fields")
    clock, quality = _time_of_day_ms(fields[0]), _scaled(fields[5], 1)
    if clock is None:
        return None
    has_fix = bool(quality) and fields[1] != "" and fields[3] != ""
    fix = 2 if quality == 9 else quality  # some receivers say 9 for satellite-based augmentation
    if has_fix and fix not in range(1, 9):
        raise FieldError("unknown quality")
    return Gga(
        time_of_day_ms=clock,
        fix=fix if has_fix else None,
        lat_e7=_coordinate_e7(fields[1], fields[2], "NS") if has_fix else 0,
        lon_e7=_coordinate_e7(fields[3], fields[4], "EW") if has_fix else 0,
        altitude_mm=_within(_scaled(fields[8], 1000), -(10**9), 10**9),
        hdop_centi=_within(_scaled(fields[7], 100), 0, 1_000_000),
        satellites=_within(_scaled(fields[6], 1), 0, 255),
    )


def zda(fields: Sequence[str]) -> Zda | None:
    """ZDA's fields; None before the receiver knows the time. Raises FieldError."""
    if len(fields) < 4:
        raise FieldError("ZDA has fewer than four fields")
    clock = _time_of_day_ms(fields[0])
    if clock is None:
        return None
    known = all(fields[1:4])
    return Zda(time_of_day_ms=clock, day_ms=_day_ms(*fields[1:4]) if known else None)


def _scaled(text: str, multiplier: int, divisor: int = 1) -> int | None:
    """The decimal number times multiplier / divisor, to the nearest integer; None if empty."""
    if not text:
        return None
    match = _DECIMAL.match(text)
    if match is None:
        raise FieldError("not a number")
    sign, whole, fraction = match.groups(default="")
    below = divisor * int(10 ** len(fraction))
    value = (2 * int(whole + fraction) * multiplier + below) // (2 * below)
    return -value if sign else value


def _within(value: int | None, low: int, high: int) -> int | None:
    """The value; raises FieldError where a position could not hold it."""
    if value is not None and not low <= value <= high:
        raise FieldError("a field is out of range")
    return value


def _coordinate_e7(text: str, hemisphere: str, letters: str) -> int:
    """Degrees and minutes (`5541.1955`) in 1e-7 degrees; the second letter is the negative one."""
    match = _COORDINATE.match(text)
    if match is None or len(hemisphere) != 1 or hemisphere not in letters:
        raise FieldError("not a coordinate")
    degrees, minutes, fraction = match.groups(default="")
    below = 60 * int(10 ** len(fraction))
    above = int(minutes + fraction)
    limit = 90 if letters == "NS" else 180
    value = int(degrees) * 10**7 + (2 * above * 10**7 + below) // (2 * below)
    if above >= below or value > limit * 10**7:
        raise FieldError("coordinate out of range")
    return -value if hemisphere == letters[1] else value


def _time_of_day_ms(text: str) -> int | None:
    if not text:
        return None
    match = _CLOCK.match(text)
    if match is None:
        raise FieldError("not a time")
    hour, minute, second = (int(match[index]) for index in (1, 2, 3))
    if hour > 23 or minute > 59 or second > 60:  # 60 in a leap second
        raise FieldError("time out of range")
    return ((hour * 60 + minute) * 60 + second) * 1000 + int(f"{match[4] or '':0<3}"[:3])


def _year(text: str) -> str:
    if len(text) != 2 or not (text.isascii() and text.isdigit()):
        raise FieldError("not a year of two digits")
    return ("19" if int(text) >= _CENTURY_SPLIT else "20") + text


def _day_ms(day: str, month: str, year: str) -> int:
    try:
        moment = datetime(int(year), int(month), int(day), tzinfo=UTC)
    except ValueError:
        raise FieldError("not a date") from None
    return (moment - _EPOCH) // timedelta(milliseconds=1)
