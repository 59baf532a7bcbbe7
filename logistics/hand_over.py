"""A hand-over: one document that giver and taker both sign (docs/formats/hand-over.md). Pure.

Who signs is decided when it is signed, on the device; when it reaches the chain is another moment,
and both are kept apart.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from ledger.canonical import decode, encode
from ledger.errors import FormatError, LimitError
from ledger.hashing import HASH_BYTES, sha256

VERSION: Final = 1
ID_BYTES: Final = 16
DOCUMENT_BYTES_MAX: Final = 8_192
SEALS_MAX, PHOTOS_MAX = 16, 16
TEXT_BYTES_MAX: Final = 100
TIME_MS_MAX: Final = 253_402_300_799_999
PIECES_MAX: Final = 1_000_000
DOMAIN: Final = b"wharf/hand-over/1"


class Strength(IntEnum):
    """How both sides stand behind it; everything but BOTH is weaker, and is shown so."""

    BOTH = 0
    ABSENT = 1  # nobody was there to take it
    REFUSED = 2  # the taker would not sign
    NO_DEVICE = 3  # the taker had nothing to sign with
    ON_THE_GIVERS_SCREEN = 4  # signed there by hand: the picture is among the photos


ONE_SIDED: Final = frozenset(
    {Strength.ABSENT, Strength.REFUSED, Strength.NO_DEVICE, Strength.ON_THE_GIVERS_SCREEN}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """What both sides sign. `number`: how many hand-overs this consignment had before, from 0.

    Digests are SHA-256; `remarks` and `reservation`: of texts outside. `place`: 1e-7 degrees.
    """

    chain_id: str
    consignment_id: bytes
    number: int
    giver: bytes
    taker: bytes
    signed_ms: int  # by the giver's device
    seals: tuple[str, ...] = ()
    pieces: int
    remarks: bytes | None = None
    photos: tuple[bytes, ...] = ()
    place: tuple[int, int] | None = None
    strength: Strength = Strength.BOTH
    reservation: bytes | None = None

    def encode(self) -> bytes:
        """The document's bytes."""
        return encode(
            [
                VERSION, self.chain_id, self.consignment_id, self.number, self.giver, self.taker,
                self.signed_ms, list(self.seals), self.pieces, self.remarks, list(self.photos),
                list(self.place) if self.place else None, int(self.strength), self.reservation,
            ]
        )  # fmt: skip  # in the order of the format

    @property
    def digest(self) -> bytes:
        """By which it is known: SHA-256 of the document."""
        return sha256(self.encode())

    @property
    def tbs(self) -> bytes:
        """What each side signs."""
        return DOMAIN + self.encode()


_TYPES: Final = [int, str, bytes, int, bytes, bytes, int, list, int, None, list, None, int, None]


def decode_hand_over(data: bytes) -> HandOver:
    """The document in these bytes, no signature checked; raises InputError that names the field."""
    if len(data) > DOCUMENT_BYTES_MAX:
        raise LimitError("hand-over size in bytes", len(data), DOCUMENT_BYTES_MAX)
    value = decode(data)
    if not isinstance(value, list) or len(value) != len(_TYPES):
        raise FormatError("hand-over", f"not {len(_TYPES)} elements")
    for at, (item, expected) in enumerate(zip(value, _TYPES, strict=True)):
        if expected is not None and type(item) is not expected:
            raise FormatError("hand-over", f"element {at} is of a wrong type")
    version, chain_id, consignment_id, number, giver, taker, signed_ms, *rest = value
    seals, pieces, remarks, photos, place, strength, reservation = rest
    if version != VERSION:
        raise FormatError("hand-over", f"version {version} is not known")
    _check_ids(consignment_id, giver, taker)
    _check_number("number", number, 1_000)
    _check_number("signed-ms", signed_ms, TIME_MS_MAX)
    _check_number("pieces", pieces, PIECES_MAX)
    if strength not in tuple(Strength):
        raise FormatError("hand-over", f"strength {strength} is not known")
    return HandOver(
        chain_id=chain_id,
        consignment_id=consignment_id,
        number=number,
        giver=giver,
        taker=taker,
        signed_ms=signed_ms,
        seals=_seals(seals),
        pieces=pieces,
        remarks=_digest_or_none("remarks", remarks),
        photos=_photos(photos),
        place=_place(place),
        strength=Strength(strength),
        reservation=_digest_or_none("reservation", reservation),
    )


def _check_ids(*ids: bytes) -> None:
    if any(len(item) != ID_BYTES for item in ids):
        raise FormatError("hand-over", f"an id is not {ID_BYTES} bytes")
    if ids[1] == ids[2]:
        raise FormatError("hand-over", "giver and taker are one")


def _check_number(field: str, value: int, limit: int) -> None:
    if not 0 <= value <= limit:
        raise FormatError("hand-over", f"{field} is not 0 to {limit}")


def _seals(value: list[Any]) -> tuple[str, ...]:
    if len(value) > SEALS_MAX or any(
        type(item) is not str or not 0 < len(item.encode()) <= TEXT_BYTES_MAX for item in value
    ):
        raise FormatError("hand-over", f"seals are not at most {SEALS_MAX} short texts")
    if value != sorted(set(value)):
        raise FormatError("hand-over", "seals do not ascend, or one twice")
    return tuple(value)


def _photos(value: list[Any]) -> tuple[bytes, ...]:
    if len(value) > PHOTOS_MAX or any(
        type(item) is not bytes or len(item) != HASH_BYTES for item in value
    ):
        raise FormatError("hand-over", f"photos are not at most {PHOTOS_MAX} digests")
    return tuple(value)


def _place(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    if not isinstance(value, list) or [type(item) for item in value] != [int, int]:
        raise FormatError("hand-over", "place is not latitude and longitude")
    lat_e7, lon_e7 = value
    if abs(lat_e7) > 900_000_000 or abs(lon_e7) > 1_800_000_000:
        raise FormatError("hand-over", "place is nowhere on Earth")
    return lat_e7, lon_e7


def _digest_or_none(field: str, value: Any) -> bytes | None:
    if value is None:
        return None
    if type(value) is not bytes or len(value) != HASH_BYTES:
        raise FormatError("hand-over", f"{field} is not a digest")
    return value
