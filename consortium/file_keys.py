"""Keys in files of mode 0600: the validator's, which never signs twice, and a party's.

A party key may as well live in hardware: whatever has the shape of `ledger.signing.Signer` will do.
"""

import os
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from consortium.errors import ConfigError, DoubleSignError
from ledger.canonical import decode, encode
from ledger.errors import InputError
from ledger.hashing import sha256
from ledger.signing import EDDSA, kid_of

STATE_VERSION: Final = 1


def write_private(path: Path, data: bytes) -> None:
    """Writes a file of mode 0600 whole: it is there with all its bytes, durable, or not at all."""
    partial = path.with_name(path.name + ".part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def make_key(path: Path) -> Ed25519PrivateKey:
    """A new Ed25519 key in a new file; raises ConfigError where there is one."""
    if path.exists():
        raise ConfigError(f"{path}: a key is there already; move it away if you mean a new one")
    key = Ed25519PrivateKey.generate()
    write_private(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key


def read_key(path: Path) -> Ed25519PrivateKey:
    """The key in a file; raises ConfigError where there is none, or where others may read it."""
    try:
        mode = path.stat().st_mode
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path}: cannot read the key: {error}") from error
    if mode & 0o077:
        raise ConfigError(f"{path}: others may read this key; chmod 600 it")
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path}: not an Ed25519 key")
    return key


class FileSigner:
    """A party's Ed25519 key as a `ledger.signing.Signer`."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def alg(self) -> int:
        """EDDSA."""
        return EDDSA

    @property
    def kid(self) -> bytes:
        """Key id, 16 bytes."""
        return kid_of(self._spki)

    def public_key_der(self) -> bytes:
        """SubjectPublicKeyInfo, DER."""
        return self._spki

    async def sign(self, tbs: bytes) -> bytes:
        """Ed25519 signature, 64 bytes."""
        return self._key.sign(tbs)

    async def aclose(self) -> None:
        """Nothing to let go of."""


class ValidatorKey:
    """A validator's key with the height and bytes that it signed last, kept beside it.

    Blocks and key state are two files, so that a rolled-back block store cannot make the key sign
    a height again. Never copy or restore the state file.
    """

    def __init__(self, key_path: Path, state_path: Path) -> None:
        self._key, self._state_path = read_key(key_path), state_path
        self.height, self._signed = self._read_state()

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def _read_state(self) -> tuple[int, bytes]:
        if not self._state_path.exists():
            return 0, b""
        try:
            version, height, signed = decode(self._state_path.read_bytes())
        except (InputError, ValueError, TypeError, OSError) as error:
            raise ConfigError(f"{self._state_path}: unreadable: {error}") from error
        if version != STATE_VERSION:
            raise ConfigError(f"{self._state_path}: version {version} is not known")
        return height, signed

    def sign(self, height: int, tbs: bytes) -> bytes:
        """Signature of a vote; raises DoubleSignError for other bytes at a height, or a lower
        one.
        """
        digest = sha256(tbs)
        if height < self.height or (height == self.height and digest != self._signed):
            raise DoubleSignError(
                f"asked to sign height {height} anew; last signed is {self.height}: were files "
                "of this validator copied or restored from a backup?"
            )
        if height > self.height:
            write_private(self._state_path, encode([STATE_VERSION, height, digest]))
            self.height, self._signed = height, digest
        return self._key.sign(tbs)
