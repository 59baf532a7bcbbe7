"""Uplinks as LoRaWAN network servers hand them over: the frame by its digest, the decoded object.

The object is what a codec on the server made of the frame; the digest of the frame, its counter and
the device's EUI are kept beside it, so that whoever holds the frame can decode it anew.
"""

import hashlib
import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from firmware_bridge.codecs.json_payload import (
    CHANNEL_NAME,
    CHANNELS_MAX,
    DeviceTime,
    Events,
    JsonNumber,
    Quantity,
    telemetry,
)
from firmware_bridge.codecs.named_quantities import quantity_of
from firmware_bridge.devices import Observation, Reason, Rejected, rejected
from logistics.business_event import FrameDigest
from logistics.reading import Telemetry

FRAME_BYTES_MAX: Final = 242  # the longest application payload of any region
COUNTER_MAX: Final = 0xFFFF_FFFF
_EUI = re.compile(r"[0-9A-Fa-f]{16}\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Uplink:
    """One uplink, as both dialects have it; what is absent is None or 0 as the dialect says."""

    eui: object
    counter: object
    frame: object  # base64
    decoded: object
    when: DeviceTime


def uplink_events(uplink: Uplink, told: Mapping[str, Quantity]) -> Events:
    """The frame's digest and the readings of its decoded object."""
    counter = _counter(uplink.counter)
    if isinstance(counter, Rejected):
        return [counter]
    digest = _digest(uplink, counter)
    readings = _readings(uplink.decoded, told, when=uplink.when)
    counted = [_with_counter(item, counter) for item in readings]
    return [*([digest] if digest is not None else []), *counted]


def _counter(value: object) -> int | Rejected:
    number = int(value) if isinstance(value, JsonNumber) and re.fullmatch("[0-9]+", value) else -1
    if not 0 <= number <= COUNTER_MAX:
        return rejected(f"f_cnt={value!r}"[:80].encode(), Reason.FIELD)
    return number


def _digest(uplink: Uplink, counter: int) -> Observation | Rejected | None:
    """The frame's digest; None for an uplink without a frame."""
    if uplink.frame is None:
        return None
    try:
        frame = b64decode(str(uplink.frame), validate=True)
    except (Base64Error, ValueError):
        return rejected(b"frame: not base64", Reason.FIELD)
    eui = uplink.eui if isinstance(uplink.eui, str) else ""
    if len(frame) > FRAME_BYTES_MAX or _EUI.match(eui) is None:
        return rejected(f"dev_eui={eui!r}, {len(frame)} bytes"[:80].encode(), Reason.FIELD)
    record = FrameDigest(
        sha256=hashlib.sha256(frame).digest(),
        size_bytes=len(frame),
        sender=bytes.fromhex(eui),
        counter=counter,
        device_time_ms=uplink.when.time_ms,
        flags=uplink.when.flags,
    )
    return Observation(channel="frame", quantity="frame", unit=None, record=record)


def _readings(decoded: object, told: Mapping[str, Quantity], *, when: DeviceTime) -> Events:
    """The object's fields that measure something, one level down too: `air/temperature`."""
    if not isinstance(decoded, dict):
        return []
    flat: dict[str, Any] = {}
    for name, value in decoded.items():
        if isinstance(value, dict):
            flat |= {f"{name}/{inner}": item for inner, item in value.items()}
        else:
            flat[name] = value
    events: Events = []
    for name, value in list(flat.items())[:CHANNELS_MAX]:
        quantity = quantity_of(name, told) or quantity_of(name.rpartition("/")[2], told)
        if quantity is not None and all(CHANNEL_NAME.match(part) for part in name.split("/")):
            events.append(telemetry(name, value, quantity, when=when))
    return events


def _with_counter(item: Observation | Rejected, counter: int) -> Observation | Rejected:
    if not isinstance(item, Observation) or not isinstance(item.record, Telemetry):
        return item
    return replace(item, record=replace(item.record, device_counter=counter))
