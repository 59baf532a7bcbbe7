"""What every stream codec must keep, whatever the line does to the bytes."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.codecs.nmea import NmeaDecoder
from firmware_bridge.codecs.rfid_uhf import R200Decoder
from firmware_bridge.devices import RAW_BYTES_MAX, Observation

VECTORS = json.loads((Path(__file__).parents[3] / "vectors/devices.json").read_text())


def ubx(payload: bytes) -> bytes:
    body = b"\x01\x07" + len(payload).to_bytes(2, "little") + payload
    a = b = 0
    for octet in body:
        a, b = a + octet & 255, b + a + octet & 255
    return b"\xb5\x62" + body + bytes((a, b))


def nav_pvt() -> bytes:
    payload = bytearray(92)
    payload[4:12] = (2026).to_bytes(2, "little") + bytes((11, 23, 10, 15, 7, 3))
    payload[20:24] = bytes((3, 1, 0, 11))
    payload[24:28] = (99_661_000).to_bytes(4, "little", signed=True)
    payload[28:32] = (535_461_000).to_bytes(4, "little", signed=True)
    payload[36:40] = (25_400).to_bytes(4, "little", signed=True)
    return ubx(bytes(payload))


@dataclass(frozen=True)
class Line:
    make: Callable[[], Any]
    frame: bytes  # one frame that holds one reading
    pending_bytes_max: int


NMEA_EPOCH = (VECTORS["nmea_gga"] + VECTORS["nmea_rmc"]).encode()
LINES = {
    "nmea": Line(NmeaDecoder, VECTORS["nmea_rmc"].encode(), 2056),
    "ubx": Line(NmeaDecoder, nav_pvt(), 2056),
    "r200 BB": Line(R200Decoder, bytes.fromhex(VECTORS["r200_bb"]), 167),
    "r200 AA": Line(R200Decoder, bytes.fromhex(VECTORS["r200_aa"]), 167),
}
every_line = pytest.mark.parametrize("line", LINES.values(), ids=LINES)


def readings(events: Sequence[Any]) -> list[Any]:
    return [event.record for event in events if isinstance(event, Observation)]


@every_line
def test_one_frame_is_one_reading(line: Line) -> None:
    assert 1 == len(readings(line.make().feed(line.frame)))


@every_line
@settings(max_examples=60)
@given(data=st.data())
def test_any_split_of_a_noisy_stream_gives_the_same_events(line: Line, data: st.DataObject) -> None:
    pieces = data.draw(st.lists(st.one_of(st.just(line.frame), st.binary(max_size=40)), max_size=8))
    stream = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    whole, split = line.make(), line.make()
    expected, got, start = whole.feed(stream), [], 0
    for cut in [*cuts, len(stream)]:
        got += split.feed(stream[start:cut])
        start = cut
    assert expected == got


@every_line
def test_no_flipped_bit_gives_another_reading(line: Line) -> None:
    true = readings(line.make().feed(line.frame))
    after = line.frame + bytes(2100)  # lets the decoder give up on a length that was made longer
    for bit in range(8 * len(line.frame)):
        damaged = bytearray(after)
        damaged[bit // 8] ^= 1 << bit % 8
        found = readings(line.make().feed(bytes(damaged)))
        assert found in ([], true), (bit, found)


@every_line
@settings(max_examples=80)
@given(noise=st.binary(max_size=120))
def test_noise_loses_at_most_the_frame_behind_it(line: Line, noise: bytes) -> None:
    # The second frame comes through; only its arrival may wait until a false length has run out.
    events = line.make().feed(noise + line.frame * 30)
    assert len(readings(events)) >= 29


@every_line
@settings(max_examples=60)
@given(chunks=st.lists(st.binary(max_size=300), max_size=30))
def test_memory_is_bounded_and_nothing_raises(line: Line, chunks: list[bytes]) -> None:
    decoder = line.make()
    for chunk in chunks:
        for event in decoder.feed(chunk):
            assert isinstance(event, Observation) or len(event.raw) <= RAW_BYTES_MAX
        assert len(decoder._pending) <= line.pending_bytes_max + len(chunk)


@settings(max_examples=300)
@given(
    text=st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="$*")),
    kind=st.sampled_from(["RMC", "GGA", "ZDA", "XYZ"]),
)
def test_a_right_checksum_over_any_content_never_raises(text: str, kind: str) -> None:
    body = f"GP{kind},{text}".encode()
    check = 0
    for octet in body:
        check ^= octet
    NmeaDecoder().feed(b"$%s*%02X\r\n" % (body, check))


@settings(max_examples=300)
@given(fields=st.lists(st.sampled_from(["", "A", "V", "N", "1", "9999.99999", "-1", "x"])))
def test_odd_fields_never_raise(fields: list[str]) -> None:
    for kind in ("RMC", "GGA", "ZDA"):
        body = f"GP{kind},101500.00,{','.join(fields)}".encode()
        check = 0
        for octet in body:
            check ^= octet
        NmeaDecoder().feed(b"$%s*%02X\r\n" % (body, check))
