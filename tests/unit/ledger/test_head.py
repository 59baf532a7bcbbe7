from typing import Any

import pytest

from ledger.canonical import decode, encode
from ledger.cose import sign1_decode, sign1_encode
from ledger.errors import FormatError, InputError, LedgerError, ProofError, SignatureError
from ledger.hashing import leaf_hash
from ledger.head import (
    Head,
    decode_head,
    verify_consistency_receipt,
    verify_inclusion_receipt,
)
from ledger.signing import EDDSA, ES256, P256_ORDER
from tests.unit.ledger.feed_builder import FeedBuilder, grown

FEED = grown(FeedBuilder(), 5)
HEAD = FEED.head()
SIZE = HEAD.claim.size


def receipt(index: int, **edits: Any) -> bytes:
    """An inclusion receipt; edits: `proof` and `unprotected` by the liar."""
    path = FEED.tree.inclusion_path(index, SIZE)
    proof = edits.get("proof") or [SIZE, index, path]
    unprotected = edits.get("unprotected", {396: {-1: [encode(proof)]}})
    return sign1_encode(
        protected=HEAD.claim.protected(),
        unprotected=unprotected,
        payload=edits.get("payload"),
        signature=edits.get("signature") or HEAD.signature,
    )


@pytest.mark.parametrize("alg", [EDDSA, ES256])
def test_a_head_comes_back_from_its_bytes_and_verifies(alg: int) -> None:
    head = grown(FeedBuilder(alg=alg), 2).head()
    again = decode_head(head.encode())
    assert (head.claim, head.signature) == (again.claim, again.signature)
    again.verify(FeedBuilder(alg=alg).key)


def test_every_changed_byte_of_a_head_is_refused() -> None:
    good = HEAD.encode()
    for at in range(len(good)):
        for flip in (1, 0x40, 0x80):
            bad = good[:at] + bytes([good[at] ^ flip]) + good[at + 1 :]
            with pytest.raises(LedgerError):
                decode_head(bad).verify(FEED.key)


def test_a_heads_digest_does_not_depend_on_its_signature() -> None:
    feed = grown(FeedBuilder(alg=ES256), 2)
    first, second = feed.head(), feed.head()
    assert first.signature != second.signature
    assert first.claim.digest == second.claim.digest


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 1, "height": 0}, {"size": -1}, {"height": -1}, {"size": 3},
        {"epoch": 1 << 32}, {"epoch": -1}, {"feed_id": b"short"}, {"block_root": b"short"},
        {"prev_head_digest": bytes(31)}, {"issuer": b"bytes"}, {"kid": "text"}, {"counter": -1},
        {"issued_at_s": -1}, {"size": True}, {"alg": "ES256"},
    ],
)  # fmt: skip
def test_a_claim_out_of_range_is_refused_whoever_signed_it(changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        decode_head(FEED.head(**changes).encode())


@pytest.mark.parametrize(
    "edit",
    [
        {16: "application/other"}, {395: 2}, {5: b"new label"}, {15: {1: "i", 2: "s", 7: 1}},
        {15: {1: "i"}}, {-70211: [1]}, {-70211: 5}, {15: []},
    ],
)  # fmt: skip
def test_labels_that_are_not_a_heads_are_refused(edit: dict[int, Any]) -> None:
    labels = {**sign1_decode(HEAD.encode()).protected_map, **edit}
    protected = encode(labels)
    with pytest.raises(InputError):
        decode_head(sign1_encode(protected=protected, payload=bytes(32), signature=bytes(64)))


def test_a_head_of_a_later_version_is_refused() -> None:
    labels = sign1_decode(HEAD.encode()).protected_map
    labels[-70211][0] = 2
    with pytest.raises(FormatError, match="version"):
        decode_head(sign1_encode(protected=encode(labels), payload=bytes(32), signature=bytes(64)))


def test_another_key_or_algorithm_does_not_pass() -> None:
    with pytest.raises(FormatError, match="another key"):
        HEAD.verify(FeedBuilder("thief").key)
    stolen = Head(HEAD.claim, FeedBuilder("thief").sign(HEAD.claim.tbs()))
    with pytest.raises(SignatureError):
        stolen.verify(FEED.key)


@pytest.mark.parametrize("index", range(SIZE))
def test_an_inclusion_receipt_holds_for_its_leaf_alone(index: int) -> None:
    data = HEAD.inclusion_receipt(index, FEED.tree.inclusion_path(index, SIZE))
    assert receipt(index) == data
    leaf = leaf_hash(FEED.leaves[index])
    assert (HEAD.claim, index) == verify_inclusion_receipt(data, leaf, FEED.key)
    with pytest.raises(SignatureError):
        verify_inclusion_receipt(data, leaf_hash(b"another"), FEED.key)


def test_a_consistency_receipt_holds_for_the_verifiers_own_old_root() -> None:
    for old in range(1, SIZE):
        data = HEAD.consistency_receipt(old, FEED.tree.consistency_path(old, SIZE))
        asked = {"old_size": old, "new_root": HEAD.claim.root, "key": FEED.key}
        verify_consistency_receipt(data, old_root=FEED.tree.root(old), **asked)  # type: ignore[arg-type]  # mixed
        with pytest.raises(ProofError):
            verify_consistency_receipt(data, old_root=bytes(32), **asked)  # type: ignore[arg-type]  # mixed
        with pytest.raises(ProofError, match="from size"):
            verify_consistency_receipt(
                data,
                old_size=old + 1,
                old_root=FEED.tree.root(old + 1),
                new_root=HEAD.claim.root,
                key=FEED.key,
            )


def relabelled(index: int, size: int) -> bytes:
    return receipt(index, proof=[size, index, FEED.tree.inclusion_path(index, SIZE)])


def test_a_receipt_relabelled_to_another_tree_size_is_refused() -> None:
    taken = 0
    for index in range(SIZE):
        for size in range(index + 1, SIZE + 9):
            if size == SIZE:
                continue
            with pytest.raises(LedgerError) as caught:
                verify_inclusion_receipt(
                    relabelled(index, size), leaf_hash(FEED.leaves[index]), FEED.key
                )
            taken += "path for size" in str(caught.value)
    assert taken, "some relabelled paths lead to the root, and the signed size refuses them"


def test_receipts_with_a_high_s_or_extra_unprotected_labels_are_refused() -> None:
    feed = grown(FeedBuilder(alg=ES256), 2)
    head = feed.head()
    path = feed.tree.inclusion_path(3, head.claim.size)
    leaf = leaf_hash(feed.leaves[3])
    data = head.inclusion_receipt(3, path)
    verify_inclusion_receipt(data, leaf, feed.key)
    parts = sign1_decode(data)
    s = P256_ORDER - int.from_bytes(parts.signature[32:], "big")
    high = parts.signature[:32] + s.to_bytes(32, "big")
    again = {"protected": parts.protected, "payload": None}
    lies = [
        sign1_encode(unprotected=parts.unprotected, signature=high, **again),  # type: ignore[arg-type]  # mixed
        sign1_encode(
            unprotected={**parts.unprotected, 33: b"chain"},
            signature=parts.signature,
            **again,  # type: ignore[arg-type]  # mixed
        ),
    ]
    for lie in lies:
        with pytest.raises((SignatureError, FormatError)):
            verify_inclusion_receipt(lie, leaf, feed.key)


@pytest.mark.parametrize(
    "unprotected",
    [
        {}, {396: {}}, {396: []}, {396: {-2: []}}, {396: {-1: []}}, {396: {-1: [b"a", b"b"]}},
        {396: {-1: ["text"]}}, {396: {-1: [encode([1, 2])]}}, {396: {-1: [encode([1, 2, 3])]}},
        {396: {-1: [encode([4, 1, []])], -2: []}}, {396: {-1: [b"\x9f\xff"]}},
    ],
)  # fmt: skip
def test_receipts_of_other_shapes_are_refused(unprotected: dict[int, Any]) -> None:
    with pytest.raises(InputError):
        verify_inclusion_receipt(receipt(1, unprotected=unprotected), bytes(32), FEED.key)
    with pytest.raises(FormatError):
        verify_inclusion_receipt(receipt(1, payload=bytes(32)), bytes(32), FEED.key)


def test_the_payload_and_the_labels_stand_where_rfc_9942_wants_them() -> None:
    parts = sign1_decode(receipt(2))
    assert (1, -7 if HEAD.claim.alg == ES256 else -8) == (
        parts.protected_map[395],
        parts.protected_map[1],
    )
    (proof,) = parts.unprotected[396][-1]
    assert [SIZE, 2, FEED.tree.inclusion_path(2, SIZE)] == decode(proof)
