"""RuuviTag, data format 5: straight from the bytes, nothing rounded.

A tag repeats each measurement under one sequence number; the repetitions are not told again.
Source: Ruuvi "Data format 5 (RAWv2)". The value that each field keeps for "not available" is none;
what the format can say but a sound sensor cannot (over 100 % humidity) is marked suspect.
"""

import struct
from collections.abc import Sequence
from typing import Final

from firmware_bridge.codecs.ble_advert import MANUFACTURER, find
from firmware_bridge.devices import Observation, Reason, rejected
from firmware_bridge.driver import Driver, Event, Moment, Session
from logistics.reading import FLAG_OK, FLAG_SUSPECT, Telemetry

COMPANY: Final = b"\x99\x04"
_FIELDS: Final = struct.Struct(">BhHHhhhHBH6s")
_UNSURE_SEQUENCE: Final = 0xFFFF


class _Tag(Session):
    def __init__(self) -> None:
        self._last: bytes | None = None

    def feed(self, data: bytes, at: Moment) -> Sequence[Event]:  # noqa: ARG002  # tags tell no time
        """The readings of one advertisement."""
        payload = find(data, MANUFACTURER, COMPANY)
        if payload is None:
            return (rejected(data, Reason.UNKNOWN),)
        if payload[:1] != b"\x05" or len(payload) != _FIELDS.size:
            return (rejected(payload, Reason.FRAME),)
        if payload == self._last:
            return ()
        self._last = payload
        return _readings(payload)


def _readings(payload: bytes) -> Sequence[Event]:
    _, celsius, humidity, pressure, _, _, _, power, moved, sequence, _ = _FIELDS.unpack(payload)
    counter = None if sequence == _UNSURE_SEQUENCE else sequence
    volts = power >> 5
    rows = (
        # channel, unit, raw, the raw that is none, value, exponent, what a sound sensor can say
        ("temperature", "CEL", celsius, -0x8000, 5 * celsius, -3, range(-40_000, 85_001)),
        ("humidity", "P1", humidity, 0xFFFF, 25 * humidity, -4, range(1_000_001)),
        ("pressure", "A97", pressure, 0xFFFF, pressure + 50_000, -2, range(50_000, 115_535)),
        ("battery", "2Z", volts, 0x7FF, volts + 1600, 0, range(1600, 3647)),
        ("movement", "C62", moved, 0xFF, moved, 0, range(255)),
    )
    events: list[Event] = []
    for channel, unit, raw, none, value, exponent, sound in rows:
        if raw == none:
            events.append(rejected(f"{channel}={raw}".encode(), Reason.SENTINEL))
            continue
        flags = FLAG_OK if value in sound else FLAG_SUSPECT
        record = Telemetry(
            value=value, exponent=exponent, unit=unit, flags=flags, device_counter=counter
        )
        events.append(Observation(channel=channel, quantity=channel, unit=unit, record=record))
    return events


DRIVER = Driver(
    title="RuuviTag, data format 5 over Bluetooth",
    schemes=("ble",),
    session=lambda _: _Tag(),
)
