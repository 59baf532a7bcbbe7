"""The objects of BTHome v2: what each id holds. Source: bthome.io, format, version 2.

What has no quantity is skipped, but its size must be known: objects follow one another unmarked.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Measure:
    """One kind of object: value = integer * factor * 10**exponent in unit."""

    wire: str  # "u" or "s", and the size in bytes
    quantity: str | None = None
    unit: str = ""
    exponent: int = 0
    factor: int = 1
    low: int = -(1 << 31)
    high: int = 1 << 32

    @property
    def size_bytes(self) -> int:
        """How many bytes follow the id."""
        return int(self.wire[1:])

    @property
    def is_signed(self) -> bool:
        """Whether the integer is in two's complement."""
        return self.wire.startswith("s")


_CEL_LOW, _CEL_HIGH = -100, 200
BINARY_FIRST, BINARY_LAST = 0x15, 0x2D

OBJECTS: Final[dict[int, Measure]] = {
    0x00: Measure("u1"),  # packet id
    0x01: Measure("u1", "battery", "P1", 0, 1, 0, 100),
    0x02: Measure("s2", "temperature", "CEL", -2, 1, _CEL_LOW * 100, _CEL_HIGH * 100),
    0x03: Measure("u2", "humidity", "P1", -2, 1, 0, 10_000),
    0x04: Measure("u3", "pressure", "A97", -2, 1, 0, 200_000),
    0x05: Measure("u3", "illuminance", "LUX", -2),
    0x06: Measure("u2", "mass", "KGM", -2),
    0x07: Measure("u2"),  # mass in pounds
    0x08: Measure("s2", "dew_point", "CEL", -2, 1, _CEL_LOW * 100, _CEL_HIGH * 100),
    0x09: Measure("u1", "count", "C62"),
    0x0A: Measure("u3", "energy", "KWH", -3),
    0x0B: Measure("u3", "power", "WTT", -2),
    0x0C: Measure("u2", "voltage", "VLT", -3),
    0x0D: Measure("u2"),  # PM2.5
    0x0E: Measure("u2"),  # PM10
    0x0F: Measure("u1"),  # a truth of no stated kind
    0x10: Measure("u1"),  # power on or off
    0x11: Measure("u1", "opening", "C62", 0, 1, 0, 1),
    0x12: Measure("u2", "co2", "59"),
    0x13: Measure("u2"),  # volatile compounds
    0x14: Measure("u2", "moisture", "P1", -2, 1, 0, 10_000),
    **{number: Measure("u1") for number in range(BINARY_FIRST, BINARY_LAST + 1)},
    0x1A: Measure("u1", "door", "C62", 0, 1, 0, 1),
    0x2E: Measure("u1", "humidity", "P1", 0, 1, 0, 100),
    0x2F: Measure("u1", "moisture", "P1", 0, 1, 0, 100),
    0x3A: Measure("u1"),  # button
    0x3C: Measure("u2"),  # dimmer
    0x3D: Measure("u2", "count", "C62"),
    0x3E: Measure("u4", "count", "C62"),
    0x3F: Measure("s2"),  # rotation
    0x40: Measure("u2", "distance", "MMT"),
    0x41: Measure("u2", "distance", "MTR", -1),
    0x42: Measure("u3"),  # duration
    0x43: Measure("u2", "current", "AMP", -3),
    0x44: Measure("u2", "speed", "MTS", -2),
    0x45: Measure("s2", "temperature", "CEL", -1, 1, _CEL_LOW * 10, _CEL_HIGH * 10),
    0x46: Measure("u1"),  # UV index
    **{number: Measure("u2") for number in (0x47, 0x48, 0x49)},  # volumes, flow
    0x4A: Measure("u2", "voltage", "VLT", -1),
    0x4B: Measure("u3"),  # gas
    **{number: Measure("u4") for number in (0x4C, 0x4D, 0x4E, 0x4F)},  # gas, energy, volume, water
    0x50: Measure("u6"),  # time: BTHome does not say whose
    0x51: Measure("u2"),  # acceleration
    0x52: Measure("u2"),  # gyroscope
    0x55: Measure("u4"),  # stored volume
    0x56: Measure("u2"),  # conductivity
    0x57: Measure("s1", "temperature", "CEL", 0, 1, _CEL_LOW, _CEL_HIGH),
    0x58: Measure("s1", "temperature", "CEL", -2, 35, _CEL_LOW * 100, _CEL_HIGH * 100),
    0x59: Measure("s1", "count", "C62"),
    0x5A: Measure("s2", "count", "C62"),
    0x5B: Measure("s4", "count", "C62"),
    0x5C: Measure("s4", "power", "WTT", -2),
    0x5D: Measure("s2", "current", "AMP", -3),
    0x5E: Measure("u2"),  # direction
    0x5F: Measure("u2"),  # precipitation
    0x60: Measure("u1"),  # channel
    0x61: Measure("u2"),  # rotational speed
}
