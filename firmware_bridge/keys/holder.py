"""What every signer says of its public key, whatever holds the private one."""

from typing import Final

from firmware_bridge.keys.info import SignerInfo
from ledger.signing import PublicKey

# No document carries this tag, so a health check can never sign one.
HEALTH_TAG: Final = b"wharf/signer-health/1"


class KeyHolder:
    """The public half of a `ledger.signing.Signer`."""

    def __init__(self, key: PublicKey, info: SignerInfo) -> None:
        self._key, self.info = key, info

    @property
    def alg(self) -> int:
        """COSE algorithm: ES256 or EDDSA."""
        return self._key.alg

    @property
    def kid(self) -> bytes:
        """First 16 bytes of SHA-256 of the SPKI."""
        return self._key.kid

    def public_key_der(self) -> bytes:
        """SubjectPublicKeyInfo, DER."""
        return self._key.spki
