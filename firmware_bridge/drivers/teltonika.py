"""Teltonika trackers, which call us over TCP: IMEI, then packets until they are told "taken".

The number of records is answered only once they are durable; what is not answered comes again, and
each record is known by its bytes. A packet that is not right to the last bit is answered with 0 and
the connection closed: a tracker then sends it anew.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from firmware_bridge.codecs.json_payload import JsonNumber, device_time
from firmware_bridge.codecs.teltonika_elements import ELEMENTS
from firmware_bridge.codecs.teltonika_frames import Record, RecordError, crc16_arc, records
from firmware_bridge.devices import Observation, Reason, rejected
from firmware_bridge.driver import (
    INCOMING,
    Delivery,
    Driver,
    Event,
    Hangup,
    Hello,
    Moment,
    Send,
    Session,
)
from logistics.reading import Position, Telemetry

IMEI_DIGITS: Final = 15
PACKET_BYTES_MAX: Final = 8 * 1024
_HEAD_BYTES, _CRC_BYTES = 8, 4
_REFUSED: Final = bytes(4)


class _Tracker(Session):
    def __init__(self) -> None:
        self._pending, self._imei, self._is_over = bytearray(), b"", False

    def feed(self, data: bytes, at: Moment) -> Sequence[Event]:
        """The handshake, then the records of each whole packet."""
        if self._is_over:
            return ()
        self._pending += data
        events: list[Event] = []
        while not self._is_over:
            size = self._size()
            if size < 0:
                events += self._refuse(bytes(self._pending[:-size]), Reason.FRAME)
            elif len(self._pending) < size:
                break
            else:
                taken = bytes(self._pending[:size])
                del self._pending[:size]
                events += self._packet(taken, at) if self._imei else self._hello(taken)
        return events

    def _size(self) -> int:
        """Bytes that the next step needs; below 0: so many show already that it cannot come."""
        pending = self._pending
        if not self._imei:
            wanted = IMEI_DIGITS.to_bytes(2, "big")
            is_right = wanted.startswith(pending[:2])
            return 2 + IMEI_DIGITS if is_right else -1 - (pending[:1] == wanted[:1])
        wrong = next((at for at, octet in enumerate(pending[:4], 1) if octet), 0)
        if wrong or len(pending) < _HEAD_BYTES:
            return -wrong or _HEAD_BYTES
        size = int.from_bytes(pending[4:8], "big")
        is_legal = 3 <= size <= PACKET_BYTES_MAX
        return _HEAD_BYTES + size + _CRC_BYTES if is_legal else -_HEAD_BYTES

    def _hello(self, taken: bytes) -> Sequence[Event]:
        imei = taken[2:]
        if not imei.isdigit():
            return self._refuse(taken, Reason.FRAME)
        self._imei = imei
        return (Hello(imei.decode(), welcome=b"\x01", refusal=b"\x00"),)

    def _packet(self, taken: bytes, at: Moment) -> Sequence[Event]:
        body, check = taken[_HEAD_BYTES:-_CRC_BYTES], taken[-_CRC_BYTES:]
        if crc16_arc(body) != int.from_bytes(check, "big"):
            return self._refuse(taken, Reason.CHECKSUM)
        try:
            found = records(body)
        except RecordError:
            return self._refuse(taken, Reason.FRAME)
        events = [event for record in found for event in self._record(record, at)]
        return [*events, Send(len(found).to_bytes(4, "big"), after_sync=True)]

    def _record(self, record: Record, at: Moment) -> Sequence[Event]:
        told = _position(record, at)
        events = [told] if isinstance(told, Observation) else []
        events += _elements(record, at)
        digest = hashlib.sha256(b"teltonika" + self._imei + record.raw).digest()[:16]
        delivery = (Delivery(tuple(events), digest),) if events else ()
        if isinstance(told, Reason):
            return (rejected(record.raw, told), *delivery)
        return delivery

    def _refuse(self, raw: bytes, reason: Reason) -> Sequence[Event]:
        self._is_over = True
        self._pending.clear()
        answer = (Send(_REFUSED),) if self._imei else ()
        return (rejected(raw, reason), *answer, Hangup(f"not a packet: {reason}"))


def _position(record: Record, at: Moment) -> Observation | Reason:
    if record.satellites == 0:
        return Reason.NO_FIX  # the last place that was known, under a new time
    if abs(record.lat_e7) > 900_000_000 or abs(record.lon_e7) > 1_800_000_000:
        return Reason.FIELD
    when = device_time(JsonNumber(record.time_ms), at.wall_ms)
    position = Position(
        lat_e7=record.lat_e7,
        lon_e7=record.lon_e7,
        altitude_mm=record.altitude_m * 1000,
        speed_mm_s=(record.speed_km_h * 2_000_000 + 3600) // 7200,
        course_cdeg=record.course_deg * 100 if record.course_deg <= 360 else None,
        satellites=record.satellites,
        fix=1,
        gnss_time_ms=when.time_ms,
        flags=when.flags,
    )
    return Observation(channel="position", quantity="position", unit=None, record=position)


def _elements(record: Record, at: Moment) -> list[Observation]:
    when = device_time(JsonNumber(record.time_ms), at.wall_ms)
    found = []
    for name, raw in record.ios.items():
        element = ELEMENTS.get(name)
        value = None if element is None else element.value(raw)
        if element is None or value is None:
            continue
        telemetry = Telemetry(
            value=value,
            exponent=element.exponent,
            unit=element.unit,
            flags=when.flags,
            device_time_ms=when.time_ms,
        )
        channel, quantity, unit = element.channel, element.quantity, element.unit
        item = Observation(channel=channel, quantity=quantity, unit=unit, record=telemetry)
        found.append(item)
    return found


DRIVER = Driver(
    title="Teltonika tracker, codec 8, 8E and 16 over TCP",
    schemes=(INCOMING,),
    session=lambda _: _Tracker(),
    options=("imei",),
    identity="imei",
)
