"""DS18B20: the scratchpad decides, and faults are never values."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.codecs.probe import crc8_maxim, decode_w1_slave, encode_w1_slave
from firmware_bridge.devices import Observation, Reason, Rejected
from logistics.reading import Telemetry

VECTORS = json.loads((Path(__file__).parents[3] / "vectors/devices.json").read_text())
GOOD = VECTORS["w1_good"].encode()


def reason(text: bytes) -> Reason:
    (event,) = decode_w1_slave(text)
    assert isinstance(event, Rejected)
    return event.reason


def value(text: bytes) -> int:
    (event,) = decode_w1_slave(text)
    assert isinstance(event, Observation)
    assert isinstance(event.record, Telemetry)
    return event.record.value


def of_scratchpad(octets: bytes, verdict: str = "YES", milli: int = 0) -> bytes:
    shown = octets.hex(" ")
    return f"{shown} : crc={octets[8]:02x} {verdict}\n{shown} t={milli}\n".encode()


def test_a_good_read_is_its_sixteenths_exactly() -> None:
    record = Telemetry(value=231_250, exponent=-4, unit="CEL")
    expected = Observation(channel="temperature", quantity="temperature", unit="CEL", record=record)
    assert [expected] == decode_w1_slave(GOOD)


def test_the_power_on_value_is_a_sentinel() -> None:
    assert Reason.SENTINEL == reason(VECTORS["w1_power_on"].encode())


def test_a_floating_and_a_shorted_bus_are_faults() -> None:
    assert Reason.FAULT == reason(of_scratchpad(b"\xff" * 9, "NO"))
    # Nine zeros carry a right CRC: the value 0.0 would be believed otherwise.
    assert 0 == crc8_maxim(bytes(8))
    assert Reason.FAULT == reason(of_scratchpad(bytes(9)))


def test_the_word_yes_is_not_believed() -> None:
    assert Reason.CHECKSUM == reason(GOOD.replace(b"72 01", b"73 01"))


def test_a_right_crc_is_believed_even_where_the_kernel_says_no() -> None:
    assert 231_250 == value(GOOD.replace(b"YES", b"NO"))


def test_an_old_value_in_the_second_line_is_refused() -> None:
    assert Reason.FIELD == reason(GOOD.replace(b"t=23125", b"t=4000"))


def test_undefined_bits_of_a_low_resolution_are_no_temperature() -> None:
    octets = bytes((0x77, 0x01, 0x4B, 0x46, 0x1F, 0xFF, 0x0E, 0x10))
    octets += bytes((crc8_maxim(octets),))
    assert 0x170 * 625 == value(of_scratchpad(octets, milli=23_437))


@pytest.mark.parametrize("sixteenths", [-55 * 16, -1, 0, 1, 125 * 16, 84 * 16 + 15])
def test_what_the_simulator_shows_is_what_is_read(sixteenths: int) -> None:
    assert sixteenths * 625 == value(encode_w1_slave(sixteenths).encode())


@given(st.binary(max_size=300))
def test_no_text_raises(text: bytes) -> None:
    assert 1 == len(decode_w1_slave(text))


def test_no_flipped_bit_gives_another_reading() -> None:
    for bit in range(8 * len(GOOD)):
        damaged = bytearray(GOOD)
        damaged[bit // 8] ^= 1 << bit % 8
        (event,) = decode_w1_slave(bytes(damaged))
        if isinstance(event, Observation):
            assert 231_250 == value(bytes(damaged)), bit
