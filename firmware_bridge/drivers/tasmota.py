"""Tasmota devices: tele/.../SENSOR messages, one object a sensor, and HF cards.

Tasmota's Time has no zone unless it is configured: it is judged, but then not stored.
"""

from typing import Any

from firmware_bridge.codecs.json_payload import (
    CHANNEL_NAME,
    HUMIDITY,
    PRESSURE,
    TEMPERATURE,
    TEMPERATURE_F,
    decode_object,
    device_time,
    tag,
    telemetry,
)
from firmware_bridge.devices import Reason, rejected
from firmware_bridge.driver import Driver, Payloads, Reading


def decode_tasmota(payload: bytes, wall_ms: int | None = None) -> list[Reading]:
    """The readings of a SENSOR message; wall_ms is UTC now, where known."""
    return decode_object(payload, lambda document: _fields(document, wall_ms))


def _fields(document: dict[str, Any], wall_ms: int | None) -> list[Reading]:
    when = device_time(document.get("Time"), wall_ms)
    is_fahrenheit = document.get("TempUnit") == "F"
    known = {
        "Temperature": TEMPERATURE_F if is_fahrenheit else TEMPERATURE,
        "Humidity": HUMIDITY,
        "Pressure": PRESSURE,
    }
    if document.get("PressureUnit", "hPa") != "hPa":
        del known["Pressure"]
    events: list[Reading] = []
    for sensor, fields in document.items():
        if not isinstance(fields, dict):
            continue
        if CHANNEL_NAME.match(sensor) is None:
            events.append(rejected(repr(sensor).encode(), Reason.FIELD))
            continue
        events += [
            telemetry(f"{sensor}/{quantity.name}", fields[name], quantity, when=when)
            for name, quantity in known.items()
            if name in fields
        ]
        if "UID" in fields:
            events.append(tag(f"{sensor}/tag", fields["UID"], when))
    return events


DRIVER = Driver(
    title="Tasmota sensor or HF card reader",
    schemes=("mqtt",),
    session=lambda _: Payloads(decode_tasmota),
)
