"""Who signs, and how signatures are checked: ES256 and EdDSA (RFC 9053), by one strict rule.

ES256 signatures with a high S are refused: both forms verify, so one signature would have two
texts.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from ledger import cose
from ledger.errors import FormatError, SignatureError
from ledger.hashing import sha256

EDDSA: Final = cose.EDDSA
ES256: Final = cose.ES256
# Numbers we shall not give to anything else: SM2 with SM3, ML-DSA-44, -65, -87 (their COSE ids).
RESERVED_ALGORITHMS: Final = frozenset({-48, -49, -50, -70200})
P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
SIGNATURE_BYTES: Final = 64
KID_BYTES: Final = 16


# Ed25519 points of small order, canonical or not, without the sign bit: under such a key one
# signature holds for every message. The list is that of libsodium's ge25519_has_small_order.
_SMALL_ORDER: Final = frozenset(
    bytes.fromhex(point)
    for point in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    )
)


class Signer(Protocol):
    """Holds a key that nothing here can read. Implementations live with their key holders."""

    @property
    def alg(self) -> int:
        """COSE algorithm: ES256 or EDDSA."""

    @property
    def kid(self) -> bytes:
        """First 16 bytes of SHA-256 of the SPKI."""

    def public_key_der(self) -> bytes:
        """SubjectPublicKeyInfo, DER."""

    async def sign(self, tbs: bytes) -> bytes:
        """64 bytes over the whole Sig_structure: r || s with low S, or Ed25519."""

    async def aclose(self) -> None:
        """Lets go of the key holder."""


def kid_of(spki: bytes) -> bytes:
    """Key id: first 16 bytes of SHA-256(SPKI DER)."""
    return sha256(spki)[:KID_BYTES]


def low_s(signature: bytes) -> bytes:
    """The same ES256 signature (r || s, 64 bytes) with the lower of the two S."""
    s = int.from_bytes(signature[32:], "big")
    return signature[:32] + min(s, P256_ORDER - s).to_bytes(32, "big")


@dataclass(frozen=True)
class PublicKey:
    """A verifying key with the algorithm that it is for. Raises FormatError for any other key."""

    alg: int
    spki: bytes

    def __post_init__(self) -> None:
        expected = {ES256: ec.EllipticCurvePublicKey, EDDSA: ed25519.Ed25519PublicKey}.get(self.alg)
        if expected is None or not isinstance(self._key, expected):
            raise FormatError("public key", f"not a key for algorithm {self.alg}")
        if isinstance(self._key, ec.EllipticCurvePublicKey) and self._key.curve.name != "secp256r1":
            raise FormatError("public key", "not on P-256")
        canonical = self._key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if canonical != self.spki:
            raise FormatError("public key", "not the one DER form")
        point = canonical[-32:]
        if self.alg == EDDSA and point[:31] + bytes([point[31] & 0x7F]) in _SMALL_ORDER:
            raise FormatError("public key", "a point of small order")

    @cached_property
    def _key(self) -> ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey:
        try:
            key = load_der_public_key(self.spki)
        except (ValueError, UnsupportedAlgorithm):
            raise FormatError("public key", "unreadable DER") from None
        if isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
            return key
        raise FormatError("public key", "neither P-256 nor Ed25519")

    @cached_property
    def kid(self) -> bytes:
        """Key id, 16 bytes."""
        return kid_of(self.spki)

    def verify(self, tbs: bytes, signature: bytes) -> None:
        """Raises SignatureError unless the signature over these bytes is this key's."""
        if len(signature) != SIGNATURE_BYTES:
            raise SignatureError(f"signature has {len(signature)} bytes, not {SIGNATURE_BYTES}")
        key = self._key
        try:
            if isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(signature, tbs)
            else:
                key.verify(_der_low_s(signature), tbs, ec.ECDSA(SHA256()))
        except InvalidSignature:
            raise SignatureError("signature does not verify") from None


def _der_low_s(signature: bytes) -> bytes:
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if s > P256_ORDER // 2:
        raise SignatureError("ES256 signature has a high S")
    return encode_dss_signature(r, s)


def public_key_of(spki: bytes) -> PublicKey:
    """The key with the one algorithm that fits its type."""
    try:
        return PublicKey(ES256, spki)
    except FormatError:
        return PublicKey(EDDSA, spki)
