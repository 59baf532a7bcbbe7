"""What the store of a stopped program holds of a feed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ledger.entry import PUBLIC_AUDIENCE, Entry
from ledger.feed_store import FeedName, feed_prefix, get_header
from ledger.head import decode_head
from ledger.mirror import open_held_run
from ledger.sealed import KEY_BYTES
from ledger.store import Store, Transaction


@dataclass(frozen=True, slots=True)
class HeldFeed:
    """Digests of signed claims and of blocks by height, and the number of conflicts."""

    heads: dict[int, bytes]
    blocks: dict[int, bytes]
    conflicts: int


def held_feed(folder: Path, feed_id: bytes) -> HeldFeed:
    """What is held; no program may have the store open."""
    store = Store(folder)
    try:
        return store.read(lambda txn: _held(txn, feed_id))
    finally:
        store.close()


def public_entries(folder: Path, feed_id: bytes) -> list[Entry]:
    """Every entry of the public audience, in order; no program may have the store open."""
    store = Store(folder)
    try:
        return store.read(lambda txn: _public(txn, (feed_id, 0)))
    finally:
        store.close()


def _public(txn: Transaction, feed: FeedName) -> list[Entry]:
    entries: list[Entry] = []
    height = 0
    while get_header(txn, feed, height) is not None:
        run = open_held_run(
            txn, feed, height=height, audience=PUBLIC_AUDIENCE, key=bytes(KEY_BYTES)
        )
        entries += run.entries
        height += 1
    return entries


def _held(txn: Transaction, feed_id: bytes) -> HeldFeed:
    feed = (feed_id, 0)
    claims = [decode_head(value).claim for _, value in txn.scan("heads", feed_prefix(feed))]
    assert len({claim.height for claim in claims}) == len(claims)
    blocks: dict[int, bytes] = {}
    while (header := get_header(txn, feed, len(blocks))) is not None:
        blocks[len(blocks)] = header.digest
    return HeldFeed(
        {claim.height: claim.digest for claim in claims}, blocks, txn.count("conflicts")
    )
