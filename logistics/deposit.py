"""The deposit: a proof with outside time stamps over it, one file (docs/formats/deposit.md). Pure.

Each stamp covers the proof and every stamp before it, so a newer one keeps the older ones good when
their algorithms age (the idea of RFC 4998). A stamp that failed stays as a failure, by name.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ledger.canonical import decode, encode
from ledger.errors import FormatError, LimitError
from ledger.hashing import sha256, tagged
from ledger.proof_bundle import BUNDLE_BYTES_MAX

MAGIC: Final = "wharf-deposit"
VERSION: Final = 1
STAMPS_MAX: Final = 64
TOKEN_BYTES_MAX: Final = 64 << 10
TEXT_BYTES_MAX: Final = 500
TIME_MS_MAX: Final = 253_402_300_799_999


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """One answer of an outside authority, or why there is none. `asked_ms`: by our own clock."""

    authority: str  # its address, as it was asked
    asked_ms: int
    token: bytes | None  # an RFC 3161 TimeStampResp in DER
    failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """A proof bundle's bytes and the stamps over them, oldest first."""

    proof: bytes
    stamps: tuple[Stamp, ...] = ()

    def encode(self) -> bytes:
        """The file's bytes."""
        rows = [_row(stamp) for stamp in self.stamps]
        return encode([MAGIC, VERSION, self.proof, rows])

    def message(self, index: int) -> bytes:
        """What the stamp at an index is over: 32 bytes that stand for all before it."""
        rows = [_row(stamp) for stamp in self.stamps[:index]]
        return tagged("wharf/deposit/1", encode([sha256(self.proof), rows]))

    def with_stamp(self, stamp: Stamp) -> "Deposit":
        """The deposit with one stamp more. Raises LimitError where it has as many as it may."""
        if len(self.stamps) >= STAMPS_MAX:
            raise LimitError("number of stamps", len(self.stamps) + 1, STAMPS_MAX)
        return replace(self, stamps=(*self.stamps, stamp))


def _row(stamp: Stamp) -> list[Any]:
    return [stamp.authority, stamp.asked_ms, stamp.token, stamp.failure]


def is_deposit(data: bytes) -> bool:
    """Whether a file says that it is a deposit; it need not be a good one."""
    return data[:15] == encode([MAGIC, VERSION, b"", []])[:15]


def decode_deposit(data: bytes) -> Deposit:
    """The deposit in a file, nothing of it verified; raises InputError subclasses."""
    if len(data) > BUNDLE_BYTES_MAX:
        raise LimitError("deposit size in bytes", len(data), BUNDLE_BYTES_MAX)
    value = decode(data)
    if not isinstance(value, list) or [type(item) for item in value] != [str, int, bytes, list]:
        raise FormatError("deposit", "not magic, version, proof and stamps")
    magic, version, proof, rows = value
    if (magic, version) != (MAGIC, VERSION):
        raise FormatError("deposit", "not a deposit of version 1")
    if len(rows) > STAMPS_MAX:
        raise LimitError("number of stamps", len(rows), STAMPS_MAX)
    return Deposit(proof=proof, stamps=tuple(_stamp(row) for row in rows))


def _stamp(row: object) -> Stamp:
    if not isinstance(row, list) or len(row) != 4:
        raise FormatError("stamp", "not four elements")
    authority, asked_ms, token, failure = row
    if type(authority) is not str or not _is_short(authority):
        raise FormatError("stamp", "authority is not a text of 1 to 500 bytes")
    if type(asked_ms) is not int or not 0 <= asked_ms <= TIME_MS_MAX:
        raise FormatError("stamp", "the time it was asked is out of range")
    is_token = type(token) is bytes and 0 < len(token) <= TOKEN_BYTES_MAX and failure is None
    is_failure = token is None and type(failure) is str and _is_short(failure)
    if not is_token and not is_failure:
        raise FormatError("stamp", "neither a token nor a failure, or both")
    return Stamp(authority=authority, asked_ms=asked_ms, token=token, failure=failure)


def _is_short(text: str) -> bool:
    return 0 < len(text.encode()) <= TEXT_BYTES_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class StampFound:
    """What was found of one stamp. `stamped_ms`: the authority's own time; None where it failed.

    `vouched`: it is signed, and its certificate leads to a root that the reader brought; `doubt`:
    why not, where a root was brought. `problem`: why it cannot be this file's stamp at all.
    """

    authority: str
    stamped_ms: int | None
    signer: str | None
    vouched: bool = False
    doubt: str | None = None
    problem: str | None = None


def stamps_refute(found: Sequence[StampFound], stamps: Sequence[Stamp]) -> bool:
    """Whether a stamp that is there is not this file's."""
    return any(
        item.problem is not None and stamp.token is not None
        for item, stamp in zip(found, stamps, strict=True)
    )
