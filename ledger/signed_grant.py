"""A sealed key with the word of the feed's own key on it (docs/formats/grant.md), so that no
carrier can fill a mirror with boxes that open nothing.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ledger.canonical import decode, encode
from ledger.cose import (
    LABEL_ALG,
    LABEL_KID,
    LABEL_TYP,
    TAG_SIGN1,
    sig_structure,
    sign1_decode,
    sign1_encode,
)
from ledger.entry import FEED_ID_BYTES
from ledger.errors import FormatError, InputError, SignatureError
from ledger.sealed import GRANT_BYTES_MAX
from ledger.signing import PublicKey, Signer

TYP_GRANT: Final = "application/wharf-grant+cose"
VERSION: Final = 1
ENVELOPES_CACHED: Final = 1024  # a mirror looks at the same ones again and again
SIGNED_BYTES_MAX: Final = GRANT_BYTES_MAX + 256


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantPlace:
    """Which key of which feed is sealed in a box."""

    feed_id: bytes
    epoch: int
    audience: int
    key_epoch: int


async def sign_grant(sealed: bytes, place: GrantPlace, signer: Signer) -> bytes:
    """The encoded COSE_Sign1 over a sealed key and its place."""
    protected = encode({LABEL_ALG: signer.alg, LABEL_KID: signer.kid, LABEL_TYP: TYP_GRANT})
    payload = encode([VERSION, place.feed_id, place.epoch, place.audience, place.key_epoch, sealed])
    signature = await signer.sign(sig_structure(protected, payload))
    return sign1_encode(protected=protected, payload=payload, signature=signature)


@lru_cache(maxsize=ENVELOPES_CACHED)
def open_envelope(data: bytes) -> tuple[GrantPlace, bytes, bytes]:
    """(place, sealed key, key id of who signed it); raises InputError subclasses."""
    if len(data) > SIGNED_BYTES_MAX:
        raise FormatError("signed grant", f"{len(data)} bytes")
    parts = sign1_decode(data)
    labels = parts.protected_map
    if set(labels) != {LABEL_ALG, LABEL_KID, LABEL_TYP} or labels[LABEL_TYP] != TYP_GRANT:
        raise FormatError("signed grant", "protected header")
    if parts.payload is None or parts.unprotected or type(labels[LABEL_KID]) is not bytes:
        raise FormatError("signed grant", "payload, key id or unprotected header")
    value = decode(parts.payload)
    shape = [int, bytes, int, int, int, bytes]
    if not isinstance(value, list) or [type(item) for item in value] != shape:
        raise FormatError("signed grant", "not six elements of the right types")
    version, feed_id, epoch, audience, key_epoch, sealed = value
    if version != VERSION or len(feed_id) != FEED_ID_BYTES or len(sealed) > GRANT_BYTES_MAX:
        raise FormatError("signed grant", "version or lengths")
    place = GrantPlace(feed_id=feed_id, epoch=epoch, audience=audience, key_epoch=key_epoch)
    return place, sealed, labels[LABEL_KID]


def check_grant(data: bytes, place: GrantPlace, key: PublicKey) -> None:
    """Raises SignatureError unless the feed's key signed this box for this place, or InputError."""
    signed_place, _, kid = open_envelope(data)
    if signed_place != place:
        raise FormatError("signed grant", "is for another place than the message says")
    parts = sign1_decode(data)
    if kid != key.kid or parts.protected_map[LABEL_ALG] != key.alg or parts.payload is None:
        raise SignatureError("the grant is by another key than the feed's present one")
    key.verify(sig_structure(parts.protected, parts.payload), parts.signature)


def sealed_in(data: bytes) -> bytes:
    """The sealed key in a grant as a store holds it: signed, or bare as stores once held them."""
    return open_envelope(data)[1] if is_signed(data) else data


def is_signed(data: bytes) -> bool:
    """Whether a held grant is in its envelope."""
    if data[:1] != TAG_SIGN1:
        return False
    try:
        open_envelope(data)
    except InputError:
        return False
    return True
