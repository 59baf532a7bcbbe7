from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger.canonical import decode, encode
from ledger.chain_genesis import (
    Genesis,
    GenesisParty,
    check_validator_set,
    decode_genesis,
    party_id_of,
)
from ledger.comet import Validator
from ledger.errors import FormatError, LedgerError, LimitError
from ledger.hashing import sha256
from ledger.signing import EDDSA

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
SPKI = KEY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
PARTY = GenesisParty("Cold Store Ltd", EDDSA, SPKI, 1)
GENESIS = Genesis(
    chain_id="wharf-test",
    app_version=1,
    time_ms=1_767_225_600_000,
    validators=((Validator(bytes(32), 10), PARTY.party_id),),
    parties=(PARTY,),
    block_bytes_max=4 << 20,
    admission_votes_min=1,
)


def test_a_genesis_survives_its_own_encoding_and_its_digest_is_of_those_bytes() -> None:
    assert GENESIS == decode_genesis(GENESIS.encode())
    assert sha256(GENESIS.encode()) == GENESIS.digest
    assert (Validator(bytes(32), 10),) == GENESIS.validator_set


def test_a_party_id_is_bound_to_name_and_key() -> None:
    assert PARTY.party_id == party_id_of("Cold Store Ltd", EDDSA, SPKI)
    assert PARTY.party_id != party_id_of("Cold Store Inc", EDDSA, SPKI)


@pytest.mark.parametrize(
    ("index", "value"),
    [
        (0, 2),
        (1, ""),
        (1, "x" * 51),
        (1, 5),
        (2, 0),
        (3, -1),
        (4, 1),
        (4, []),
        (4, [[bytes(32), 10]]),
        (4, [[bytes(31), 10, PARTY.party_id]]),
        (4, [[bytes(32), 0, PARTY.party_id]]),
        (4, [[bytes(32), 10, b"short"]]),
        (4, [["key", 10, PARTY.party_id]]),
        (4, [[bytes(32), 10, bytes(16)]]),
        (5, []),
        (5, [["Cold Store Ltd", EDDSA, SPKI]]),
        (5, [["Cold Store Ltd", EDDSA, SPKI, 9]]),
        (5, [["", EDDSA, SPKI, 1]]),
        (5, [["Cold Store Ltd", EDDSA, b"key", 1]]),
        (5, [["Cold Store Ltd", EDDSA, SPKI, 1]] * 2),
        (6, [1]),
        (6, [1, 0]),
        (6, [1, True]),
    ],
)
def test_a_genesis_of_another_shape_is_refused(index: int, value: object) -> None:
    whole = decode(GENESIS.encode())
    whole[index] = value
    with pytest.raises(LedgerError):
        decode_genesis(encode(whole))


def test_a_genesis_with_a_field_more_is_refused() -> None:
    with pytest.raises(FormatError):
        decode_genesis(encode([*decode(GENESIS.encode()), 1]))


def test_validators_stand_in_set_order() -> None:
    light, heavy = (Validator(bytes(32), 1), PARTY.party_id), GENESIS.validators[0]
    other = (Validator(b"k" * 32, 11), PARTY.party_id)
    decode_genesis(replace(GENESIS, validators=(other, heavy)).encode())
    with pytest.raises(FormatError, match="set order"):
        decode_genesis(replace(GENESIS, validators=(heavy, other)).encode())
    with pytest.raises(FormatError, match="twice"):
        decode_genesis(replace(GENESIS, validators=(heavy, light)).encode())


def test_a_set_beyond_the_limit_is_refused() -> None:
    with pytest.raises(LimitError):
        check_validator_set(tuple(Validator(n.to_bytes(32, "big"), 1) for n in range(1_001)))
