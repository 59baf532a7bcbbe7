"""gpsd: its JSON reports over TCP, asked for with one WATCH line.

Positions are TPV reports with a mode of 2 or 3; SKY brings hdop and the satellites that were used.
Source: gpsd_json(5). Numbers are read as they were written, never as floats.
"""

from collections.abc import Sequence
from typing import Any, Final

from firmware_bridge.codecs.json_payload import JsonNumber, device_time, parse_object
from firmware_bridge.codecs.lines import LineSplitter
from firmware_bridge.devices import Observation, Reason, Rejected, rejected
from firmware_bridge.driver import Driver, Event, Hangup, Moment, Options, Send, Session
from logistics.errors import NumberError
from logistics.reading import FLAG_SUSPECT, Position
from logistics.units import parse_decimal

WATCH: Final = b'?WATCH={"enable":true,"json":true};\n'
LINE_BYTES_MAX: Final = 16 * 1024
SILENCE_MS: Final = 30_000
_STATUS_FIX: Final = {2: 2, 3: 4, 4: 5, 5: 6, 6: 6, 8: 8}  # TPV status -> GGA quality digit
_DOUBTFUL: Final = (6, 8)


class _Watch(Session):
    def __init__(self, device: str) -> None:
        self._lines, self._device = LineSplitter(LINE_BYTES_MAX), device
        self._sky: dict[str, Any] = {}
        self._wake_ms: int | None = None
        self._is_open = False

    @property
    def wake_ms(self) -> int | None:
        return self._wake_ms

    def turn(self, at: Moment) -> Sequence[Event]:
        """Asks for reports; a daemon that then says nothing for long has lost us."""
        is_first, self._is_open = not self._is_open, True
        self._wake_ms = at.mono_ms + SILENCE_MS
        return (Send(WATCH),) if is_first else (Hangup("gpsd is silent"),)

    def feed(self, data: bytes, at: Moment) -> Sequence[Event]:
        """The positions of the reports that these bytes complete."""
        self._wake_ms = at.mono_ms + SILENCE_MS
        events: list[Event] = []
        for line in self._lines.feed(data):
            events += [line] if isinstance(line, Rejected) else self._report(line, at)
        return events

    def _report(self, line: bytes, at: Moment) -> Sequence[Event]:
        report = parse_object(line)
        if isinstance(report, Reason):
            return (rejected(line, report),) if line.strip() else ()
        if self._device and report.get("device", self._device) != self._device:
            return ()
        match report.get("class"):
            case "TPV":
                return (self._position(line, report, at),)
            case "SKY":
                self._sky = {name: report[name] for name in ("hdop", "uSat") if name in report}
            case "ERROR":
                return (rejected(line, Reason.FAULT),)
        return ()

    def _position(self, line: bytes, report: dict[str, Any], at: Moment) -> Event:
        if report.get("mode") not in ("2", "3") or "lat" not in report or "lon" not in report:
            return rejected(line, Reason.NO_FIX)
        try:
            record = _position(report, self._sky, at.wall_ms)
        except (ValueError, NumberError):
            return rejected(line, Reason.FIELD)
        return Observation(channel="position", quantity="position", unit=None, record=record)


def _position(report: dict[str, Any], sky: dict[str, Any], wall_ms: int | None) -> Position:
    """The position of a TPV report with a fix. Raises ValueError, NumberError."""
    when = device_time(report.get("time"), wall_ms)
    fix = _STATUS_FIX.get(_scaled(report, "status", 0) or 1, 1)
    place = [_scaled(report, name, 7) for name in ("lat", "lon")]
    if None in place or abs(place[0] or 0) > 900_000_000 or abs(place[1] or 0) > 1_800_000_000:
        raise ValueError("no place on Earth")
    altitude = _scaled(report, "altMSL", 3) if report["mode"] == "3" else None
    course = _scaled(report, "track", 2)
    return Position(
        lat_e7=place[0] or 0,
        lon_e7=place[1] or 0,
        altitude_mm=_within(altitude, -(10**9), 10**9),
        speed_mm_s=_within(_scaled(report, "speed", 3), 0, 10**9),
        course_cdeg=None if course is None else course % 36_000,
        hdop_centi=_within(_scaled(sky, "hdop", 2), 0, 1_000_000),
        satellites=_within(_scaled(sky, "uSat", 0), 0, 255),
        fix=fix,
        gnss_time_ms=when.time_ms,
        flags=when.flags | (FLAG_SUSPECT if fix in _DOUBTFUL else 0),
    )


def _scaled(report: dict[str, Any], name: str, digits: int) -> int | None:
    """The number times 10**digits, to the nearest integer; None where it is absent."""
    value = report.get(name)
    if value is None:
        return None
    if not isinstance(value, JsonNumber):
        raise NumberError(f"{name} is no number")
    number = parse_decimal(value)
    shift = number.exponent + digits
    if shift >= 0:
        return number.value * int(10**shift)
    below = int(10**-shift)
    return (2 * number.value + below) // (2 * below)


def _within(value: int | None, low: int, high: int) -> int | None:
    return value if value is not None and low <= value <= high else None


def _open(options: Options) -> Session:
    return _Watch(options.text("device", ""))


DRIVER = Driver(
    title="gpsd, its JSON on TCP 2947",
    schemes=("tcp",),
    session=_open,
    options=("device",),  # only this receiver, as gpsd calls it: "/dev/ttyACM0"
)
