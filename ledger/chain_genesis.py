"""The document that a consortium chain starts from; its SHA-256 is what outsiders trust.

genesis   = [ 1, chain-id, app-version, time-ms, [+ validator], [+ party], settings ]
validator = [ ed25519-key, power, party-id ]
party     = [ name, alg, spki, role ]
settings  = [ block-bytes-max, admission-votes-min ]
party-id  = first 16 bytes of SHA-256("wharf/party/1" || [ name, alg, spki ])
"""

from dataclasses import dataclass
from typing import Any, Final

from ledger.canonical import decode, encode
from ledger.comet import CHAIN_ID_CHARACTERS_MAX, Validator, in_set_order
from ledger.errors import FormatError, LimitError
from ledger.hashing import HASH_BYTES, sha256, tagged
from ledger.signing import PublicKey

VERSION: Final = 1
PARTY_ID_BYTES: Final = 16
VALIDATORS_MAX: Final = 1_000
# CometBFT's own bound is int64 max / 8 for the sum; this keeps every product in 64 bits.
POWER_MAX: Final = 1 << 50

ROLE_OPERATOR: Final = 1
ROLE_CARRIER: Final = 2
ROLE_OWNER: Final = 3
ROLE_READER: Final = 4
ROLE_REGULATOR: Final = 5
ROLE_BANK: Final = 6
ROLE_COURT: Final = 7
ROLE_AUDITOR: Final = 8
ROLES: Final = frozenset(range(ROLE_OPERATOR, ROLE_AUDITOR + 1))


def party_id_of(name: str, alg: int, spki: bytes) -> bytes:
    """A party's id, 16 bytes: bound to its first name and key, kept when either changes later."""
    return tagged("wharf/party/1", encode([name, alg, spki]))[:PARTY_ID_BYTES]


@dataclass(frozen=True, slots=True)
class GenesisParty:
    """An organisation that is there from the start."""

    name: str
    alg: int
    spki: bytes
    role: int

    @property
    def party_id(self) -> bytes:
        """Its id, 16 bytes."""
        return party_id_of(self.name, self.alg, self.spki)


@dataclass(frozen=True, slots=True, kw_only=True)
class Genesis:
    """A chain's start; `validators` are (key and power, party id), in set order."""

    chain_id: str
    app_version: int
    time_ms: int
    validators: tuple[tuple[Validator, bytes], ...]
    parties: tuple[GenesisParty, ...]
    block_bytes_max: int
    admission_votes_min: int

    @property
    def validator_set(self) -> tuple[Validator, ...]:
        """The first validator set."""
        return tuple(validator for validator, _ in self.validators)

    def encode(self) -> bytes:
        """The document's bytes."""
        return encode(
            [
                VERSION,
                self.chain_id,
                self.app_version,
                self.time_ms,
                [[item.key, item.power, party_id] for item, party_id in self.validators],
                [[item.name, item.alg, item.spki, item.role] for item in self.parties],
                [self.block_bytes_max, self.admission_votes_min],
            ]
        )

    @property
    def digest(self) -> bytes:
        """The chain's trust root: SHA-256 of the document's bytes."""
        return sha256(self.encode())


def decode_genesis(data: bytes) -> Genesis:
    """The genesis document in these bytes; raises InputError subclasses."""
    value = decode(data)
    if not isinstance(value, list) or len(value) != 7 or value[0] != VERSION:
        raise FormatError("genesis", "not version 1")
    _, chain_id, app_version, time_ms, validators, parties, settings = value
    if type(chain_id) is not str or not 0 < len(chain_id.encode()) <= CHAIN_ID_CHARACTERS_MAX:
        raise FormatError("genesis", f"chain id is not 1 to {CHAIN_ID_CHARACTERS_MAX} bytes")
    if not (isinstance(validators, list) and isinstance(parties, list)):
        raise FormatError("genesis", "validators or parties are not lists")
    if not isinstance(settings, list) or len(settings) != 2:
        raise FormatError("genesis", "settings are not two numbers")
    if any(type(item) is not int or item < 1 for item in (app_version, time_ms, *settings)):
        raise FormatError("genesis", "a number is not positive")
    genesis = Genesis(
        chain_id=chain_id,
        app_version=app_version,
        time_ms=time_ms,
        validators=tuple(
            (validator_from_value(row[:2]), _party_id(row)) for row in _rows(validators)
        ),
        parties=tuple(_party(row) for row in parties),
        block_bytes_max=settings[0],
        admission_votes_min=settings[1],
    )
    check_validator_set(genesis.validator_set)
    ids = {party.party_id for party in genesis.parties}
    if len(ids) != len(genesis.parties) or any(id_ not in ids for _, id_ in genesis.validators):
        raise FormatError("genesis", "a party twice, or a validator of no party")
    return genesis


def _rows(rows: list[Any]) -> list[list[Any]]:
    if any(not isinstance(row, list) or len(row) != 3 for row in rows):
        raise FormatError("genesis", "a validator is not key, power and party")
    return rows


def _party_id(row: list[Any]) -> bytes:
    if type(row[2]) is not bytes or len(row[2]) != PARTY_ID_BYTES:
        raise FormatError("genesis", "a party id is not 16 bytes")
    return row[2]


def _party(row: object) -> GenesisParty:
    if not isinstance(row, list) or [type(item) for item in row] != [str, int, bytes, int]:
        raise FormatError("genesis", "a party is not name, algorithm, key and role")
    name, alg, spki, role = row
    if role not in ROLES or not 0 < len(name) <= 100:
        raise FormatError("genesis", "a party's role or name is out of range")
    PublicKey(alg, spki)
    return GenesisParty(name, alg, spki, role)


def validator_from_value(row: object) -> Validator:
    """A validator from [key, power]; raises FormatError."""
    if not isinstance(row, list) or [type(item) for item in row] != [bytes, int]:
        raise FormatError("validator", "not a key and a power")
    key, power = row
    if len(key) != HASH_BYTES or not 0 < power <= POWER_MAX:
        raise FormatError("validator", "key is not 32 bytes or power is out of range")
    return Validator(key, power)


def check_validator_set(validators: tuple[Validator, ...]) -> None:
    """Raises FormatError unless this is a set in set order with no validator twice."""
    if not validators:
        raise FormatError("validator set", "empty")
    if len(validators) > VALIDATORS_MAX:
        raise LimitError("number of validators", len(validators), VALIDATORS_MAX)
    if len({item.key for item in validators}) != len(validators):
        raise FormatError("validator set", "a validator stands in it twice")
    if in_set_order(validators) != validators:
        raise FormatError("validator set", "not in set order")
