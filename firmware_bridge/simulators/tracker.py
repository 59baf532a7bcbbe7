"""A Teltonika tracker: keeps its records until the server says that they are taken.

The log tells each record once, when it was made, and once more when its answer came.
"""

import asyncio
from contextlib import suppress
from typing import Final

from firmware_bridge.codecs.teltonika_frames import CODEC_8, Record, encode_record, packet
from firmware_bridge.devices import Observation
from firmware_bridge.simulators.sent_log import SentLog
from firmware_bridge.simulators.spec import SimulatedDevice
from firmware_bridge.simulators.ticks import Ticks, unix_us
from firmware_bridge.simulators.trip import Trip, on_route
from logistics.reading import Position, Telemetry

RECORDS_MAX: Final = 20  # in one packet
_ANSWER_S_MAX: Final = 5.0
_PROBE: Final = 72
_ROUTE: Final = [[53.5461, 9.9661], [53.07, 8.80]]


def make_record(device: SimulatedDevice, trip: Trip, tick: int) -> Record:
    """What the tracker notes at this tick."""
    kmh = int(device.fields.get("kmh", 60))
    lat, lon, course = on_route(device.fields.get("route", _ROUTE), trip.second(tick) * kmh / 3.6)
    tenths = round(trip.value(device.curve(), tick) * 10)
    return Record(
        raw=b"",
        time_ms=trip.device_ms(tick),
        lon_e7=round(lon * 1e7),
        lat_e7=round(lat * 1e7),
        altitude_m=20,
        course_deg=round(course) % 360,
        satellites=9,
        speed_km_h=kmh,
        ios={_PROBE: tenths.to_bytes(4, "big", signed=True)},
    )


class _Link:
    """One connection; a lost one is told by OSError or a time-out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, data: bytes, answer_bytes: int) -> bytes:
        """Sends and waits for so many bytes. Raises OSError, TimeoutError, EOFError."""
        self._writer.write(data)
        async with asyncio.timeout(_ANSWER_S_MAX):
            return await self._reader.readexactly(answer_bytes)

    def cut(self) -> None:
        """Ends without a farewell, as a tunnel does."""
        self._writer.transport.abort()


async def run_tracker(device: SimulatedDevice, trip: Trip, *, log: SentLog, ticks: Ticks) -> None:
    """Notes a record at each tick and sends what is kept, until the ticks end."""
    link: _Link | None = None
    async for tick in ticks:
        record = make_record(device, trip, tick)
        trip.kept.append((tick, encode_record(record, CODEC_8)))
        _note(log, record, tick)
        try:
            link = link or await _call(device)
            await _deliver(link, trip, log)
        except (OSError, TimeoutError, EOFError):
            if link is not None:
                link.cut()
            link = None
    if link is not None:
        link.cut()


async def _call(device: SimulatedDevice) -> _Link:
    port = int(device.fields.get("port", 5027))
    link = _Link(*await asyncio.open_connection("127.0.0.1", port))
    imei = device.text("imei").encode()
    if await link.ask(len(imei).to_bytes(2, "big") + imei, 1) != b"\x01":
        link.cut()
        raise ConnectionRefusedError("the server does not know this tracker")
    return link


async def _deliver(link: _Link, trip: Trip, log: SentLog) -> None:
    while trip.kept:
        sent = trip.kept[:RECORDS_MAX]
        count = bytes((len(sent),))
        body = bytes((CODEC_8,)) + count + b"".join(data for _, data in sent) + count
        taken = int.from_bytes(await link.ask(packet(body), 4), "big")
        for tick, _ in sent[:taken]:
            log.acknowledged(unix_us=unix_us(), seq=tick)
        del trip.kept[:taken]
        if taken == 0:
            raise ConnectionResetError("the server refused a packet")


def _note(log: SentLog, record: Record, tick: int) -> None:
    place = Position(lat_e7=record.lat_e7, lon_e7=record.lon_e7, fix=1, gnss_time_ms=record.time_ms)
    tenths = int.from_bytes(record.ios[_PROBE], "big", signed=True)
    heat = Telemetry(value=tenths, exponent=-1, unit="CEL", device_time_ms=record.time_ms)
    now_us = unix_us()
    with suppress(ValueError):
        for channel, told in (("position", place), ("probe-1", heat)):
            item = Observation(channel=channel, quantity=channel, unit=None, record=told)
            log.sent(item, unix_us=now_us, seq=tick, qos=1)
