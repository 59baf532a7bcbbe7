"""The code by which a person or an organisation hands over a public key, shown to be held.

code = "wharfkey1-" || base64url( payload || first 4 bytes of SHA-256(payload) ), no padding
payload = [ 1, party-id, alg, key, proof ]     ; key: SPKI, or a validator's 32 bytes
          ; proof: `app.possession`
"""

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from consortium.app.possession import possession_bytes
from consortium.errors import ConfigError, EnrolmentCodeError, MalformedError
from consortium.file_keys import make_key, read_key
from consortium.transaction import fields
from ledger.canonical import decode, encode
from ledger.chain_genesis import party_id_of
from ledger.errors import InputError
from ledger.hashing import sha256
from ledger.signing import EDDSA

PREFIX: Final = "wharfkey1-"
CHECK_BYTES: Final = 4
CODE_CHARACTERS_MAX: Final = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCode:
    """A key, and its signature that says for which organisation it is."""

    party_id: bytes
    alg: int
    key: bytes
    proof: bytes


def encode_key_code(code: KeyCode) -> str:
    """The code as text, one line."""
    payload = encode([1, code.party_id, code.alg, code.key, code.proof])
    raw = payload + sha256(payload)[:CHECK_BYTES]
    return PREFIX + base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode_key_code(text: str) -> KeyCode:
    """The code in a text; raises EnrolmentCodeError. The chain checks the proof."""
    text = "".join(text.split())
    if not text.startswith(PREFIX) or len(text) > CODE_CHARACTERS_MAX:
        raise EnrolmentCodeError(f"a key code starts with {PREFIX}")
    body = text[len(PREFIX) :]
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        payload, check = raw[:-CHECK_BYTES], raw[-CHECK_BYTES:]
        if sha256(payload)[:CHECK_BYTES] != check:
            raise EnrolmentCodeError("the key code is mistyped or cut: copy it again, whole")
        version, party_id, alg, key, proof = fields(decode(payload), int, bytes, int, bytes, bytes)
    except (binascii.Error, ValueError, InputError, MalformedError) as error:
        if isinstance(error, EnrolmentCodeError):
            raise
        raise EnrolmentCodeError(f"not a key code: {error}") from error
    if version != 1:
        raise EnrolmentCodeError(f"key code of version {version}")
    return KeyCode(party_id=party_id, alg=alg, key=key, proof=proof)


def person_key_code(path: Path, *, chain_id: str, party_id: bytes) -> KeyCode:
    """The code of the key in a file, which is made if it is not there."""
    key, spki = _own(path)
    return _code(key, spki, chain_id=chain_id, party_id=party_id)


def new_party_key_code(path: Path, *, chain_id: str, name: str) -> KeyCode:
    """The code of the first key of an organisation with this name, to be admitted."""
    key, spki = _own(path)
    return _code(key, spki, chain_id=chain_id, party_id=party_id_of(name, EDDSA, spki))


def _own(path: Path) -> tuple[Ed25519PrivateKey, bytes]:
    key = read_key(path) if path.exists() else make_key(path)
    return key, key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def validator_key_code(path: Path, *, chain_id: str, party_id: bytes) -> KeyCode:
    """The code of a validator's key: a PEM file, or CometBFT's priv_validator_key.json."""
    key = _comet_key(path) if path.suffix == ".json" else read_key(path)
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return _code(key, raw, chain_id=chain_id, party_id=party_id)


def _code(private: Ed25519PrivateKey, key: bytes, *, chain_id: str, party_id: bytes) -> KeyCode:
    proof = private.sign(possession_bytes(chain_id, party_id, key))
    return KeyCode(party_id=party_id, alg=EDDSA, key=key, proof=proof)


def _comet_key(path: Path) -> Ed25519PrivateKey:
    try:
        row = json.loads(path.read_bytes())["priv_key"]
        secret = base64.b64decode(row["value"], validate=True)
        return Ed25519PrivateKey.from_private_bytes(secret[:32])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not a validator key of CometBFT: {error}") from error
