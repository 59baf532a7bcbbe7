"""R200 / M100: frames by their length, both checks, and what is no reading."""

import json
from pathlib import Path

import pytest

from firmware_bridge.codecs.rfid_uhf import (
    R200Decoder,
    encode_frame,
    epc_crc,
    multi_poll,
    stop_poll,
    tag_notice,
)
from firmware_bridge.devices import Observation, Reason, Rejected
from logistics.reading import TagSighting

VECTORS = json.loads((Path(__file__).parents[3] / "vectors/devices.json").read_text())
NOTICE = bytes.fromhex(VECTORS["r200_bb"])


def reasons(stream: bytes) -> list[Reason]:
    return [e.reason for e in R200Decoder().feed(stream) if isinstance(e, Rejected)]


@pytest.mark.parametrize(
    ("name", "epc", "pc", "rssi_cdbm"),
    [
        ("r200_bb", "30751feb705c5904e3d50d70", 0x3400, -5500),
        ("r200_aa", "e28068900000500e88c6a4a7", 0x3000, -5700),
    ],
)
def test_vendor_examples_decode(name: str, epc: str, pc: int, rssi_cdbm: int) -> None:
    record = TagSighting(epc=bytes.fromhex(epc), pc=pc, rssi_cdbm=rssi_cdbm)
    expected = [Observation(channel="tags", quantity="tag", unit=None, record=record)]
    assert expected == R200Decoder().feed(bytes.fromhex(VECTORS[name]))


@pytest.mark.parametrize("words", [2, 6, 9, 31])
def test_the_epc_has_the_length_that_the_tag_says(words: int) -> None:
    sighting = TagSighting(epc=bytes(range(2 * words)), pc=words << 11, rssi_cdbm=-6000)
    (event,) = R200Decoder().feed(tag_notice(0xAA, sighting))
    assert isinstance(event, Observation)
    assert sighting == event.record


def test_commands_are_the_ones_of_the_protocol_paper() -> None:
    assert bytes.fromhex(VECTORS["r200_multi_poll"]) == multi_poll(0xBB, 10_000)
    assert bytes.fromhex("bb00280000287e") == stop_poll(0xBB)


def test_no_tag_is_silence_and_another_error_is_a_fault() -> None:
    assert [] == reasons(bytes.fromhex(VECTORS["r200_no_tag"]))
    assert [Reason.FAULT] == reasons(encode_frame(0xBB, 1, 0xFF, payload=b"\x16"))


def test_a_tag_crc_that_is_wrong_inside_an_intact_frame_is_rejected() -> None:
    payload = bytearray(NOTICE[5:-2])
    payload[4] ^= 1
    frame = encode_frame(0xBB, 2, 0x22, payload=bytes(payload))
    assert [Reason.EPC_CRC] == reasons(frame)


def test_a_length_that_contradicts_the_tag_is_rejected() -> None:
    body = b"\x30\x00" + bytes(10)
    payload = b"\xc9" + body + epc_crc(body).to_bytes(2, "big")
    assert [Reason.FIELD] == reasons(encode_frame(0xBB, 2, 0x22, payload=payload))


def test_a_wrong_sum_is_told_when_the_next_frame_comes() -> None:
    damaged = bytearray(NOTICE)
    damaged[5] ^= 4
    decoder = R200Decoder()
    assert [] == decoder.feed(bytes(damaged))
    first, second = decoder.feed(NOTICE)
    assert isinstance(first, Rejected)
    assert Reason.CHECKSUM == first.reason
    assert isinstance(second, Observation)


def test_heads_and_tails_inside_a_payload_do_not_split_the_frame() -> None:
    sighting = TagSighting(epc=bytes.fromhex("bb7eaaddbb7eaaddbb7eaadd"), pc=0x3000, rssi_cdbm=-100)
    (event,) = R200Decoder().feed(tag_notice(0xBB, sighting))
    assert isinstance(event, Observation)
