"""Readings, descriptors and gaps as frozen records; each has one canonical body
(docs/formats/reading.md).

A body is an array of integers, texts, bytes and null whose first item is the version of its layout.
The kind of the ledger entry says which record a body is. Integers only: all machines hash the same
bytes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from logistics.errors import BodyError
from logistics.units import EXPONENT_MAX, EXPONENT_MIN, INT64_MAX, Scaled, rescale

BODY_VERSION: Final = 1

FLAG_OK: Final = 0
FLAG_SUSPECT: Final = 1
FLAG_SENTINEL: Final = 2
FLAG_UNCALIBRATED: Final = 4
FLAG_UNAUTHENTICATED: Final = 8
FLAG_STALE: Final = 16
# What the gateway itself thinks of a reading (gateway/plausibility.py).
FLAG_RATE: Final = 32  # changed faster than it can
FLAG_STUCK: Final = 64  # the very same value for too long
FLAG_APART: Final = 128  # far from what its neighbours say
FLAG_PLACE_JUMP: Final = 256  # further than what carries it can have come
FLAG_CLOCK_JUMP: Final = 512  # the device's clock moved against ours
FLAGS_ALL: Final = 1023

UINT64_MAX: Final = (1 << 64) - 1
TIME_MS_MAX: Final = 253_402_300_799_999  # the last millisecond of the year 9999
TEXT_BYTES_MAX: Final = 256
EPC_BYTES_MAX: Final = 62  # 31 words, the most that a PC word can announce
_UNIT = re.compile(r"[A-Z0-9]{1,8}\Z", re.ASCII)


class GapReason(IntEnum):
    """Why input is missing; the numbers are part of the format and are never given anew."""

    SILENT = 1
    GATEWAY_DOWN = 2
    INPUT_OVERRUN = 3
    JOURNAL_CORRUPTION = 4
    DISK_FULL = 5
    UNPLUGGED = 6


class Items:
    """Takes the items of a body one after the other, each checked as it is taken."""

    def __init__(self, record: str, value: object, count: int) -> None:
        if not isinstance(value, list | tuple) or len(value) != count:
            raise BodyError(record, "body", f"not an array of {count}")
        self._record, self._items, self._index = record, value, 0
        self.integer("version", BODY_VERSION, BODY_VERSION)

    def _next(self) -> Any:
        item = self._items[self._index]
        self._index += 1
        return item

    def integer(self, field: str, low: int, high: int) -> int:
        """The next item, a whole number from low to high. Raises BodyError."""
        item = self._next()
        if type(item) is not int or not low <= item <= high:
            raise BodyError(self._record, field, f"not an integer from {low} to {high}")
        return item

    def integer_or_none(self, field: str, low: int, high: int) -> int | None:
        """The next item, null or a whole number from low to high. Raises BodyError."""
        if self._items[self._index] is None:
            self._index += 1
            return None
        return self.integer(field, low, high)

    def text(self, field: str) -> str:
        """The next item, a text of 1 to TEXT_BYTES_MAX bytes. Raises BodyError."""
        item = self._next()
        if type(item) is not str or not 0 < len(item.encode()) <= TEXT_BYTES_MAX:
            raise BodyError(self._record, field, f"not a text of 1 to {TEXT_BYTES_MAX} bytes")
        return item

    def text_or_none(self, field: str) -> str | None:
        """The next item, null or such a text. Raises BodyError."""
        if self._items[self._index] is None:
            self._index += 1
            return None
        return self.text(field)

    def unit(self, field: str) -> str:
        """The next item, a unit's code. Raises BodyError."""
        item = self.text(field)
        if _UNIT.match(item) is None:
            raise BodyError(self._record, field, "not a unit code")
        return item

    def octets_of(self, field: str, size: int) -> bytes:
        """The next item, a byte string of this size. Raises BodyError."""
        item = self.octets(field, size)
        if len(item) != size:
            raise BodyError(self._record, field, f"not a byte string of {size} bytes")
        return item

    def octets(self, field: str, size_max: int) -> bytes:
        """The next item, a byte string of up to this size. Raises BodyError."""
        item = self._next()
        if type(item) is not bytes or len(item) > size_max:
            raise BodyError(self._record, field, f"not a byte string of up to {size_max} bytes")
        return item


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """One measured value, `value * 10**exponent` in `unit`, as the device gave it. Entry kind 1."""

    value: int
    exponent: int
    unit: str  # UN/ECE Rec 20: "CEL", "P1"
    flags: int = FLAG_OK
    device_time_ms: int | None = None  # UTC since 1970, by the device's own clock
    device_counter: int | None = None

    def to_body(self) -> list[Any]:
        """[1, value, exponent, unit, flags, device_time_ms, device_counter]."""
        return [
            BODY_VERSION,
            self.value,
            self.exponent,
            self.unit,
            self.flags,
            self.device_time_ms,
            self.device_counter,
        ]

    @staticmethod
    def from_body(value: object) -> "Telemetry":
        """The record of a decoded body. Raises BodyError."""
        items = Items("telemetry", value, 7)
        return Telemetry(
            value=items.integer("value", -INT64_MAX, INT64_MAX),
            exponent=items.integer("exponent", EXPONENT_MIN, EXPONENT_MAX),
            unit=items.unit("unit"),
            flags=items.integer("flags", 0, FLAGS_ALL),
            device_time_ms=items.integer_or_none("device_time_ms", 0, TIME_MS_MAX),
            device_counter=items.integer_or_none("device_counter", 0, UINT64_MAX),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TagSighting:
    """One RFID tag seen by a reader. Entry kind 2. What the EPC means: `logistics.epc`."""

    epc: bytes
    pc: int | None = None  # the tag's protocol control word
    rssi_cdbm: int | None = None  # hundredths of dBm
    antenna: int | None = None
    flags: int = FLAG_OK
    device_time_ms: int | None = None

    def to_body(self) -> list[Any]:
        """[1, epc, pc, rssi_cdbm, antenna, flags, device_time_ms]."""
        return [
            BODY_VERSION,
            self.epc,
            self.pc,
            self.rssi_cdbm,
            self.antenna,
            self.flags,
            self.device_time_ms,
        ]

    @staticmethod
    def from_body(value: object) -> "TagSighting":
        """The record of a decoded body. Raises BodyError."""
        items = Items("tag sighting", value, 7)
        return TagSighting(
            epc=items.octets("epc", EPC_BYTES_MAX),
            pc=items.integer_or_none("pc", 0, 0xFFFF),
            rssi_cdbm=items.integer_or_none("rssi_cdbm", -20_000, 5_000),
            antenna=items.integer_or_none("antenna", 0, 0xFFFF),
            flags=items.integer("flags", 0, FLAGS_ALL),
            device_time_ms=items.integer_or_none("device_time_ms", 0, TIME_MS_MAX),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a receiver says it is, WGS 84. Entry kind 3.

    fix is the quality digit of NMEA 0183 GGA: 1 GNSS, 2 differential, 4 RTK fixed, 5 RTK float,
    6 dead reckoning, 7 manual, 8 simulator. There is no position with fix 0: that is no reading.
    """

    lat_e7: int  # 1e-7 degrees, north positive
    lon_e7: int  # 1e-7 degrees, east positive
    altitude_mm: int | None = None  # above mean sea level
    speed_mm_s: int | None = None  # over ground
    course_cdeg: int | None = None  # hundredths of a degree from true north
    hdop_centi: int | None = None
    satellites: int | None = None
    fix: int
    gnss_time_ms: int | None = None  # UTC since 1970, as the receiver gave it
    flags: int = FLAG_OK

    def to_body(self) -> list[Any]:
        """[1, lat, lon, altitude, speed, course, hdop, satellites, fix, gnss_time_ms, flags]."""
        return [
            BODY_VERSION,
            self.lat_e7,
            self.lon_e7,
            self.altitude_mm,
            self.speed_mm_s,
            self.course_cdeg,
            self.hdop_centi,
            self.satellites,
            self.fix,
            self.gnss_time_ms,
            self.flags,
        ]

    @staticmethod
    def from_body(value: object) -> "Position":
        """The record of a decoded body. Raises BodyError."""
        items = Items("position", value, 11)
        return Position(
            lat_e7=items.integer("lat_e7", -900_000_000, 900_000_000),
            lon_e7=items.integer("lon_e7", -1_800_000_000, 1_800_000_000),
            altitude_mm=items.integer_or_none("altitude_mm", -(10**9), 10**9),
            speed_mm_s=items.integer_or_none("speed_mm_s", 0, 10**9),
            course_cdeg=items.integer_or_none("course_cdeg", 0, 36_000),
            hdop_centi=items.integer_or_none("hdop_centi", 0, 1_000_000),
            satellites=items.integer_or_none("satellites", 0, 255),
            fix=items.integer("fix", 1, 8),
            gnss_time_ms=items.integer_or_none("gnss_time_ms", 0, TIME_MS_MAX),
            flags=items.integer("flags", 0, FLAGS_ALL),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What one channel of one device is; the first entry of its slot. Entry kind 6."""

    device_id: str
    channel: str
    quantity: str  # "temperature", "humidity", "position", "tag"
    unit: str | None
    seq_by: str = "gateway"  # who counts: "gateway", "sensor" or "sensor-signed"
    driver: str
    model: str | None = None
    calibration: str | None = None
    interval_ms: int | None = None  # how often a value is due

    def to_body(self) -> list[Any]:
        """[1, device_id, channel, quantity, unit, seq_by, driver, model, calibration,
        interval_ms].
        """
        return [
            BODY_VERSION,
            self.device_id,
            self.channel,
            self.quantity,
            self.unit,
            self.seq_by,
            self.driver,
            self.model,
            self.calibration,
            self.interval_ms,
        ]

    @staticmethod
    def from_body(value: object) -> "Descriptor":
        """The record of a decoded body. Raises BodyError."""
        items = Items("descriptor", value, 10)
        record = Descriptor(
            device_id=items.text("device_id"),
            channel=items.text("channel"),
            quantity=items.text("quantity"),
            unit=items.text_or_none("unit"),
            seq_by=items.text("seq_by"),
            driver=items.text("driver"),
            model=items.text_or_none("model"),
            calibration=items.text_or_none("calibration"),
            interval_ms=items.integer_or_none("interval_ms", 1, TIME_MS_MAX),
        )
        if record.seq_by not in ("gateway", "sensor", "sensor-signed"):
            raise BodyError("descriptor", "seq_by", "not gateway, sensor or sensor-signed")
        return record


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Input of a slot that is known to be missing: why, between which times, how many. Entry kind
    7.
    """

    reason: GapReason
    from_wall_us: int | None = None
    to_wall_us: int | None = None
    from_mono_us: int | None = None
    to_mono_us: int | None = None
    count: int | None = None  # readings lost, where that is known

    def to_body(self) -> list[Any]:
        """[1, reason, from_wall_us, to_wall_us, from_mono_us, to_mono_us, count]."""
        return [
            BODY_VERSION,
            int(self.reason),
            self.from_wall_us,
            self.to_wall_us,
            self.from_mono_us,
            self.to_mono_us,
            self.count,
        ]

    @staticmethod
    def from_body(value: object) -> "Gap":
        """The record of a decoded body. Raises BodyError."""
        items = Items("gap", value, 7)
        return Gap(
            reason=GapReason(items.integer("reason", min(GapReason), max(GapReason))),
            from_wall_us=items.integer_or_none("from_wall_us", -INT64_MAX, INT64_MAX),
            to_wall_us=items.integer_or_none("to_wall_us", -INT64_MAX, INT64_MAX),
            from_mono_us=items.integer_or_none("from_mono_us", 0, UINT64_MAX),
            to_mono_us=items.integer_or_none("to_mono_us", 0, UINT64_MAX),
            count=items.integer_or_none("count", 0, UINT64_MAX),
        )


def stats(records: Sequence[object]) -> list[int]:
    """What a summary claims of a slot's records, recomputed by whoever opens them.

    [1, count, exponent, min, max, first, last, sum] for telemetry of one unit, all at the finest
    exponent among them; [1, count] for anything else, for no records, where one of them is marked,
    and where 64 bits do not hold the numbers.
    """
    short = [BODY_VERSION, len(records)]
    values = [record for record in records if isinstance(record, Telemetry)]
    if not values or len(values) != len(records) or len({item.unit for item in values}) != 1:
        return short
    if any(item.flags for item in values):
        return short  # whoever judges by summaries must see marked readings themselves
    exponent = min(item.exponent for item in values)
    scaled = [rescale(Scaled(item.value, item.exponent), exponent) for item in values]
    numbers = [min(scaled), max(scaled), scaled[0], scaled[-1], sum(scaled)]
    if any(abs(number) > INT64_MAX for number in numbers):
        return short
    return [*short, exponent, *numbers]
