"""The fifteen traps of the ledger's design, by number; longer forms stand in the modules' tests."""

import os
from dataclasses import replace

import cbor2
import pytest

from ledger import sealed
from ledger.canonical import decode, encode
from ledger.cose import sign1_decode, sign1_encode
from ledger.entry import KIND_CLOCK_STEP, KIND_TELEMETRY, Entry, encode_entry
from ledger.errors import (
    AnchorFutureError,
    AnchorInconsistentError,
    InputError,
    LedgerError,
    NotCanonicalError,
    OpeningError,
    ProofError,
    RefutedError,
)
from ledger.evidence import Opinion, judge
from ledger.feed import AnchorItem, anchor_state_of, check_anchor
from ledger.feed_proof import check_feed_part
from ledger.hashing import leaf_hash
from ledger.head import Head, decode_head, verify_inclusion_receipt
from ledger.sealed import decompress
from ledger.signing import ES256, P256_ORDER
from ledger.verdict import Code, Outcome
from ledger.verify import verify_bundle
from tests.unit.ledger.attacks import ATTACKS, in_audience, lying_feed, with_headers
from tests.unit.ledger.bad_runs import BAD_RUNS, accusation, feed_with, rle_bomb, squeezed
from tests.unit.ledger.feed_builder import (
    START_MS,
    ChainBuilder,
    FeedBuilder,
    RunPart,
    X,
    good_scene,
    grown,
    scene_of,
)
from tests.unit.ledger.test_journal import (
    test_a_flipped_bit_loses_its_own_frame_only_and_loudly as journal_bit,
)


def test_trap_1_a_general_decoder_takes_what_ours_refuses() -> None:
    for text in ("1817", "a203040102", "9f01ff", "f93c00", "a201020103"):
        cbor2.loads(bytes.fromhex(text))
        with pytest.raises(NotCanonicalError):
            decode(bytes.fromhex(text))
    # Its "canonical" order is by length first (RFC 7049); ours is by bytes.
    value = {100: 1, -1: 2, "a": 3}
    assert cbor2.dumps(value, canonical=True) != encode(value)


def test_trap_2_one_and_true_are_two_keys() -> None:
    with pytest.raises(NotCanonicalError):
        decode(b"\xa2\x01\x00\xf5\x00")
    with pytest.raises(NotCanonicalError):
        encode({True: 1})
    assert decode(b"\x01") is not True
    with pytest.raises(InputError):
        decode_head(sign1_encode(protected=encode({1: True}), payload=bytes(32), signature=b""))


def test_trap_3_a_relabelled_receipt_a_high_s_and_extra_labels_are_refused() -> None:
    feed = FeedBuilder(alg=ES256)
    feed.describe(X)
    feed.read(X, 3)
    feed.cut()
    head, leaf = feed.head(), leaf_hash(feed.leaves[5])
    size = head.claim.size
    assert size == 8 - 1, "genesis, descriptor, three readings, two summaries"
    path = feed.tree.inclusion_path(5)
    good = head.inclusion_receipt(5, path)
    verify_inclusion_receipt(good, leaf, feed.key)
    parts = sign1_decode(good)
    s = P256_ORDER - int.from_bytes(parts.signature[32:], "big")
    high = parts.signature[:32] + s.to_bytes(32, "big")
    lies = [(parts.unprotected, high), ({**parts.unprotected, 4: b"kid"}, parts.signature)]
    for other in (6, 8):
        proof = encode([other, 5, path])
        lies.append(({396: {-1: [proof]}}, parts.signature))
    for unprotected, signature in lies:
        lie = sign1_encode(
            protected=parts.protected, unprotected=unprotected, payload=None, signature=signature
        )
        with pytest.raises(LedgerError):
            verify_inclusion_receipt(lie, leaf, feed.key)


@pytest.mark.parametrize("lie", ["a reading counted twice", "numbers skipped between two blocks"])
def test_trap_4_doubled_and_skipped_readings_are_refuted(lie: str) -> None:
    attack = next(attack for attack in ATTACKS if attack.lie == lie)
    part, key = attack.made()
    with pytest.raises(ProofError):
        check_feed_part(part, key)


def test_trap_4_a_number_doubled_across_two_blocks_is_refuted_by_any_bundle_with_both() -> None:
    def again(_: RunPart, entries: list[Entry]) -> list[Entry]:
        return [replace(e, srcseq=e.srcseq - 1) if e.slot == X else e for e in entries]

    feed = lying_feed(in_audience(1, again), at=5)
    for base in (None, 1, 4):
        with pytest.raises(ProofError, match="entries after"):
            check_feed_part(feed.part([X], base=base), feed.key)


def test_trap_5_of_two_header_worlds_over_one_leaf_tree_the_second_is_never_anchored() -> None:
    feed, other = grown(FeedBuilder()), grown(FeedBuilder())
    with_headers(
        other,
        lambda h, header, prev: replace(header, prev_digest=prev, jseq_end=header.jseq_end + h),
    )
    anchored = anchor_state_of(feed.claim(3))
    size, old = feed.headers[6].size, feed.headers[3].size
    item = AnchorItem(
        head=other.head(6).encode(),
        previous_size=old,
        leaf_path=tuple(feed.tree.consistency_path(old, size)),
        header_path=tuple(other.header_tree.consistency_path(4, 7)),
        genesis_leaf=None,
    )
    assert feed.claim(6).root == other.claim(6).root
    with pytest.raises(AnchorInconsistentError):
        check_anchor(anchored, item, feed.key)


def test_trap_6_a_jumping_wall_clock_changes_no_order_and_is_named() -> None:
    feed = FeedBuilder()
    feed.describe(X)
    feed.cut()
    feed.cut()
    true_us = (START_MS + 250_000) * 1000
    for wall_us in (true_us, 0, None, true_us + 10**15, -5):
        time = replace(feed.time(), wall_us=wall_us, quality=0 if wall_us is None else 1)
        number = feed._srcseq[X]
        feed._srcseq[X] += 1
        feed.put(Entry(KIND_TELEMETRY, X, time, number, [1]))
    feed.add(KIND_CLOCK_STEP, 0, [1, 5_000_000, 0])
    feed.cut()
    made = scene_of(feed)
    answer = verify_bundle(made.bundle(base=1).encode(), trusted_genesis_sha256=made.trust)
    assert Outcome.PROVEN == answer.outcome
    assert [{"channel": "temp", "readings": 3}] == answer.values(Code.LATE)
    assert [{"channel": "temp", "readings": 1}] == answer.values(Code.NO_CLOCK)
    assert [{"before_us": 5_000_000, "after_us": 0}] == answer.values(Code.CLOCK_STEP)
    assert [1, 2, 3, 4, 5] == [item.entry.srcseq for item in answer.entries]


def test_trap_7_a_head_of_the_far_future_is_refused_and_an_old_one_taken() -> None:
    feed = grown(FeedBuilder())

    def item(issued_at_s: int) -> AnchorItem:
        return AnchorItem(
            head=feed.head(issued_at_s=issued_at_s).encode(),
            previous_size=0,
            leaf_path=tuple(feed.tree.inclusion_path(0)),
            header_path=(),
            genesis_leaf=feed.leaves[0],
        )

    with pytest.raises(AnchorFutureError):
        check_anchor(None, item(4_000_000_000), feed.key, now_ms=START_MS)
    check_anchor(None, item(0), feed.key, now_ms=START_MS)


def test_trap_8_a_thousand_crashes_between_intent_and_head_give_one_head_digest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed = grown(FeedBuilder(alg=ES256), 3)
    claim = feed.claim()
    intent = (claim.protected(), claim.root)  # what was synced before the token was touched
    digests, signatures = set[bytes](), set[bytes]()
    for crash in range(1000):
        monkeypatch.setattr(sealed, "ZSTD_LEVEL", 1 + crash % 19)
        feed.keys = {n: replace(key, key_epoch=crash) for n, key in feed.keys.items()}
        unsigned = sign1_encode(protected=intent[0], payload=intent[1], signature=bytes(64))
        again = decode_head(unsigned).claim
        head = Head(again, feed.sign(again.tbs()))
        head.verify(feed.key)
        digests.add(head.claim.digest)
        signatures.add(head.signature)
    assert {claim.digest} == digests
    assert 1000 == len(signatures), "the signatures differ, so no digest may hold them"


def test_trap_9_a_restored_backup_that_seals_again_has_other_keys_and_salts() -> None:
    runs = []
    for salt in ("before", "after the restore"):
        feed = grown(FeedBuilder(salt=salt), 3)
        feed.read(X, 3)
        feed.cut()
        run = feed.run(3, 1)
        assert run is not None
        runs.append((run, feed.run_key(feed.headers[3], run)))
    (one, first), (two, second) = runs
    assert one.ciphertext != two.ciphertext
    assert first.secret != second.secret
    assert first.salts(4) != second.salts(4)
    assert one.body.subtrees != two.body.subtrees


test_trap_10_a_flipped_bit_in_an_old_journal_frame_loses_that_frame_only = journal_bit


def masked(value: object) -> object:
    """A decoded bundle with what may differ blacked out: 32-byte hashes, signatures, salts."""
    if isinstance(value, list):
        return [masked(item) for item in value]
    if isinstance(value, dict):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, bytes) and len(value) in (32, 64):
        return len(value)
    if isinstance(value, bytes):
        try:
            inner = decode(value[1:] if value[:1] == b"\xd2" else value)
        except NotCanonicalError:
            return value
        return masked(inner) if isinstance(inner, list | dict) else value
    return value


@pytest.mark.parametrize("base", [None, 3])
def test_trap_11_another_sensors_values_change_nothing_but_hashes_and_signatures(
    base: int | None,
) -> None:
    one, two = (
        scene_of(grown(FeedBuilder(), y_value=value)).bundle(base=base) for value in (7000, 9876)
    )
    first, second = one.encode(), two.encode()
    assert first != second
    assert len(first) == len(second)
    assert masked(decode(first)) == masked(decode(second))
    chains = [masked(decode(bundle.chain)) for bundle in (one, two)]
    assert chains[0] == chains[1]
    assert one.feeds[0].leaves == two.feeds[0].leaves, "X's own leaves are the same bytes"


def test_trap_12_a_forged_chain_with_a_genesis_of_its_own_is_never_exit_0() -> None:
    real = good_scene()
    forged = scene_of(grown(FeedBuilder()), chain=ChainBuilder(owner="forger"))
    data = forged.bundle().encode()
    answers = {verify_bundle(data, trusted_genesis_sha256=t).outcome for t in (real.trust, None)}
    assert {Outcome.REFUTED, Outcome.UNCHECKED} == answers


def test_trap_13_a_stolen_revoked_key_cannot_date_a_head_back() -> None:
    feed = grown(FeedBuilder())
    made = scene_of(feed, revoked_ms=START_MS + 300_000)
    back_dated = feed.head(issued_at_s=START_MS // 1000 - 1000)
    made.chain.anchor(back_dated.claim, START_MS + 800_000)
    anchors = (*made.anchors[:6], len(made.chain.leaves) - 1)
    made = replace(made, anchors=anchors)
    part = replace(feed.part([X]), head=back_dated.encode())
    answer = verify_bundle(made.bundle(part=part).encode(), trusted_genesis_sha256=made.trust)
    assert (Outcome.REFUTED, True) == (
        answer.outcome,
        "revoked" in answer.values(Code.REFUTED)[0]["reason"],
    )
    before = verify_bundle(made.bundle(last=1).encode(), trusted_genesis_sha256=made.trust)
    assert Outcome.PROVEN == before.outcome, "what was anchored before stands"


def test_trap_14_an_honest_gateway_framed_by_a_reader_is_never_bad() -> None:
    feed = feed_with()
    fair = accusation(feed)
    other = accusation(feed, height=1)
    framed = [
        replace(fair, run_key=os.urandom(32)),
        replace(fair, ciphertext=other.ciphertext),
        replace(other, run_key=fair.run_key),
        replace(fair, run_head=other.run_head, run_body=other.run_body),
        fair,
    ]
    assert {Opinion.NO_PROOF} == {judge(item.encode(), feed.key).opinion for item in framed}
    guilty = BAD_RUNS["a skipped number"][1]()
    assert Opinion.BAD == judge(accusation(guilty).encode(), guilty.key).opinion


def test_trap_15_bombs_junk_and_second_frames_do_not_open() -> None:
    frame = squeezed(b"reading " * 40)
    assert b"reading " * 40 == decompress(frame, 320)
    for bad in (rle_bomb(320, 8000), frame + b"junk", frame + frame, frame + squeezed(b"")):
        with pytest.raises(OpeningError):
            decompress(bad, 320)


def test_what_is_refuted_is_refuted_for_readers_too() -> None:
    with pytest.raises((RefutedError, InputError)):
        decode(encode_entry(Entry(1, X, FeedBuilder().time(), 0, None)) + b"\x00")
