"""Teltonika AVL packets: codec 8, 8 extended and 16.

Packet: four zeros, u32 length, codec, count, records, count again, u32 whose low half is
CRC-16/ARC over codec..second count. Record: u64 ms UTC, priority, lon i32, lat i32 (1e-7 degrees),
altitude i16 m, angle u16, satellites u8, speed u16 km/h, then IO elements of 1, 2, 4, 8 bytes (and,
in 8E, of any length). Big-endian throughout. Source: Teltonika data sending protocols, 2026.
"""

import struct
from dataclasses import dataclass
from typing import Final

CODEC_8, CODEC_8E, CODEC_16 = 0x08, 0x8E, 0x10
RECORDS_MAX: Final = 255
_POINT: Final = struct.Struct(">QBiihHBH")
_SIZES: Final = (1, 2, 4, 8)


class RecordError(ValueError):
    """The bytes between the counts are not the records that the counts announce."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record; ios: id -> value bytes as they came."""

    raw: bytes
    time_ms: int
    lon_e7: int
    lat_e7: int
    altitude_m: int
    course_deg: int
    satellites: int
    speed_km_h: int
    ios: dict[int, bytes]


def crc16_arc(data: bytes) -> int:
    """CRC-16/ARC of the bytes."""
    crc = 0
    for octet in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ octet) & 255]
    return crc


def _table() -> tuple[int, ...]:
    rows = []
    for value in range(256):
        crc = value
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
        rows.append(crc)
    return tuple(rows)


_TABLE: Final = _table()


class _Taker:
    """Takes numbers off the front of bytes. Raises RecordError at their end."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def octets(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self.data):
            raise RecordError("records end early")
        self.at, piece = end, self.data[self.at : end]
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.octets(size), "big")


def records(body: bytes) -> list[Record]:
    """The records of codec..second count, whose CRC is right. Raises RecordError."""
    taker = _Taker(body)
    codec, count = taker.number(1), taker.number(1)
    if codec not in (CODEC_8, CODEC_8E, CODEC_16):
        raise RecordError(f"codec {codec:02x} holds no records")
    found = [_record(taker, codec) for _ in range(count)]
    if taker.number(1) != count or taker.at != len(body):
        raise RecordError("the counts or the length are not those of the records")
    return found


def _record(taker: _Taker, codec: int) -> Record:
    start = taker.at
    time_ms, _, lon, lat, altitude, course, satellites, speed = _POINT.unpack(
        taker.octets(_POINT.size)
    )
    ios = _ios(taker, codec)
    return Record(
        raw=taker.data[start : taker.at],
        time_ms=time_ms,
        lon_e7=lon,
        lat_e7=lat,
        altitude_m=altitude,
        course_deg=course,
        satellites=satellites,
        speed_km_h=speed,
        ios=ios,
    )


def _ios(taker: _Taker, codec: int) -> dict[int, bytes]:
    id_bytes, count_bytes = 1 if codec == CODEC_8 else 2, 2 if codec == CODEC_8E else 1
    taker.number(id_bytes)  # which element caused the record
    if codec == CODEC_16:
        taker.number(1)  # how the record was caused
    total, ios, seen = taker.number(count_bytes), dict[int, bytes](), 0
    for size in _SIZES:
        for _ in range(taker.number(count_bytes)):
            name = taker.number(id_bytes)  # before the value: Python evaluates right sides first
            ios[name] = taker.octets(size)
            seen += 1
    if codec == CODEC_8E:
        for _ in range(taker.number(2)):
            name = taker.number(2)
            ios[name] = taker.octets(taker.number(2))
            seen += 1
    if seen != total:
        raise RecordError("the number of elements is not the one announced")
    return ios


def packet(body: bytes) -> bytes:
    """The packet of codec..second count; for simulators."""
    return bytes(4) + len(body).to_bytes(4, "big") + body + crc16_arc(body).to_bytes(4, "big")


def encode_record(record: Record, codec: int) -> bytes:
    """The record's bytes, `raw` left aside; for simulators. Elements have 1, 2, 4 or 8 bytes."""
    point = _POINT.pack(
        record.time_ms,
        0,
        record.lon_e7,
        record.lat_e7,
        record.altitude_m,
        record.course_deg,
        record.satellites,
        record.speed_km_h,
    )
    ids, counts = 1 if codec == CODEC_8 else 2, 2 if codec == CODEC_8E else 1
    parts = [point, bytes(ids), b"\x00" if codec == CODEC_16 else b""]
    parts.append(len(record.ios).to_bytes(counts, "big"))
    for size in _SIZES:
        chosen = {name: value for name, value in record.ios.items() if len(value) == size}
        parts.append(len(chosen).to_bytes(counts, "big"))
        parts += [name.to_bytes(ids, "big") + value for name, value in chosen.items()]
    return b"".join([*parts, bytes(2) if codec == CODEC_8E else b""])
