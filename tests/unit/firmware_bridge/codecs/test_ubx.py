"""NAV-PVT: what its flags say decides, not that it holds numbers."""

import pytest

from firmware_bridge.codecs.ubx import PAYLOAD_BYTES_MAX, Fix, decode, frame_size, is_intact
from firmware_bridge.devices import Reason
from logistics.reading import FLAG_OK, FLAG_SUSPECT

LAT, LON = 535_461_000, -99_661_000


def frame(payload: bytes, message: bytes = b"\x01\x07") -> bytes:
    body = message + len(payload).to_bytes(2, "little") + payload
    a = b = 0
    for octet in body:
        a, b = a + octet & 255, b + a + octet & 255
    return b"\xb5\x62" + body + bytes((a, b))


def pvt(**changes: int) -> bytes:
    """A NAV-PVT of 2026-11-23T10:15:07 with a 3D fix; fields by name."""
    value = {"year": 2026, "month": 11, "valid": 3, "nano": 0, "fix": 3, "flags": 1}
    value |= {"lat": LAT, "lon": LON, "speed": 5144, "course": 8_440_000} | changes
    payload = bytearray(92)
    payload[4:6] = value["year"].to_bytes(2, "little")
    payload[6:12] = bytes((value["month"], 23, 10, 15, 7, value["valid"]))
    payload[16:20] = value["nano"].to_bytes(4, "little", signed=True)
    payload[20:24] = bytes((value["fix"], value["flags"], 0, 11))
    for at, name in ((24, "lon"), (28, "lat"), (60, "speed"), (64, "course")):
        payload[at : at + 4] = value[name].to_bytes(4, "little", signed=True)
    payload[36:40] = (25_400).to_bytes(4, "little", signed=True)
    return frame(bytes(payload))


def fix_of(data: bytes) -> Fix:
    found = decode(data)
    assert isinstance(found, Fix)
    return found


def test_a_fix_is_taken_as_its_integers() -> None:
    found = fix_of(pvt()).position
    assert (LAT, LON, 25_400, 5144) == (
        found.lat_e7,
        found.lon_e7,
        found.altitude_mm,
        found.speed_mm_s,
    )
    assert (8440, 11, 1, FLAG_OK) == (found.course_cdeg, found.satellites, found.fix, found.flags)
    assert 1_795_428_907_000 == found.gnss_time_ms


def test_a_negative_nanosecond_moves_the_moment_back() -> None:
    assert 1_795_428_906_999 == fix_of(pvt(nano=-600_000)).position.gnss_time_ms


@pytest.mark.parametrize("changes", [{"flags": 0}, {"fix": 0}, {"fix": 5}])
def test_without_a_good_fix_there_is_none(changes: dict[str, int]) -> None:
    assert Reason.NO_FIX == decode(pvt(**changes))


@pytest.mark.parametrize("changes", [{"lat": 900_000_001}, {"lon": 1_800_000_001}, {"speed": -1}])
def test_numbers_that_cannot_be_are_rejected(changes: dict[str, int]) -> None:
    assert Reason.FIELD == decode(pvt(**changes))


@pytest.mark.parametrize("changes", [{"valid": 1}, {"year": 1999}, {"month": 13}])
def test_a_date_that_is_not_known_is_not_invented(changes: dict[str, int]) -> None:
    found = fix_of(pvt(**changes))
    assert (None, FLAG_SUSPECT) == (found.position.gnss_time_ms, found.position.flags)
    assert found.time_of_day_ms is None


@pytest.mark.parametrize(
    ("fix", "flags", "quality"),
    [(3, 1, 1), (3, 3, 2), (3, 0x43, 5), (3, 0x83, 4), (4, 1, 1), (1, 1, 6)],
)
def test_the_quality_digit_says_what_the_flags_say(fix: int, flags: int, quality: int) -> None:
    assert quality == fix_of(pvt(fix=fix, flags=flags)).position.fix


def test_a_flat_fix_has_no_height() -> None:
    assert fix_of(pvt(fix=2)).position.altitude_mm is None


def test_other_messages_say_nothing() -> None:
    assert decode(frame(bytes(52), b"\x01\x35")) is None
    assert decode(frame(bytes(10))) is None


def test_a_length_beyond_any_message_is_no_frame() -> None:
    head = b"\xb5\x62\x01\x07"
    assert frame_size(head + (PAYLOAD_BYTES_MAX + 1).to_bytes(2, "little")) is None
    assert PAYLOAD_BYTES_MAX + 8 == frame_size(head + PAYLOAD_BYTES_MAX.to_bytes(2, "little"))


def test_both_check_bytes_count() -> None:
    good = pvt()
    assert is_intact(good)
    assert not is_intact(good[:-1] + bytes((good[-1] ^ 1,)))
    assert not is_intact(good[:-2] + bytes((good[-2] ^ 1, good[-1])))
