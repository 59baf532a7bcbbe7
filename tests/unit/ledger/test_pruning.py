from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import PrunedError
from ledger.feed_store import get_run, get_run_head, pruned_below
from ledger.fsck import check_store
from ledger.gossip import ALLOWED_BYTES, WANT, FeedSender, message
from ledger.mirror import anchor_item, open_public_run
from ledger.prove import Span, feed_part, keys_from
from ledger.pruning import Pruned, prune
from ledger.store import Store, StoreFullError, Transaction
from ledger.store_exchange import StoreSource
from tests.unit.ledger.feed_builder import FeedBuilder, X, grown
from tests.unit.ledger.held_feed import hold_own, open_store

BLOCKS = 9
# Block 0 has the genesis, 1 to 3 the first descriptors of X, Z and Y.
DESCRIBED = {(0, 0), (1, 1), (2, 2), (3, 1)}


@pytest.fixture(name="held")
def _held(tmp_path: Path) -> Iterator[tuple[Store, FeedBuilder]]:
    feed = grown(FeedBuilder(), BLOCKS)
    with open_store(tmp_path / "store") as store:
        store.write(lambda txn: hold_own(txn, feed))
        yield store, feed


def let_go(store: Store, feed: FeedBuilder, below: int) -> Pruned:
    return store.write(lambda txn: prune(txn, feed.feed, below=below, blocks_max=100))


def bodies(txn: Transaction, feed: FeedBuilder) -> set[tuple[int, int]]:
    return {
        (height, audience)
        for height, block in enumerate(feed.blocks)
        for audience, _ in block.header.runs
        if get_run(txn, feed.feed, height=height, audience=audience) is not None
    }


def all_runs(feed: FeedBuilder, heights: range) -> set[tuple[int, int]]:
    return {(h, audience) for h in heights for audience, _ in feed.blocks[h].header.runs}


def test_bodies_below_a_height_go_but_for_runs_with_descriptors(
    held: tuple[Store, FeedBuilder],
) -> None:
    store, feed = held
    done = let_go(store, feed, 6)
    assert (6, 6) == (done.blocks, done.below)
    wanted = DESCRIBED | all_runs(feed, range(6, BLOCKS))
    assert wanted == store.read(lambda txn: bodies(txn, feed))
    gone = [
        run
        for height in range(6)
        for run in feed.blocks[height].runs
        if (height, run.audience) not in DESCRIBED
    ]
    assert done.size_bytes == sum(len(r.body.encode()) + len(r.ciphertext) for r in gone)


def test_a_later_descriptor_keeps_its_run_too(tmp_path: Path) -> None:
    feed = grown(FeedBuilder(), 5)
    feed.describe(X)
    feed.cut()
    for _ in range(3):
        feed.read(X)
        feed.cut()
    with open_store(tmp_path / "store") as store:
        store.write(lambda txn: hold_own(txn, feed))
        let_go(store, feed, 8)
        assert (5, 1) in store.read(lambda txn: bodies(txn, feed))
        assert [] == store.read(check_store).found


def test_it_goes_in_steps_oldest_first_and_the_newest_block_stays(
    held: tuple[Store, FeedBuilder],
) -> None:
    store, feed = held

    def step() -> Pruned:
        return store.write(lambda txn: prune(txn, feed.feed, below=100, blocks_max=3))

    assert [3, 6, 8, 8] == [step().below for _ in range(4)]
    assert BLOCKS - 1 == store.read(lambda txn: pruned_below(txn, feed.feed))
    assert (BLOCKS - 1, 1) in store.read(lambda txn: bodies(txn, feed))


def test_what_is_left_is_checked_without_a_difference(held: tuple[Store, FeedBuilder]) -> None:
    store, feed = held
    for below in (1, 4, 6, 8):
        let_go(store, feed, below)
        assert [] == store.read(check_store).found


@pytest.mark.parametrize(
    ("table", "height"),
    [("ciphertexts", 6), ("run_bodies", 7), ("ciphertexts", 1), ("run_heads", 2), ("headers", 2),
     ("nodes", 0), ("described", 3)],
)  # fmt: skip
def test_what_should_still_be_there_is_missed(
    held: tuple[Store, FeedBuilder], table: str, height: int
) -> None:
    store, feed = held
    let_go(store, feed, 6)

    def lose(txn: Transaction) -> None:
        place = feed.feed[0] + bytes(4) + (b"" if table == "nodes" else height.to_bytes(8, "big"))
        key = max(key for key, _ in txn.scan(table, place))
        txn.delete(table, key)

    store.write(lose)
    assert store.read(check_store).found


def test_readings_that_stayed_are_proven_with_the_block_before_them(
    held: tuple[Store, FeedBuilder],
) -> None:
    store, feed = held
    let_go(store, feed, 6)
    keys = keys_from({(number, key.key_epoch): key.key for number, key in feed.keys.items()})
    span = Span(base=6, last=8)
    part = store.read(lambda txn: feed_part(txn, feed.feed, span, slots=[X], key_for=keys))
    assert feed.part([X], base=6, last=8) == part


def test_a_reading_that_was_let_go_is_a_clear_error(held: tuple[Store, FeedBuilder]) -> None:
    store, feed = held
    let_go(store, feed, 6)
    keys = keys_from({(number, key.key_epoch): key.key for number, key in feed.keys.items()})
    for base in (None, 4, 5):
        span = Span(base=base, last=8)
        with pytest.raises(PrunedError, match=r"block 4|block 5|block 1") as raised:
            store.read(lambda txn, s=span: feed_part(txn, feed.feed, s, slots=[X], key_for=keys))  # type: ignore[misc]  # bound now
        assert "mirrors this feed" in str(raised.value)
        assert 6 == raised.value.below


def test_the_structure_of_what_was_let_go_is_still_proven(held: tuple[Store, FeedBuilder]) -> None:
    store, feed = held
    let_go(store, feed, 8)
    item = store.read(lambda txn: anchor_item(txn, feed.feed, None))
    assert item
    assert item.genesis_leaf == feed.leaves[0]
    for height in range(BLOCKS):
        head = store.read(lambda txn, h=height: get_run_head(txn, feed.feed, height=h, audience=0))  # type: ignore[misc]  # bound now
        assert head == feed.blocks[height].runs[0].head
    assert store.read(lambda txn: open_public_run(txn, feed.feed, 0)).leaves[0] == feed.leaves[0]


def test_a_peer_that_asks_for_what_was_let_go_is_noted_and_one_behind_it_is_served(
    held: tuple[Store, FeedBuilder],
) -> None:
    store, feed = held
    let_go(store, feed, 6)
    sender = FeedSender(StoreSource(store, [feed.feed]))
    sender.outgoing()
    sender.receive(message(WANT, *feed.feed, 5, ALLOWED_BYTES))
    assert [] == sender.outgoing()
    assert {feed.feed: 5} == sender.not_held
    sender.receive(message(WANT, *feed.feed, 6, ALLOWED_BYTES))
    assert sender.outgoing()
    assert {} == sender.not_held


def test_a_store_without_notes_of_descriptors_lets_go_of_nothing_before_them(
    held: tuple[Store, FeedBuilder],
) -> None:
    store, feed = held

    def older(txn: Transaction) -> None:
        for key, _ in list(txn.scan("described", feed.feed[0])):
            if int.from_bytes(key[20:28], "big") < 3:
                txn.delete("described", key)

    store.write(older)
    assert [] == store.read(check_store).found
    let_go(store, feed, 6)
    kept = all_runs(feed, range(3)) | {(3, 1)} | all_runs(feed, range(6, BLOCKS))
    assert kept == store.read(lambda txn: bodies(txn, feed))
    assert [] == store.read(check_store).found


def test_pages_of_what_was_let_go_are_used_again(tmp_path: Path) -> None:
    with open_store(tmp_path / "store") as store:

        def fill(txn: Transaction) -> None:
            for number in range(64):
                txn.put("ciphertexts", b"%d" % number, bytes(8192))

        def empty(txn: Transaction) -> None:
            for number in range(64):
                txn.delete("ciphertexts", b"%d" % number)

        store.write(fill)
        used = store.used_bytes
        sizes = []
        for _ in range(10):
            store.write(empty)
            assert store.used_bytes < used // 4
            store.write(fill)
            sizes.append(store.file_bytes)
        assert sizes[4] == sizes[-1]


def test_a_full_store_is_given_room_before_it_tries_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", map_bytes=1 << 20, waits_for_room=True)
    try:
        store.write(lambda txn: txn.put("ciphertexts", b"old", bytes(1 << 19)))
        store.write(lambda txn: txn.put("meta", b"small", b""))

        def make_room(txn: Transaction) -> int:
            txn.delete("ciphertexts", b"old")
            store.make_room = None
            return 1

        store.make_room = make_room
        with pytest.raises(StoreFullError):
            store.write(lambda txn: txn.put("ciphertexts", b"new", bytes(1 << 19)))
        writing = store.write_later(lambda txn: txn.put("ciphertexts", b"new", bytes(1 << 19)))
        writing.result(timeout=30)
        assert store.read(lambda txn: txn.get("ciphertexts", b"old")) is None
        assert not store.is_full
    finally:
        store.close()
