"""Organisations: their keys change at a height, their legal ids name who verified them."""

import pytest

from consortium.app.refusal import Code
from consortium.app.rights import KINDS_OF_GATEWAY, READ_ONLY, ROLES_OF_KIND, WORKING
from consortium.transaction import KIND_IDENTITY, KIND_MIRRORED, KIND_PARTY_KEY, KIND_VOTE
from tests.fakes.small_chain import SmallChain, admission, key_proof, party_id, signer, tx

LEI = ["LEI", "506700GE1G29325QX363"]


def chain() -> SmallChain:
    on = SmallChain()
    on.block(admission("carrier"), admission("court", 7), admission("owner", 3))
    return on


def next_key(name: str, party: str) -> list[object]:
    own = signer(name)
    return [1, own.alg, own.public_key_der(), key_proof(name, party)]


def test_a_party_changes_its_key_and_the_old_one_sends_nothing_more() -> None:
    on = chain()
    assert on.code(tx(KIND_PARTY_KEY, next_key("next", "carrier"), "carrier")) == Code.ACCEPTED
    assert on.code(tx(KIND_PARTY_KEY, next_key("third", "carrier"), "carrier")) == Code.KEY_REVOKED
    old, new = on.row("signer", signer("carrier").kid), on.row("signer", signer("next").kid)
    assert old is not None
    assert new is not None
    assert (old[2], None) == (new[1], new[2])


def test_a_next_key_is_shown_fresh_and_held() -> None:
    on = chain()
    for body, code in (
        (next_key("next", "owner"), Code.KEY_NOT_PROVEN),
        (next_key("owner", "carrier"), Code.KEY_IN_USE),
        ([1, -8, b"no key", bytes(64)], Code.BODY_WRONG),
        ([1, -8], Code.BODY_WRONG),
    ):
        assert on.code(tx(KIND_PARTY_KEY, body, "carrier")) == code


def test_the_present_key_again_changes_nothing() -> None:
    on = chain()
    own = tx(KIND_PARTY_KEY, next_key("carrier", "carrier"), "carrier")
    assert on.finalize(own).results[0].records == 0


def test_a_legal_id_names_who_verified_it_and_nothing_said_is_taken_back() -> None:
    on = chain()
    about = party_id("carrier")
    assert on.code(tx(KIND_IDENTITY, [1, about, *LEI], "court")) == Code.ACCEPTED
    assert on.code(tx(KIND_IDENTITY, [1, about, "VAT", "DE1"], "operator")) == Code.ACCEPTED
    said = on.row("identity", about)
    assert said is not None
    assert [[*LEI, party_id("court")], ["VAT", "DE1", party_id("operator")]] == [
        row[:3] for row in said[0]
    ]
    again = tx(KIND_IDENTITY, [1, about, *LEI], "court", nonce=b"another nonce 16")
    assert on.finalize(again).results[0].records == 0


@pytest.mark.parametrize(
    ("body", "sender", "code"),
    [
        ([1, party_id("court"), *LEI], "court", Code.UNAUTHORISED),
        ([1, party_id("court"), *LEI], "owner", Code.UNAUTHORISED),
        ([1, b"x" * 16, *LEI], "court", Code.PARTY_UNKNOWN),
        ([1, party_id("owner"), "LEI", "506700GE1G29325QX364"], "court", Code.LEGAL_ID_WRONG),
    ],
)
def test_an_identity_that_does_not_hold_is_refused(
    body: list[object], sender: str, code: Code
) -> None:
    assert chain().code(tx(KIND_IDENTITY, body, sender)) == code


def test_what_is_said_of_one_party_is_bounded() -> None:
    on = chain()
    for number in range(16):
        assert on.code(tx(KIND_IDENTITY, [1, party_id("owner"), "VAT", f"{number}"], "court")) == 0
    full = tx(KIND_IDENTITY, [1, party_id("owner"), "VAT", "17"], "court")
    assert on.code(full) == Code.TOO_MANY_ITEMS


def test_reading_roles_send_nothing_about_goods() -> None:
    about_goods = {1, 2, 3, 4, 5, 7, 15, 16, 17}
    assert all(not READ_ONLY & ROLES_OF_KIND[kind] for kind in about_goods)
    assert all(WORKING <= ROLES_OF_KIND[kind] for kind in about_goods - {1})
    assert {3, 4, 8, 16} == KINDS_OF_GATEWAY
    mirrored = [1, [[b"f" * 16, 0, 0, b"d" * 32]]]
    assert chain().code(tx(KIND_MIRRORED, mirrored, "court")) == Code.UNAUTHORISED
    assert chain().code(tx(KIND_VOTE, [1, b"p" * 32, True], "court")) == Code.PROPOSAL_UNKNOWN
