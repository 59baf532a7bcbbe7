"""Kinds 20 to 23 and 30: consignments, and custody that only their holders move."""

from dataclasses import replace
from typing import Any

import pytest

from consortium.app.refusal import Code
from consortium.transaction import (
    KIND_ACCEPT_LEG,
    KIND_CLOSE,
    KIND_CONSIGNMENT,
    KIND_END_KEY,
    KIND_GRANT,
    KIND_HAND_OVER,
)
from logistics.hand_over import HandOver, Strength
from tests.fakes.small_chain import (
    CHAIN_ID,
    SmallChain,
    admission,
    at_once,
    delegation,
    party_id,
    signer,
    tx,
)

ID, DIGEST, REASON = b"c" * 16, b"d" * 32, b"r" * 32
GROWER, CARRIER, SHOP, STRANGER = "grower", "carrier", "shop", "stranger"
HOLDER, HAND_OVERS = 7, 8


def body(number: int = 1, digest: bytes = DIGEST, **changes: Any) -> list[Any]:
    """The consignment's body: one leg by the carrier, at 2 to 8 degrees."""
    legs = changes.get("legs", [[party_id(CARRIER), ["probe"]]])
    limits = changes.get("limits", [2_000, 8_000])
    return [1, ID, number, digest, limits, legs, party_id(SHOP)]


class Road:
    """A chain with its organisations and one consignment."""

    def __init__(self) -> None:
        self.chain = SmallChain()
        self.chain.block(*(admission(name) for name in (GROWER, CARRIER, SHOP, STRANGER)))
        assert Code.ACCEPTED == self.send(KIND_CONSIGNMENT, body(), GROWER)

    def send(self, kind: int, content: list[Any], name: str) -> Code:
        nonce = self.chain.app.height.to_bytes(16, "big")
        return self.chain.code(tx(kind, content, name, nonce=nonce))

    def accept(self) -> None:
        assert Code.ACCEPTED == self.send(KIND_ACCEPT_LEG, [1, ID, 1, 0], CARRIER)

    def row(self) -> list[Any]:
        found = self.chain.row("consignment", ID)
        assert found is not None
        return found

    def document(self, **changes: Any) -> HandOver:
        made = HandOver(
            chain_id=CHAIN_ID,
            consignment_id=ID, number=0, giver=party_id(GROWER), taker=party_id(CARRIER),
            signed_ms=1_767_225_600_000, seals=("S-1",), pieces=24,
        )  # fmt: skip  # one record
        return replace(made, **changes)

    def hand(self, document: HandOver, *names: str, sender: str = CARRIER) -> Code:
        rows = [signed(document, name) for name in names]
        return self.send(KIND_HAND_OVER, [1, document.encode(), rows], sender)


def signed(document: HandOver, name: str, party: str | None = None) -> list[Any]:
    key = signer(name)
    return [party_id(party or name), key.kid, at_once(key.sign(document.tbs))]


def test_custody_goes_from_hand_to_hand_and_is_held() -> None:
    road = Road()
    assert party_id(GROWER) == road.row()[HOLDER]
    road.accept()
    assert Code.ACCEPTED == road.hand(road.document(), GROWER, CARRIER)
    assert [party_id(CARRIER), 1] == road.row()[HOLDER : HAND_OVERS + 1]
    last = road.document(number=1, giver=party_id(CARRIER), taker=party_id(SHOP))
    assert Code.ACCEPTED == road.hand(last, CARRIER, SHOP)
    assert party_id(SHOP) == road.row()[HOLDER]
    held = road.chain.row("custody", ID, 1)
    assert held is not None
    assert [party_id(CARRIER), party_id(SHOP), last.signed_ms] == held[:3]
    assert held[3] != last.signed_ms  # received is another moment than signed
    assert Code.ACCEPTED == road.send(KIND_CLOSE, [1, ID, 1, REASON], SHOP)
    assert Code.CONSIGNMENT_CLOSED == road.send(KIND_CLOSE, [1, ID, 2, REASON], GROWER)


def test_what_is_played_again_put_in_front_or_given_by_another_is_refused_by_name() -> None:
    road = Road()
    assert Code.NOT_HOLDER == road.hand(road.document(), GROWER, CARRIER)  # leg not accepted
    road.accept()
    second = road.document(number=1, giver=party_id(CARRIER), taker=party_id(SHOP))
    assert Code.HAND_OVER_ORDER == road.hand(second, CARRIER, SHOP)
    first = road.document()
    assert Code.ACCEPTED == road.hand(first, GROWER, CARRIER)
    assert Code.HAND_OVER_KNOWN == road.hand(first, GROWER, CARRIER)
    assert Code.HAND_OVER_ORDER == road.hand(replace(first, pieces=23), GROWER, CARRIER)
    stolen = road.document(number=1, giver=party_id(STRANGER), taker=party_id(SHOP))
    assert Code.NOT_HOLDER == road.hand(stolen, STRANGER, SHOP, sender=STRANGER)
    away = road.document(number=1, giver=party_id(CARRIER), taker=party_id(STRANGER))
    assert Code.NOT_HOLDER == road.hand(away, CARRIER, STRANGER)
    assert Code.OTHER_CHAIN == road.hand(replace(second, chain_id="other"), CARRIER, SHOP)


def test_both_sides_sign_and_one_alone_only_where_it_says_why() -> None:
    road = Road()
    road.accept()
    document = road.document()
    assert Code.HAND_OVER_SIGNATURE == road.hand(document, GROWER)
    assert Code.HAND_OVER_SIGNATURE == road.hand(document, CARRIER)
    assert Code.HAND_OVER_SIGNATURE == road.hand(document, GROWER, GROWER)
    forged = [signed(document, GROWER), signed(replace(document, pieces=1), CARRIER)]
    content = [1, document.encode(), forged]
    assert Code.HAND_OVER_SIGNATURE == road.send(KIND_HAND_OVER, content, CARRIER)
    weaker = road.document(strength=Strength.REFUSED)
    assert Code.HAND_OVER_SIGNATURE == road.hand(weaker, GROWER, CARRIER)
    assert Code.ACCEPTED == road.hand(weaker, GROWER, sender=GROWER)
    held = road.chain.row("custody", ID, 0)
    assert held is not None
    assert Strength.REFUSED == held[4]


def test_a_revoked_phone_signs_nothing_more_whatever_time_it_wrote() -> None:
    road = Road()
    road.accept()
    document = road.document()
    rows = [signed(document, GROWER), signed(document, "phone", CARRIER)]
    content = [1, document.encode(), rows]
    assert Code.HAND_OVER_KEY == road.send(KIND_HAND_OVER, content, CARRIER)
    phone = delegation("phone", CARRIER, kinds=[KIND_HAND_OVER], title=2)
    assert Code.ACCEPTED == road.chain.code(phone)
    ended = road.send(KIND_END_KEY, [1, signer("phone").kid], CARRIER)
    assert Code.ACCEPTED == ended
    assert Code.HAND_OVER_KEY == road.send(KIND_HAND_OVER, content, CARRIER)
    assert party_id(GROWER) == road.row()[HOLDER]


def test_a_delegated_phone_signs_for_its_organisation() -> None:
    road = Road()
    road.accept()
    phone = delegation("phone", CARRIER, kinds=[KIND_HAND_OVER], title=2)
    assert Code.ACCEPTED == road.chain.code(phone)
    document = road.document()
    rows = [signed(document, GROWER), signed(document, "phone", CARRIER)]
    assert Code.ACCEPTED == road.send(KIND_HAND_OVER, [1, document.encode(), rows], CARRIER)


def test_versions_follow_each_other_and_an_accepted_leg_stays() -> None:
    road = Road()
    assert Code.VERSION_TAKEN == road.send(KIND_CONSIGNMENT, body(3), GROWER)
    assert Code.VERSION_TAKEN == road.send(KIND_CONSIGNMENT, body(1, b"x" * 32), GROWER)
    assert Code.CONSIGNMENT_TAKEN == road.send(KIND_CONSIGNMENT, body(2), CARRIER)
    assert Code.LEG_UNKNOWN == road.send(KIND_ACCEPT_LEG, [1, ID, 2, 0], CARRIER)
    assert Code.LEG_UNKNOWN == road.send(KIND_ACCEPT_LEG, [1, ID, 1, 1], CARRIER)
    assert Code.UNAUTHORISED == road.send(KIND_ACCEPT_LEG, [1, ID, 1, 0], STRANGER)
    road.accept()
    other = body(2, legs=[[party_id(STRANGER), []]])
    assert Code.LEG_ACCEPTED == road.send(KIND_CONSIGNMENT, other, GROWER)
    more = body(2, legs=[[party_id(CARRIER), ["probe"]], [party_id(STRANGER), []]])
    assert Code.ACCEPTED == road.send(KIND_CONSIGNMENT, more, GROWER)
    assert [True, False] == [leg[2] for leg in road.row()[4]]


@pytest.mark.parametrize(
    ("kind", "content", "name", "code"),
    [
        (KIND_CONSIGNMENT, body(2, limits=[8_000, 2_000]), GROWER, Code.BODY_WRONG),
        (KIND_CONSIGNMENT, body(2, legs=[]), GROWER, Code.TOO_MANY_ITEMS),
        (KIND_CONSIGNMENT, body(2, legs=[[b"x" * 16, []]]), GROWER, Code.PARTY_UNKNOWN),
        (KIND_CONSIGNMENT, body(2, b"short"), GROWER, Code.BODY_WRONG),
        (KIND_CLOSE, [1, ID, 3, REASON], GROWER, Code.BODY_WRONG),
        (KIND_CLOSE, [1, ID, 1, REASON], STRANGER, Code.UNAUTHORISED),
        (KIND_CLOSE, [1, b"n" * 16, 1, REASON], GROWER, Code.NO_CONSIGNMENT),
        (KIND_GRANT, [1, ID, party_id(SHOP), 5, 4], GROWER, Code.BODY_WRONG),
        (KIND_GRANT, [1, ID, party_id(SHOP), 5, None], SHOP, Code.UNAUTHORISED),
        (KIND_HAND_OVER, [1, b"\x80", [[b"", b"", b""]]], GROWER, Code.BODY_WRONG),
    ],
)
def test_what_is_out_of_form_is_refused_and_leaves_no_trace(
    kind: int, content: list[Any], name: str, code: Code
) -> None:
    assert code == Road().send(kind, content, name)


def test_a_consignment_may_have_no_limits() -> None:
    road = Road()
    assert Code.ACCEPTED == road.send(KIND_CONSIGNMENT, body(2, limits=None), GROWER)
    assert road.row()[3] is None


def test_a_grant_is_for_an_interval_and_can_be_ended() -> None:
    road = Road()
    assert Code.ACCEPTED == road.send(KIND_GRANT, [1, ID, party_id(STRANGER), 5, None], GROWER)
    assert Code.ACCEPTED == road.send(KIND_GRANT, [1, ID, party_id(STRANGER), 5, 9], GROWER)
    held = road.chain.row("consignment-grant", ID, party_id(STRANGER))
    assert held is not None
    assert [5, 9] == held[:2]
