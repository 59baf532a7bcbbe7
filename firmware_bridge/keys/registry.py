"""From a key's URI to its holder: `pkcs11:` is a token in its own process, `file:` a development
key.
"""

from typing import Protocol

from firmware_bridge.errors import SpecError
from firmware_bridge.keys.file_key import FileKey, create_file_key
from firmware_bridge.keys.info import SignerInfo
from firmware_bridge.keys.process_signer import TIMEOUT_S, ProcessSigner, create_token_key
from firmware_bridge.keys.uri import parse_file_uri
from ledger.signing import EDDSA, ES256, Signer


class KeySigner(Signer, Protocol):
    """A ledger signer that can also tell what holds its key and whether it works."""

    @property
    def info(self) -> SignerInfo:
        """What is known of the holder."""

    async def health(self) -> None:
        """A real test signature; raises as sign() does."""


async def open_signer(uri: str, *, development: bool, timeout_s: float = TIMEOUT_S) -> KeySigner:
    """The signer for a key that exists.

    timeout_s: how long a token may take for one signature before its process is killed.
    Raises SpecError (mend the URI), DevelopmentKeyError, SignerUnavailableError (try again with
    back-off), PinRejectedError, PinLockedError (never try again), KeyMissingError.
    """
    match uri.partition(":")[0]:
        case "pkcs11":
            return await ProcessSigner.open(uri, timeout_s=timeout_s)
        case "file":
            return FileKey(parse_file_uri(uri), development=development)
    raise SpecError("signing key", "neither a pkcs11: nor a file: URI")


async def create_key(uri: str, *, alg: int, development: bool) -> None:
    """Makes the key that the URI names: non-extractable in a token, or a development key file.

    alg: ledger.signing.ES256 or EDDSA. Raises as open_signer, and KeyExistsError: no key is
    overwritten.
    """
    if alg not in (ES256, EDDSA):
        raise SpecError("alg", f"{alg} is neither ES256 nor EdDSA")
    match uri.partition(":")[0]:
        case "pkcs11":
            await create_token_key(uri, alg=alg)
        case "file":
            create_file_key(parse_file_uri(uri), alg=alg, development=development)
        case _:
            raise SpecError("signing key", "neither a pkcs11: nor a file: URI")
