"""Tag sightings as readers write them in JSON: fields that are absent are unknown, wrong ones are
named.
"""

import re
from typing import Final

from firmware_bridge.codecs.json_payload import DeviceTime, JsonNumber
from firmware_bridge.devices import Observation, Reason, Rejected, rejected
from logistics.errors import NumberError
from logistics.reading import EPC_BYTES_MAX, TagSighting
from logistics.units import parse_decimal

CHANNEL: Final = "tags"
_HEX = re.compile(rf"(?:[0-9A-Fa-f]{{2}}){{1,{EPC_BYTES_MAX}}}\Z", re.ASCII)


class FieldError(ValueError):
    """A field of a reader's JSON is of the wrong type or out of its range."""

    def __init__(self, name: str, value: object) -> None:
        super().__init__(f"{name}={value!r}"[:200])


def wrong(error: FieldError) -> Rejected:
    """The rejection that names the field."""
    return rejected(str(error).encode("utf-8", "backslashreplace"), Reason.FIELD)


def hex_bytes(name: str, value: object) -> bytes:
    """Hexadecimal digits as bytes. Raises FieldError."""
    if type(value) is not str or _HEX.match(value) is None:
        raise FieldError(name, value)
    return bytes.fromhex(value)


def whole_or_none(name: str, value: object, *, low: int, high: int) -> int | None:
    """A whole number from low to high, None where it is absent. Raises FieldError."""
    scaled = scaled_or_none(name, value, 0)
    if scaled is not None and not low <= scaled <= high:
        raise FieldError(name, value)
    return scaled


def scaled_or_none(name: str, value: object, exponent: int) -> int | None:
    """A number counted in 10**exponent, cut where it is finer. Raises FieldError."""
    if value is None:
        return None
    if not isinstance(value, JsonNumber):
        raise FieldError(name, value)
    try:
        number = parse_decimal(value)
    except NumberError as error:
        raise FieldError(name, value) from error
    shift = number.exponent - exponent
    return int(number.value * 10**shift) if shift >= 0 else number.value // int(10**-shift)


def tag_seen(
    epc: bytes,
    *,
    rssi_cdbm: int | None,
    antenna: int | None,
    when: DeviceTime,
    pc: int | None = None,
) -> Observation:
    """The observation of a tag. Raises FieldError for a signal that no reader can see."""
    if rssi_cdbm is not None and not -20_000 <= rssi_cdbm <= 5_000:
        raise FieldError("rssi", rssi_cdbm)
    record = TagSighting(
        epc=epc,
        pc=pc,
        rssi_cdbm=rssi_cdbm,
        antenna=antenna,
        flags=when.flags,
        device_time_ms=when.time_ms,
    )
    return Observation(channel=CHANNEL, quantity="tag", unit=None, record=record)
