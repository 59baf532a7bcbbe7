from collections.abc import Iterator
from pathlib import Path

import pytest

from consortium.reader_keys import ReaderKeys
from ledger.mirror import accept_grant
from ledger.sealed import Grant, reader_public, seal_grant
from ledger.store import Store, Transaction
from tests.unit.ledger.feed_builder import FeedBuilder, grown, seed
from tests.unit.ledger.held_feed import READER, granted, hold_mirrored, open_store

FEED = grown(FeedBuilder())
ID = FEED.feed[0]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path) as store:
        yield store


def give(store: Store, sealed: bytes, audience: int = 1) -> None:
    store.write(
        lambda txn: accept_grant(txn, FEED.feed, audience=audience, key_epoch=0, sealed=sealed)
    )


def lie(number: int, audience: int = 1) -> bytes:
    """A key that nobody sealed with, for this reader: anybody can make it."""
    key = seed(f"lie {number}")
    grant = Grant(feed_id=ID, audience=audience, key_epoch=0, key=key)
    return seal_grant(grant, reader_public(READER))


class Fits:
    """Counts how often blocks had to be gone through again."""

    def __init__(self, keys: ReaderKeys) -> None:
        self.keys, self.count = keys, 0

    def learn(self) -> int:
        self.keys.learn(FEED.feed, self._fit)
        return self.count

    def _fit(self, _: Transaction) -> None:
        self.count += 1


def test_a_strangers_key_neither_takes_the_true_ones_place_nor_begins_anything_again(
    store: Store,
) -> None:
    store.write(lambda txn: hold_mirrored(txn, FEED))
    keys = ReaderKeys(store, READER)
    fits = Fits(keys)
    give(store, granted(FEED, 1))
    assert fits.learn() == 1
    for number in range(9):
        give(store, lie(number))
        assert fits.learn() == 1
    assert keys.key_for(ID, 1, 0) == FEED.keys[1].key
    again = ReaderKeys(store, READER)
    assert Fits(again).learn() == 0
    assert again.key_for(ID, 1, 0) == FEED.keys[1].key


def test_a_key_that_came_before_its_blocks_opens_them_and_begins_nothing_again(
    store: Store,
) -> None:
    fits = Fits(ReaderKeys(store, READER))
    give(store, lie(1))
    give(store, granted(FEED, 1))
    assert fits.learn() == 0
    store.write(lambda txn: hold_mirrored(txn, FEED))
    assert fits.learn() == 0
    assert fits.keys.key_for(ID, 1, 0) == FEED.keys[1].key


def test_a_key_for_an_audience_that_never_had_a_run_fits_nothing(store: Store) -> None:
    store.write(lambda txn: hold_mirrored(txn, FEED))
    fits = Fits(ReaderKeys(store, READER))
    give(store, lie(1, audience=77), audience=77)
    assert fits.learn() == 0
    assert fits.keys.key_for(ID, 78, 0) is None
