from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from consortium import transaction
from consortium.app.application import Application
from consortium.app.apply import HANDLERS
from consortium.app.refusal import Code
from consortium.app.rights import ROLES_OF_KIND
from consortium.app.state import genesis_state
from consortium.errors import LocalError
from consortium.transaction import (
    KIND_ANCHORS,
    KIND_CONFLICT,
    KIND_DEVICE,
    KIND_MIRRORED,
    KIND_OPENED,
    KIND_PARTY,
    KIND_REVOKE,
    NOT_AFTER_AHEAD_MAX,
    SENDER_GATEWAY,
    SENDER_PARTY,
    TX_BYTES_MAX,
    Sender,
    decode_transaction,
)
from ledger.chain_genesis import party_id_of
from ledger.conflict import conflict_of_heads as two
from ledger.cose import sign1_decode, sign1_encode
from ledger.signing import ES256, P256_ORDER, kid_of, low_s
from tests.fakes.gateway_feed import GatewayFeed
from tests.fakes.small_chain import (
    SmallChain,
    admission,
    anchors,
    draft,
    enrolment,
    gateway_tx,
    genesis,
    party_id,
    sign,
    signer,
    tx,
)

FEED = GatewayFeed("cold room").grow(4)
OTHER = GatewayFeed("truck").grow(2)
DIGEST = b"d" * 32


def chain_with_feed() -> SmallChain:
    chain = SmallChain()
    chain.block(admission("carrier"), admission("reader", 4))
    chain.block(enrolment(FEED), anchors([FEED.item(None, 1)]))
    return chain


def code_of(chain: SmallChain, data: bytes) -> Code:
    """The outcome's code; asserts that not one byte of the state changed."""
    before = chain.app.app_hash
    finalized = chain.finalize(data)
    assert before == finalized.app_hash
    assert ({}, (), {}) == (
        finalized.outcome.puts,
        finalized.outcome.leaves,
        finalized.outcome.marks,
    )
    return finalized.results[0].code


def with_signature(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    parts = sign1_decode(data)
    return sign1_encode(
        protected=parts.protected, payload=parts.payload, signature=change(parts.signature)
    )


PARTY_BODY = [1, "new", -8, signer("new").public_key_der(), 2]
GOOD = tx(KIND_PARTY, PARTY_BODY)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", Code.MALFORMED),
        (b"\xd2\x80", Code.MALFORMED),
        (GOOD[1:], Code.MALFORMED),
        (GOOD + b"\x00", Code.MALFORMED),
        (GOOD + bytes(TX_BYTES_MAX), Code.OVERSIZED),
        (with_signature(GOOD, lambda s: s[:63]), Code.MALFORMED),
        (with_signature(GOOD, lambda _: bytes(64)), Code.SIGNATURE_WRONG),
        (with_signature(GOOD, lambda s: s[:-1] + bytes([s[-1] ^ 1])), Code.SIGNATURE_WRONG),
        (sign(draft(KIND_PARTY, PARTY_BODY, chain_id="other"), "operator"), Code.OTHER_CHAIN),
        (sign(draft(KIND_PARTY, PARTY_BODY, not_after=0), "operator"), Code.EXPIRED),
        (
            sign(draft(KIND_PARTY, PARTY_BODY, not_after=NOT_AFTER_AHEAD_MAX + 99), "operator"),
            Code.EXPIRY_TOO_FAR,
        ),
        (tx(99, []), Code.KIND_UNKNOWN),
        (tx(KIND_PARTY, PARTY_BODY, "stranger"), Code.SENDER_UNKNOWN),
        (
            sign(draft(KIND_PARTY, PARTY_BODY, "carrier"), "operator"),
            Code.SIGNATURE_WRONG,
        ),
        (
            sign(replace(draft(KIND_PARTY, PARTY_BODY), kid=signer("carrier").kid), "operator"),
            Code.KEY_NOT_SENDERS,
        ),
        (sign(replace(draft(KIND_PARTY, PARTY_BODY), alg=ES256), "operator"), Code.KEY_NOT_SENDERS),
        (
            sign(
                draft(KIND_PARTY, PARTY_BODY, sender=Sender(SENDER_GATEWAY, b"f" * 16)), "operator"
            ),
            Code.SENDER_UNKNOWN,
        ),
        (tx(KIND_PARTY, PARTY_BODY, "carrier"), Code.UNAUTHORISED),
        (tx(KIND_PARTY, PARTY_BODY[:-1]), Code.BODY_WRONG),
        (tx(KIND_PARTY, [2, *PARTY_BODY[1:]]), Code.BODY_WRONG),
        (tx(KIND_PARTY, [*PARTY_BODY[:-1], 9]), Code.BODY_WRONG),
        (tx(KIND_PARTY, [1, "new", -8, b"no key", 2]), Code.BODY_WRONG),
        (tx(KIND_PARTY, [1, "other", -8, FEED.spki, 2]), Code.KEY_IN_USE),
        (
            tx(KIND_PARTY, [1, "carrier", -8, signer("carrier").public_key_der(), 3]),
            Code.PARTY_EXISTS,
        ),
        (tx(KIND_REVOKE, [1, b"f" * 16]), Code.GATEWAY_UNKNOWN),
        (tx(KIND_REVOKE, [1, FEED.feed_id], "carrier"), Code.UNAUTHORISED),
        (enrolment(OTHER, "reader"), Code.UNAUTHORISED),
        (enrolment(OTHER, level=7), Code.BODY_WRONG),
        (enrolment(FEED, level=1), Code.GATEWAY_EXISTS),
        (tx(2, [1, OTHER.feed_id, -8, OTHER.spki, b"leaf", "g", 0, []]), Code.BODY_WRONG),
        (tx(2, [1, OTHER.feed_id, -8, b"key", OTHER.genesis_leaf, "g", 0, []]), Code.BODY_WRONG),
        (tx(2, [1, OTHER.feed_id, -8, FEED.spki, OTHER.genesis_leaf, "g", 0, []]), Code.KEY_IN_USE),
        (tx(2, [1, b"x" * 16, -8, OTHER.spki, OTHER.genesis_leaf, "g", 0, []]), Code.FEED_ID_WRONG),
        (
            tx(2, [1, OTHER.feed_id, -8, OTHER.spki, OTHER.genesis_leaf, "g", 0, [[]] * 257]),
            Code.TOO_MANY_ITEMS,
        ),
        (
            tx(2, [1, OTHER.feed_id, -8, OTHER.spki, OTHER.genesis_leaf, "g", 0, [[]]]),
            Code.BODY_WRONG,
        ),
        (tx(KIND_DEVICE, [1, FEED.feed_id, []]), Code.TOO_MANY_ITEMS),
        (tx(KIND_DEVICE, [1, b"x" * 16, [["d", 1, DIGEST, 0, None]]]), Code.GATEWAY_UNKNOWN),
        (
            tx(KIND_DEVICE, [1, FEED.feed_id, [["d", 1, DIGEST, 0, None]]], "carrier"),
            Code.UNAUTHORISED,
        ),
        (tx(KIND_DEVICE, [1, FEED.feed_id, [["", 1, DIGEST, 0, None]]]), Code.BODY_WRONG),
        (tx(KIND_DEVICE, [1, FEED.feed_id, [["d", 0, DIGEST, 0, None]]]), Code.BODY_WRONG),
        (tx(KIND_DEVICE, [1, FEED.feed_id, [["d", 1, DIGEST, 5, 4]]]), Code.BODY_WRONG),
        (tx(KIND_DEVICE, [1, FEED.feed_id, [["d", 1, b"short", 0, None]]]), Code.BODY_WRONG),
        (
            tx(
                KIND_DEVICE,
                [1, FEED.feed_id, [["d", 1, DIGEST, 0, None], ["e", 1, DIGEST, 0, None]]],
            ),
            Code.SLOT_TAKEN,
        ),
        (
            tx(KIND_DEVICE, [1, FEED.feed_id, [["d", n + 1, DIGEST, 0, None] for n in range(257)]]),
            Code.DEVICE_FULL,
        ),
        (tx(KIND_ANCHORS, [1, []]), Code.TOO_MANY_ITEMS),
        (tx(KIND_ANCHORS, [1, [1]]), Code.BODY_WRONG),
        (tx(KIND_ANCHORS, [1, [[b"head", 0, [], [], None]]]), Code.BODY_WRONG),
        (anchors([OTHER.item(None)]), Code.GATEWAY_UNKNOWN),
        (anchors([FEED.item(1, 2, epoch=1)]), Code.EPOCH_NOT_OPEN),
        (anchors([FEED.item(None, 0)]), Code.ANCHOR_SMALLER),
        (anchors([FEED.item(0, 2)]), Code.ANCHOR_INCONSISTENT),
        (anchors([FEED.item(2, 3)]), Code.ANCHOR_INCONSISTENT),
        (tx(KIND_MIRRORED, [1, []]), Code.TOO_MANY_ITEMS),
        (tx(KIND_MIRRORED, [1, [[b"x" * 16, 0, 0, DIGEST]]]), Code.GATEWAY_UNKNOWN),
        (tx(KIND_MIRRORED, [1, [[FEED.feed_id, 0, 0, b"short"]]]), Code.BODY_WRONG),
        (tx(KIND_MIRRORED, [1, [[FEED.feed_id, 0, -1, DIGEST]]]), Code.BODY_WRONG),
        (tx(KIND_MIRRORED, [1, [[FEED.feed_id, 0]]]), Code.BODY_WRONG),
        (tx(KIND_OPENED, [1, [[FEED.feed_id, 0, 0, 1 << 16, DIGEST, True]]]), Code.BODY_WRONG),
        (gateway_tx(FEED, KIND_MIRRORED, [1, [[FEED.feed_id, 0, 0, DIGEST]]]), Code.UNAUTHORISED),
        (
            tx(KIND_CONFLICT, [1, FEED.feed_id, 2, two(FEED.head(1), FEED.head(2))]),
            Code.NO_CONFLICT,
        ),
        (tx(KIND_CONFLICT, [1, FEED.feed_id, 1, FEED.head(1)]), Code.NO_CONFLICT),
        (
            tx(KIND_CONFLICT, [1, FEED.feed_id, 2, two(OTHER.head(1), FEED.head(1))]),
            Code.NO_CONFLICT,
        ),
        (tx(KIND_CONFLICT, [1, OTHER.feed_id, 1, OTHER.head(1)]), Code.GATEWAY_UNKNOWN),
        (tx(KIND_CONFLICT, [1, FEED.feed_id, 3, b"evidence"]), Code.NO_CONFLICT),
        (tx(KIND_CONFLICT, [1, FEED.feed_id, 5, FEED.head(1)]), Code.BODY_WRONG),
    ],
)
def test_a_hostile_transaction_has_its_named_refusal_and_leaves_the_state(
    data: bytes, code: Code
) -> None:
    assert code == code_of(chain_with_feed(), data)


def test_every_kind_has_a_handler_and_every_code_one_name() -> None:
    kinds = {value for name, value in vars(transaction).items() if name.startswith("KIND_")}
    assert kinds == set(HANDLERS) == set(ROLES_OF_KIND)
    assert len(Code.__members__) == len(set(Code))


def test_the_good_transaction_of_these_tests_is_accepted() -> None:
    assert [Code.ACCEPTED] == [r.code for r in chain_with_feed().block(GOOD)]


def test_a_transaction_is_accepted_once_and_its_replay_refused() -> None:
    chain = chain_with_feed()
    chain.block(GOOD)
    assert code_of(chain, GOOD) == Code.REPLAYED
    assert chain.app.check_tx(GOOD, time_ms=0).code == Code.REPLAYED
    assert [Code.ACCEPTED, Code.REPLAYED] == [r.code for r in chain_with_feed().block(GOOD, GOOD)]


def test_check_tx_passes_what_a_block_may_try_and_refuses_the_rest() -> None:
    chain = chain_with_feed()
    assert chain.app.check_tx(GOOD, time_ms=0).code == Code.ACCEPTED
    assert chain.app.check_tx(b"", time_ms=0).code == Code.MALFORMED


def test_a_forked_head_is_refused_by_its_name() -> None:
    chain = chain_with_feed()
    fork = GatewayFeed("cold room").grow(2, "another history")
    assert code_of(chain, anchors([fork.item(0, 1)])) == Code.ANCHOR_FORKED


def test_a_head_under_a_key_that_is_not_enrolled_is_refused() -> None:
    chain = chain_with_feed()
    thief = GatewayFeed("cold room").grow(4)
    thief.key, thief.spki = OTHER.key, OTHER.spki
    assert code_of(chain, anchors([thief.item(1, 2)])) == Code.ANCHOR_KEY


def test_a_resent_head_is_accepted_and_changes_nothing() -> None:
    chain = chain_with_feed()
    chain.block(anchors([FEED.item(1, 3)]))
    for again in (FEED.item(1, 3), FEED.item(None, 1)):
        assert code_of(chain, anchors([again], nonce=b"another nonce..!")) == Code.ACCEPTED


def test_the_same_trees_signed_again_are_no_new_anchor() -> None:
    chain = chain_with_feed()
    again = replace(FEED.item(None, 1), head=FEED.head(1, issued_at_s=2))
    assert code_of(chain, anchors([again])) == Code.ACCEPTED


def test_one_bad_head_does_not_harm_the_others_of_its_transaction() -> None:
    chain = chain_with_feed()
    chain.block(enrolment(OTHER, "carrier"))
    data = anchors([OTHER.item(None, 0), FEED.item(0, 2), OTHER.item(0, 1)])
    (result,) = chain.block(data)
    assert (Code.ACCEPTED, (Code.ACCEPTED, Code.ANCHOR_INCONSISTENT, Code.ACCEPTED)) == (
        result.code,
        result.item_codes,
    )
    assert bytes.fromhex("8300186700") == result.data


def test_anchors_are_logged_in_order_with_their_places() -> None:
    chain = SmallChain()
    outcome = chain.finalize(
        enrolment(FEED), anchors([FEED.item(None, 1), FEED.item(1, 3)])
    ).outcome
    assert [(2, 0), (4, 0), (4, 1)] == [
        (leaf.record[0], leaf.item_index) for leaf in outcome.leaves
    ]
    assert (4, FEED.feed_id, 0, 3, 13) == outcome.leaves[2].record[:5]
    assert {1} == {leaf.chain_height for leaf in outcome.leaves}


def test_a_revoked_gateway_anchors_nothing_and_sends_nothing() -> None:
    chain = chain_with_feed()
    assert chain.block(tx(KIND_REVOKE, [1, FEED.feed_id]))[0].code == Code.ACCEPTED
    assert code_of(chain, anchors([FEED.item(1, 2)])) == Code.GATEWAY_REVOKED
    assert code_of(chain, enrolment(FEED)) == Code.REPLAYED
    again = tx(
        2, [1, FEED.feed_id, -8, FEED.spki, FEED.genesis_leaf, "gateway", 0, []], nonce=b"n" * 16
    )
    assert code_of(chain, again) == Code.GATEWAY_EXISTS
    device = [1, FEED.feed_id, [["d", 1, DIGEST, 0, None]]]
    assert code_of(chain, gateway_tx(FEED, KIND_DEVICE, device)) == Code.KEY_REVOKED
    assert code_of(chain, tx(KIND_DEVICE, device)) == Code.GATEWAY_REVOKED
    assert code_of(chain, tx(KIND_REVOKE, [1, FEED.feed_id], nonce=b"m" * 16)) == Code.ACCEPTED


def test_an_operator_may_revoke_another_partys_gateway() -> None:
    chain = chain_with_feed()
    chain.block(enrolment(OTHER, "carrier"))
    assert chain.block(tx(KIND_REVOKE, [1, OTHER.feed_id]))[0].code == Code.ACCEPTED


def test_a_gateway_records_its_own_devices_and_its_party_may_close_them() -> None:
    chain = chain_with_feed()
    open_row, closed_row = ["probe", 65_537, DIGEST, 5, None], ["probe", 65_537, DIGEST, 5, 9]
    assert chain.block(gateway_tx(FEED, KIND_DEVICE, [1, FEED.feed_id, [open_row]]))[0].code == 0
    again = tx(KIND_DEVICE, [1, FEED.feed_id, [open_row]])
    assert code_of(chain, again) == Code.ACCEPTED
    assert chain.block(tx(KIND_DEVICE, [1, FEED.feed_id, [closed_row]]))[0].code == Code.ACCEPTED
    reopened = tx(KIND_DEVICE, [1, FEED.feed_id, [open_row]], nonce=b"r" * 16)
    assert code_of(chain, reopened) == Code.SLOT_TAKEN
    other = tx(KIND_DEVICE, [1, FEED.feed_id, [["probe", 65_537, b"e" * 32, 5, None]]])
    assert code_of(chain, other) == Code.SLOT_TAKEN


def test_a_device_stays_with_its_party() -> None:
    chain = chain_with_feed()
    chain.block(enrolment(OTHER, "carrier"))
    chain.block(tx(KIND_DEVICE, [1, FEED.feed_id, [["probe", 1, DIGEST, 0, None]]]))
    stolen = tx(KIND_DEVICE, [1, OTHER.feed_id, [["probe", 1, DIGEST, 0, None]]], "carrier")
    assert code_of(chain, stolen) == Code.DEVICE_OF_OTHER_PARTY


def test_a_device_may_move_between_gateways_of_one_party() -> None:
    chain = chain_with_feed()
    chain.block(enrolment(OTHER))
    rows = [["probe", 1, DIGEST, 0, None]]
    chain.block(tx(KIND_DEVICE, [1, FEED.feed_id, rows]), tx(KIND_DEVICE, [1, OTHER.feed_id, rows]))
    assert [FEED.feed_id, OTHER.feed_id] == [
        row[0] for row in decode_value(chain.get("device", "probe"))[1]
    ]


def decode_value(value: bytes | None) -> list[list[list[bytes]]]:
    from ledger.canonical import decode

    assert value is not None
    found: list[list[list[bytes]]] = decode(value)
    return found


def test_devices_may_be_enrolled_with_their_gateway() -> None:
    chain = chain_with_feed()
    body = [1, OTHER.feed_id, -8, OTHER.spki, OTHER.genesis_leaf, "g", 0, [["scale", 3, DIGEST, 7]]]
    (result,) = chain.block(tx(2, body))
    assert result.code == Code.ACCEPTED
    assert [[OTHER.feed_id, 3, DIGEST, 7, None]] == decode_value(chain.get("device", "scale"))[1]


def test_evidence_of_two_histories_freezes_the_feed_and_names_both_sides() -> None:
    chain = chain_with_feed()
    fork = GatewayFeed("cold room").grow(3, "another history")
    for body in (
        [1, FEED.feed_id, 1, fork.head(1)],
        [1, FEED.feed_id, 2, two(fork.head(2), FEED.head(2))],
    ):
        frozen = chain_with_feed()
        assert frozen.block(tx(KIND_CONFLICT, body, "carrier"))[0].code == Code.ACCEPTED
        assert code_of(frozen, anchors([FEED.item(1, 2)])) == Code.FEED_FROZEN
        assert frozen.get("frozen", FEED.feed_id) is not None
        again = tx(KIND_CONFLICT, body, "carrier", nonce=b"a" * 16)
        assert code_of(frozen, again) == Code.ACCEPTED
    assert chain.get("frozen", FEED.feed_id) is None


def test_a_higher_head_with_fewer_leaves_is_a_conflict() -> None:
    chain = chain_with_feed()
    short = GatewayFeed("cold room").grow(4)
    short.sizes = [2, 3, 4, 5]
    body = [1, FEED.feed_id, 1, short.head(3)]
    assert chain.block(tx(KIND_CONFLICT, body))[0].code == Code.ACCEPTED


def test_statements_are_recorded_once_per_party() -> None:
    chain = chain_with_feed()
    rows = [[FEED.feed_id, 0, height, DIGEST] for height in range(3)]
    opened = [[FEED.feed_id, 0, 0, 1, DIGEST, True]]
    size = chain.app.state.log.size
    chain.block(tx(KIND_MIRRORED, [1, rows], "carrier"), tx(KIND_OPENED, [1, opened], "carrier"))
    chain.block(tx(KIND_MIRRORED, [1, rows], "reader"))
    assert size + 7 == chain.app.state.log.size
    repeated = tx(KIND_MIRRORED, [1, [*rows[:2], rows[0]]], "carrier", nonce=b"x" * 16)
    assert code_of(chain, repeated) == Code.ACCEPTED


def test_a_transaction_id_does_not_depend_on_the_signature() -> None:
    other = with_signature(GOOD, lambda _: bytes(64))
    assert decode_transaction(GOOD).tx_id == decode_transaction(other).tx_id


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_noise_changes_nothing(noise: bytes) -> None:
    assert code_of(BASE, noise) == Code.MALFORMED


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
@settings(max_examples=500, deadline=None)
def test_a_changed_byte_changes_nothing(at: int, mask: int) -> None:
    bad = GOOD[:at] + bytes([GOOD[at] ^ mask]) + GOOD[at + 1 :]
    assert code_of(BASE, bad) != Code.ACCEPTED


BODIES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.binary(max_size=40) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=9),
    max_leaves=12,
)


@given(st.integers(1, 9), BODIES | st.lists(BODIES, max_size=8).map(lambda rest: [1, *rest]))
@settings(max_examples=400, deadline=None)
def test_signed_nonsense_changes_nothing(kind: int, body: object) -> None:
    assert code_of(BASE, tx(kind, body)) != Code.ACCEPTED


BASE = chain_with_feed()


def test_parties_have_distinct_ids() -> None:
    assert party_id("carrier") != party_id("operator")


def test_the_same_admission_or_enrolment_again_changes_nothing() -> None:
    chain = chain_with_feed()
    own = signer("carrier").public_key_der()
    assert code_of(chain, tx(KIND_PARTY, [1, "carrier", -8, own, 2], nonce=b"n" * 16)) == 0
    body = [1, FEED.feed_id, -8, FEED.spki, FEED.genesis_leaf, "gateway", 0, []]
    assert code_of(chain, tx(2, body, nonce=b"n" * 16)) == Code.ACCEPTED


def test_heads_of_two_epochs_do_not_exclude_each_other() -> None:
    chain = chain_with_feed()
    fork = GatewayFeed("cold room").grow(2, "another history")
    body = [1, FEED.feed_id, 2, two(fork.head(1, epoch=1), FEED.head(1))]
    assert code_of(chain, tx(KIND_CONFLICT, body)) == Code.NO_CONFLICT


def test_a_high_s_signature_is_refused_though_it_verifies_elsewhere() -> None:
    key = ec.derive_private_key(12345, ec.SECP256R1())
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    sender = Sender(SENDER_PARTY, party_id_of("hardware", ES256, spki))
    chain = SmallChain()
    chain.block(tx(KIND_PARTY, [1, "hardware", ES256, spki, 1]))
    unsigned = replace(draft(KIND_PARTY, PARTY_BODY, sender=sender), alg=ES256, kid=kid_of(spki))
    r, s = decode_dss_signature(key.sign(unsigned.tbs, ec.ECDSA(SHA256())))
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    low = low_s(raw)
    high = low[:32] + (P256_ORDER - int.from_bytes(low[32:], "big")).to_bytes(32, "big")

    def signed(signature: bytes) -> bytes:
        return sign1_encode(
            protected=unsigned.protected(), payload=unsigned.payload, signature=signature
        )

    assert code_of(chain, signed(high)) == Code.SIGNATURE_WRONG
    assert chain.block(signed(low))[0].code == Code.ACCEPTED


def test_rules_that_this_version_lacks_are_not_guessed() -> None:
    other = replace(genesis(), app_version=2)
    with pytest.raises(LocalError, match="rules"):
        Application(other, state=genesis_state(other), height=0, marks=frozenset())


def test_where_votes_are_needed_no_operator_admits_alone() -> None:
    founded = replace(genesis(), admission_votes_min=2)
    app = Application(founded, state=genesis_state(founded), height=0, marks=frozenset())
    (result,) = app.prepare_proposal(time_ns=0, txs=[GOOD])
    assert result.code == Code.VOTE_NEEDED


def test_a_proposal_with_a_transaction_that_changes_nothing_is_voted_down() -> None:
    app = chain_with_feed().app
    places = {"height": app.height + 1, "time_ns": 1_767_225_700_000_000_000}
    assert app.process_proposal(**places, txs=[GOOD])
    assert not app.process_proposal(**places, txs=[GOOD, GOOD])
    assert not app.process_proposal(**places, txs=[GOOD, b"junk"])
