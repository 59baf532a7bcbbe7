"""A certificate request (PKCS#10, RFC 2986) signed by a key that cannot leave its token.

`cryptography` builds the request; where it wants to sign, the signer's process is asked.
"""

import asyncio
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from cryptography.x509.oid import NameOID

from firmware_bridge.errors import KeyHolderError, MechanismError
from ledger.signing import ES256, Signer

FEED_URN: Final = "urn:wharf:feed:"


class _TokenKey(ec.EllipticCurvePrivateKey):
    """A P-256 key in the shape that `cryptography` signs with; called outside the event loop."""

    def __init__(self, signer: Signer, loop: asyncio.AbstractEventLoop) -> None:
        public = load_der_public_key(signer.public_key_der())
        if signer.alg != ES256 or not isinstance(public, ec.EllipticCurvePublicKey):
            raise MechanismError("a certificate request needs a P-256 key")
        self._public, self._signer, self._loop = public, signer, loop

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """DER over SHA-256 of the data: the only hash that the signer makes."""
        if not isinstance(signature_algorithm.algorithm, SHA256):
            raise MechanismError("the token signs over SHA-256 only")
        asked = asyncio.run_coroutine_threadsafe(self._signer.sign(bytes(data)), self._loop)
        raw = asked.result()
        return encode_dss_signature(
            int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        )

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half."""
        return self._public

    @property
    def curve(self) -> ec.EllipticCurve:
        """P-256."""
        return self._public.curve

    @property
    def key_size(self) -> int:
        """In bits."""
        return self._public.key_size

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        """Refused: the key signs."""
        del algorithm, peer_public_key
        raise KeyHolderError("the key signs, and agrees on nothing")

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        """Refused: the key does not leave its token."""
        raise KeyHolderError("the key does not leave its token")

    def private_bytes(self, encoding: Any, format: Any, encryption_algorithm: Any) -> bytes:  # noqa: A002  # the base class names it so
        """Refused: the key does not leave its token."""
        del encoding, format, encryption_algorithm
        raise KeyHolderError("the key does not leave its token")

    def __copy__(self) -> "_TokenKey":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "_TokenKey":
        return self


async def certificate_request(signer: Signer, *, gateway: str, party: str, feed_id: bytes) -> bytes:
    """The request as PEM: subject gateway and party, the feed as a URI.

    Raises MechanismError for a key that is not P-256, and as the signer does.
    """
    key = _TokenKey(signer, asyncio.get_running_loop())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, party[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, gateway[:64]),
        ]
    )
    feed = x509.UniformResourceIdentifier(FEED_URN + feed_id.hex())
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .add_extension(x509.SubjectAlternativeName([feed]), critical=False)
    )
    made = await asyncio.to_thread(builder.sign, key, SHA256())
    return made.public_bytes(Encoding.PEM)
