"""Shelly devices: Gen1 values (`shellies/ID/sensor/temperature`), and of Gen2 and later the status
of components (`ID/status/temperature:100`) and notifications (`ID/events/rpc`).

A relay's own temperature is that of its chip: no reading. `temperature:100` and above are probes of
the add-on. Source: Shelly API documentation, Gen1 "MQTT support", Gen2 "Notifications".
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from firmware_bridge.codecs.json_payload import (
    DeviceTime,
    Events,
    JsonNumber,
    Quantity,
    decode_object,
    device_time,
    telemetry,
)
from firmware_bridge.codecs.named_quantities import QUANTITIES
from firmware_bridge.devices import Reason, rejected
from firmware_bridge.driver import Driver, Event, Moment, Session
from logistics.errors import NumberError
from logistics.units import parse_decimal

VALUE_BYTES_MAX: Final = 40
_TEMPERATURE, _HUMIDITY = QUANTITIES["temperature"], QUANTITIES["humidity"]
# Gen1: the end of a topic. Gen1 says 999 for a probe that is not there.
_GEN1: Final[Mapping[str, Quantity]] = {
    "sensor/temperature": _TEMPERATURE,
    "sensor/humidity": _HUMIDITY,
    "sensor/battery": QUANTITIES["battery"],
    "sensor/lux": QUANTITIES["illuminance"],
    "sensor/flood": QUANTITIES["water_leak"],
    "ext_temperature": _TEMPERATURE,
    "ext_humidity": _HUMIDITY,
}
_GEN1_ABSENT: Final = ("999", "999.0")
# Gen2: component -> where its value is, and what it measures.
_GEN2: Final[Mapping[str, tuple[tuple[str, ...], Quantity]]] = {
    "temperature": (("tC",), _TEMPERATURE),
    "humidity": (("rh",), _HUMIDITY),
    "devicepower": (("battery", "percent"), QUANTITIES["battery"]),
    "illuminance": (("lux",), QUANTITIES["illuminance"]),
    "voltmeter": (("voltage",), QUANTITIES["battery_voltage"]),
}
_COMPONENT = re.compile(r"([a-z]+):([0-9]{1,4})\Z", re.ASCII)
_NOTICES: Final = ("NotifyStatus", "NotifyFullStatus")
_NO_TIME: Final = DeviceTime(None, 0)


class _Device(Session):
    def feed(self, data: bytes, at: Moment) -> Sequence[Event]:
        parts = at.topic.split("/")
        if parts[-2:] == ["events", "rpc"]:
            return decode_object(data, lambda document: _notice(document, at.wall_ms))
        if len(parts) > 2 and parts[-2] == "status":
            name = parts[-1]
            if not _is_known(name):
                return ()
            return decode_object(data, lambda document: _status({name: document}))
        return _gen1(parts, data)


def _is_known(name: str) -> bool:
    match = _COMPONENT.match(name)
    return match is not None and match[1] in _GEN2


def _gen1(parts: Sequence[str], data: bytes) -> Sequence[Event]:
    if parts[0] != "shellies":
        return ()
    # `shellies/ID/ext_temperature/0`: the probe's number ends the topic.
    ending = parts[-2] if parts[-1].isdigit() else "/".join(parts[-2:])
    quantity = _GEN1.get(ending)
    if quantity is None:
        return ()
    if len(data) > VALUE_BYTES_MAX:
        return (rejected(data, Reason.OVERSIZE),)
    text = data.decode("ascii", "replace").strip()
    if text in _GEN1_ABSENT:
        return (rejected(data, Reason.SENTINEL),)
    text = {"true": "1", "false": "0"}.get(text, text)
    return (telemetry("/".join(parts[2:]), JsonNumber(text), quantity, when=_NO_TIME),)


def _notice(document: dict[str, Any], wall_ms: int | None) -> Events:
    """Readings of a notification; other methods, such as answers to commands, have none."""
    params = document.get("params")
    if document.get("method") not in _NOTICES or not isinstance(params, dict):
        return []
    return _status(params, device_time(_milliseconds(params.get("ts")), wall_ms))


def _milliseconds(seconds: object) -> object:
    """Unix seconds with a fraction as the whole milliseconds that `device_time` takes."""
    if not isinstance(seconds, JsonNumber):
        return seconds
    try:
        number = parse_decimal(seconds)
    except NumberError:
        return "no number"
    shift = number.exponent + 3
    value = number.value * 10**shift if shift >= 0 else number.value // 10**-shift
    return JsonNumber(value)


def _status(components: Mapping[str, Any], when: DeviceTime = _NO_TIME) -> Events:
    events: Events = []
    for name, status in components.items():
        match = _COMPONENT.match(name)
        known = _GEN2.get(match[1]) if match is not None else None
        if known is None or not isinstance(status, dict):
            continue
        path, quantity = known
        value = status
        for step in path[:-1]:
            inner = value.get(step)
            value = inner if isinstance(inner, dict) else {}
        if path[-1] in value:
            events.append(telemetry(name, value[path[-1]], quantity, when=when))
    return events


DRIVER = Driver(
    title="Shelly sensor, or relay with probes",
    schemes=("mqtt",),
    session=lambda _: _Device(),
    many_topics=True,
)
