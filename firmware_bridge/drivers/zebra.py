"""Zebra readers with the IoT Connector (FX, ATR, RFD40 and RFD90) over MQTT: tag data events.

Older: `{"data": {"idHex", "antenna", "peakRssi", "eventNum"}, "timestamp", "type"}`; newer:
`{"data": {"tagData": [{"EPC", "peakRssi", "eventNum"}]}}`. What a reader tells depends on its
configuration. `eventNum` counts its events: a hole is a reading of the channel `missed`.
Source: Zebra IoT Connector documentation, "Tag data events".
"""

from collections.abc import Sequence
from typing import Any, Final

from firmware_bridge.codecs.json_payload import (
    CHANNELS_MAX,
    DeviceTime,
    Events,
    decode_object,
    device_time,
)
from firmware_bridge.codecs.reader_json import (
    FieldError,
    hex_bytes,
    scaled_or_none,
    tag_seen,
    whole_or_none,
    wrong,
)
from firmware_bridge.devices import Observation
from firmware_bridge.driver import Driver, Event, Moment, Session
from logistics.reading import Telemetry

_EPC_NAMES: Final = ("idHex", "EPC", "epc", "epcId")
_NUMBER_MAX: Final = (1 << 63) - 1


class _Reader(Session):
    def __init__(self) -> None:
        self._last: int | None = None  # the reader's number of its last event

    def feed(self, data: bytes, at: Moment) -> Sequence[Event]:
        return decode_object(data, lambda document: self._fields(document, at.wall_ms))

    def _fields(self, document: dict[str, Any], wall_ms: int | None) -> Events:
        data = document.get("data")
        if not isinstance(data, dict):
            return []
        when = device_time(document.get("timestamp"), wall_ms)
        rows = data.get("tagData", [data])
        events: Events = []
        for row in rows[:CHANNELS_MAX] if isinstance(rows, list) else ():
            if isinstance(row, dict):
                events += self._row(row, when)
        return events

    def _row(self, row: dict[str, Any], when: DeviceTime) -> Events:
        name = next((name for name in _EPC_NAMES if name in row), None)
        if name is None:
            return []
        try:
            number = whole_or_none("eventNum", row.get("eventNum"), low=0, high=_NUMBER_MAX)
            seen = tag_seen(
                hex_bytes(name, row[name]),
                rssi_cdbm=scaled_or_none("peakRssi", row.get("peakRssi"), -2),
                antenna=whole_or_none("antenna", row.get("antenna"), low=0, high=0xFFFF),
                pc=int.from_bytes(hex_bytes("PC", row["PC"])) & 0xFFFF if "PC" in row else None,
                when=when,
            )
        except FieldError as error:
            return [wrong(error)]
        return [*self._missed(number), seen]

    def _missed(self, number: int | None) -> Events:
        """How many events of the reader did not come before this one, if any."""
        last, self._last = self._last, self._last if number is None else number
        # A smaller number is a reader that began anew, or a message that came twice.
        if number is None or last is None or number <= last + 1:
            return []
        record = Telemetry(value=number - last - 1, exponent=0, unit="C62")
        return [Observation(channel="missed", quantity="missed", unit="C62", record=record)]


DRIVER = Driver(
    title="Zebra reader with the IoT Connector",
    schemes=("mqtt",),
    session=lambda _: _Reader(),
)
