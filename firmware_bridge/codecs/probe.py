"""DS18B20 probes through the kernel's `w1_slave` text: two lines, the scratchpad twice.

`72 01 4b 46 7f ff 0e 10 57 : crc=57 YES` / `72 01 4b 46 7f ff 0e 10 57 t=23125`
The value is taken from the scratchpad, whose CRC-8 is computed here: the kernel's YES is not
believed, and after a failed read the second line still shows an old value. Source: DS18B20
datasheet, rev. 6, figure 9.
"""

import re
from typing import Final

from firmware_bridge.devices import Observation, Reason, Rejected, rejected
from logistics.reading import Telemetry

CHANNEL: Final = "temperature"
TEXT_BYTES_MAX: Final = 256
_POWER_ON: Final = 0x0550  # 85.000 degrees: what the scratchpad holds before the first conversion
_EXPONENT: Final = -4  # one sixteenth of a degree is 625e-4
_LINES = re.compile(
    rb"((?:[0-9a-f]{2} ){9}): crc=[0-9a-f]{2} (?:YES|NO)\n"
    rb"((?:[0-9a-f]{2} ){9})t=(-?[0-9]{1,6})\n?\Z"
)
_CELSIUS_MIN, _CELSIUS_MAX = -55, 125


def crc8_maxim(data: bytes) -> int:
    """CRC-8/MAXIM-DOW of the bytes."""
    crc = 0
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
    return crc


def decode_w1_slave(text: bytes) -> list[Observation | Rejected]:
    """One temperature, or one rejection, for one read of the file."""
    match = _LINES.match(text) if len(text) <= TEXT_BYTES_MAX else None
    if match is None:
        return [rejected(text, Reason.FRAME)]
    scratchpad = bytes.fromhex(match[1].decode())
    reason = _judge(scratchpad, bytes.fromhex(match[2].decode()))
    if reason is not None:
        return [rejected(text, reason)]
    sixteenths = _sixteenths(scratchpad)
    # The kernel's own figure may differ by what it cuts off, never by a whole step.
    step = 1000 << _undefined_bits(scratchpad)
    if abs(int(match[3]) * 16 - sixteenths * 1000) >= step:
        return [rejected(text, Reason.FIELD)]
    record = Telemetry(value=sixteenths * 625, exponent=_EXPONENT, unit="CEL")
    return [Observation(channel=CHANNEL, quantity="temperature", unit="CEL", record=record)]


def _judge(scratchpad: bytes, again: bytes) -> Reason | None:
    """Why the scratchpad holds no temperature, or None."""
    # A bus held low reads as nine zeros, whose CRC is right.
    if scratchpad in (bytes(9), b"\xff" * 9):
        return Reason.FAULT
    if crc8_maxim(scratchpad[:8]) != scratchpad[8] or scratchpad != again:
        return Reason.CHECKSUM
    sixteenths = _sixteenths(scratchpad)
    if sixteenths == _POWER_ON:
        return Reason.SENTINEL
    in_range = 16 * _CELSIUS_MIN <= sixteenths <= 16 * _CELSIUS_MAX
    return None if in_range else Reason.FIELD


def _undefined_bits(scratchpad: bytes) -> int:
    """How many low bits of the register mean nothing at its resolution of 9 to 12 bits."""
    return 3 - (scratchpad[4] >> 5 & 3)


def _sixteenths(scratchpad: bytes) -> int:
    """The temperature register without its undefined bits."""
    undefined = _undefined_bits(scratchpad)
    register = int.from_bytes(scratchpad[:2], "little", signed=True)
    return register >> undefined << undefined


def encode_w1_slave(sixteenths: int) -> str:
    """The text that the kernel shows for this temperature, for simulators."""
    register = sixteenths.to_bytes(2, "little", signed=True)
    scratchpad = register + bytes((0x4B, 0x46, 0x7F, 0xFF, 0x10 - (register[0] & 15), 0x10))
    crc = crc8_maxim(scratchpad)
    shown = (scratchpad + bytes((crc,))).hex(" ")
    milli = abs(sixteenths) * 1000 // 16 * (1 if sixteenths >= 0 else -1)
    return f"{shown} : crc={crc:02x} YES\n{shown} t={milli}\n"
