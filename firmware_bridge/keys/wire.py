"""The words between the gateway and its signer process: length-prefixed canonical CBOR over pipes.

Frame: u32 big-endian length, then [op, ...] towards the signer, ["ok", value...] or [error name,
text] back. One request at a time; the side that sees anything else ends the talk.
"""

import struct
from typing import Any, Final

from firmware_bridge import errors
from ledger.canonical import decode, encode

FRAME_BYTES_MAX: Final = 1 << 20
LENGTH_BYTES: Final = 4
OK: Final = "ok"

# What the signer may answer; anything else reads as "unavailable".
_ERRORS: Final = {
    kind.__name__: kind
    for kind in (
        errors.SignerUnavailableError,
        errors.PinRejectedError,
        errors.PinLockedError,
        errors.KeyMissingError,
        errors.KeyExistsError,
        errors.MechanismError,
        errors.SignerFaultError,
        errors.KeyHolderError,
    )
}


def frame(message: list[Any]) -> bytes:
    """The bytes of one message."""
    body = encode(message)
    return struct.pack(">I", len(body)) + body


def body_length(prefix: bytes) -> int:
    """The length that four bytes announce. Raises SignerUnavailableError beyond FRAME_BYTES_MAX."""
    length = int.from_bytes(prefix, "big")
    if length > FRAME_BYTES_MAX:
        raise errors.SignerUnavailableError(f"a message of {length} bytes on the signer's pipe")
    return length


def error_message(error: errors.KeyHolderError) -> list[Any]:
    """The answer that carries this error to the other side."""
    name = type(error).__name__
    return [name if name in _ERRORS else errors.KeyHolderError.__name__, str(error)]


def answer(body: bytes) -> list[Any]:
    """The values of an "ok" answer; raises the error that the signer named."""
    match decode(body):
        case [str(word), *values] if word == OK:
            return values
        case [str(name), str(text)]:
            raise _ERRORS.get(name, errors.SignerUnavailableError)(text)
    raise errors.SignerUnavailableError("the signer process answered out of form")
