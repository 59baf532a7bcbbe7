from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.conflict import conflict_of_heads
from ledger.entry import encode_entry
from ledger.feed_store import feed_prefix, put_state, put_value
from ledger.fsck import Report, check_folder, check_journal, check_store
from ledger.journal import SEGMENT_HEADER_BYTES, Journal
from ledger.mirror import accept_grant, keep_conflict
from ledger.store import TABLES, Store, Transaction, sealed
from tests.unit.ledger.feed_builder import FeedBuilder, X, grown
from tests.unit.ledger.held_feed import granted, hold_mirrored, hold_own, open_store

OWN, OTHER = grown(FeedBuilder()), grown(FeedBuilder("other gateway"), 3)


def fill(txn: Transaction) -> None:
    """Every table has something in it."""
    hold_own(txn, OWN)
    hold_mirrored(txn, OTHER)
    accept_grant(txn, OWN.feed, audience=1, key_epoch=0, sealed=granted(OWN, 1))
    heads = [OTHER.head(), OTHER.head(root=bytes(32))]
    keep_conflict(txn, OTHER.feed, conflict_of_heads(*(head.encode() for head in heads)))
    txn.put("anchors", feed_prefix(OWN.feed) + bytes(8), b"anchor")
    txn.put("statements", feed_prefix(OWN.feed) + bytes(8), b"statement")
    put_value(txn, "boot", [1, "id"])


@pytest.fixture(name="store", scope="module")
def _store(tmp_path_factory: pytest.TempPathFactory) -> object:
    with open_store(tmp_path_factory.mktemp("fsck")) as store:
        store.write(fill)
        yield store


def differences(store: Store, spoil: Callable[[Transaction], None]) -> list[str]:
    """What fsck finds after a change, which is not kept."""
    found: list[str] = []

    class NotKeptError(Exception):
        pass

    def work(txn: Transaction) -> None:
        spoil(txn)
        found.extend(str(difference) for difference in check_store(txn).found)
        raise NotKeptError

    with pytest.raises(NotKeptError):
        store.write(work)
    return found


def test_a_good_store_is_derived_again_without_a_difference(store: Store) -> None:
    report = store.read(check_store)
    assert [] == report.found
    runs = sum(len(block.runs) for block in OWN.blocks) + len(OTHER.blocks)
    assert (2, 10, runs, 10) == (report.feeds, report.blocks, report.runs_opened, report.heads)


@pytest.mark.parametrize("table", TABLES)
def test_a_flipped_bit_in_any_table_is_found(store: Store, table: str) -> None:
    rows = store.read(lambda txn: [key for key, _ in txn.scan(table, b"")])
    assert rows, "every table has something in it"
    for key in rows[:: max(1, len(rows) // 7)]:

        def flip(txn: Transaction, key: bytes = key) -> None:
            database = txn._tables[table]
            stored = bytearray(bytes(txn._txn.get(key, db=database) or b""))
            stored[len(stored) // 2] ^= 4
            txn._txn.put(key, bytes(stored), db=database)

        found = differences(store, flip)
        assert any(f"table {table}, key {key.hex()}" in line for line in found), found


@pytest.mark.parametrize(
    "table", ["headers", "run_heads", "run_bodies", "ciphertexts", "heads", "nodes", "feeds",
              "slots", "audience_keys", "grants", "conflicts"]
)  # fmt: skip
def test_a_value_replaced_with_its_checksum_made_right_is_found(store: Store, table: str) -> None:
    rows = store.read(lambda txn: list(txn.scan(table, b"")))
    for key, value in rows[:: max(1, len(rows) // 5)]:
        lie = bytearray(value)
        lie[-1] ^= 1
        assert differences(store, lambda txn, k=key, v=bytes(lie): txn.put(table, k, v))  # type: ignore[misc]  # bound now


@pytest.mark.parametrize(
    "table", ["headers", "run_heads", "run_bodies", "ciphertexts", "nodes", "slots",
              "audience_keys"]
)  # fmt: skip
def test_a_row_that_is_missing_or_stray_is_found(store: Store, table: str) -> None:
    rows = store.read(lambda txn: list(txn.scan(table, b"")))
    wanted = 1 if table == "audience_keys" else 5
    keys = [key for key, _ in rows][:wanted]
    for key in keys:
        assert differences(store, lambda txn, k=key: txn.delete(table, k))  # type: ignore[misc]  # bound now
    if table != "audience_keys":
        key, value = rows[-1]
        stray = bytes([key[0] ^ 1]) + key[1:]
        assert differences(store, lambda txn: txn.put(table, stray, value))
        behind = key[:-8] + b"\x7f" * 8 if table == "nodes" else key[:20] + b"\x01" * len(key[20:])
        if table != "slots":
            assert differences(store, lambda txn: txn.put(table, behind, value))


def test_the_last_blocks_state_is_compared(store: Store) -> None:
    def older(txn: Transaction) -> None:
        put_state(txn, replace(OWN.state, jseq_end=1))

    assert any("jseq" in line for line in differences(store, older))


def test_what_stands_in_the_store_is_what_was_sealed() -> None:
    assert sealed("a", b"k", b"v") != sealed("b", b"k", b"v") != sealed("b", b"kv", b"")


# Journal ------------------------------------------------------------------------------------------


def journal_of(folder: Path, feed: FeedBuilder, first: int) -> None:
    journal, _ = Journal.open(folder, next_jseq=first, segment_bytes=1 << 16)
    journal.append([encode_entry(item.entry) for item in feed.pending])
    journal.close()


def pending_feed() -> FeedBuilder:
    feed = grown(FeedBuilder())
    feed.read(X, 20)
    return feed


def journal_report(store_folder: Path, journal_folder: Path, feed: FeedBuilder) -> Report:
    with open_store(store_folder) as store:
        store.write(lambda txn: hold_own(txn, feed))
        report = Report()
        store.read(lambda txn: check_journal(txn, journal_folder, report))
    return report


def test_a_journal_that_follows_on_the_sealed_has_no_difference(tmp_path: Path) -> None:
    feed = pending_feed()
    journal_of(tmp_path / "journal", feed, feed.state.jseq_end + 1)
    report = journal_report(tmp_path / "store", tmp_path / "journal", feed)
    assert ([], 20) == (report.found, report.journal_entries)
    assert [] == check_folder(tmp_path).found


def test_a_flipped_bit_in_any_frame_but_the_last_is_found(tmp_path: Path) -> None:
    feed = pending_feed()
    journal_of(tmp_path / "journal", feed, feed.state.jseq_end + 1)
    (path,) = (tmp_path / "journal").iterdir()
    good = path.read_bytes()
    used = len(good.rstrip(b"\x00"))
    for at in range(SEGMENT_HEADER_BYTES, used - 100, 41):
        path.write_bytes(good[:at] + bytes([good[at] ^ 2]) + good[at + 1 :])
        report = journal_report(tmp_path / "store", tmp_path / "journal", feed)
        assert report.found, at
    path.write_bytes(good)


def test_missing_numbers_and_foreign_frames_are_found(tmp_path: Path) -> None:
    feed = pending_feed()
    journal_of(tmp_path / "late", feed, feed.state.jseq_end + 3)
    found = journal_report(tmp_path / "a", tmp_path / "late", feed).found
    assert ["the sealed end with entry"] == [str(d.what)[:25] for d in found]
    journal, _ = Journal.open(tmp_path / "odd", next_jseq=feed.state.jseq_end + 1)
    journal.append([b"no entry", encode_entry(feed.pending[3].entry)])
    journal.close()
    found = journal_report(tmp_path / "b", tmp_path / "odd", feed).found
    assert 2 == len(found)


def test_a_note_of_the_journals_owner_is_no_difference(tmp_path: Path) -> None:
    feed = pending_feed()
    journal_of(tmp_path / "journal", feed, feed.state.jseq_end + 1)
    journal, _ = Journal.open(tmp_path / "journal", segment_bytes=1 << 16)
    journal.append([b"\x00" + bytes(16)])
    journal.close()
    assert journal_report(tmp_path / "store", tmp_path / "journal", feed).found == []
