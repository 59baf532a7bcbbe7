"""u-blox UBX frames, and the one message that holds a position: NAV-PVT.

Frame: B5 62, class, id, u16 LE length, payload, two Fletcher bytes over class..payload. Receivers
mix these with NMEA sentences on one line. Source: u-blox 8 / M8 receiver description, UBX-13003221,
section 32.
"""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from firmware_bridge.devices import Reason
from logistics.reading import FLAG_OK, FLAG_SUSPECT, Position

SYNC: Final = b"\xb5\x62"
PAYLOAD_BYTES_MAX: Final = 2048
FRAME_EXTRA_BYTES: Final = 8
_NAV_PVT: Final = b"\x01\x07"
_PVT_SIZES: Final = (84, 92)  # protocol 14, and 15 onwards
_PVT: Final = struct.Struct("<IHBBBBBBIiBBBBiiiiIIiiiii")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIX_2D, _FIX_3D, _FIX_COMBINED, _FIX_DEAD_RECKONING = 2, 3, 4, 1
_TRUSTED_YEAR_MIN: Final = 2000


@dataclass(frozen=True, slots=True)
class Fix:
    """A position of one epoch, and the epoch's time of day for pairing it with NMEA sentences."""

    position: Position
    time_of_day_ms: int | None


def frame_size(head: bytes | bytearray) -> int | None:
    """Bytes of the whole frame from its first six; None where the length is beyond any message."""
    length = int.from_bytes(head[4:6], "little")
    return None if length > PAYLOAD_BYTES_MAX else length + FRAME_EXTRA_BYTES


def is_intact(frame: bytes) -> bool:
    """Whether the two check bytes are right."""
    a = b = 0
    for octet in frame[2:-2]:
        a = a + octet & 255
        b = b + a & 255
    return frame[-2:] == bytes((a, b))


def decode(frame: bytes) -> Fix | Reason | None:
    """The fix of a NAV-PVT frame, why it has none, or None for any other message. Frame is
    intact.
    """
    if frame[2:4] != _NAV_PVT or len(frame) - FRAME_EXTRA_BYTES not in _PVT_SIZES:
        return None
    fields = _PVT.unpack_from(frame, 6)
    _, year, month, day, hour, minute, second, valid, _, nano = fields[:10]
    fix_type, flags, _, satellites, lon, lat, _, altitude, _, _, _, _, _, speed, course = fields[
        10:
    ]
    if not flags & 1 or fix_type not in (_FIX_DEAD_RECKONING, _FIX_2D, _FIX_3D, _FIX_COMBINED):
        return Reason.NO_FIX
    if abs(lat) > 900_000_000 or abs(lon) > 1_800_000_000 or speed < 0:
        return Reason.FIELD
    moment = _moment_ms((year, month, day, hour, minute, second), nano) if valid & 3 == 3 else None
    is_sure = moment is not None and fix_type != _FIX_DEAD_RECKONING
    position = Position(
        lat_e7=lat,
        lon_e7=lon,
        altitude_mm=altitude if fix_type != _FIX_2D and abs(altitude) <= 10**9 else None,
        speed_mm_s=min(speed, 10**9),
        course_cdeg=(course + 500) // 1000 % 36_000,
        satellites=satellites,
        fix=_quality(fix_type, flags),
        gnss_time_ms=moment,
        flags=FLAG_OK if is_sure else FLAG_SUSPECT,
    )
    return Fix(position, None if moment is None else moment % 86_400_000)


def _quality(fix_type: int, flags: int) -> int:
    """The GGA quality digit that says the same."""
    if fix_type == _FIX_DEAD_RECKONING:
        return 6
    carrier = flags >> 6
    if carrier:
        return 4 if carrier == 2 else 5
    return 2 if flags & 2 else 1


def _moment_ms(fields: tuple[int, int, int, int, int, int], nano: int) -> int | None:
    """UTC since 1970; nano may be negative, which moves the moment back over the second."""
    if fields[0] < _TRUSTED_YEAR_MIN:
        return None
    year, month, day, hour, minute, second = fields
    try:
        base = datetime(year, month, day, hour, minute, tzinfo=UTC)
    except ValueError:
        return None
    return (base - _EPOCH) // timedelta(milliseconds=1) + second * 1000 + (nano + 500_000) // 10**6
