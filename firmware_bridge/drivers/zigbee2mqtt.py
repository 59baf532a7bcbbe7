"""Zigbee2MQTT sensors: one JSON state message for all that a device measures."""

from typing import Any, Final

from firmware_bridge.codecs.json_payload import (
    HUMIDITY,
    PRESSURE,
    TEMPERATURE,
    Quantity,
    decode_object,
    device_time,
    telemetry,
)
from firmware_bridge.driver import Driver, Payloads, Reading

_QUANTITIES: Final = {
    "temperature": TEMPERATURE,
    "humidity": HUMIDITY,
    "pressure": PRESSURE,
    "battery": Quantity("battery", "P1", 0, 0, 100),
    "voltage": Quantity("voltage", "2Z", 0, 0, 1_000_000),
    "illuminance": Quantity("illuminance", "LUX", 0, 0, 1_000_000),
    "contact": Quantity("contact", "C62", 0, 0, 1),
    "water_leak": Quantity("water_leak", "C62", 0, 0, 1),
}


def decode_zigbee2mqtt(payload: bytes, wall_ms: int | None = None) -> list[Reading]:
    """The readings of a state message; wall_ms is UTC now, where known."""
    return decode_object(payload, lambda document: _fields(document, wall_ms))


def _fields(document: dict[str, Any], wall_ms: int | None) -> list[Reading]:
    when = device_time(document.get("last_seen"), wall_ms)
    return [
        telemetry(name, document[name], quantity, when=when)
        for name, quantity in _QUANTITIES.items()
        if name in document
    ]


DRIVER = Driver(
    title="Zigbee2MQTT sensor",
    schemes=("mqtt",),
    session=lambda _: Payloads(decode_zigbee2mqtt),
)
