"""A builder's feed in a real store, as a gateway or a mirror holds it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.block import Block, BlockParts
from ledger.feed_store import put_cut, put_head
from ledger.head import Head
from ledger.mirror import accept_block, accept_head
from ledger.sealed import Grant, reader_public, seal_grant
from ledger.store import Store, Transaction
from tests.unit.ledger.feed_builder import FeedBuilder, seed

MAP_BYTES = 32 << 20
READER = seed("reader")


@contextmanager
def open_store(folder: Path) -> Iterator[Store]:
    store = Store(folder, map_bytes=MAP_BYTES)
    try:
        yield store
    finally:
        store.close()


def parts_of(block: Block) -> BlockParts:
    """A block as it travels."""
    runs = [(r.audience, r.head.encode(), r.body.encode(), r.ciphertext) for r in block.runs]
    return BlockParts(header=block.header.encode(), runs=tuple(runs))


def hold_own(txn: Transaction, feed: FeedBuilder, heads: bool = True) -> None:
    """All blocks, nodes, state, slots and audience keys, as the gateway that sealed them."""
    for height, made in enumerate(feed.cuts):
        put_cut(txn, made)
        if heads:
            put_head(txn, feed.head(height))
    used = {run.audience for block in feed.blocks for run in block.runs} - {0}
    for audience in sorted(used):
        key = feed.keys[audience]
        place = audience.to_bytes(2, "big") + key.key_epoch.to_bytes(4, "big")
        txn.put("audience_keys", place, key.key)


def hold_mirrored(txn: Transaction, feed: FeedBuilder, heads: bool = True) -> None:
    """All blocks by the mirror's own checks."""
    for height, block in enumerate(feed.blocks):
        accept_block(txn, parts_of(block))
        if heads:
            accept(txn, feed, feed.head(height))


def accept(txn: Transaction, feed: FeedBuilder, head: Head) -> None:
    accept_head(txn, head.encode(), lambda feed_id: feed.key if feed_id == feed.feed[0] else None)


def granted(feed: FeedBuilder, audience: int) -> bytes:
    """An audience's key sealed to the reader."""
    key = feed.keys[audience]
    return seal_grant(
        Grant(feed_id=feed.feed[0], audience=audience, key_epoch=key.key_epoch, key=key.key),
        reader_public(READER),
    )
