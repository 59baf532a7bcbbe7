"""What a box carries for neighbours: whole blocks, up to a quota, until others hold them."""

from pathlib import Path

import pytest

from gateway.neighbours import RelaySink, carried_bytes, let_go
from ledger.errors import PeerRefusedError
from ledger.feed_store import FeedName
from ledger.mirror import blocks_held
from ledger.store import Store
from ledger.store_exchange import StoreSource
from tests.unit.ledger.feed_builder import FeedBuilder, grown
from tests.unit.ledger.held_feed import open_store, parts_of

FEED = grown(FeedBuilder())
PARTS = [parts_of(block) for block in FEED.blocks]
SIZES = [sum(len(ciphertext) for *_, ciphertext in parts.runs) for parts in PARTS]


def sink(store: Store, quota_bytes: int, changed: list[FeedName] | None = None) -> RelaySink:
    seen = [] if changed is None else changed
    return RelaySink(store, lambda _: FEED.key, seen.append, quota_bytes)


def carried(store: Store) -> int:
    return store.read(lambda txn: carried_bytes(txn, FEED.feed))


def test_what_is_carried_is_counted_and_the_quota_is_told_as_slow_down(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        end = sink(store, sum(SIZES[:4]))
        for parts in PARTS[:4]:
            end.accept_block(parts)
        with pytest.raises(PeerRefusedError, match="no more are carried"):
            end.accept_block(PARTS[4])
        assert 4 == store.read(lambda txn: blocks_held(txn, FEED.feed))
        assert sum(SIZES[:4]) == carried(store)


def test_what_the_consortium_holds_makes_room(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        end = sink(store, sum(SIZES))
        for parts in PARTS[:5]:
            end.accept_block(parts)
        end.accept_head(FEED.head(4).encode())
        assert 4 == store.write(lambda txn: let_go(txn, FEED.feed, 4))
        assert SIZES[4] == carried(store)
        source = StoreSource(store)
        assert (None, PARTS[4]) == (source.block(FEED.feed, 3), source.block(FEED.feed, 4))
        for parts in PARTS[5:]:  # the feed goes on
            end.accept_block(parts)
        end.accept_head(FEED.head().encode())
        assert 4 == store.write(lambda txn: let_go(txn, FEED.feed, 2))  # nothing twice
