"""The binary layouts of EPC Tag Data Standard 1.13, section 14, as data.

All but GID and USDoD begin `header 8, filter 3, partition 3, company prefix, reference` and end in
a tail. The partition tables 14-2 to 14-17 differ in two numbers only: how many bits and how many
digits company prefix and reference share. ADI and ITIP have no form of 96 bits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

# Partition value -> bits and digits of the company prefix, the same in every table.
COMPANY: Final = ((40, 12), (37, 11), (34, 10), (30, 9), (27, 8), (24, 7), (20, 6))
PREFIX_BITS: Final = 14  # header, filter, partition


class Tail(Enum):
    """What follows company prefix and reference."""

    NOTHING = "nothing"
    INTEGER = "integer"  # no leading zeros in its digits
    RESERVED = "reserved"  # zero bits
    DIGITS = "digits"  # a 1 put before the digits keeps leading zeros (14.3.6)
    TEXT = "text"  # seven bits a character, ended by zeros (14.3.3)


class Key(Enum):
    """How company prefix and reference make the GS1 key."""

    INDICATOR_FIRST = "indicator first"  # the reference's first digit stands before the prefix
    IN_ORDER = "in order"
    ZERO_FIRST = "zero first"
    UNCHECKED = "unchecked"  # without a check digit


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """One binary scheme with a company prefix."""

    name: str  # "sgtin-96", as in a tag URI
    header: int
    bits: int
    shared_bits: int  # of company prefix and reference together
    shared_digits: int | None  # None: the reference is a number without leading zeros
    tail: Tail
    key: Key

    @property
    def identity(self) -> str:
        """The scheme's name in a pure identity URI: "sgtin"."""
        return self.name.rpartition("-")[0]

    @property
    def tail_bits(self) -> int:
        """Bits behind company prefix and reference."""
        return self.bits - PREFIX_BITS - self.shared_bits


def _scheme(name: str, header: int, shared: tuple[int, int | None], tail: Tail, key: Key) -> Scheme:
    return Scheme(
        name=name,
        header=header,
        bits=int(name.rpartition("-")[2]),
        shared_bits=shared[0],
        shared_digits=shared[1],
        tail=tail,
        key=key,
    )


_ROWS: Final = (
    _scheme("gdti-96", 0x2C, (41, 12), Tail.INTEGER, Key.IN_ORDER),
    _scheme("gsrn-96", 0x2D, (58, 17), Tail.RESERVED, Key.IN_ORDER),
    _scheme("gsrnp-96", 0x2E, (58, 17), Tail.RESERVED, Key.IN_ORDER),
    _scheme("sgtin-96", 0x30, (44, 13), Tail.INTEGER, Key.INDICATOR_FIRST),
    _scheme("sscc-96", 0x31, (58, 17), Tail.RESERVED, Key.INDICATOR_FIRST),
    _scheme("sgln-96", 0x32, (41, 12), Tail.INTEGER, Key.IN_ORDER),
    _scheme("grai-96", 0x33, (44, 12), Tail.INTEGER, Key.ZERO_FIRST),
    _scheme("giai-96", 0x34, (82, None), Tail.NOTHING, Key.UNCHECKED),
    _scheme("sgtin-198", 0x36, (44, 13), Tail.TEXT, Key.INDICATOR_FIRST),
    _scheme("cpi-96", 0x3C, (51, None), Tail.INTEGER, Key.UNCHECKED),
    _scheme("sgcn-96", 0x3F, (41, 12), Tail.DIGITS, Key.IN_ORDER),
)
BY_HEADER: Final[Mapping[int, Scheme]] = {row.header: row for row in _ROWS}
BY_NAME: Final[Mapping[str, Scheme]] = {row.name: row for row in _ROWS}
HEADER_USDOD_96: Final = 0x2F  # filter 4, CAGE or DoDAAC 6 x 8, serial 36
HEADER_GID_96: Final = 0x35  # manager 28, class 24, serial 36
