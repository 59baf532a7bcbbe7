"""Digital Links that were packed into one path segment, unpacked into the link they stand for.

Every identifier is 2 to 4 decimal digits of 4 bits; each part of its value has its length, where
that varies, and then a number or characters of 4, 6 or 7 bits. A first pair of hexadecimal digits
that are not both decimal stands for a usual sequence of identifiers, F for a key of others.
Source: GS1 Digital Link Standard: Compression, release 1.0; known answers of two other programs are
in tests/vectors/digital_link/compressed.tsv. Wharfinger reads these links and makes none: a QR
code's reader must show people what they open.
"""

import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from logistics.errors import IdentifierError
from logistics.trace.digital_link import DigitalLink, Element, parse_link, parse_path
from logistics.trace.element_rules import ALL_QUALIFIERS, QUALIFIERS, is_key_path, rules_of

SEGMENT_CHARACTERS_MAX: Final = 400
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_SEGMENT = re.compile(r"[A-Za-z0-9\-_]+\Z")
_PART = re.compile(r"(\[\+)?([NXYZ])(\.\.)?([0-9]+)")
_ONE_NUMBER: Final = {"8001": "N14", "8006": "N18", "8026": "N18"}  # of several parts
_TWO_DIGITS: Final = "00 01 02 10 11 12 13 15 16 17 20 21 22 30 37"
_THREE_DIGITS: Final = "23 24 25 40 41 42 71"
_FOUR_DIGITS: Final = "31 32 33 34 35 36 39 43 70 72 80 81 82"
_DIGITS_OF_START: Final[Mapping[str, int]] = {
    **dict.fromkeys(_TWO_DIGITS.split(), 2),
    **{f"9{last}": 2 for last in range(10)},
    **dict.fromkeys(_THREE_DIGITS.split(), 3),
    **dict.fromkeys(_FOUR_DIGITS.split(), 4),
}


def _sequences() -> dict[str, tuple[str, ...]]:
    rows = (
        "0A 22, 0B 10, 0C 21, 0D 17, 0E 7003, 0F 30, 1A 10 21 17, 1B 15, 1C 11, 1D 16, 1E 91, "
        "1F 10 15, 2A 3100, 2B 3101, 2C 3102, 2D 3103, 2E 3104, 2F 3105, 3A 3200, 3B 3201, "
        "3C 3202, 3D 3203, 3E 3204, 3F 3205"
    )
    found = {row.split()[0]: ("01", *row.split()[1:]) for row in rows.split(", ")}
    found |= {f"A{last}": ("01", f"392{last}") for last in range(10)}
    found |= {f"C{last}": ("255", f"390{last}") for last in range(10)}
    found |= {f"C{letter}": ("255", f"394{last}") for last, letter in enumerate("ABCD")}
    found |= {"9A": ("8010", "8011"), "9B": ("8017", "8019"), "9C": ("8018", "8019")}
    return found | {"9D": ("414", "254")}


_SEQUENCES: Final = _sequences()


class _Bits:
    """Bits taken from the front of a segment; raises IdentifierError where too few are left."""

    def __init__(self, segment: str) -> None:
        if _SEGMENT.match(segment) is None or len(segment) > SEGMENT_CHARACTERS_MAX:
            raise IdentifierError("not a compressed link")
        self._bits = "".join(f"{_ALPHABET.index(character):06b}" for character in segment)
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._bits) - self._at

    def take(self, count: int) -> int:
        if count > self.left:
            raise IdentifierError("a compressed link ends too early")
        taken = self._bits[self._at : self._at + count]
        self._at += count
        return int(taken or "0", 2)


def decompress_link(uri: str) -> DigitalLink:
    """The link that a compressed one stands for, wholly or from its second identifier on.

    Raises IdentifierError.
    """
    start, _, query = uri.partition("#")[0].partition("?")
    before, _, segment = start.rpartition("/")
    if before.count("/") < 2:
        raise IdentifierError("no compressed part in the path")
    elements, others = unpack(segment)
    shown: tuple[Element, ...] = ()
    stem = before
    if "/" in before.partition("//")[2]:
        host, _, rest = before.partition("//")[2].partition("/")
        try:
            prefix, shown = parse_path(rest)
            stem = before.partition("//")[0] + f"//{host}" + (f"/{prefix}" if prefix else "")
        except IdentifierError:
            shown = ()
    path, attributes = _sorted([*shown, *elements])
    text = "&".join([f"{key}={value}" for key, value in others] + ([query] if query else []))
    made = DigitalLink(stem=stem, path=path, attributes=attributes).uri(stem)
    # The strict gate sees what was unpacked, as if somebody had written it out.
    return parse_link(made + (("&" if "?" in made else "?") + text if text else ""))


def unpack(segment: str) -> tuple[list[Element], list[tuple[str, str]]]:
    """(GS1's elements, other keys) in a packed segment; raises IdentifierError."""
    bits = _Bits(segment)
    elements: list[Element] = []
    others: list[tuple[str, str]] = []
    # Up to 5 bits fill the last character; the standard adds none besides.
    while bits.left > 8:
        start = f"{bits.take(8):02X}"
        if start[0] == "F":
            others.append(_other(bits, int(start[1], 16)))
            continue
        elements += [Element(name, _value(bits, name)) for name in _identifiers(bits, start)]
    if not elements:
        raise IdentifierError("nothing in a compressed link")
    return elements, others


def _identifiers(bits: _Bits, start: str) -> tuple[str, ...]:
    if not start.isdecimal():
        if start not in _SEQUENCES:
            raise IdentifierError(f"no identifiers are packed as {start}")
        return _SEQUENCES[start]
    digits = _DIGITS_OF_START.get(start)
    if digits is None:
        raise IdentifierError(f"no application identifier begins with {start}")
    return (start + "".join(f"{bits.take(4):X}" for _ in range(digits - 2)),)


@lru_cache(maxsize=1024)
def _parts(identifier: str) -> tuple[tuple[bool, bool, int], ...]:
    """(is numeric, varies in length, length at most) of each part of an identifier's value."""
    rules = rules_of(identifier)
    if rules is None:
        raise IdentifierError(f"({identifier}) is no application identifier")
    form = _ONE_NUMBER.get(identifier) or rules.format.partition("+")[2]
    return tuple(
        (letter == "N", bool(optional or varies), int(length))
        for optional, letter, varies, length in _PART.findall(form)
    )


def _value(bits: _Bits, identifier: str) -> str:
    return "".join(
        _part(bits, is_numeric=is_numeric, varies=varies, length=length)
        for is_numeric, varies, length in _parts(identifier)
    )


def _part(bits: _Bits, *, is_numeric: bool, varies: bool, length: int) -> str:
    coding = 0 if is_numeric else bits.take(3)
    count = bits.take(_length_bits(length)) if varies else length
    return _text(bits, coding, count)


def _text(bits: _Bits, coding: int, count: int) -> str:
    if coding == 0:
        text = str(bits.take(_number_bits(count))).zfill(count) if count else ""
        if len(text) > count:
            raise IdentifierError("a packed number has more digits than it says")
        return text
    return "".join(_characters(bits, coding, count))


def _characters(bits: _Bits, coding: int, count: int) -> Iterator[str]:
    if coding > 4:
        raise IdentifierError(f"no coding {coding} of characters")
    for _ in range(count):
        if coding in (1, 2):
            digit = f"{bits.take(4):x}"
            yield digit if coding == 1 else digit.upper()
        else:
            yield _ALPHABET[bits.take(6)] if coding == 3 else chr(bits.take(7))


def _other(bits: _Bits, high: int) -> tuple[str, str]:
    key = _text(bits, 3, high << 3 | bits.take(3))
    coding = bits.take(3)
    return key, _text(bits, coding, bits.take(7))


def _length_bits(length_max: int) -> int:
    return math.ceil(math.log2(length_max) + 0.01)


def _number_bits(digits: int) -> int:
    return math.ceil(digits * math.log2(10) + 0.01)


def _sorted(elements: list[Element]) -> tuple[tuple[Element, ...], tuple[Element, ...]]:
    """(path, attributes): packed elements stand in any order."""
    key = next((item for item in elements if item.identifier in QUALIFIERS), None)
    if key is None:
        raise IdentifierError("no GS1 key in a compressed link")
    path = [key]
    attributes = [item for item in elements if item is not key]
    for qualifiers in QUALIFIERS[key.identifier]:
        chosen = [
            item
            for name in qualifiers
            for item in attributes
            if item.identifier == name and name in ALL_QUALIFIERS
        ]
        if len(chosen) > len(path) - 1:
            path = [key, *chosen]
    if not is_key_path(tuple(item.identifier for item in path)):
        raise IdentifierError("a compressed link repeats a qualifier")
    return tuple(path), tuple(item for item in attributes if item not in path)
