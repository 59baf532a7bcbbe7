"""A GNSS receiver on a serial line: GGA and RMC of each moment, along a route."""

from datetime import UTC, datetime
from functools import reduce
from operator import xor
from pathlib import Path

from firmware_bridge.codecs.nmea import NmeaDecoder
from firmware_bridge.devices import Observation
from firmware_bridge.simulators.pty_line import PtyLine
from firmware_bridge.simulators.sent_log import SentLog
from firmware_bridge.simulators.spec import SimulatedDevice
from firmware_bridge.simulators.ticks import Ticks, unix_us
from firmware_bridge.simulators.trip import Trip, on_route

_KNOTS_PER_KMH = 1 / 1.852


def sentence(text: str) -> bytes:
    """The text between `$` and `*` as it goes over the wire."""
    return b"$%s*%02X\r\n" % (text.encode(), reduce(xor, text.encode()))


def _coordinate(degrees: float, letters: str, width: int) -> str:
    """Degrees and minutes with the hemisphere: `5332.76600,N`."""
    hundred_thousandths = round(abs(degrees) * 60 * 100_000)
    whole, rest = divmod(hundred_thousandths, 60 * 100_000)
    minutes, fraction = divmod(rest, 100_000)
    return f"{whole:0{width}}{minutes:02}.{fraction:05},{letters[degrees < 0]}"


def fix_sentences(*, lat: float, lon: float, course: float, kmh: float, unix_ms: int) -> bytes:
    """GGA and RMC of a moment with a fix."""
    moment = datetime.fromtimestamp(unix_ms // 1000, tz=UTC)
    clock = f"{moment:%H%M%S}.{unix_ms % 1000:03}"
    place = f"{_coordinate(lat, 'NS', 2)},{_coordinate(lon, 'EW', 3)}"
    motion = f"{kmh * _KNOTS_PER_KMH:.2f},{course:.2f}"
    return sentence(f"GPGGA,{clock},{place},1,09,0.90,25.0,M,45.0,M,,") + sentence(
        f"GPRMC,{clock},A,{place},{motion},{moment:%d%m%y},,,A"
    )


def lost_sentences(unix_ms: int) -> bytes:
    """GGA and RMC of a receiver that has the time but no fix."""
    moment = datetime.fromtimestamp(unix_ms // 1000, tz=UTC)
    clock = f"{moment:%H%M%S}.{unix_ms % 1000:03}"
    return sentence(f"GPGGA,{clock},,,,,0,00,99.99,,,,,,") + sentence(
        f"GPRMC,{clock},V,,,,,,,{moment:%d%m%y},,,N"
    )


async def run_gnss(device: SimulatedDevice, trip: Trip, *, log: SentLog, ticks: Ticks) -> None:
    """Speaks until the ticks end."""
    kmh = float(device.fields.get("kmh", 60))
    route = device.fields.get("route", [[53.5461, 9.9661]])
    tunnels = device.fields.get("no_fix_s", [])
    with PtyLine(Path(device.text("link"))) as line:
        async for tick in ticks:
            second, unix_ms = trip.second(tick), trip.device_ms(tick)
            if any(start <= second < end for start, end in tunnels):
                line.write(lost_sentences(unix_ms))
                continue
            lat, lon, course = on_route(route, second * kmh / 3.6)
            frame = fix_sentences(lat=lat, lon=lon, course=course, kmh=kmh, unix_ms=unix_ms)
            now_us = unix_us()
            written = line.write(frame)
            # What was sent is what the sentences say, not the float before they were formatted.
            for event in NmeaDecoder().feed(frame):
                if isinstance(event, Observation):
                    log.sent(event, unix_us=now_us, seq=tick, written=written)
