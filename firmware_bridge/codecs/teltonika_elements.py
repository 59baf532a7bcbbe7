"""IO elements of Teltonika records that are measurements; all others are left aside.

Source: FMB AVL parameter list, firmware 03.28. A Dallas probe's faults are sent as temperatures:
850 not ready, 2000 not read, 3000 not connected, 4000 unknown, 5000 not ready.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One kind of element: value = integer * 10**exponent in unit; a fault is no value."""

    channel: str
    quantity: str
    unit: str
    exponent: int
    size_bytes: int
    is_signed: bool = False
    low: int = 0
    high: int = 0xFFFF
    faults: tuple[int, ...] = ()

    def value(self, raw: bytes) -> int | None:
        """The integer; None where it is a fault, out of range or of another size."""
        value = int.from_bytes(raw, "big", signed=self.is_signed)
        is_value = len(raw) == self.size_bytes and value not in self.faults
        return value if is_value and self.low <= value <= self.high else None


def _probe(number: int) -> Element:
    return Element(
        channel=f"probe-{number}",
        quantity="temperature",
        unit="CEL",
        exponent=-1,
        size_bytes=4,
        is_signed=True,
        low=-550,
        high=1250,
        faults=(850, 2000, 3000, 4000, 5000),
    )


def _millivolts(channel: str) -> Element:
    return Element(channel=channel, quantity="voltage", unit="2Z", exponent=0, size_bytes=2)


ELEMENTS: Final = {
    66: _millivolts("supply"),
    67: _millivolts("battery"),
    72: _probe(1),
    73: _probe(2),
    74: _probe(3),
    75: _probe(4),
}
