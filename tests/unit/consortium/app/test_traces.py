"""Kinds 60 to 64: brands, things, events and recalls on the chain."""

import pytest

from consortium.app.refusal import Code
from consortium.transaction import (
    KIND_BRAND,
    KIND_BRAND_SEEN,
    KIND_EVENTS,
    KIND_RECALL,
    KIND_THINGS,
)
from ledger.canonical import decode, encode
from logistics.trace.item_key import lot, sgtin
from tests.fakes.small_chain import SmallChain, admission, party_id, tx

ITEM = sgtin("10614141073464", "8R2KT5QW0HJ4A").chain_id
LOT = lot("10614141073464", "L1").chain_id
NOTICE = b"n" * 32


def chain() -> SmallChain:
    made = SmallChain()
    made.block(admission("brand"), admission("stranger"))
    return made


def send(made: SmallChain, kind: int, body: list[object], name: str = "brand") -> Code:
    (result,) = made.block(tx(kind, [1, *body], name, nonce=bytes([made.app.height]) * 16))
    return result.code


def row(made: SmallChain, *key: object) -> list[object] | None:
    value = made.app.state.map.get(encode(key))
    found: list[object] | None = decode(value)[1:] if value is not None else None
    return found


def test_a_brand_is_claimed_once_and_verified_by_somebody_else() -> None:
    made = chain()
    assert Code.ACCEPTED == send(made, KIND_BRAND, ["0614141"])
    assert Code.ACCEPTED == send(made, KIND_BRAND_SEEN, ["0614141", party_id("brand")], "operator")
    owner, verifier, _ = row(made, "brand", "0614141") or []
    assert (party_id("brand"), party_id("operator")) == (owner, verifier)


@pytest.mark.parametrize("prefix", ["0614141", "061414", "06141412"])
def test_nobody_claims_a_prefix_that_overlaps_anothers(prefix: str) -> None:
    made = chain()
    send(made, KIND_BRAND, ["0614141"])
    assert Code.BRAND_TAKEN == send(made, KIND_BRAND, [prefix], "stranger")
    assert Code.ACCEPTED == send(made, KIND_BRAND, ["0614142"], "stranger")


@pytest.mark.parametrize("prefix", ["", "061", "0614141000000", "06141x1", "٠٦١٤١٤١"])
def test_what_is_no_prefix_is_refused(prefix: str) -> None:
    assert Code.BODY_WRONG == send(chain(), KIND_BRAND, [prefix])


def test_verification_is_about_others_who_claim_it() -> None:
    made = chain()
    assert Code.BRAND_UNKNOWN == send(
        made, KIND_BRAND_SEEN, ["0614141", party_id("brand")], "operator"
    )
    send(made, KIND_BRAND, ["0614141"], "operator")
    assert Code.BRAND_OWN == send(
        made, KIND_BRAND_SEEN, ["0614141", party_id("operator")], "operator"
    )
    assert Code.UNAUTHORISED == send(made, KIND_BRAND_SEEN, ["0614141", party_id("operator")])


def test_a_strangers_claim_takes_nothing_from_the_owner() -> None:
    made = chain()
    assert Code.ACCEPTED == send(made, KIND_THINGS, [[ITEM]], "stranger")
    assert Code.ACCEPTED == send(made, KIND_THINGS, [[ITEM, LOT]])
    assert row(made, "thing", ITEM, party_id("brand")) is not None
    assert row(made, "thing", LOT, party_id("stranger")) is None


@pytest.mark.parametrize("kind", [KIND_THINGS, KIND_EVENTS])
def test_the_same_again_changes_nothing(kind: int) -> None:
    made = chain()
    send(made, kind, [[ITEM, LOT]])
    roots = made.app.state.roots
    assert Code.ACCEPTED == send(made, kind, [[LOT, ITEM]])
    assert roots == made.app.state.roots


def test_a_recall_is_opened_and_ended_by_the_same_party() -> None:
    made = chain()
    assert Code.RECALL_UNKNOWN == send(made, KIND_RECALL, [False, NOTICE, [LOT]])
    assert Code.ACCEPTED == send(made, KIND_RECALL, [True, NOTICE, [LOT, ITEM]])
    assert Code.RECALL_UNKNOWN == send(made, KIND_RECALL, [False, NOTICE, [LOT]], "stranger")
    assert Code.ACCEPTED == send(made, KIND_RECALL, [False, NOTICE, [LOT]])
    assert [False, True] == [
        (row(made, "recall", thing, party_id("brand")) or [None])[0] for thing in (LOT, ITEM)
    ]


@pytest.mark.parametrize(
    ("items", "code"),
    [
        ([], Code.TOO_MANY_ITEMS),
        ([bytes([n % 256, n // 256]) * 16 for n in range(1_001)], Code.TOO_MANY_ITEMS),
        ([b"x" * 31], Code.BODY_WRONG),
        (["x" * 32], Code.BODY_WRONG),
    ],
)
def test_batches_are_bounded_and_of_one_form(items: list[object], code: Code) -> None:
    made = chain()
    roots = made.app.state.roots
    assert code == send(made, KIND_EVENTS, [items])
    assert code == send(made, KIND_THINGS, [items])
    assert roots == made.app.state.roots
