"""Making a chain of one party and one validator in an empty folder: keys, genesis, certificate,
config.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from consortium.config import (
    CERTIFICATE_NAME,
    CONFIG_NAME,
    GENESIS_NAME,
    TEMPLATE,
    TLS_KEY_NAME,
    VALIDATOR_KEY_NAME,
)
from consortium.errors import ConfigError
from consortium.file_keys import FileSigner, make_key, write_private
from consortium.tls import make_certificate
from ledger.chain_genesis import ROLE_OPERATOR, Genesis, GenesisParty, decode_genesis
from ledger.chain_proof import APP_VERSION
from ledger.comet import Validator

PARTY_KEY_NAME: Final = "party_key.pem"
POWER: Final = 10
BLOCK_BYTES_MAX: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Founded:
    """What others must be told: the trust root and the certificate's digest."""

    genesis_sha256: bytes
    certificate_sha256: bytes


def found_chain(
    home: Path, *, chain_id: str, party_name: str, listen: str, now: datetime
) -> Founded:
    """Writes a new home folder; raises ConfigError if there is a chain already, or for bad
    names.
    """
    if (home / GENESIS_NAME).exists():
        raise ConfigError(f"{home}: holds a chain already; choose another folder")
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    validator = make_key(home / VALIDATOR_KEY_NAME)
    signer = FileSigner(make_key(home / PARTY_KEY_NAME))
    party = GenesisParty(party_name, signer.alg, signer.public_key_der(), ROLE_OPERATOR)
    key = validator.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    genesis = Genesis(
        chain_id=chain_id,
        app_version=APP_VERSION,
        time_ms=int(now.timestamp() * 1000),
        validators=((Validator(key, POWER), party.party_id),),
        parties=(party,),
        block_bytes_max=BLOCK_BYTES_MAX,
        admission_votes_min=1,
    )
    decode_genesis(genesis.encode())
    certificate = make_certificate(home / CERTIFICATE_NAME, home / TLS_KEY_NAME, now)
    text = TEMPLATE.format(name=toml_text(party_name), listen=listen)
    write_private(home / CONFIG_NAME, text.encode())
    # Last: a folder with a genesis document is a whole one.
    write_private(home / GENESIS_NAME, genesis.encode())
    return Founded(genesis.digest, certificate)


def toml_text(text: str) -> str:
    """A name in quotes as TOML wants it; raises ConfigError for what would need escapes."""
    if any(ord(character) < 32 or character in '"\\' for character in text):
        raise ConfigError("the party's name has a quote, backslash or control character")
    return f'"{text}"'
