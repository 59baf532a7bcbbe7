"""What the chain holds of an event: a salted commitment to its CBV hash and to its own text.

The hash alone could be guessed, because an event's times and ids are few. The salt is given with
the event to whom may read it; without it the commitment says nothing. (docs/formats/trace.md)
"""

from typing import Final

from ledger.canonical import encode
from ledger.errors import FormatError
from ledger.hashing import HASH_BYTES, sha256, tagged

SALT_BYTES: Final = 16


def commitment_of(salt: bytes, event_hash: bytes, text: bytes) -> bytes:
    """32 bytes for an event with this CBV hash and this JSON text; raises FormatError."""
    if len(salt) != SALT_BYTES or len(event_hash) != HASH_BYTES:
        raise FormatError("commitment", "a salt has 16 bytes and an event hash 32")
    return tagged("wharf/event/1", encode([salt, event_hash, sha256(text)]))
