"""Proof that whoever names a key holds it: a signature by that key, for one chain and one party.

    proof = signature over "wharf/key/1" || [ chain-id, party-id, key ]      ; 64 bytes

Without it a mistyped key would lock its owner out, and anybody could claim another's key. `key` is
a SubjectPublicKeyInfo, or a validator's 32 bytes. The text's first two bytes are no start of a
chain vote, whose second byte is always 0x08.
"""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from consortium.app.refusal import Code, Refused
from ledger.canonical import encode
from ledger.errors import FormatError, SignatureError
from ledger.hashing import HASH_BYTES
from ledger.signing import EDDSA, PublicKey

TAG = b"wharf/key/1"


def possession_bytes(chain_id: str, party_id: bytes, key: bytes) -> bytes:
    """The bytes that a key signs to show that it is there, and for whom."""
    return TAG + encode([chain_id, party_id, key])


def require_possession(
    proof: bytes, *, chain_id: str, party_id: bytes, alg: int, spki: bytes
) -> None:
    """Refuses a key that is none, or that did not sign for this party."""
    _require(alg, spki, possession_bytes(chain_id, party_id, spki), proof)


def require_validator_possession(
    proof: bytes, *, chain_id: str, party_id: bytes, key: bytes
) -> None:
    """The same for a validator's Ed25519 key of 32 bytes."""
    if len(key) != HASH_BYTES:
        raise Refused(Code.BODY_WRONG, "a validator key is not 32 bytes")
    public = Ed25519PublicKey.from_public_bytes(key)
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    _require(EDDSA, spki, possession_bytes(chain_id, party_id, key), proof)


def _require(alg: int, spki: bytes, tbs: bytes, proof: bytes) -> None:
    try:
        public = PublicKey(alg, spki)
    except FormatError as error:
        raise Refused(Code.BODY_WRONG, str(error)) from error
    try:
        public.verify(tbs, proof)
    except SignatureError as error:
        raise Refused(Code.KEY_NOT_PROVEN, "the key did not sign for this party") from error
