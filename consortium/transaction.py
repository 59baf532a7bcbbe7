"""What may be sent to the chain: a COSE_Sign1 bound to chain, sender, nonce and expiry.

    protected = { 1: alg, 4: kid, 16: typ, -70212: [ 1, chain-id, kind, sender, nonce, not-after ] }
    sender    = [ 1, party-id ] / [ 2, feed-id ]      ; a party, or an enrolled gateway
    tx-id     = SHA-256(Sig_structure), so no signature's randomness is in it

Payload is canonical CBOR, its shape given by the kind (docs/formats/chain.md).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from consortium.errors import MalformedError
from ledger.canonical import decode, encode
from ledger.cose import (
    LABEL_ALG,
    LABEL_KID,
    LABEL_TYP,
    sig_structure,
    sign1_decode,
    sign1_encode,
)
from ledger.errors import InputError
from ledger.hashing import sha256
from ledger.signing import KID_BYTES, SIGNATURE_BYTES, Signer

VERSION: Final = 1
LABEL_TX: Final = -70212
TYP_TX: Final = "application/wharf-tx+cose"
TX_BYTES_MAX: Final = 256 << 10
NONCE_BYTES: Final = 16
ID_BYTES: Final = 16
# Transaction ids are kept until expiry, so expiry bounds what must be kept.
NOT_AFTER_AHEAD_MAX: Final = 100_000

KIND_PARTY: Final = 1
KIND_GATEWAY: Final = 2
KIND_DEVICE: Final = 3
KIND_ANCHORS: Final = 4
KIND_MIRRORED: Final = 5
KIND_OPENED: Final = 6
KIND_REVOKE: Final = 7
KIND_CONFLICT: Final = 8
KIND_PROPOSE: Final = 9
KIND_VOTE: Final = 10
KIND_PARTY_KEY: Final = 11
KIND_IDENTITY: Final = 12
KIND_DELEGATE: Final = 13
KIND_END_KEY: Final = 14
KIND_EPOCH: Final = 15
KIND_ROTATE: Final = 16
KIND_RETIRE: Final = 17
KIND_CONFIGURATION: Final = 18
KIND_CONSIGNMENT: Final = 20
KIND_ACCEPT_LEG: Final = 21
KIND_CLOSE: Final = 22
KIND_GRANT: Final = 23
KIND_HAND_OVER: Final = 30
KIND_CONTRACT: Final = 40
KIND_BIND: Final = 41
KIND_VERDICT: Final = 42
KIND_CASE: Final = 43
KIND_EVIDENCE: Final = 44
KIND_JUDGE: Final = 45
KIND_OBJECT: Final = 46
KIND_SETTLE: Final = 47
KIND_DEPOSIT: Final = 50
KIND_ACCESS: Final = 51
KIND_BRAND: Final = 60
KIND_BRAND_SEEN: Final = 61
KIND_THINGS: Final = 62
KIND_EVENTS: Final = 63
KIND_RECALL: Final = 64

SENDER_PARTY: Final = 1
SENDER_GATEWAY: Final = 2


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends: SENDER_PARTY or SENDER_GATEWAY, and its id of 16 bytes."""

    kind: int
    id: bytes


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """A decoded transaction, its signature not yet checked. `not_after` is a chain height."""

    alg: int
    kid: bytes
    chain_id: str
    kind: int
    sender: Sender
    nonce: bytes
    not_after: int
    payload: bytes
    signature: bytes = b""

    def protected(self) -> bytes:
        """The protected header's bytes."""
        bound = [
            VERSION,
            self.chain_id,
            self.kind,
            [self.sender.kind, self.sender.id],
            self.nonce,
            self.not_after,
        ]
        return encode(
            {LABEL_ALG: self.alg, LABEL_KID: self.kid, LABEL_TYP: TYP_TX, LABEL_TX: bound}
        )

    @cached_property
    def tbs(self) -> bytes:
        """The bytes to be signed."""
        return sig_structure(self.protected(), self.payload)

    @cached_property
    def tx_id(self) -> bytes:
        """Transaction id, 32 bytes."""
        return sha256(self.tbs)

    @property
    def body(self) -> Any:
        """The decoded payload, a fresh copy; raises NotCanonicalError."""
        return decode(self.payload)


def fields(value: object, *types: type | tuple[type, ...]) -> list[Any]:
    """The elements of a list of exactly these types; raises MalformedError."""
    if not isinstance(value, list) or len(value) != len(types):
        raise MalformedError(f"not a list of {len(types)} elements")
    for index, (item, expected) in enumerate(zip(value, types, strict=True)):
        if type(item) not in (expected if isinstance(expected, tuple) else (expected,)):
            raise MalformedError(f"element {index} is of a wrong type")
    return value


def decode_transaction(data: bytes) -> Transaction:
    """The transaction in these bytes; raises MalformedError."""
    if len(data) > TX_BYTES_MAX:
        raise MalformedError(f"transaction of {len(data)} bytes, more than {TX_BYTES_MAX}")
    try:
        parts = sign1_decode(data)
    except InputError as error:
        raise MalformedError(str(error)) from error
    labels = parts.protected_map
    if set(labels) != {LABEL_ALG, LABEL_KID, LABEL_TYP, LABEL_TX} or labels[LABEL_TYP] != TYP_TX:
        raise MalformedError("labels or type are not a transaction's")
    if parts.unprotected or parts.payload is None or len(parts.signature) != SIGNATURE_BYTES:
        raise MalformedError("unprotected labels, no payload, or no signature of 64 bytes")
    version, chain_id, kind, sender, nonce, not_after = fields(
        labels[LABEL_TX], int, str, int, list, bytes, int
    )
    sender_kind, sender_id = fields(sender, int, bytes)
    transaction = Transaction(
        alg=labels[LABEL_ALG],
        kid=labels[LABEL_KID],
        chain_id=chain_id,
        kind=kind,
        sender=Sender(sender_kind, sender_id),
        nonce=nonce,
        not_after=not_after,
        payload=parts.payload,
        signature=parts.signature,
    )
    _check(version, transaction)
    if transaction.protected() != parts.protected:
        raise MalformedError("protected header is not in its one form")
    return transaction


def _check(version: int, transaction: Transaction) -> None:
    if version != VERSION:
        raise MalformedError(f"version {version} is not known")
    if type(transaction.alg) is not int or type(transaction.kid) is not bytes:
        raise MalformedError("algorithm or key id of a wrong type")
    sizes = (len(transaction.kid), len(transaction.sender.id), len(transaction.nonce))
    if sizes != (KID_BYTES, ID_BYTES, NONCE_BYTES):
        raise MalformedError("key id, sender or nonce is not 16 bytes")
    if transaction.not_after < 0 or transaction.sender.kind not in (SENDER_PARTY, SENDER_GATEWAY):
        raise MalformedError("expiry or kind of sender out of range")


async def sign_transaction(transaction: Transaction, signer: Signer) -> bytes:
    """The transaction's bytes, signed; `alg` and `kid` must be the signer's."""
    signature = await signer.sign(transaction.tbs)
    return sign1_encode(
        protected=transaction.protected(), payload=transaction.payload, signature=signature
    )


def new_transaction(
    signer: Signer,
    *,
    chain_id: str,
    kind: int,
    sender: Sender,
    nonce: bytes,
    not_after: int,
    body: object,
) -> Transaction:
    """A transaction for this signer, not yet signed; `nonce`: 16 fresh random bytes."""
    return Transaction(
        alg=signer.alg,
        kid=signer.kid,
        chain_id=chain_id,
        kind=kind,
        sender=sender,
        nonce=nonce,
        not_after=not_after,
        payload=encode(body),
    )
