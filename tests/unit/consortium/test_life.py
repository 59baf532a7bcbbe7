"""From an organisation's words to accepted transactions, on the application itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from consortium import life
from consortium.errors import MalformedError, RefusedError
from consortium.key_codes import KeyCode, encode_key_code, person_key_code
from consortium.transaction import decode_transaction
from ledger.canonical import decode
from tests.fakes.small_chain import (
    CHAIN_ID,
    SmallChain,
    founded_by,
    party_id,
    signer,
    tx,
    validator_key,
    validator_proof,
)

LEI = ["LEI", "506700GE1G29325QX363"]


class Desk:
    """One party's desk on a chain in memory."""

    def __init__(self, chain: SmallChain, name: str) -> None:
        self.chain, self.name = chain, name

    def send(self, kind: int, body: Sequence[object]) -> str:
        data = tx(kind, list(body), self.name)
        (result,) = self.chain.block(data)
        if result.code:
            raise RefusedError(int(result.code), result.text)
        return decode_transaction(data).tx_id.hex()

    def rows(self, name: str) -> list[tuple[list[Any], list[Any]]]:
        pairs = [(decode(key), decode(value)) for key, value in self.chain.app.state.map.items()]
        return sorted((key, value[1:]) for key, value in pairs if key[0] == name)

    def height(self) -> int:
        return self.chain.app.height


@pytest.fixture
def desks() -> dict[str, Desk]:
    names = ("harbour", "carrier", "bank", "store", "port")
    chain = SmallChain(founded_by(*names))
    return {name: Desk(chain, name) for name in names}


def key_code(name: str) -> str:
    own = signer(name)
    code = KeyCode(party_id=b"p" * 16, alg=own.alg, key=own.public_key_der(), proof=bytes(64))
    return encode_key_code(code)


def validator_code(name: str, party: str) -> str:
    code = KeyCode(
        party_id=party_id(party),
        alg=-8,
        key=validator_key(name),
        proof=validator_proof(name, party),
    )
    return encode_key_code(code)


def decided(desks: dict[str, Desk], name: str, *words: str) -> dict[str, Any]:
    """The proposal after three parties voted for it."""
    first, *others = [desks[n] for n in ("harbour", "bank", "store")]
    proposal_id = life.propose(first, life.action_of(first, name, words))
    for desk in others:
        life.vote(desk, proposal_id, yes=True)
    return next(item for item in life.proposals(first) if item["id"] == proposal_id)


def test_an_organisation_is_proposed_admitted_and_listed(desks: dict[str, Desk]) -> None:
    made = decided(desks, "admit", "New Carrier", "carrier", key_code("newcomer"), *LEI)
    assert ("admit", "passed", "harbour") == (made["action"], made["status"], made["by"])
    assert ["harbour", "bank", "store"] == made["yes"]
    listed = {item["name"]: item for item in life.parties(desks["bank"])}
    assert ("carrier", False) == (listed["New Carrier"]["role"], listed["New Carrier"]["suspended"])
    assert "harbour" == listed["New Carrier"]["legal_ids"][0]["verified_by"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("suspend", ["carrier"]),
        ("validator-in", [validator_code("p2", "port"), "5"]),
        ("validator-rotate", [validator_key("port").hex(), validator_code("p2", "port")]),
        ("validator-suspend", [validator_key("port").hex()]),
        ("validator-remove", [validator_key("port").hex()]),
        ("validator-power", [validator_key("port").hex(), "12"]),
    ],
)
def test_every_action_has_words_that_lead_to_it(
    desks: dict[str, Desk], name: str, words: list[str]
) -> None:
    assert "passed" == decided(desks, name, *words)["status"]


def test_a_suspended_party_is_listed_so_and_restored(desks: dict[str, Desk]) -> None:
    decided(desks, "suspend", party_id("carrier").hex())
    assert [True] == [p["suspended"] for p in life.parties(desks["bank"]) if p["name"] == "carrier"]
    assert "passed" == decided(desks, "restore", "carrier")["status"]


@pytest.mark.parametrize(
    ("name", "words", "says"),
    [
        ("elect", ["x"], "no action"),
        ("suspend", [], "takes PARTY"),
        ("suspend", ["nobody"], "0 parties"),
        ("admit", ["N", "king", key_code("n"), *LEI], "no role"),
        ("validator-remove", ["zz"], "64 hex digits"),
        ("validator-power", [validator_key("port").hex(), "-3"], "whole number"),
        ("validator-in", ["code", "3"], "key code"),
    ],
)
def test_words_that_are_wrong_are_named(
    desks: dict[str, Desk], name: str, words: list[str], says: str
) -> None:
    with pytest.raises(MalformedError, match=says):
        life.action_of(desks["bank"], name, words)


def test_a_driver_is_delegated_listed_and_ended(desks: dict[str, Desk], tmp_path: Path) -> None:
    desk = desks["carrier"]
    code = person_key_code(tmp_path / "k", chain_id=CHAIN_ID, party_id=party_id("carrier"))
    scope = life.Scope(
        name="Driver 7", title="driver", kinds=(), feeds=(b"f" * 16,), until_height=90,
        until_ms=None,
    )  # fmt: skip  # two lines of a record
    life.delegate(desk, code, scope)
    (listed,) = life.delegates(desks["bank"])
    assert ("carrier", "driver", [3, 5, 6, 30], None) == (
        listed["party"], listed["title"], listed["kinds"], listed["ended_ms"],
    )  # fmt: skip  # one line of what is compared
    life.end_key(desk, listed["key"])
    assert life.delegates(desk)[0]["ended_ms"] is not None


def test_a_party_changes_its_key_and_another_verifies_who_it_is(
    desks: dict[str, Desk], tmp_path: Path
) -> None:
    code = person_key_code(tmp_path / "k", chain_id=CHAIN_ID, party_id=party_id("carrier"))
    life.next_key(desks["carrier"], code)
    life.identify(desks["bank"], "carrier", scheme="VAT", number="DE1")
    with pytest.raises(RefusedError):
        life.identify(desks["carrier"], "bank", scheme="VAT", number="DE1")


def test_a_proposal_whose_time_is_over_is_listed_as_expired(desks: dict[str, Desk]) -> None:
    desk = desks["bank"]
    life.propose(desk, life.action_of(desk, "suspend", ["carrier"]), 1)
    assert "expired" == life.proposals(desk)[0]["status"]
    life.vote(desks["store"], life.propose(desk, [2, party_id("port")], 9), yes=False)
    assert ["open"] == [p["status"] for p in life.proposals(desk)[1:]]
