"""A signing key in a file: for development only. Whoever reads the disk can sign in its name."""

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from firmware_bridge.errors import (
    DevelopmentKeyError,
    KeyExistsError,
    KeyHolderError,
    KeyMissingError,
)
from firmware_bridge.keys.holder import HEALTH_TAG, KeyHolder
from firmware_bridge.keys.info import SignerInfo
from ledger.signing import ES256, low_s, public_key_of

_PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def require_development(*, development: bool) -> None:
    """Raises DevelopmentKeyError unless the configuration says development."""
    if not development:
        raise DevelopmentKeyError("a key file is for development only; use a pkcs11: key")


class FileKey(KeyHolder):
    """A `ledger.signing.Signer` over a PKCS#8 PEM file."""

    def __init__(self, path: str, *, development: bool) -> None:
        """Reads the key. Raises DevelopmentKeyError, KeyMissingError, KeyHolderError."""
        require_development(development=development)
        self._private = _load(path)
        spki = self._private.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        info = SignerInfo(
            backend="file", hardware=False, never_extractable=False, label=Path(path).name
        )
        super().__init__(public_key_of(spki), info)

    async def sign(self, tbs: bytes) -> bytes:
        """64 bytes over the whole Sig_structure, verified here before they leave."""
        private = self._private
        if isinstance(private, ed25519.Ed25519PrivateKey):
            signature = private.sign(tbs)
        else:
            r, s = decode_dss_signature(private.sign(tbs, ec.ECDSA(SHA256())))
            signature = low_s(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        self._key.verify(tbs, signature)
        return signature

    async def health(self) -> None:
        """Makes and checks a signature under a tag that no document carries."""
        await self.sign(HEALTH_TAG)

    async def aclose(self) -> None:
        """Nothing to let go of."""


def _load(path: str) -> _PrivateKey:
    try:
        pem = Path(path).read_bytes()
    except OSError as error:
        raise KeyMissingError(f"cannot read the key file {path}") from error
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyHolderError(f"{path} is no unencrypted PKCS#8 key") from error
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp256r1":
        return key
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    raise KeyHolderError(f"the key in {path} is neither P-256 nor Ed25519")


def create_file_key(path: str, *, alg: int, development: bool) -> None:
    """Writes a new key, readable by its owner only. Raises DevelopmentKeyError, KeyExistsError."""
    require_development(development=development)
    key: _PrivateKey = (
        ec.generate_private_key(ec.SECP256R1())
        if alg == ES256
        else ed25519.Ed25519PrivateKey.generate()
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise KeyExistsError(f"{path} is there already") from error
    except OSError as error:
        raise KeyHolderError(f"cannot write {path}") from error
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
