"""JSON payloads of any dialect: bounds, numbers that are never floats, times that are judged.

A driver names its fields; what is told of each is the same for all.

Bounds come first: size, nesting, digits, names. Out-of-range values are rejected, not clamped;
times that cannot be are kept as the device's claim and the reading is marked.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from firmware_bridge.devices import Observation, Reason, Rejected, rejected
from logistics.errors import NumberError
from logistics.reading import (
    FLAG_OK,
    FLAG_STALE,
    FLAG_SUSPECT,
    FLAG_UNAUTHENTICATED,
    TIME_MS_MAX,
    TagSighting,
    Telemetry,
)
from logistics.units import Scaled, at_scale, parse_decimal, parse_measured

PAYLOAD_BYTES_MAX: Final = 64 * 1024
CHANNELS_MAX: Final = 64
_DEPTH_MAX: Final = 16
_YEAR_2000_MS: Final = 946_684_800_000
_YEAR_2100_MS: Final = 4_102_444_800_000
_TOLERANCE_MS: Final = 3_600_000  # an hour off is a wrong clock ahead, or an old value behind
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
CHANNEL_NAME = re.compile(r"[A-Za-z0-9_.:+-][A-Za-z0-9_.:+ -]{0,63}\Z", re.ASCII)
_UID = re.compile(r"(?:[0-9A-Fa-f]{2}){4,10}\Z", re.ASCII)
Events = list[Observation | Rejected]


class JsonNumber(str):
    """A JSON number as it was written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a field measures: unit, the scale to store it in, and the range that can be."""

    name: str
    unit: str
    exponent: int
    low: int
    high: int


TEMPERATURE = Quantity("temperature", "CEL", -3, -100, 1000)
TEMPERATURE_F = Quantity("temperature", "FAH", -3, -148, 1832)
HUMIDITY = Quantity("humidity", "P1", -2, 0, 100)
PRESSURE = Quantity("pressure", "A97", -1, 0, 2000)


def _refuse_constant(name: str) -> object:
    raise NumberError(f"{name} is no number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A name that comes twice has two values: which one was measured cannot be known."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name occurs twice")
    return result


_DECODER: Final = json.JSONDecoder(
    parse_float=JsonNumber,
    parse_int=JsonNumber,
    parse_constant=_refuse_constant,
    object_pairs_hook=_unique,
)


@dataclass(frozen=True, slots=True)
class DeviceTime:
    """The device's own time for all readings of a payload, and the flags that it earns."""

    time_ms: int | None
    flags: int


NO_DEVICE_TIME: Final = DeviceTime(None, FLAG_OK)


def decode_object(payload: bytes, fields: Callable[[dict[str, Any]], Events]) -> Events:
    """What `fields` makes of a JSON object, or why the payload is none."""
    document = parse_object(payload)
    if isinstance(document, Reason):
        return [rejected(payload, document)]
    events = fields(document)[:CHANNELS_MAX]
    return events or [rejected(payload, Reason.UNKNOWN)]


def parse_object(payload: bytes) -> dict[str, Any] | Reason:
    """The JSON object, its numbers as JsonNumber, or why the payload is none."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        return Reason.OVERSIZE
    try:
        document = _parse(payload)
    except NumberError:
        return Reason.NUMBER
    except (ValueError, RecursionError):
        return Reason.JSON
    return document if isinstance(document, dict) else Reason.UNKNOWN


def _parse(payload: bytes) -> Any:
    """The document, its numbers as text. Raises ValueError, NumberError, RecursionError."""
    if _nesting(payload) > _DEPTH_MAX:
        raise ValueError("nested too deep")
    return _DECODER.decode(payload.decode("utf-8"))


def _nesting(payload: bytes) -> int:
    """The deepest nesting that these bytes could have; brackets inside texts count too."""
    opened = payload.count(b"[") + payload.count(b"{")
    if opened <= _DEPTH_MAX:
        return opened  # too few to be too deep, which is so of nearly all
    depth = deepest = 0
    for octet in payload:
        if octet in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif octet in b"]}":
            depth -= 1
    return deepest


def telemetry(
    channel: str, value: object, quantity: Quantity, *, when: DeviceTime
) -> Observation | Rejected:
    """The reading of one field, or why it is none: null, no number, or out of range."""
    number = _plausible(channel, value, quantity)
    if isinstance(number, Reason):
        raw = f"{channel}={value!r}"[:200].encode("utf-8", "backslashreplace")
        return rejected(raw, number)
    scaled = at_scale(number, quantity.exponent)
    record = Telemetry(
        value=scaled.value,
        exponent=scaled.exponent,
        unit=quantity.unit,
        flags=when.flags,
        device_time_ms=when.time_ms,
    )
    return Observation(channel=channel, quantity=quantity.name, unit=quantity.unit, record=record)


def _plausible(channel: str, value: object, quantity: Quantity) -> Scaled | Reason:
    """The number that a field states, or why it is no measurement."""
    if value is None:
        return Reason.SENTINEL
    if isinstance(value, bool) and quantity.unit == "C62":
        value = JsonNumber(int(value))
    if not isinstance(value, JsonNumber):
        return Reason.FIELD
    try:
        number = parse_measured(value)
    except NumberError:
        return Reason.NUMBER
    return _implausible(channel, number, quantity) or number


def _implausible(channel: str, number: Scaled, quantity: Quantity) -> Reason | None:
    """Why this number is no measurement, or None."""
    is_probe = channel.startswith("DS18") and quantity.name == "temperature"
    power_on = 85 if quantity.unit == "CEL" else 185
    if is_probe and _compare(number, power_on) == 0:
        return Reason.SENTINEL
    if _compare(number, quantity.low) < 0 or _compare(number, quantity.high) > 0:
        return Reason.FIELD
    return None


def _compare(number: Scaled, whole: int) -> int:
    """Below 0, 0 or above 0 as the number is below, at or above the whole one."""
    if number.exponent >= 0:
        return number.value * int(10**number.exponent) - whole
    return number.value - whole * int(10**-number.exponent)


def tag(channel: str, uid: object, when: DeviceTime) -> Observation | Rejected:
    """An HF tag's UID. Any card can be made to say any UID, hence the mark."""
    if not isinstance(uid, str) or isinstance(uid, JsonNumber) or _UID.match(uid) is None:
        return rejected(channel.encode(), Reason.FIELD)
    record = TagSighting(
        epc=bytes.fromhex(uid),
        flags=when.flags | FLAG_UNAUTHENTICATED,
        device_time_ms=when.time_ms,
    )
    return Observation(channel=channel, quantity="tag", unit=None, record=record)


def device_time(claimed: object, wall_ms: int | None) -> DeviceTime:
    """The device's time with its flags; text without a zone is judged, but not stored."""
    if claimed is None:
        return NO_DEVICE_TIME
    try:
        time_ms, is_zoned = _moment(claimed)
    except (ValueError, OverflowError, NumberError):
        return DeviceTime(None, FLAG_SUSPECT)
    flags = FLAG_OK
    latest = _YEAR_2100_MS if wall_ms is None else wall_ms + _TOLERANCE_MS
    if not _YEAR_2000_MS <= time_ms <= latest + (0 if is_zoned else 24 * _TOLERANCE_MS):
        flags = FLAG_SUSPECT
    elif is_zoned and wall_ms is not None and time_ms < wall_ms - _TOLERANCE_MS:
        flags = FLAG_STALE
    is_storable = is_zoned and 0 <= time_ms <= TIME_MS_MAX
    return DeviceTime(time_ms if is_storable else None, flags)


def _moment(claimed: object) -> tuple[int, bool]:
    """UTC since 1970 and whether the zone was known. Raises ValueError, OverflowError,
    NumberError.
    """
    if isinstance(claimed, JsonNumber):
        number = parse_decimal(claimed)
        if number.exponent > 0 or not 0 <= number.value <= TIME_MS_MAX * 1000:
            raise ValueError("not milliseconds since 1970")
        return number.value // int(10**-number.exponent), True
    if not isinstance(claimed, str) or len(claimed) > 40:
        raise ValueError("not a time")
    moment = datetime.fromisoformat(claimed)
    is_zoned = moment.tzinfo is not None
    aware = moment if is_zoned else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(milliseconds=1), is_zoned
