"""gpsd with one receiver: reports to every client that asked to watch."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

from firmware_bridge.devices import Observation
from firmware_bridge.driver import Moment
from firmware_bridge.drivers.gpsd import DRIVER, WATCH
from firmware_bridge.simulators.sent_log import SentLog
from firmware_bridge.simulators.spec import SimulatedDevice
from firmware_bridge.simulators.ticks import Ticks, unix_us
from firmware_bridge.simulators.trip import Trip, on_route

_VERSION = b'{"class":"VERSION","release":"3.25","proto_major":3,"proto_minor":15}\r\n'
_SKY = b'{"class":"SKY","device":"/dev/ttyACM0","hdop":0.9,"uSat":9}\r\n'
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ROUTE = [[53.5461, 9.9661], [53.07, 8.80]]


def report(device: SimulatedDevice, trip: Trip, tick: int) -> bytes:
    """The TPV line of this tick."""
    kmh = float(device.fields.get("kmh", 60))
    lat, lon, course = on_route(device.fields.get("route", _ROUTE), trip.second(tick) * kmh / 3.6)
    moment = _EPOCH + timedelta(milliseconds=trip.device_ms(tick))
    fix = {
        "class": "TPV",
        "device": "/dev/ttyACM0",
        "mode": 3,
        "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "lat": round(lat, 9),
        "lon": round(lon, 9),
        "altMSL": 25.4,
        "speed": round(kmh / 3.6, 3),
        "track": round(course, 2),
    }
    return json.dumps(fix).encode() + b"\r\n"


async def run_daemon(device: SimulatedDevice, trip: Trip, *, log: SentLog, ticks: Ticks) -> None:
    """Serves until the ticks end; then every connection is cut."""
    clients: set[asyncio.StreamWriter] = set()
    watching: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clients.add(writer)
        writer.write(_VERSION)
        try:
            while line := await reader.readline():
                if line == WATCH:
                    writer.write(_SKY)
                    watching.add(writer)
        except OSError:
            pass
        finally:
            clients.discard(writer)
            watching.discard(writer)
            writer.close()

    port = int(device.fields.get("port", 2947))
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with server:
        async for tick in ticks:
            line, now_us = report(device, trip, tick), unix_us()
            for writer in watching:
                writer.write(line)
            for event in DRIVER.open({}).feed(line, Moment()):
                if isinstance(event, Observation):
                    log.sent(event, unix_us=now_us, seq=tick, written=bool(watching))
        for writer in list(clients):
            writer.transport.abort()
