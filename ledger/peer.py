"""Who is at the other end of a gossip stream. Pure: bytes, time and standing in; a peer out.

    server ── challenge: nonce, its time, its credential ──▶ client
    server ◀── hello: credential, certificate, proof ─────── client

A credential is a ledger key's word that a TLS certificate is its peer's own
(docs/formats/gossip.md). The proof is made by the certificate's key over the *server's* certificate
and nonce: it holds on this channel only, and nobody who stands between can pass it on. The ledger
key itself may be away.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger.canonical import decode, encode
from ledger.cose import LABEL_ALG, LABEL_KID, LABEL_TYP, sig_structure, sign1_decode, sign1_encode
from ledger.entry import FEED_ID_BYTES
from ledger.errors import FormatError, PeerRefusedError, SignatureError
from ledger.hashing import HASH_BYTES, sha256
from ledger.signing import ES256, PublicKey, Signer

ROLE_GATEWAY: Final = 1
ROLE_PARTY: Final = 2
TYP_PEER: Final = "application/wharf-peer+cose"
VERSION: Final = 1
NONCE_BYTES: Final = 32
CERTIFICATE_BYTES_MAX: Final = 4096
LIFE_S_MAX: Final = 400 * 86_400
EARLY_S_MAX: Final = 86_400  # a peer's clock may be ahead by so much
TIME_S_MAX: Final = 1 << 40
PEER_UNKNOWN, PEER_EXPIRED, PEER_REVOKED, PEER_UNPROVEN, TOO_MANY, SLOW_DOWN = range(5, 11)
PeerName = tuple[int, bytes]  # role, id


@dataclass(frozen=True, slots=True)
class Standing:
    """What the consortium knows of a peer: its present key, and whether it was revoked or ended."""

    key: PublicKey | None
    is_ended: bool = False


StandingOf = Callable[[int, bytes], Standing]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A ledger key's word on a TLS certificate. Times in seconds since 1970."""

    alg: int
    kid: bytes
    role: int
    id: bytes
    certificate_digest: bytes
    from_s: int
    until_s: int

    def protected(self) -> bytes:
        """The protected header's bytes."""
        return encode({LABEL_ALG: self.alg, LABEL_KID: self.kid, LABEL_TYP: TYP_PEER})

    def payload(self) -> bytes:
        """What is signed beside the header."""
        return encode(
            [VERSION, self.role, self.id, self.certificate_digest, self.from_s, self.until_s]
        )

    async def signed(self, signer: Signer) -> bytes:
        """The encoded COSE_Sign1."""
        protected, payload = self.protected(), self.payload()
        signature = await signer.sign(sig_structure(protected, payload))
        return sign1_encode(protected=protected, payload=payload, signature=signature)


def decode_credential(data: bytes) -> tuple[Credential, bytes]:
    """(credential, signature); raises InputError subclasses."""
    parts = sign1_decode(data)
    labels = parts.protected_map
    if set(labels) != {LABEL_ALG, LABEL_KID, LABEL_TYP} or labels[LABEL_TYP] != TYP_PEER:
        raise FormatError("credential", "protected header")
    if parts.payload is None or parts.unprotected:
        raise FormatError("credential", "payload or unprotected header")
    value = decode(parts.payload)
    shape = [int, int, bytes, bytes, int, int]
    if not isinstance(value, list) or [type(item) for item in value] != shape:
        raise FormatError("credential", "not six elements of the right types")
    version, role, peer_id, digest, from_s, until_s = value
    if version != VERSION or role not in (ROLE_GATEWAY, ROLE_PARTY):
        raise FormatError("credential", "version or role")
    if len(peer_id) != FEED_ID_BYTES or len(digest) != HASH_BYTES:
        raise FormatError("credential", "lengths")
    if not 0 <= from_s <= until_s <= TIME_S_MAX or until_s - from_s > LIFE_S_MAX:
        raise FormatError("credential", "times")
    if type(labels[LABEL_ALG]) is not int or type(labels[LABEL_KID]) is not bytes:
        raise FormatError("credential", "algorithm or key id")
    credential = Credential(
        alg=labels[LABEL_ALG],
        kid=labels[LABEL_KID],
        role=role,
        id=peer_id,
        certificate_digest=digest,
        from_s=from_s,
        until_s=until_s,
    )
    return credential, parts.signature


def proof_statement(server_digest: bytes, nonce: bytes, client_digest: bytes) -> bytes:
    """What the client's certificate key signs: this channel, and no other."""
    return encode(["wharf/peer/1", server_digest, nonce, client_digest])


def certificate_key(der: bytes) -> tuple[PublicKey, int]:
    """(P-256 key, end of validity in seconds) of a certificate; raises InputError subclasses."""
    if len(der) > CERTIFICATE_BYTES_MAX:
        raise FormatError("certificate", f"{len(der)} bytes")
    try:
        certificate = x509.load_der_x509_certificate(der)
        spki = certificate.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        until = certificate.not_valid_after_utc
    except (ValueError, TypeError) as error:
        raise FormatError("certificate", str(error)) from error
    return PublicKey(ES256, spki), int((until - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())


def check_credential(data: bytes, standing: StandingOf, now_s: int) -> Credential:
    """The credential, if it counts now; raises PeerRefusedError naming why, or InputError."""
    credential, signature = decode_credential(data)
    stands = standing(credential.role, credential.id)

    def refuse(code: int, text: str) -> PeerRefusedError:
        return PeerRefusedError(credential.id, code, text)

    if stands.is_ended:
        raise refuse(PEER_REVOKED, "this peer was revoked or ended on the chain")
    if stands.key is None:
        raise refuse(PEER_UNKNOWN, "this peer is not enrolled on the chain")
    if (credential.alg, credential.kid) != (stands.key.alg, stands.key.kid):
        raise refuse(PEER_UNPROVEN, "the credential is by another key than the peer's present one")
    try:
        tbs = sig_structure(credential.protected(), credential.payload())
        stands.key.verify(tbs, signature)
    except SignatureError as error:
        raise refuse(PEER_UNPROVEN, f"the credential: {error}") from error
    if now_s > credential.until_s:
        raise refuse(PEER_EXPIRED, f"the credential ended at {credential.until_s}, it is {now_s}")
    if credential.from_s > now_s + EARLY_S_MAX:
        raise refuse(PEER_EXPIRED, f"the credential begins at {credential.from_s}, it is {now_s}")
    return credential


def check_hello(
    *,
    credential: bytes,
    certificate: bytes,
    proof: bytes,
    server_digest: bytes,
    nonce: bytes,
    standing: StandingOf,
    now_s: int,
) -> PeerName:
    """Who said hello on this channel; raises PeerRefusedError naming why, or InputError."""
    known = check_credential(credential, standing, now_s)
    key, until_s = certificate_key(certificate)
    digest = sha256(certificate)
    if digest != known.certificate_digest:
        raise PeerRefusedError(known.id, PEER_UNPROVEN, "the credential is for another certificate")
    if now_s > until_s:
        raise PeerRefusedError(known.id, PEER_EXPIRED, f"the certificate ended at {until_s}")
    try:
        key.verify(proof_statement(server_digest, nonce, digest), proof)
    except SignatureError as error:
        text = f"the certificate's key did not sign this channel: {error}"
        raise PeerRefusedError(known.id, PEER_UNPROVEN, text) from error
    return known.role, known.id
