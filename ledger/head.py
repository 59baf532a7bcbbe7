"""Signed tree heads, and the standard receipts made of them (RFC 9942, COSE Receipts).

A head is a COSE_Sign1 whose payload is the leaf tree's root and whose protected header binds feed,
epoch, height, size and the header tree's root. One signature serves every leaf before it: an
inclusion receipt is the same protected header and signature with the payload detached and a path in
the unprotected header.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from ledger.canonical import decode, encode
from ledger.cose import (
    LABEL_ALG,
    LABEL_CWT,
    LABEL_KID,
    LABEL_TYP,
    LABEL_VDP,
    LABEL_VDS,
    Sign1,
    sig_structure,
    sign1_decode,
    sign1_encode,
)
from ledger.entry import FEED_ID_BYTES
from ledger.errors import FormatError, ProofError
from ledger.hashing import HASH_BYTES, sha256
from ledger.merkle import root_from_inclusion, verify_consistency
from ledger.signing import PublicKey

VERSION: Final = 1
LABEL_HEAD: Final = -70211
TYP_HEAD: Final = "application/wharf-head+cose"
VDS_RFC9162: Final = 1
PROOF_INCLUSION: Final = -1
PROOF_CONSISTENCY: Final = -2
SIZE_MIN: Final = 2
HEADS_CACHED: Final = 1024  # a newest head is read many times before there is a newer one
EPOCH_MAX: Final = (1 << 32) - 1
NO_HEAD: Final = bytes(HASH_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadClaim:
    """What a head says. `counter` is the token's own monotonic count where it has one."""

    alg: int
    kid: bytes
    issuer: str
    subject: str
    issued_at_s: int | None
    feed_id: bytes
    epoch: int
    height: int
    size: int
    counter: int | None
    block_root: bytes
    prev_head_digest: bytes
    root: bytes

    def protected(self) -> bytes:
        """The protected header's bytes."""
        claims: dict[int, Any] = {1: self.issuer, 2: self.subject}
        if self.issued_at_s is not None:
            claims[6] = self.issued_at_s
        bound = [
            VERSION, self.feed_id, self.epoch, self.height, self.size,
            self.counter, self.block_root, self.prev_head_digest,
        ]  # fmt: skip  # one line per group reads as the format does
        return encode(
            {
                LABEL_ALG: self.alg,
                LABEL_KID: self.kid,
                LABEL_CWT: claims,
                LABEL_TYP: TYP_HEAD,
                LABEL_VDS: VDS_RFC9162,
                LABEL_HEAD: bound,
            }
        )

    def tbs(self) -> bytes:
        """The bytes to be signed."""
        return sig_structure(self.protected(), self.root)

    @property
    def digest(self) -> bytes:
        """Head digest: SHA-256 of the bytes to be signed, so no signature's randomness is in it."""
        return sha256(self.tbs())


@dataclass(frozen=True, slots=True)
class Head:
    """A claim with its signature (64 bytes)."""

    claim: HeadClaim
    signature: bytes

    def encode(self) -> bytes:
        """The head's bytes."""
        return sign1_encode(
            protected=self.claim.protected(), payload=self.claim.root, signature=self.signature
        )

    def verify(self, key: PublicKey) -> None:
        """Raises SignatureError unless this key signed it."""
        verify_claim(self.claim, self.signature, key)

    def inclusion_receipt(self, index: int, path: list[bytes]) -> bytes:
        """RFC 9942 receipt of inclusion for the leaf at an index."""
        proof = encode([self.claim.size, index, path])
        return self._receipt(PROOF_INCLUSION, proof)

    def consistency_receipt(self, old_size: int, path: list[bytes]) -> bytes:
        """RFC 9942 receipt of consistency from an older size."""
        return self._receipt(PROOF_CONSISTENCY, encode([old_size, self.claim.size, path]))

    def _receipt(self, proof_type: int, proof: bytes) -> bytes:
        return sign1_encode(
            protected=self.claim.protected(),
            unprotected={LABEL_VDP: {proof_type: [proof]}},
            payload=None,
            signature=self.signature,
        )


def verify_claim(claim: HeadClaim, signature: bytes, key: PublicKey) -> None:
    """Raises SignatureError or FormatError unless this key signed the claim."""
    if claim.alg != key.alg or claim.kid != key.kid:
        raise FormatError("head", "signed by another key")
    key.verify(claim.tbs(), signature)


@lru_cache(maxsize=HEADS_CACHED)
def decode_head(data: bytes) -> Head:
    """The head that these bytes are, its signature not yet checked; raises InputError."""
    parts = sign1_decode(data)
    if parts.unprotected or parts.payload is None or len(parts.payload) != HASH_BYTES:
        raise FormatError("head", "unprotected labels, or no root as payload")
    return Head(_claim(parts, parts.payload), parts.signature)


def _claim(parts: Sign1, root: bytes) -> HeadClaim:
    """The claim of a protected header for a root; refuses any label or value that is not ours."""
    labels = parts.protected_map
    expected = {LABEL_ALG, LABEL_KID, LABEL_CWT, LABEL_TYP, LABEL_VDS, LABEL_HEAD}
    if set(labels) != expected or labels[LABEL_TYP] != TYP_HEAD or labels[LABEL_VDS] != VDS_RFC9162:
        raise FormatError("head", "labels, type or data structure are not a head's")
    bound, claims = labels[LABEL_HEAD], labels[LABEL_CWT]
    if not isinstance(bound, list) or len(bound) != 8 or not isinstance(claims, dict):
        raise FormatError("head", "bound values or claims of a wrong shape")
    if not {1, 2} <= set(claims) <= {1, 2, 6} or bound[0] != VERSION:
        raise FormatError("head", "claims or version not known")
    claim = HeadClaim(
        alg=labels[LABEL_ALG], kid=labels[LABEL_KID], issuer=claims[1], subject=claims[2],
        issued_at_s=claims.get(6), feed_id=bound[1], epoch=bound[2], height=bound[3], size=bound[4],
        counter=bound[5], block_root=bound[6], prev_head_digest=bound[7], root=root,
    )  # fmt: skip  # one line per group reads as the format does
    _check_types(claim)
    if claim.protected() != parts.protected:
        raise FormatError("head", "protected header is not in its one form")
    return claim


def _check_types(claim: HeadClaim) -> None:
    numbers = [claim.epoch, claim.height, claim.size]
    optional = [n for n in (claim.counter, claim.issued_at_s) if n is not None]
    if any(type(n) is not int or n < 0 for n in numbers + optional) or claim.size < SIZE_MIN:
        raise FormatError("head", "a number is out of range")
    if claim.epoch > EPOCH_MAX or claim.height >= claim.size:
        raise FormatError("head", "an epoch out of range, or more blocks than leaves")
    if type(claim.alg) is not int or type(claim.kid) is not bytes:
        raise FormatError("head", "algorithm or key id of a wrong type")
    if type(claim.issuer) is not str or type(claim.subject) is not str:
        raise FormatError("head", "issuer or subject is not text")
    sized = [(claim.feed_id, FEED_ID_BYTES), (claim.block_root, HASH_BYTES)]
    for value, size_bytes in [*sized, (claim.prev_head_digest, HASH_BYTES)]:
        if type(value) is not bytes or len(value) != size_bytes:
            raise FormatError("head", f"a value is not {size_bytes} bytes")


def _receipt_proof(data: bytes, proof_type: int) -> tuple[Sign1, list[Any]]:
    parts = sign1_decode(data)
    proofs = parts.unprotected.get(LABEL_VDP)
    if parts.payload is not None or set(parts.unprotected) != {LABEL_VDP}:
        raise FormatError("receipt", "payload attached or foreign unprotected labels")
    if not isinstance(proofs, dict) or set(proofs) != {proof_type}:
        raise FormatError("receipt", "not exactly one kind of proof")
    items = proofs[proof_type]
    if not isinstance(items, list) or len(items) != 1 or type(items[0]) is not bytes:
        raise FormatError("receipt", "not exactly one proof")
    proof = decode(items[0])
    if not isinstance(proof, list) or [type(v) for v in proof] != [int, int, list]:
        raise FormatError("receipt", "proof of a wrong shape")
    return parts, proof


def verify_inclusion_receipt(
    data: bytes, leaf_hash: bytes, key: PublicKey
) -> tuple[HeadClaim, int]:
    """(claim, leaf index) of a receipt that holds for this leaf; raises InputError or RefutedError.

    The path's tree size must be the signed one: RFC 9942 does not sign it, our label does.
    """
    parts, (size, index, path) = _receipt_proof(data, PROOF_INCLUSION)
    root = root_from_inclusion(leaf_hash=leaf_hash, index=index, size=size, path=path)
    claim = _claim(parts, root)
    check_signed_size(claim, size)
    verify_claim(claim, parts.signature, key)
    return claim, index


def check_signed_size(claim: HeadClaim, size: int) -> None:
    """The size that a path is for is the one that was signed."""
    if claim.size != size:
        raise ProofError(f"path for size {size} under a head of size {claim.size}")


def verify_consistency_receipt(
    data: bytes, *, old_size: int, old_root: bytes, new_root: bytes, key: PublicKey
) -> HeadClaim:
    """Claim of a receipt that the signed tree continues the old one; the old root is the caller's
    own.
    """
    parts, (old, new, path) = _receipt_proof(data, PROOF_CONSISTENCY)
    claim = _claim(parts, new_root)
    check_signed_size(claim, new)
    if old != old_size:
        raise ProofError(f"path from size {old}, not from the held {old_size}")
    verify_consistency(old_size=old, new_size=new, old_root=old_root, new_root=new_root, path=path)
    verify_claim(claim, parts.signature, key)
    return claim
