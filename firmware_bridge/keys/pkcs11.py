"""A signing key on a PKCS#11 token: find it, make it, sign with it. Runs in the signer's own
process.

The session is opened at first use and dropped after any error but a PIN's; the next use starts the
module anew, which brings a token back that was away. A refused PIN is remembered and never tried
again.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from firmware_bridge.errors import (
    KeyExistsError,
    KeyHolderError,
    KeyMissingError,
    PinLockedError,
    PinRejectedError,
    SignerUnavailableError,
)
from firmware_bridge.keys import pkcs11_binding as p11
from firmware_bridge.keys.uri import TokenUri
from ledger.cose import EDDSA, ES256

# DER of the named curves: OBJECT IDENTIFIER prime256v1, and PrintableString "edwards25519".
_P256_PARAMS: Final = bytes.fromhex("06082a8648ce3d030107")
_ED25519_PARAMS: Final = b"\x13\x0cedwards25519"
# The same two keys' SubjectPublicKeyInfo up to the point (RFC 5480, RFC 8410).
_P256_SPKI: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
_ED25519_SPKI: Final = bytes.fromhex("302a300506032b6570032100")
_PIN_BYTES_MAX: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """What the token says of a key."""

    alg: int  # ES256 or EDDSA
    spki: bytes
    hardware: bool
    never_extractable: bool | None


@dataclass(slots=True)
class _Opened:
    session: p11.Session
    private: int
    facts: KeyFacts


class TokenKey:
    """The key that a TokenUri names. Not thread-safe: one thread, one session."""

    def __init__(self, uri: TokenUri) -> None:
        self._uri = uri
        self._module: p11.Module | None = None
        self._opened: _Opened | None = None
        self._pin_error: PinRejectedError | None = None

    def facts(self) -> KeyFacts:
        """Opens if need be. Raises the KeyHolderErrors."""
        return self._ready().facts

    def sign(self, tbs: bytes) -> bytes:
        """64 bytes: r || s as the token made it, or Ed25519. One fresh start if the session is
        stale.
        """
        was_open = self._opened is not None
        try:
            return self._sign_once(tbs)
        except SignerUnavailableError:
            if not was_open:
                raise
        return self._sign_once(tbs)

    def _sign_once(self, tbs: bytes) -> bytes:
        opened = self._ready()
        try:
            if opened.facts.alg == EDDSA:
                return opened.session.sign(opened.private, p11.CKM_EDDSA, tbs)
            digest = hashlib.sha256(tbs).digest()
            return opened.session.sign(opened.private, p11.CKM_ECDSA, digest)
        except p11.TokenRefusedError as error:
            self._opened = None
            raise SignerUnavailableError(f"the token does not sign: {error}") from error

    def create(self, alg: int) -> None:
        """Makes a non-extractable key pair with the URI's label. Raises KeyExistsError,
        KeyHolderError.
        """
        session, _ = self._session()
        label = self._uri.object.encode()
        if session.find([(p11.CKA_LABEL, label), (p11.CKA_CLASS, p11.CKO_PRIVATE_KEY)]):
            raise KeyExistsError(
                f"token {self._uri.token!r} has a key {self._uri.object!r} already"
            )
        is_p256 = alg == ES256
        mechanism = p11.CKM_EC_KEY_PAIR_GEN if is_p256 else p11.CKM_EC_EDWARDS_KEY_PAIR_GEN
        shared: list[p11.Attribute] = [
            (p11.CKA_TOKEN, True),
            (p11.CKA_LABEL, label),
            (p11.CKA_ID, hashlib.sha256(label).digest()[:8]),
        ]
        params = _P256_PARAMS if is_p256 else _ED25519_PARAMS
        public: list[p11.Attribute] = [(p11.CKA_VERIFY, True), (p11.CKA_EC_PARAMS, params)]
        private: list[p11.Attribute] = [
            (p11.CKA_PRIVATE, True),
            (p11.CKA_SENSITIVE, True),
            (p11.CKA_EXTRACTABLE, False),
            (p11.CKA_SIGN, True),
        ]
        try:
            session.generate_key_pair(mechanism, shared + public, shared + private)
        except p11.TokenRefusedError as error:
            raise KeyHolderError(f"the token does not make this key: {error}") from error

    def _ready(self) -> _Opened:
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> _Opened:
        session, slot = self._session()
        label = self._uri.object.encode()
        try:
            private = session.find([(p11.CKA_LABEL, label), (p11.CKA_CLASS, p11.CKO_PRIVATE_KEY)])
            public = session.find([(p11.CKA_LABEL, label), (p11.CKA_CLASS, p11.CKO_PUBLIC_KEY)])
            if len(private) != 1 or len(public) != 1:
                many = "more than one" if private and public else "no"
                raise KeyMissingError(
                    f"{many} key {self._uri.object!r} on token {self._uri.token!r}: "
                    "mend object= in the key's URI, or have `wharf gateway init` make it"
                )
            facts = self._read_facts(session, slot=slot, private=private[0], public=public[0])
        except p11.TokenRefusedError as error:
            raise SignerUnavailableError(f"the token does not answer: {error}") from error
        return _Opened(session, private[0], facts)

    def _session(self) -> tuple[p11.Session, int]:
        """A fresh module state, the token's slot and one login."""
        if self._pin_error is not None:
            raise self._pin_error
        pin = _read_pin(self._uri.pin_source)
        try:
            if self._module is None:
                self._module = p11.Module(self._uri.module_path)
            else:
                self._module.reinitialize()
            slot = self._module.find_slot(self._uri.token, self._uri.serial)
            return p11.Session(self._module, slot, pin), slot
        except PinLockedError as error:
            self._pin_error = error
            raise
        except PinRejectedError as error:
            self._pin_error = PinRejectedError(
                f"{error}: put the right one into {self._uri.pin_source}, then start again; "
                "each start is one try"
            )
            raise self._pin_error from error
        except p11.TokenRefusedError as error:
            raise SignerUnavailableError(f"the token does not open: {error}") from error

    def _read_facts(
        self, session: p11.Session, *, slot: int, private: int, public: int
    ) -> KeyFacts:
        module = self._module
        if module is None:
            raise SignerUnavailableError("the module is not loaded")
        point = session.attribute(public, p11.CKA_EC_POINT)
        alg, spki = _public_key(session.attribute(public, p11.CKA_EC_PARAMS), point)
        return KeyFacts(
            alg=alg,
            spki=spki,
            hardware=module.is_hardware(slot),
            never_extractable=_flag(session, private, p11.CKA_NEVER_EXTRACTABLE),
        )


def _flag(session: p11.Session, handle: int, kind: int) -> bool | None:
    try:
        return session.attribute(handle, kind) == b"\x01"
    except p11.TokenRefusedError:
        return None  # some tokens do not know the attribute


def _public_key(params: bytes, point: bytes) -> tuple[int, bytes]:
    """Algorithm and SPKI. The point comes as DER OCTET STRING, from some tokens bare."""
    if params == _P256_PARAMS and point[-65:-64] == b"\x04":
        return ES256, _P256_SPKI + point[-65:]
    if params != _P256_PARAMS and len(point) >= 32:
        return EDDSA, _ED25519_SPKI + point[-32:]
    raise KeyHolderError("the key is neither P-256 nor Ed25519")


def _read_pin(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            pin = file.read(_PIN_BYTES_MAX + 1).rstrip(b"\r\n")
    except OSError as error:
        raise SignerUnavailableError(f"cannot read the PIN file {path}") from error
    if not 0 < len(pin) <= _PIN_BYTES_MAX:
        raise SignerUnavailableError(f"the PIN file {path} is empty or too long")
    return pin
