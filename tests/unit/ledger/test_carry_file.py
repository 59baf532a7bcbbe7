"""A USB stick: what is written comes back, what is partial or altered is refused by name."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.carry_file import MAGIC, CarriedFeeds, PartialFileError, write_carried
from ledger.errors import InputError, LedgerError
from ledger.gossip import FeedReceiver, FeedSender
from ledger.mirror import blocks_held, signed_height
from ledger.signing import PublicKey
from ledger.store import Store
from ledger.store_exchange import StoreSink, StoreSource
from tests.unit.ledger.feed_builder import FeedBuilder, grown
from tests.unit.ledger.held_feed import hold_own, open_store

FEED = grown(FeedBuilder())
TOP = len(FEED.blocks)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "own") as store:
        store.write(lambda txn: hold_own(txn, FEED))
        yield store


def key_of(feed_id: bytes) -> PublicKey | None:
    return FEED.key if feed_id == FEED.feed[0] else None


def carried(path: Path, store: Store) -> FeedSender:
    """Takes a file into a mirror."""
    sender = FeedSender(CarriedFeeds(path))
    receiver = FeedReceiver(StoreSink(store, key_of, lambda _: None))
    while batch := sender.outgoing():
        for message in batch:
            for answer in receiver.receive(message):
                sender.receive(answer)
    return sender


def test_a_feed_arrives_over_a_stick_and_again_changes_nothing(own: Store, tmp_path: Path) -> None:
    path = tmp_path / "stick.carry"
    written = write_carried(path, StoreSource(own, [FEED.feed]), first={FEED.feed: 0})
    assert (TOP, path.stat().st_size, False) == (
        written.blocks,
        written.size_bytes,
        written.went_on,
    )
    with open_store(tmp_path / "mirror") as mirror:
        for _ in range(2):
            sender = carried(path, mirror)
            assert {FEED.feed: (TOP, TOP - 1)} == sender.held_by_peer
            assert [] == sender.refusals
        assert TOP == mirror.read(lambda txn: blocks_held(txn, FEED.feed))


def test_only_the_backlog_is_carried_and_a_machine_without_the_rest_says_so(
    own: Store, tmp_path: Path
) -> None:
    path = tmp_path / "stick.carry"
    write_carried(path, StoreSource(own, [FEED.feed]), first={FEED.feed: 4})
    source = CarriedFeeds(path)
    assert (4, None) == (source.first(FEED.feed), source.block(FEED.feed, 3))
    with open_store(tmp_path / "mirror") as mirror:
        assert {FEED.feed: 0} == carried(path, mirror).not_held
        assert -1 == mirror.read(lambda txn: signed_height(txn, FEED.feed))


def test_a_file_that_breaks_off_anywhere_is_refused_by_name(own: Store, tmp_path: Path) -> None:
    path = tmp_path / "stick.carry"
    write_carried(path, StoreSource(own, [FEED.feed]), first={FEED.feed: 0})
    data, cut = path.read_bytes(), tmp_path / "cut.carry"
    for size in [0, 5, len(MAGIC), *range(40, len(data), 211), len(data) - 1]:
        cut.write_bytes(data[:size])
        with pytest.raises(PartialFileError, match="breaks off after"):
            CarriedFeeds(cut)


def test_an_altered_byte_is_refused_wherever_it_is(own: Store, tmp_path: Path) -> None:
    path = tmp_path / "stick.carry"
    write_carried(path, StoreSource(own, [FEED.feed]), first={FEED.feed: 0})
    data = path.read_bytes()
    for at in range(0, len(data), 97):
        path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        with pytest.raises(LedgerError):
            CarriedFeeds(path)
    path.write_bytes(data + b"more")
    with pytest.raises(LedgerError):
        CarriedFeeds(path)


def test_an_export_that_was_interrupted_goes_on_behind_its_last_whole_block(
    own: Store, tmp_path: Path
) -> None:
    path, source = tmp_path / "stick.carry", StoreSource(own, [FEED.feed])
    write_carried(path, source, first={FEED.feed: 0})
    whole = path.read_bytes()
    part = tmp_path / "stick.carry.part"
    for size in [0, 9, 400, len(whole) // 2, len(whole) - 30]:
        path.unlink(missing_ok=True)
        part.write_bytes(whole[:size])
        written = write_carried(path, source, first={FEED.feed: 0})
        assert (TOP, True, False) == (written.blocks, written.went_on, part.exists())
        assert whole == path.read_bytes()


def test_another_file_is_none(tmp_path: Path) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(b"no carried file at all")
    with pytest.raises(InputError, match="is not one"):
        CarriedFeeds(path)


def test_an_empty_file_is_that_of_the_page(tmp_path: Path, own: Store) -> None:
    page = Path(__file__).parents[3] / "docs" / "formats" / "carry.md"
    text = page.read_text(encoding="utf-8").split("```hex carried-file\n")[1].split("```")[0]
    path = tmp_path / "empty.carry"
    write_carried(path, StoreSource(own, [FEED.feed]), first={})
    assert text.split() == [path.read_bytes().hex()]
    assert [] == CarriedFeeds(path).feeds()
