"""A key code survives its copying, or says that it did not; both kinds of key files give one."""

import base64
import json
from pathlib import Path

import pytest

from consortium.app.possession import require_possession, require_validator_possession
from consortium.errors import ConfigError, EnrolmentCodeError
from consortium.key_codes import (
    KeyCode,
    decode_key_code,
    encode_key_code,
    new_party_key_code,
    person_key_code,
    validator_key_code,
)
from ledger.chain_genesis import party_id_of
from tests.fakes.small_chain import CHAIN_ID, validator_key

PARTY = b"p" * 16


def test_a_person_key_is_made_once_and_its_code_shows_that_it_is_held(tmp_path: Path) -> None:
    path = tmp_path / "driver.key"
    code = person_key_code(path, chain_id=CHAIN_ID, party_id=PARTY)
    again = person_key_code(path, chain_id=CHAIN_ID, party_id=PARTY)
    assert decode_key_code(encode_key_code(code)) == code == again
    require_possession(code.proof, chain_id=CHAIN_ID, party_id=PARTY, alg=code.alg, spki=code.key)


def test_a_new_organisations_id_follows_from_its_name_and_key(tmp_path: Path) -> None:
    code = new_party_key_code(tmp_path / "k", chain_id=CHAIN_ID, name="New")
    assert code.party_id == party_id_of("New", code.alg, code.key)


def test_a_validators_key_is_read_from_cometbfts_own_file(tmp_path: Path) -> None:
    from ledger.hashing import sha256

    secret = sha256(b"validator bank") + validator_key("bank")
    path = tmp_path / "priv_validator_key.json"
    value = base64.b64encode(secret).decode()
    path.write_text(json.dumps({"priv_key": {"type": "tendermint/PrivKeyEd25519", "value": value}}))
    code = validator_key_code(path, chain_id=CHAIN_ID, party_id=PARTY)
    assert code.key == validator_key("bank")
    require_validator_possession(code.proof, chain_id=CHAIN_ID, party_id=PARTY, key=code.key)
    path.write_text("{}")
    with pytest.raises(ConfigError, match="not a validator key"):
        validator_key_code(path, chain_id=CHAIN_ID, party_id=PARTY)


GOOD = encode_key_code(KeyCode(party_id=PARTY, alg=-8, key=b"k" * 32, proof=b"s" * 64))


@pytest.mark.parametrize(
    "text",
    ["", "wharf1-abc", GOOD[:-1], GOOD[:30] + "A" + GOOD[31:], "wharfkey1-%%%", "wharfkey1-AAAA",
     GOOD + "A" * 2_000],
)  # fmt: skip  # one line of texts
def test_a_code_that_was_mistyped_or_cut_is_refused(text: str) -> None:
    with pytest.raises(EnrolmentCodeError):
        decode_key_code(text)


def test_a_code_may_be_broken_over_lines() -> None:
    assert decode_key_code(f" {GOOD[:40]}\n  {GOOD[40:]}\n").key == b"k" * 32
