"""By what this gateway proves who it is: a TLS certificate of its own, and the ledger key's word
that it is its own (`ledger.peer`).

The word holds for weeks, so the key token may be away; it is renewed while the token is there.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from consortium.tls import make_certificate
from gateway.errors import IdentityError
from ledger.errors import FormatError, InputError
from ledger.feed_store import FeedName, get_value, put_value
from ledger.gossip import CHALLENGE, HELLO, decode_message, message
from ledger.hashing import sha256
from ledger.mirror import put_signed_grant
from ledger.peer import ROLE_GATEWAY, Credential, decode_credential, proof_statement
from ledger.signed_grant import GrantPlace, is_signed, open_envelope, sealed_in, sign_grant
from ledger.signing import Signer, low_s
from ledger.store import Store
from ledger.store_exchange import sealed_grants

CERTIFICATE_NAME: Final = "peer_certificate.pem"
KEY_NAME: Final = "peer_key.pem"
CREDENTIAL: Final = "peer-credential"  # meta
LIFE_S: Final = 90 * 86_400
RENEW_S: Final = LIFE_S // 2
SIGNER_WAIT_S: Final = 20.0
_log = logging.getLogger(__name__)


class Passport:
    """What a conversation begins with. `known_s`: the wall clock where it is trusted, else None."""

    def __init__(
        self,
        folder: Path,
        store: Store,
        feed: FeedName,
        *,
        kid: bytes,
        known_s: Callable[[], int | None],
    ) -> None:
        self._store, self._feed, self._kid, self._known_s = store, feed, kid, known_s
        self.certificate, self._key = own_certificate(folder)
        self._signer: Signer | None = None
        self._opened = asyncio.Event()

    async def opened(self, signer: Signer) -> None:
        """The key is there: what it has to sign for gossip is signed now."""
        self._signer = signer
        await self._sign_grants(signer)
        now_s = self._known_s()
        if now_s is not None:
            await self._renewed(signer, now_s)
        self._opened.set()

    def closed(self) -> None:
        """The key is away."""
        self._signer = None
        self._opened.clear()

    async def answer(self, challenge: bytes, server_digest: bytes) -> bytes:
        """The hello for a challenge on the channel with this certificate.

        Raises IdentityError where there is neither a credential that counts nor a key to make one,
        InputError where the challenge is none.
        """
        kind, fields = decode_message(challenge)
        if kind != CHALLENGE:
            raise FormatError("gossip message", f"type {kind} where a challenge belongs")
        nonce, their_s, _ = fields
        now_s = self._known_s()
        # A box that does not know the time takes the machine's: it is only believed about itself.
        credential = await self._credential(their_s if now_s is None else now_s)
        statement = proof_statement(server_digest, nonce, sha256(self.certificate))
        return message(HELLO, credential, self.certificate, sign_proof(self._key, statement))

    async def _credential(self, now_s: int) -> bytes:
        held = self._held(now_s)
        if held is not None:
            return held
        try:
            async with asyncio.timeout(SIGNER_WAIT_S):
                await self._opened.wait()
        except TimeoutError as error:
            raise IdentityError(
                "no key yet to say who this gateway is; it is tried again"
            ) from error
        if self._signer is None:
            raise IdentityError("the key went away before it said who this gateway is")
        return await self._renewed(self._signer, now_s)

    def _held(self, now_s: int) -> bytes | None:
        """The kept credential, where it is of the present key and certificate and counts now."""
        data = self._store.read(lambda txn: get_value(txn, CREDENTIAL))
        if data is None:
            return None
        try:
            credential, _ = decode_credential(data)
        except InputError as error:
            _log.warning("credential_not_used error=%s", error)
            return None
        bound = (credential.kid, credential.certificate_digest, credential.id)
        if bound != (self._kid, sha256(self.certificate), self._feed[0]):
            return None
        held: bytes = data
        return held if credential.from_s <= now_s <= credential.until_s else None

    async def _renewed(self, signer: Signer, now_s: int) -> bytes:
        held = self._held(now_s + RENEW_S)
        if held is not None and self._held(now_s) is not None:
            return held
        credential = Credential(
            alg=signer.alg,
            kid=signer.kid,
            role=ROLE_GATEWAY,
            id=self._feed[0],
            certificate_digest=sha256(self.certificate),
            from_s=now_s,
            until_s=now_s + LIFE_S,
        )
        made = await credential.signed(signer)
        await asyncio.wrap_future(
            self._store.write_later(lambda txn: put_value(txn, CREDENTIAL, made))
        )
        return made

    async def _sign_grants(self, signer: Signer) -> None:
        """Puts the present key's word on each grant that does not carry it."""
        for audience, key_epoch, held in self._store.read(
            lambda txn: sealed_grants(txn, self._feed)
        ):
            if is_signed(held) and open_envelope(held)[2] == signer.kid:
                continue
            place = GrantPlace(
                feed_id=self._feed[0],
                epoch=self._feed[1],
                audience=audience,
                key_epoch=key_epoch,
            )
            made = await sign_grant(sealed_in(held), place, signer)
            work = partial(put_signed_grant, feed=self._feed, held=held, signed=made)
            await asyncio.wrap_future(self._store.write_later(work))


def own_certificate(folder: Path) -> tuple[bytes, ec.EllipticCurvePrivateKey]:
    """(DER, key) of the box's TLS certificate, made at first use; raises IdentityError."""
    certificate_path, key_path = folder / CERTIFICATE_NAME, folder / KEY_NAME
    if not (certificate_path.exists() and key_path.exists()):
        make_certificate(certificate_path, key_path, datetime.now(UTC))
    return load_certificate(certificate_path, key_path)


def load_certificate(
    certificate_path: Path, key_path: Path
) -> tuple[bytes, ec.EllipticCurvePrivateKey]:
    """(DER, key) of a certificate in files; raises IdentityError."""
    try:
        certificate = load_pem_x509_certificate(certificate_path.read_bytes())
        key = load_pem_private_key(key_path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise IdentityError(f"{certificate_path}: {error}; delete both to have new ones") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise IdentityError(f"{key_path}: not a P-256 key; delete it to have a new one")
    return certificate.public_bytes(Encoding.DER), key


def sign_proof(key: ec.EllipticCurvePrivateKey, statement: bytes) -> bytes:
    """The certificate key's signature over a proof statement, 64 bytes."""
    r, s = decode_dss_signature(key.sign(statement, ec.ECDSA(SHA256())))
    return low_s(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
