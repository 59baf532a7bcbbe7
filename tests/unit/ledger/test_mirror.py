import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.file_keys import FileSigner
from ledger import mirror
from ledger.block import BlockHeader, BlockParts, decode_run_body
from ledger.conflict import check_conflict
from ledger.errors import (
    ConflictError,
    FormatError,
    InputError,
    LedgerError,
    LimitError,
    ProofError,
    SignatureError,
    UncheckableError,
    UnsignedBlocksError,
)
from ledger.feed import AnchorItem, AnchorState, check_anchor
from ledger.feed_proof import check_feed_part
from ledger.feed_store import FeedName, get_head, get_state, head_at_or_above, newest_head
from ledger.fsck import check_store
from ledger.mirror import (
    GRANTS_MAX,
    accept_block,
    accept_grant,
    accept_head,
    anchor_item,
    blocks_held,
    conflicts_of,
    drop_unsigned,
    grants_of,
    in_conflict,
    open_held_run,
    signed_height,
)
from ledger.prove import Span, choose_span, feed_part, keys_from
from ledger.sealed import GRANT_BYTES_MAX, open_grant
from ledger.signed_grant import GrantPlace, sign_grant
from ledger.signing import PublicKey
from ledger.store import Store
from ledger.store_exchange import StoreSink, StoreSource
from tests.unit.ledger.feed_builder import FeedBuilder, X, Y, Z, grown, seed
from tests.unit.ledger.held_feed import READER, accept, granted, hold_mirrored, open_store, parts_of

FEED = grown(FeedBuilder())
FORK = grown(FeedBuilder(salt="restored backup"))
PARTS = [parts_of(block) for block in FEED.blocks]
FORKED = [parts_of(block) for block in FORK.blocks]


def key_of(feed_id: bytes) -> PublicKey | None:
    return FEED.key if feed_id == FEED.feed[0] else None


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path) as store:
        yield store


def take(store: Store, *parts: BlockParts) -> None:
    for item in parts:
        store.write(lambda txn, item=item: accept_block(txn, item))  # type: ignore[misc]  # bound now


def held(store: Store) -> tuple[int, int]:
    return store.read(lambda txn: (blocks_held(txn, FEED.feed), signed_height(txn, FEED.feed)))


def test_blocks_and_heads_are_taken_in_order_and_again_without_effect(store: Store) -> None:
    for height, parts in enumerate(PARTS):
        take(store, parts, parts)
        assert (height + 1, height - 1) == held(store)
        store.write(lambda txn, h=height: accept(txn, FEED, FEED.head(h)))  # type: ignore[misc]  # bound now
    assert [] == store.read(check_store).found


def test_a_block_out_of_turn_or_a_head_before_its_block_has_to_wait(store: Store) -> None:
    with pytest.raises(UncheckableError):
        take(store, PARTS[1])
    take(store, PARTS[0])
    with pytest.raises(UncheckableError, match="before its block"):
        store.write(lambda txn: accept(txn, FEED, FEED.head(3)))


def test_a_head_of_a_feed_that_is_not_enrolled_is_not_taken(store: Store) -> None:
    other = grown(FeedBuilder("other"), 2)
    take(store, *(parts_of(block) for block in other.blocks))
    with pytest.raises(UncheckableError, match="not enrolled"):
        store.write(lambda txn: accept_head(txn, other.head().encode(), key_of))
    thief = FeedBuilder("thief")
    forged = replace(FEED.head(0), signature=thief.sign(FEED.claim(0).tbs()))
    take(store, PARTS[0])
    with pytest.raises(SignatureError):
        store.write(lambda txn: accept(txn, FEED, forged))


def with_header(parts: BlockParts, height: int, **changes: object) -> BlockParts:
    header: BlockHeader = replace(FEED.headers[height], **changes)  # type: ignore[arg-type]  # by name
    return replace(parts, header=header.encode())


def broken_parts() -> dict[str, BlockParts]:
    """Block 4 with one thing wrong; none of it needs a key to see."""
    good, header = PARTS[4], FEED.headers[4]
    audience, head, body, ciphertext = good.runs[1]
    other = PARTS[5].runs[1]
    run = FEED.run(4, 1)
    assert run is not None
    twisted = replace(run.body, subtrees=(bytes(32), *run.body.subtrees[1:]))
    fewer = replace(run.body, subtrees=run.body.subtrees[1:])
    return {
        "another root": with_header(good, 4, root=bytes(32)),
        "another start": with_header(good, 4, start=header.start - 1),
        "another size": with_header(good, 4, size=header.size + 1),
        "another previous digest": with_header(good, 4, prev_digest=bytes(32)),
        "a falling jseq": with_header(good, 4, jseq_end=0),
        "another epoch's header": with_header(good, 4, epoch=1),
        "a run less": replace(good, runs=good.runs[:1]),
        "a run of another block": replace(good, runs=(good.runs[0], other)),
        "runs in another order": replace(good, runs=good.runs[::-1]),
        "another ciphertext": replace(
            good, runs=(good.runs[0], (audience, head, body, ciphertext[:-1] + b"\x00"))
        ),
        "a longer ciphertext": replace(
            good, runs=(good.runs[0], (audience, head, body, ciphertext + b"\x00"))
        ),
        "a body that is not the run head's": replace(
            good, runs=(good.runs[0], (audience, head, twisted.encode(), ciphertext))
        ),
        "a bound body that does not fold": bound(twisted.encode(), 4),
        "a bound body with a subtree less": bound(fewer.encode(), 4),
    }


def bound(body: bytes, height: int) -> BlockParts:
    """The block with another run body, bound by run head and header as a liar would."""
    run = FEED.run(height, 1)
    assert run is not None
    head = replace(run.head, body_digest=decode_run_body(body).digest)
    header = FEED.headers[height]
    runs = tuple((a, head.digest if a == 1 else digest) for a, digest in header.runs)
    parts = tuple(
        (a, head.encode(), body, c) if a == 1 else (a, h, b, c) for a, h, b, c in PARTS[height].runs
    )
    return BlockParts(header=replace(header, runs=runs).encode(), runs=parts)


@pytest.mark.parametrize("wrong", broken_parts())
def test_a_block_that_contradicts_itself_is_refused_without_any_key(
    store: Store, wrong: str
) -> None:
    take(store, *PARTS[:4])
    with pytest.raises((ConflictError, FormatError, UncheckableError)) as caught:
        take(store, broken_parts()[wrong])
    assert getattr(caught.value, "evidence", None) is None, "nobody signed it"
    assert (4, -1) == held(store)
    take(store, *PARTS[4:])
    assert (7, -1) == held(store)


def test_a_bodys_bound_is_what_refuses_a_fold_that_does_not_fit(store: Store) -> None:
    take(store, *PARTS[:4])
    with pytest.raises(ConflictError, match="fold"):
        take(store, broken_parts()["a bound body that does not fold"])


# Conflicts ---------------------------------------------------------------------------------------


def sink(store: Store, changed: list[FeedName] | None = None) -> StoreSink:
    return StoreSink(store, key_of, (changed if changed is not None else []).append)


def test_unsigned_blocks_are_no_evidence_and_give_way_to_what_is_signed(store: Store) -> None:
    made_up = sink(store)
    for parts in FORKED[:5]:
        made_up.accept_block(parts)
    assert (5, -1) == held(store)
    with pytest.raises(UnsignedBlocksError):
        made_up.accept_block(PARTS[2])
    assert (0, -1) == held(store)
    for height, parts in enumerate(PARTS):
        made_up.accept_block(parts)
        if height == 3:
            made_up.accept_head(FEED.head(3).encode())
    assert (7, 3) == held(store)
    assert not store.read(lambda txn: in_conflict(txn, FEED.feed))


def test_blocks_above_the_head_give_way_and_leave_no_node_behind(store: Store) -> None:
    end = sink(store)
    for parts in PARTS[:3]:
        end.accept_block(parts)
    end.accept_head(FEED.head(2).encode())
    other = FeedBuilder()
    grown(other, 3)
    other.read(X, 40)
    other.cut()
    other.cut()
    for block in other.blocks[3:]:
        end.accept_block(parts_of(block))
    assert (5, 2) == held(store)
    with pytest.raises(UnsignedBlocksError):
        end.accept_block(PARTS[3])
    assert (3, 2) == held(store)
    assert [] == store.read(check_store).found, "no node of what was let go is left"
    for parts in PARTS[3:]:
        end.accept_block(parts)
    end.accept_head(FEED.head().encode())
    assert [] == store.read(check_store).found


def test_a_signed_block_does_not_give_way(store: Store) -> None:
    store.write(lambda txn: hold_mirrored(txn, FEED))
    with pytest.raises(ConflictError, match="not the signed block") as caught:
        sink(store).accept_block(FORKED[3])
    assert caught.value.evidence is None
    assert (7, 6) == held(store)
    store.write(lambda txn: drop_unsigned(txn, FEED.feed))
    assert (7, 6) == held(store)


@pytest.mark.parametrize("height", [1, 3, 6])
def test_two_signed_histories_are_kept_as_evidence_that_anyone_can_check(
    store: Store, height: int
) -> None:
    end = sink(store)
    for parts in PARTS:
        end.accept_block(parts)
    end.accept_head(FEED.head().encode())
    for _ in range(2):
        with pytest.raises(ConflictError, match="two histories"):
            end.accept_head(FORK.head(height).encode())
    (evidence,) = store.read(lambda txn: conflicts_of(txn, FEED.feed))
    lower, higher = check_conflict(evidence, FEED.key)
    assert (height, 6) == (lower.height, higher.height)
    assert store.read(lambda txn: in_conflict(txn, FEED.feed))
    assert (7, 6) == held(store)
    assert [] == store.read(check_store).found


def test_a_head_that_contradicts_its_own_header_is_evidence_too(store: Store) -> None:
    store.write(lambda txn: hold_mirrored(txn, FEED))
    strange = FEED.head(4, root=bytes(32))
    with pytest.raises(ConflictError):
        sink(store).accept_head(strange.encode())
    (evidence,) = store.read(lambda txn: conflicts_of(txn, FEED.feed))
    check_conflict(evidence, FEED.key)


def test_a_signature_renewed_after_a_crash_is_no_conflict(store: Store) -> None:
    store.write(lambda txn: hold_mirrored(txn, FEED))
    store.write(lambda txn: accept(txn, FEED, FEED.head(6, issued_at_s=5)))
    assert FEED.head(6) == store.read(lambda txn: get_head(txn, FEED.feed, 6)), "the first stays"
    assert not store.read(lambda txn: in_conflict(txn, FEED.feed))


# Grants ------------------------------------------------------------------------------------------


def test_grants_are_kept_once_and_not_endlessly(store: Store) -> None:
    box = granted(FEED, 1)

    def accept_one(sealed: bytes, key_epoch: int = 0) -> None:
        store.write(
            lambda txn: accept_grant(txn, FEED.feed, audience=1, key_epoch=key_epoch, sealed=sealed)
        )

    accept_one(box)
    accept_one(box)
    assert [box] == store.read(lambda txn: grants_of(txn, FEED.feed))
    opened = open_grant(box, READER)
    assert opened is not None
    assert (FEED.keys[1].key, 1, 0) == (opened.key, opened.audience, opened.key_epoch)
    assert open_grant(box, seed("another reader")) is None
    with pytest.raises(LimitError):
        accept_one(bytes(GRANT_BYTES_MAX + 1))
    for number in range(GRANTS_MAX - 1):
        accept_one(bytes([number]) * 80)
    with pytest.raises(LimitError):
        accept_one(b"one more")
    accept_one(b"another key epoch", key_epoch=1)


def test_the_whole_feeds_grants_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "GRANTS_FEED_MAX", 3)
    for epoch in range(3):
        store.write(
            lambda txn, e=epoch: accept_grant(  # type: ignore[misc]  # bound now
                txn, FEED.feed, audience=1, key_epoch=e, sealed=b"box"
            )
        )
    with pytest.raises(LimitError, match="one feed"):
        store.write(
            lambda txn: accept_grant(txn, FEED.feed, audience=1, key_epoch=9, sealed=b"box")
        )


# What a mirror makes of it -----------------------------------------------------------------------


def test_anchor_items_lead_from_any_accepted_state_to_the_newest_head(store: Store) -> None:
    store.write(lambda txn: hold_mirrored(txn, FEED))
    states: list[AnchorState | None] = [None]
    for height in range(6):
        claim = FEED.claim(height)
        values = (claim.feed_id, claim.epoch, height, claim.size, claim.root, claim.block_root)
        names = ("feed_id", "epoch", "height", "size", "root", "block_root")
        known = dict(zip(names, values, strict=True))
        states.append(AnchorState(head_digest=claim.digest, **known))  # type: ignore[arg-type]  # by name
    for previous in states:
        item = store.read(lambda txn, p=previous: anchor_item(txn, FEED.feed, p))  # type: ignore[misc]  # bound now
        assert item is not None
        assert 6 == check_anchor(previous, item, FEED.key).height
    newest = check_anchor(None, item_of(store), FEED.key)
    assert store.read(lambda txn: anchor_item(txn, FEED.feed, newest)) is None


def item_of(store: Store) -> AnchorItem:
    item = store.read(lambda txn: anchor_item(txn, FEED.feed, None))
    assert item is not None
    return item


@pytest.mark.parametrize("slots", [[X], [Y], [Z], [X, Y, Z]])
@pytest.mark.parametrize("span", [Span(base=None, last=6), Span(base=3, last=5)])
def test_the_provers_part_is_the_one_that_all_leaves_in_clear_give(
    store: Store, slots: list[int], span: Span
) -> None:
    store.write(lambda txn: hold_mirrored(txn, FEED))
    keys = keys_from({(a, key.key_epoch): key.key for a, key in FEED.keys.items()})
    part = store.read(lambda txn: feed_part(txn, FEED.feed, span, slots=slots, key_for=keys))
    expected = FEED.part(slots, base=span.base, last=span.last)
    assert replace(expected, head=b"") == replace(part, head=b"")
    check_feed_part(part, FEED.key)


def test_what_the_prover_lacks_is_could_not_check(store: Store) -> None:
    store.write(lambda txn: hold_mirrored(txn, FEED, heads=False))
    span = Span(base=None, last=6)

    def prove(keys: dict[tuple[int, int], bytes]) -> None:
        store.read(lambda txn: feed_part(txn, FEED.feed, span, slots=[X], key_for=keys_from(keys)))

    with pytest.raises(UncheckableError, match="no head"):
        prove({})
    store.write(lambda txn: accept(txn, FEED, FEED.head()))
    with pytest.raises(UncheckableError, match="no key"):
        prove({})
    with pytest.raises(LedgerError, match="not the run's key"):
        prove({(1, 0): bytes(32)})


@pytest.mark.parametrize(
    ("from_ms", "to_ms", "span"),
    [(0, 10, Span(base=None, last=0)), (15, 25, Span(base=None, last=2)),
     (20, 30, Span(base=1, last=2)), (35, 40, Span(base=2, last=3))],
)  # fmt: skip
def test_the_narrowest_bracketed_span_is_chosen(from_ms: int, to_ms: int, span: Span) -> None:
    anchors = [(0, 10), (1, 20), (2, 30), (3, 40)]
    assert span == choose_span(anchors, from_ms, to_ms)
    with pytest.raises(UncheckableError, match="try later"):
        choose_span(anchors, 5, 41)


def test_a_run_that_is_not_held_is_could_not_check(store: Store) -> None:
    with pytest.raises(UncheckableError):
        store.read(lambda txn: open_held_run(txn, FEED.feed, height=0, audience=1, key=bytes(32)))
    assert store.read(lambda txn: get_state(txn, FEED.feed)) is None
    assert store.read(lambda txn: newest_head(txn, FEED.feed)) is None
    assert store.read(lambda txn: head_at_or_above(txn, FEED.feed, 0)) is None


def test_a_ciphertext_of_the_same_length_that_is_not_the_bound_one_is_refused(
    store: Store,
) -> None:
    parts = PARTS[0]
    audience, head, body, ciphertext = parts.runs[-1]
    other = bytes([ciphertext[0] ^ 1]) + ciphertext[1:]
    altered = replace(parts, runs=(*parts.runs[:-1], (audience, head, body, other)))
    with pytest.raises(FormatError, match="not the bound one"):
        store.write(lambda txn: accept_block(txn, altered))
    assert store.read(lambda txn: blocks_held(txn, FEED.feed)) == 0


def signed_grant(feed: FeedBuilder, box: bytes, key: str | None = None) -> bytes:
    place = GrantPlace(feed_id=feed.feed[0], epoch=feed.feed[1], audience=1, key_epoch=0)
    signer = FileSigner(Ed25519PrivateKey.from_private_bytes(seed(key or feed.name)))
    return asyncio.run(sign_grant(box, place, signer))


def test_what_is_given_away_is_what_is_held(store: Store) -> None:
    changed = list[FeedName]()
    end = sink(store, changed)
    for parts in PARTS:
        end.accept_block(parts)
    end.accept_head(FEED.head().encode())
    box = signed_grant(FEED, b"box")
    end.accept_grant(FEED.feed, audience=1, key_epoch=0, sealed=box)
    end.accept_grant(FEED.feed, audience=0, key_epoch=0, sealed=b"nobody needs it")
    with pytest.raises(FormatError):
        end.accept_grant(FEED.feed, audience=1, key_epoch=0, sealed=b"box")
    with pytest.raises(FormatError, match="another place"):
        end.accept_grant(FEED.feed, audience=2, key_epoch=0, sealed=box)
    with pytest.raises(SignatureError):
        end.accept_grant(
            FEED.feed, audience=1, key_epoch=0, sealed=signed_grant(FEED, b"x", "another")
        )
    assert {FEED.feed} == set(changed)
    source = StoreSource(store)
    assert [(*FEED.feed, 7, 6)] == source.feeds()
    assert PARTS == [source.block(FEED.feed, height) for height in range(7)]
    assert source.block(FEED.feed, 7) is None
    assert ([FEED.head().encode()], []) == (source.heads(FEED.feed, 5), source.heads(FEED.feed, 6))
    assert [(1, 0, box)] == source.grants(FEED.feed)
    # Its own feed a gateway offers before the first block: to hear what others hold of it.
    assert [(b"f" * 16, 0, 0, -1)] == StoreSource(store, only=[(b"f" * 16, 0)]).feeds()
    assert (end.enrolled(FEED.feed[0]), end.enrolled(b"f" * 16)) == (True, False)


def test_malformed_parts_are_the_senders_fault(store: Store) -> None:
    for parts in (
        replace(PARTS[0], header=b"\x00"),
        replace(PARTS[0], runs=((0, b"", b"", b""),)),
        BlockParts(header=b"", runs=()),
    ):
        with pytest.raises((InputError, ProofError)):
            take(store, parts)
