"""People act for an organisation within kinds, feeds and time, and stop when it says so."""

import pytest

from consortium.app.refusal import Code
from consortium.transaction import (
    KIND_DELEGATE,
    KIND_DEVICE,
    KIND_END_KEY,
    KIND_OPENED,
    KIND_PARTY_KEY,
    KIND_REVOKE,
    KIND_VOTE,
)
from tests.fakes.gateway_feed import GatewayFeed
from tests.fakes.small_chain import (
    TIME_NS,
    SmallChain,
    admission,
    delegate_tx,
    delegation,
    enrolment,
    founded_by,
    key_proof,
    party_id,
    signer,
    tx,
)

FEED, OTHER = GatewayFeed("cold room").grow(1), GatewayFeed("truck").grow(1)
DIGEST = b"d" * 32
START_MS = TIME_NS // 1_000_000
DRIVER = 2


def chain() -> SmallChain:
    on = SmallChain()
    on.block(admission("carrier"), admission("rival"))
    on.block(enrolment(FEED, "carrier"), enrolment(OTHER, "carrier"))
    return on


def statement(feed: GatewayFeed, height: int = 0) -> list[object]:
    return [1, [[feed.feed_id, 0, height, 0, DIGEST, True]]]


def test_a_driver_states_for_the_organisation_what_was_delegated() -> None:
    on = chain()
    assert on.code(delegation("driver", "carrier", [KIND_OPENED], title=DRIVER)) == Code.ACCEPTED
    leaves = on.finalize(delegate_tx("driver", "carrier", KIND_OPENED, statement(FEED))).outcome
    assert party_id("carrier") == leaves.leaves[0].record[-1]
    end = tx(KIND_END_KEY, [1, signer("driver").kid], "carrier")
    revoking = delegate_tx("driver", "carrier", KIND_REVOKE, [1, FEED.feed_id])
    assert on.code(revoking) == Code.OUT_OF_SCOPE
    assert on.code(end) == Code.ACCEPTED
    late = delegate_tx("driver", "carrier", KIND_OPENED, statement(FEED, 1))
    assert on.code(late) == Code.DELEGATION_ENDED


def test_a_delegation_about_one_feed_holds_for_no_other() -> None:
    on = chain()
    on.block(delegation("driver", "carrier", [3, 5, 6], title=DRIVER, feeds=[FEED.feed_id]))
    for feed, code in ((FEED, Code.ACCEPTED), (OTHER, Code.OUT_OF_SCOPE)):
        assert on.code(delegate_tx("driver", "carrier", KIND_OPENED, statement(feed))) == code
        rows = [1, feed.feed_id, [["probe", 1, DIGEST, 0, None]]]
        assert on.code(delegate_tx("driver", "carrier", KIND_DEVICE, rows)) == code


def test_an_officer_of_one_feed_revokes_that_one_only() -> None:
    on = chain()
    on.block(delegation("officer", "carrier", [2, 7], feeds=[FEED.feed_id]))
    other = delegate_tx("officer", "carrier", KIND_REVOKE, [1, OTHER.feed_id])
    own = delegate_tx("officer", "carrier", KIND_REVOKE, [1, FEED.feed_id])
    assert [Code.OUT_OF_SCOPE, Code.ACCEPTED] == [on.code(other), on.code(own)]


def test_a_delegation_ends_by_chain_height() -> None:
    on = chain()
    until = on.app.height + 2
    on.block(delegation("driver", "carrier", [KIND_OPENED], title=DRIVER, until_height=until))
    last = delegate_tx("driver", "carrier", KIND_OPENED, statement(FEED))
    late = delegate_tx("driver", "carrier", KIND_OPENED, statement(FEED, 1))
    assert [Code.ACCEPTED, Code.DELEGATION_ENDED] == [on.code(last), on.code(late)]


def test_a_delegation_ends_by_chain_time() -> None:
    on = chain()
    until_ms = START_MS + (on.app.height + 2) * 1_000
    on.block(
        delegation(
            "driver", "carrier", [KIND_OPENED], title=DRIVER, until_height=None, until_ms=until_ms
        )
    )
    last = delegate_tx("driver", "carrier", KIND_OPENED, statement(FEED))
    late = delegate_tx("driver", "carrier", KIND_OPENED, statement(FEED, 1))
    assert [Code.ACCEPTED, Code.DELEGATION_ENDED] == [on.code(last), on.code(late)]


def test_a_delegate_is_nobody_in_another_organisations_name() -> None:
    on = chain()
    on.block(delegation("driver", "carrier", [KIND_OPENED], title=DRIVER))
    stolen = delegate_tx("driver", "rival", KIND_OPENED, statement(FEED))
    assert on.code(stolen) == Code.KEY_NOT_SENDERS


def body(**changes: object) -> list[object]:
    """The body of a good delegation with parts replaced."""
    own = signer("driver")
    parts: dict[str, object] = {
        "version": 1, "name": "driver", "title": DRIVER, "alg": own.alg,
        "spki": own.public_key_der(), "proof": key_proof("driver", "carrier"),
        "kinds": [5, 6], "feeds": [], "until_height": 100, "until_ms": None,
    }  # fmt: skip  # in the order of the format
    return list((parts | changes).values())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, Code.ACCEPTED),
        ({"version": 2}, Code.BODY_WRONG),
        ({"name": ""}, Code.BODY_WRONG),
        ({"title": 3}, Code.OUT_OF_SCOPE),
        ({"kinds": []}, Code.OUT_OF_SCOPE),
        ({"kinds": [7]}, Code.OUT_OF_SCOPE),
        ({"kinds": [KIND_DELEGATE], "title": 1}, Code.OUT_OF_SCOPE),
        ({"kinds": [KIND_PARTY_KEY], "title": 1}, Code.OUT_OF_SCOPE),
        ({"kinds": [True]}, Code.OUT_OF_SCOPE),
        ({"kinds": [6, 5]}, Code.BODY_WRONG),
        ({"kinds": [5, 5]}, Code.BODY_WRONG),
        ({"feeds": [b"short"]}, Code.BODY_WRONG),
        ({"feeds": [bytes([n]) * 16 for n in range(65)]}, Code.BODY_WRONG),
        ({"until_height": None}, Code.BODY_WRONG),
        ({"until_height": 1}, Code.BODY_WRONG),
        ({"until_height": 200_000_000}, Code.BODY_WRONG),
        ({"until_ms": 1}, Code.BODY_WRONG),
        ({"until_ms": START_MS * 2}, Code.BODY_WRONG),
        ({"proof": bytes(64)}, Code.KEY_NOT_PROVEN),
        ({"proof": b""}, Code.KEY_NOT_PROVEN),
        ({"proof": key_proof("driver", "rival")}, Code.KEY_NOT_PROVEN),
        ({"spki": b"no key"}, Code.BODY_WRONG),
    ],
)
def test_a_delegation_states_scope_and_end_and_shows_the_key(
    changes: dict[str, object], code: Code
) -> None:
    assert chain().code(tx(KIND_DELEGATE, body(**changes), "carrier")) == code


def test_a_delegation_may_be_changed_until_its_key_is_ended() -> None:
    on = chain()
    on.block(tx(KIND_DELEGATE, body(), "carrier"))
    again = tx(KIND_DELEGATE, body(), "carrier", nonce=b"another nonce 16")
    assert on.finalize(again).results[0].records == 0
    assert on.code(tx(KIND_DELEGATE, body(kinds=[6]), "carrier")) == Code.ACCEPTED
    on.block(tx(KIND_END_KEY, [1, signer("driver").kid], "carrier"))
    assert on.code(tx(KIND_DELEGATE, body(kinds=[5]), "carrier")) == Code.KEY_IN_USE
    rival = body(proof=key_proof("driver", "rival"))
    assert on.code(tx(KIND_DELEGATE, rival, "rival")) == Code.KEY_IN_USE


def test_a_key_that_ended_is_ended_by_its_own_party_alone() -> None:
    on = chain()
    on.block(tx(KIND_DELEGATE, body(), "carrier"))
    kid = signer("driver").kid
    assert on.code(tx(KIND_END_KEY, [1, kid], "rival")) == Code.DELEGATION_UNKNOWN
    assert on.code(tx(KIND_END_KEY, [1, kid], "carrier")) == Code.ACCEPTED
    again = tx(KIND_END_KEY, [1, kid], "carrier", nonce=b"another nonce 16")
    assert on.finalize(again).results[0].records == 0


def test_an_officer_may_end_the_organisations_own_leaked_key() -> None:
    on = SmallChain(founded_by("harbour", "carrier", "bank", "store"))
    on.block(delegation("officer", "carrier", [KIND_VOTE, KIND_END_KEY]))
    end = delegate_tx("officer", "carrier", KIND_END_KEY, [1, signer("carrier").kid])
    assert on.code(end) == Code.ACCEPTED
    stolen = tx(KIND_END_KEY, [1, signer("officer").kid], "carrier")
    assert on.code(stolen) == Code.KEY_REVOKED
    again = delegate_tx("officer", "carrier", KIND_END_KEY, [1, signer("carrier").kid])
    assert on.code(again) == Code.REPLAYED


def test_the_last_voter_cannot_end_its_own_key() -> None:
    assert chain().code(tx(KIND_END_KEY, [1, signer("operator").kid])) == Code.NO_VOTE
