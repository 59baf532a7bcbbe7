"""NMEA 0183: which sentences become a position, and which do not."""

import json
from functools import reduce
from operator import xor
from pathlib import Path

import pytest

from firmware_bridge.codecs.nmea import SENTENCE_BYTES_MAX, NmeaDecoder
from firmware_bridge.devices import Observation, Reason, Rejected, rejected
from logistics.reading import FLAG_SUSPECT, Position

VECTORS = json.loads((Path(__file__).parents[3] / "vectors/devices.json").read_text())
GGA, RMC = VECTORS["nmea_gga"].encode(), VECTORS["nmea_rmc"].encode()
LOST = VECTORS["nmea_lost"].encode()
POSITION = Position(**VECTORS["position"])


def sentence(text: str) -> bytes:
    return f"${text}*{reduce(xor, text.encode()):02X}\r\n".encode()


def rmc(clock: str, day: str = "231126", mode: str = "A") -> bytes:
    return sentence(f"GPRMC,{clock},A,5332.76600,N,00957.96600,E,1.0,2.0,{day},,,{mode}")


def gga(clock: str, quality: int = 1) -> bytes:
    return sentence(f"GPGGA,{clock},5332.76600,N,00957.96600,E,{quality},05,1.1,7.0,M,,M,,")


def positions(stream: bytes) -> list[Position]:
    events = NmeaDecoder().feed(stream)
    return [
        e.record for e in events if isinstance(e, Observation) and isinstance(e.record, Position)
    ]


def reasons(stream: bytes) -> list[Reason]:
    return [e.reason for e in NmeaDecoder().feed(stream) if isinstance(e, Rejected)]


def test_gga_and_rmc_of_one_moment_are_one_position() -> None:
    expected = [Observation(channel="position", quantity="position", unit=None, record=POSITION)]
    assert expected == NmeaDecoder().feed(GGA + RMC)


def test_a_receiver_that_sends_rmc_first_gets_its_height_from_the_second_moment_on() -> None:
    stream = b"".join(rmc(f"1015{n:02}.00") + gga(f"1015{n:02}.00") for n in range(4))
    assert [None, 7000, 7000, 7000] == [item.altitude_mm for item in positions(stream)]


def test_a_lost_gga_does_not_cost_the_position_of_its_moment() -> None:
    moments = [rmc(f"1015{n:02}.00") + gga(f"1015{n:02}.00") for n in range(3)]
    stream = b"".join(moments) + rmc("101503.00") + rmc("101504.00") + gga("101504.00")
    assert 5 == len(positions(stream))


def test_a_receiver_without_rmc_gives_places_without_a_date() -> None:
    found = positions(gga("101500.00") + gga("101501.00") + gga("101502.00"))
    assert [None, None] == [item.gnss_time_ms for item in found]


def test_zda_dates_a_gga_of_its_moment() -> None:
    found = positions(
        gga("101500.25") + sentence("GPZDA,101500.25,23,11,2026,,") + gga("101501.25")
    )
    assert [1_795_428_900_250] == [item.gnss_time_ms for item in found]


@pytest.mark.parametrize(
    "stream",
    [LOST, gga("101500.00", 0) + rmc("101500.00"), rmc("101500.00", mode="N")],
    ids=["status V", "GGA quality 0", "mode N"],
)
def test_no_fix_is_no_position(stream: bytes) -> None:
    assert ([], [Reason.NO_FIX]) == (positions(stream), reasons(stream))


def test_dead_reckoning_is_marked() -> None:
    assert [(6, FLAG_SUSPECT)] == [(p.fix, p.flags) for p in positions(rmc("101500.00", mode="E"))]


def test_a_year_before_2000_marks_the_position_and_leaves_no_time() -> None:
    found = positions(rmc("101500.00", day="050180"))
    assert [(None, FLAG_SUSPECT)] == [(item.gnss_time_ms, item.flags) for item in found]


def test_a_wrong_checksum_is_rejected_with_the_bytes_as_received() -> None:
    noisy = RMC.replace(b"5332", b"5333")
    assert [rejected(noisy, Reason.CHECKSUM)] == NmeaDecoder().feed(noisy)


def test_a_sentence_without_a_checksum_is_not_believed() -> None:
    assert [Reason.CHECKSUM] == reasons(RMC[:-5] + b"\r\n")


@pytest.mark.parametrize(
    "fields",
    [
        "101500.00,A,9960.00000,N,00957.96600,E,1.0,2.0,231126,,,A",
        "101500.00,A,5360.00000,N,00957.96600,E,1.0,2.0,231126,,,A",
        "101500.00,A,5332.76600,N,00957.96600,E,fast,2.0,231126,,,A",
        "101500.00,A,5332.76600,X,00957.96600,E,1.0,2.0,231126,,,A",
        "251500.00,A,5332.76600,N,00957.96600,E,1.0,2.0,231126,,,A",
        "101500.00,A,5332.76600,N,00957.96600,E,1.0,2.0,311326,,,A",
        "101500.00,A,5332.76600,N,00957.96600,E,1.0,2.0,231126,,,Q",
    ],
)
def test_a_field_that_cannot_be_rejects_its_sentence(fields: str) -> None:
    stream = sentence(f"GPRMC,{fields}")
    assert ([], [Reason.FIELD]) == (positions(stream), reasons(stream))


def test_a_lost_line_end_is_given_up_at_the_longest_sentence() -> None:
    assert [Reason.FRAME] == reasons(b"$" + b"A" * SENTENCE_BYTES_MAX)


def test_a_broken_sentence_does_not_take_the_next_one_with_it() -> None:
    assert [POSITION] == positions(b"$GPGGA,1015" + GGA + RMC)


def test_south_and_west_are_negative() -> None:
    text = "GPRMC,101500.00,A,3300.00000,S,07030.00000,W,,,231126,,,A"
    (found,) = positions(sentence(text))
    assert (-330_000_000, -705_000_000, None) == (found.lat_e7, found.lon_e7, found.speed_mm_s)


def test_a_moment_told_by_ubx_is_not_told_again() -> None:
    payload = bytearray(92)
    payload[4:12] = (2026).to_bytes(2, "little") + bytes((11, 23, 10, 15, 0, 3))
    payload[20:24] = bytes((3, 1, 0, 11))
    body = b"\x01\x07\x5c\x00" + bytes(payload)
    a = b = 0
    for octet in body:
        a, b = a + octet & 255, b + a + octet & 255
    frame = b"\xb5\x62" + body + bytes((a, b))
    assert 1 == len(positions(frame + gga("101500.00") + rmc("101500.00")))
    assert 2 == len(positions(frame + gga("101501.00") + rmc("101501.00")))


@pytest.mark.parametrize("kind", ["RMC", "GGA", "ZDA"])
def test_a_receiver_that_does_not_know_the_time_says_nothing(kind: str) -> None:
    stream = sentence(f"GP{kind},,,,,,,,,,,,,")
    assert ([], []) == (positions(stream), reasons(stream))


@pytest.mark.parametrize("quality", ["9", "2"])
def test_satellite_based_augmentation_is_a_differential_fix(quality: str) -> None:
    found = positions(gga("101500.00", int(quality)) + gga("101501.00"))
    assert [2] == [item.fix for item in found]


def test_sentences_about_satellites_are_no_noise() -> None:
    assert [] == NmeaDecoder().feed(sentence("GPGSV,1,1,01,10,29,284,30"))


@pytest.mark.parametrize(
    ("wrong", "right"),
    [(",10.00,84.40,", ",10.00,984.40,"), (",10.00,84.40,", ",-10.00,84.40,")],
)
def test_a_number_that_a_position_cannot_hold_is_a_wrong_field(wrong: str, right: str) -> None:
    text = RMC.decode()[1:-5]
    assert wrong in text
    assert [Reason.FIELD] == reasons(sentence(text.replace(wrong, right)))
