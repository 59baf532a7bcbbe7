"""ESPHome nodes over plain MQTT: `NODE/sensor/OBJECT/state` and `NODE/binary_sensor/OBJECT/state`.

Each payload is one value as text; what it measures is told by the object's name, or by the option
`quantities`. Source: ESPHome documentation, "MQTT Client Component".
"""

from collections.abc import Mapping, Sequence
from typing import Final

from firmware_bridge.codecs.json_payload import DeviceTime, JsonNumber, Quantity, telemetry
from firmware_bridge.codecs.named_quantities import QUANTITIES, parse_quantities, quantity_of
from firmware_bridge.devices import Reason, rejected
from firmware_bridge.driver import Driver, Event, Moment, Options, Session

VALUE_BYTES_MAX: Final = 40
_NO_TIME: Final = DeviceTime(None, 0)
_STATES: Final = {"ON": "1", "OFF": "0"}


class _Node(Session):
    def __init__(self, told: Mapping[str, Quantity]) -> None:
        self._told = told

    def feed(self, data: bytes, at: Moment) -> Sequence[Event]:
        kind, name, state = ["", "", "", *at.topic.split("/")][-3:]
        if state != "state" or kind not in ("sensor", "binary_sensor"):
            return ()  # of a filter: availability, logs, switches
        if len(data) > VALUE_BYTES_MAX:
            return (rejected(data, Reason.OVERSIZE),)
        quantity = _quantity(kind, name, self._told)
        if quantity is None:
            return (rejected(name.encode(), Reason.UNKNOWN),)
        text = data.decode("ascii", "replace").strip()
        text = _STATES.get(text, text) if kind == "binary_sensor" else text
        if text in ("nan", "NA", ""):
            return (rejected(data, Reason.SENTINEL),)
        return (telemetry(name, JsonNumber(text), quantity, when=_NO_TIME),)


def _quantity(kind: str, name: str, told: Mapping[str, Quantity]) -> Quantity | None:
    if kind == "binary_sensor":
        return told.get(name, QUANTITIES["contact"])
    # An object is named by place and quantity: `cold_room_temperature`.
    return quantity_of(name, told) or quantity_of(name.rpartition("_")[2], told)


def _open(options: Options) -> Session:
    return _Node(parse_quantities(options.text("quantities", "")))


DRIVER = Driver(
    title="ESPHome node",
    schemes=("mqtt",),
    session=_open,
    options=("quantities",),
    many_topics=True,
)
