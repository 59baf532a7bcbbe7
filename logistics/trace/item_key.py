"""The GS1 key of one thing: an item, a lot, a class of goods, a logistic unit or a place.

Its **chain id** is all that the chain hears of it: SHA-256 over the canonical key, so a key that
nobody can guess stays unknown to all who never saw it. That is why serial numbers are random here.
Format: docs/formats/trace.md.
"""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final
from urllib.parse import quote

from ledger.canonical import encode
from ledger.hashing import tagged
from logistics.epc import Epc
from logistics.errors import IdentifierError
from logistics.identifiers import require_check_digit

SERIAL_CHARACTERS_MAX: Final = 20
# 13 characters of 32: 65 bits. A guess at a billion issued serials hits one in 36 thousand million.
SERIAL_RANDOM_CHARACTERS: Final = 13
# No I, L, O, U: people read serials aloud. One case, so that a QR code can use its dense mode.
_SERIAL_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TEXT = re.compile(r"[!\"%-?A-Z_a-z]{1,20}\Z", re.ASCII)


class KeyKind(IntEnum):
    """What a key names; the numbers are part of the chain id's format."""

    GTIN = 1
    LOT = 2
    SGTIN = 3
    SSCC = 4
    SGLN = 5


_LENGTH_OF_KIND: Final = {
    KeyKind.GTIN: 14,
    KeyKind.LOT: 14,
    KeyKind.SGTIN: 14,
    KeyKind.SSCC: 18,
    KeyKind.SGLN: 13,
}
_PATH_OF_KIND: Final = {
    KeyKind.GTIN: ("01", None),
    KeyKind.LOT: ("01", "10"),
    KeyKind.SGTIN: ("01", "21"),
    KeyKind.SSCC: ("00", None),
    KeyKind.SGLN: ("414", "254"),
}


@dataclass(frozen=True, slots=True, order=True)
class ItemKey:
    """A kind, its number with a right check digit, and its lot, serial or extension if any."""

    kind: KeyKind
    number: str
    tail: str = ""

    def __post_init__(self) -> None:
        if len(self.number) != _LENGTH_OF_KIND[self.kind]:
            raise IdentifierError(
                f"{self.kind.name} has {_LENGTH_OF_KIND[self.kind]} digits: {self.number[:20]!r}"
            )
        require_check_digit(self.number)
        has_tail = self.kind in (KeyKind.LOT, KeyKind.SGTIN)
        if (self.kind is not KeyKind.SGLN and has_tail != bool(self.tail)) or (
            self.tail and _TEXT.match(self.tail) is None
        ):
            raise IdentifierError(
                f"{self.kind.name}: lot, serial or extension is not 0 to "
                f"{SERIAL_CHARACTERS_MAX} of GS1's characters: {self.tail[:24]!r}"
            )

    @property
    def chain_id(self) -> bytes:
        """32 bytes: what the chain calls this thing."""
        return tagged("wharf/item/1", encode([int(self.kind), self.number, self.tail]))

    @property
    def path(self) -> str:
        """The key as a Digital Link's path, such as "/01/09506000134352/21/8R2KT5QW0HJ4A"."""
        identifier, qualifier = _PATH_OF_KIND[self.kind]
        tail = f"/{qualifier}/{quote(self.tail, safe='')}" if self.tail else ""
        return f"/{identifier}/{self.number}{tail}"

    @property
    def uri(self) -> str:
        """The canonical Digital Link, as it stands in EPCIS events."""
        return "https://id.gs1.org" + self.path

    @property
    def company_digits(self) -> str:
        """The digits that begin with the owner's GS1 company prefix."""
        return self.number if self.kind is KeyKind.SGLN else self.number[1:]


def gtin(number: str) -> ItemKey:
    """The class of goods with this GTIN-14. Raises IdentifierError."""
    return ItemKey(KeyKind.GTIN, number)


def lot(number: str, name: str) -> ItemKey:
    """One lot of a GTIN-14. Raises IdentifierError."""
    return ItemKey(KeyKind.LOT, number, name)


def sgtin(number: str, serial: str) -> ItemKey:
    """One item. Raises IdentifierError."""
    return ItemKey(KeyKind.SGTIN, number, serial)


def sscc(number: str) -> ItemKey:
    """One logistic unit, such as a pallet. Raises IdentifierError."""
    return ItemKey(KeyKind.SSCC, number)


def sgln(number: str, extension: str = "") -> ItemKey:
    """One place, and a place within it where an extension is given. Raises IdentifierError."""
    return ItemKey(KeyKind.SGLN, number, extension)


def key_of_epc(epc: Epc) -> ItemKey | None:
    """The key that a tag's EPC carries; None where it is none of these kinds."""
    try:
        if epc.scheme == "sgtin" and epc.key and epc.serial:
            return sgtin(epc.key, epc.serial)
        if epc.scheme == "sscc" and epc.key:
            return sscc(epc.key)
        if epc.scheme == "sgln" and epc.key:
            return sgln(epc.key, "" if epc.serial in (None, "0") else str(epc.serial))
    except IdentifierError:
        return None
    return None


def new_serial(random_bytes: Callable[[int], bytes]) -> str:
    """A serial number that nobody can guess; `random_bytes` gives so many from a secure source."""
    number = int.from_bytes(random_bytes(9), "big")
    return "".join(
        _SERIAL_ALPHABET[number >> 5 * place & 31] for place in range(SERIAL_RANDOM_CHARACTERS)
    )


def require_unguessable(serials: list[str]) -> None:
    """Raises IdentifierError where serials follow one another or have too few characters.

    Judged is what a stranger with some of them could do: count on, or try them all.
    """
    for serial in serials:
        if len(serial) < 10 or len(set(serial)) < 4:
            raise IdentifierError(f"the serial {serial[:24]!r} is short enough to be guessed")
    numbers = sorted(int(serial) for serial in serials if serial.isdecimal())
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    if any(step <= 1_000 for step in steps):
        raise IdentifierError("serials that follow one another can be guessed; use random ones")
    starts = [serial[:-4] for serial in serials]
    if len(starts) > 1 and len(set(starts)) < len(starts):
        raise IdentifierError("serials that differ at their end only can be guessed")
