"""COSE_Sign1 (RFC 9052, section 4.2): own encoding in deterministic form, strict decoding.

Tag 18, four elements, protected header as bytes. Only labels that a caller names are accepted.
"""

from dataclasses import dataclass
from typing import Any, Final

from ledger.canonical import decode, encode
from ledger.errors import FormatError

# Algorithms (RFC 9053). Here, and not beside the checking of signatures: the signer's own process
# names them and loads no cryptography.
ES256: Final = -7
EDDSA: Final = -8
TAG_SIGN1: Final = b"\xd2"
LABEL_ALG: Final = 1
LABEL_KID: Final = 4
LABEL_CWT: Final = 15
LABEL_TYP: Final = 16
LABEL_VDS: Final = 395
LABEL_VDP: Final = 396


@dataclass(frozen=True, slots=True)
class Sign1:
    """The parts of a COSE_Sign1; `protected` as it was signed."""

    protected: bytes
    protected_map: dict[Any, Any]
    unprotected: dict[Any, Any]
    payload: bytes | None
    signature: bytes


def sig_structure(protected: bytes, payload: bytes) -> bytes:
    """The bytes to be signed (RFC 9052, section 4.4), without external data."""
    return encode(["Signature1", protected, b"", payload])


def sign1_encode(
    *,
    protected: bytes,
    unprotected: dict[Any, Any] | None = None,
    payload: bytes | None,
    signature: bytes,
) -> bytes:
    """A tagged COSE_Sign1; payload None is the detached form."""
    return TAG_SIGN1 + encode([protected, unprotected or {}, payload, signature])


def sign1_decode(data: bytes) -> Sign1:
    """The parts of a tagged COSE_Sign1; raises NotCanonicalError or FormatError."""
    if data[:1] != TAG_SIGN1:
        raise FormatError("COSE_Sign1", "tag 18 missing")
    parts = decode(data[1:])
    if not isinstance(parts, list) or len(parts) != 4:
        raise FormatError("COSE_Sign1", "not four elements")
    protected, unprotected, payload, signature = parts
    if not isinstance(protected, bytes) or not isinstance(signature, bytes):
        raise FormatError("COSE_Sign1", "protected header or signature is not a byte string")
    if not isinstance(unprotected, dict) or not isinstance(payload, bytes | None):
        raise FormatError("COSE_Sign1", "unprotected header or payload of a wrong type")
    protected_map = decode(protected)
    if not isinstance(protected_map, dict):
        raise FormatError("COSE_Sign1", "protected header is not a map")
    return Sign1(protected, protected_map, unprotected, payload, signature)
