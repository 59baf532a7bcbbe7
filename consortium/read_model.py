"""What this machine's keys may open, as SQLite tables. Never the truth: rebuilt from the feeds at
any time.

Rows depend only on the blocks that were added, in their feeds' order, so a rebuilt file has equal
rows.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ledger.entry import (
    KIND_DESCRIPTOR,
    KIND_GAP,
    KIND_POSITION,
    KIND_TAG_SIGHTING,
    KIND_TELEMETRY,
)
from logistics.errors import LogisticsError
from logistics.reading import Descriptor, Gap, Position, TagSighting, Telemetry

SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE blocks(feed TEXT, epoch INT, height INT, audience INT, digest TEXT, first_index INT,
  entry_count INT, PRIMARY KEY(feed, epoch, height, audience)) WITHOUT ROWID;
CREATE TABLE anchored(feed TEXT, epoch INT, height INT, time_ms INT, chain_height INT,
  PRIMARY KEY(feed, epoch)) WITHOUT ROWID;
CREATE TABLE slots(feed TEXT, slot INT, device_id TEXT, channel TEXT, quantity TEXT, unit TEXT,
  interval_ms INT, PRIMARY KEY(feed, slot)) WITHOUT ROWID;
CREATE TABLE readings(feed TEXT, epoch INT, leaf_index INT, height INT, slot INT, srcseq INT,
  device_id TEXT, channel TEXT, kind INT, boot INT, mono_us INT, wall_us INT, quality INT,
  unc_us INT, flags INT, value INT, exponent INT, unit TEXT, epc TEXT, rssi_cdbm INT, lat_e7 INT,
  lon_e7 INT, speed_mm_s INT, PRIMARY KEY(feed, epoch, leaf_index)) WITHOUT ROWID;
CREATE INDEX readings_by_device ON readings(device_id, channel, wall_us);
CREATE TABLE gaps(feed TEXT, epoch INT, leaf_index INT, height INT, slot INT, device_id TEXT,
  channel TEXT, reason INT, from_wall_us INT, to_wall_us INT, from_mono_us INT, to_mono_us INT,
  count INT, PRIMARY KEY(feed, epoch, leaf_index)) WITHOUT ROWID;
CREATE TABLE opened(feed TEXT, epoch INT, height INT, audience INT, ok INT,
  PRIMARY KEY(feed, epoch, height, audience)) WITHOUT ROWID;
CREATE TABLE unread(feed TEXT, epoch INT, leaf_index INT, kind INT, reason TEXT,
  PRIMARY KEY(feed, epoch, leaf_index)) WITHOUT ROWID;
"""
TABLES: Final = ("blocks", "anchored", "slots", "readings", "gaps", "opened", "unread")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedEntry:
    """One entry as the ledger holds it: body decoded, time as [boot, mono, wall, quality,
    bound].
    """

    kind: int
    slot: int
    time: Sequence[int | None]
    srcseq: int
    body: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedBlock:
    """One audience's run of one block, opened and checked; `first_index`: its first leaf's
    index.
    """

    feed_id: bytes
    epoch: int
    height: int
    audience: int
    block_digest: bytes
    first_index: int
    entries: tuple[OpenedEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorCount:
    """How much of a channel is here. `anchored_count` is the part under an anchored head."""

    device_id: str | None
    channel: str | None
    feed: str
    slot: int
    count: int
    anchored_count: int
    gap_count: int


class ReadModel:
    """The tables in one file. Calls may come from any thread; other processes may read."""

    def __init__(self, path: Path | str) -> None:
        """Opens or makes the file; a file of another schema version is emptied, to be fed again."""
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # One connection has one transaction: blocks come from a worker, anchors from the loop.
        self._writing = threading.Lock()
        self._db.execute("PRAGMA journal_mode=WAL")
        # A lost tail is fed again: what is here needs no sync of its own.
        self._db.execute("PRAGMA synchronous=OFF")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version != SCHEMA_VERSION:
            self.clear()

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._writing:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:  # whatever it was: half a block must not stay
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def clear(self) -> None:
        """Empties the model: everything has to be added again."""
        with self._transaction() as db:
            for table in TABLES:
                db.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in _SCHEMA.split(";")[:-1]:
                db.execute(statement)
            db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def heights(self) -> dict[tuple[bytes, int, int], int]:
        """(feed id, epoch, audience) -> newest height that was added: where to go on after a
        start.
        """
        rows = self._db.execute(
            "SELECT feed, epoch, audience, MAX(height) FROM blocks GROUP BY feed, epoch, audience"
        )
        return {(bytes.fromhex(row[0]), row[1], row[2]): row[3] for row in rows}

    def add_block(self, block: OpenedBlock) -> None:
        """Adds an opened run; the same again changes nothing."""
        feed = block.feed_id.hex()
        with self._transaction() as db:
            added = db.execute(
                "INSERT OR IGNORE INTO blocks VALUES(?,?,?,?,?,?,?)",
                (
                    feed,
                    block.epoch,
                    block.height,
                    block.audience,
                    block.block_digest.hex(),
                    block.first_index,
                    len(block.entries),
                ),
            )
            if added.rowcount:
                for index, entry in enumerate(block.entries, block.first_index):
                    _add_entry(db, (feed, block.epoch, index, block.height), entry)

    def set_opened(
        self, feed_id: bytes, epoch: int, height: int, *, audience: int, ok: bool
    ) -> None:
        """This machine's statement of a run is on the chain."""
        with self._transaction() as db:
            row = (feed_id.hex(), epoch, height, audience, ok)
            db.execute("INSERT OR REPLACE INTO opened VALUES(?,?,?,?,?)", row)

    def set_anchored(
        self, feed_id: bytes, epoch: int, height: int, *, time_ms: int, chain_height: int
    ) -> None:
        """A feed's blocks up to this height are anchored, as of this chain time."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO anchored VALUES(?,?,?,?,?) ON CONFLICT(feed, epoch) DO UPDATE SET "
                "height=excluded.height, time_ms=excluded.time_ms, "
                "chain_height=excluded.chain_height WHERE excluded.height > height",
                (feed_id.hex(), epoch, height, time_ms, chain_height),
            )

    def counts(self) -> list[SensorCount]:
        """Readings, anchored readings and gap entries of every slot that has any, by device."""
        rows = self._db.execute(
            "SELECT r.device_id, r.channel, r.feed, r.slot, COUNT(*),"
            " SUM(r.height <= IFNULL(a.height, -1)),"
            " (SELECT COUNT(*) FROM gaps g WHERE g.feed = r.feed AND g.slot = r.slot)"
            " FROM readings r LEFT JOIN anchored a ON a.feed = r.feed AND a.epoch = r.epoch"
            " GROUP BY r.feed, r.slot ORDER BY r.device_id, r.channel, r.feed, r.slot"
        )
        return [
            SensorCount(
                device_id=row[0],
                channel=row[1],
                feed=row[2],
                slot=row[3],
                count=row[4],
                anchored_count=row[5],
                gap_count=row[6],
            )
            for row in rows
        ]

    def readings(
        self, device_id: str, *, from_wall_us: int, to_wall_us: int, channel: str | None = None
    ) -> list[dict[str, Any]]:
        """A device's readings in [from, to], by time; `state` is "anchored" or "opened"."""
        cursor = self._db.execute(
            "SELECT r.*, CASE WHEN r.height <= IFNULL(a.height, -1) THEN 'anchored' ELSE 'opened'"
            " END AS state FROM readings r"
            " LEFT JOIN anchored a ON a.feed = r.feed AND a.epoch = r.epoch"
            " WHERE r.device_id = ? AND r.wall_us BETWEEN ? AND ? AND (? IS NULL OR channel = ?)"
            " ORDER BY r.wall_us, r.feed, r.leaf_index",
            (device_id, from_wall_us, to_wall_us, channel, channel),
        )
        return _dicts(cursor)

    def gaps(self, device_id: str | None = None) -> list[dict[str, Any]]:
        """Gap entries, of one device or of all."""
        return _dicts(
            self._db.execute(
                "SELECT * FROM gaps WHERE ? IS NULL OR device_id = ? ORDER BY feed, leaf_index",
                (device_id, device_id),
            )
        )

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """All rows of one of `TABLES`, in the order of its primary key."""
        if table not in TABLES:
            raise ValueError(f"no table {table}")
        return self._db.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608  # from TABLES, above


def _dicts(cursor: sqlite3.Cursor) -> list[dict[str, Any]]:
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _add_entry(
    db: sqlite3.Connection, place: tuple[str, int, int, int], entry: OpenedEntry
) -> None:
    readers: dict[int, Any] = {
        KIND_TELEMETRY: Telemetry,
        KIND_TAG_SIGHTING: TagSighting,
        KIND_POSITION: Position,
        KIND_DESCRIPTOR: Descriptor,
        KIND_GAP: Gap,
    }
    reader = readers.get(entry.kind)
    if reader is None:
        return
    try:
        record = reader.from_body(entry.body)
    except LogisticsError as error:
        db.execute("INSERT INTO unread VALUES(?,?,?,?,?)", (*place[:3], entry.kind, str(error)))
        return
    if isinstance(record, Descriptor):
        _add_descriptor(db, place[0], entry.slot, record)
    elif isinstance(record, Gap):
        _add_gap(db, place, entry, record)
    else:
        _insert(db, "readings", [*place, *_common(db, place[0], entry), *_values(record)])


def _insert(db: sqlite3.Connection, table: str, row: Iterable[Any]) -> None:
    values = list(row)
    marks = ",".join("?" * len(values))
    db.execute(f"INSERT INTO {table} VALUES({marks})", values)  # table is a literal of ours


def _named(db: sqlite3.Connection, feed: str, slot: int) -> tuple[Any, Any]:
    found = db.execute(
        "SELECT device_id, channel FROM slots WHERE feed = ? AND slot = ?", (feed, slot)
    ).fetchone()
    return found or (None, None)


def _common(db: sqlite3.Connection, feed: str, entry: OpenedEntry) -> list[Any]:
    return [entry.slot, entry.srcseq, *_named(db, feed, entry.slot), entry.kind, *entry.time]


def _values(record: Telemetry | TagSighting | Position) -> list[Any]:
    """flags, value, exponent, unit, epc, rssi, latitude, longitude, speed."""
    if isinstance(record, Telemetry):
        return [record.flags, record.value, record.exponent, record.unit, *[None] * 5]
    if isinstance(record, TagSighting):
        sighting = [record.epc.hex(), record.rssi_cdbm]
        return [record.flags, None, None, None, *sighting, None, None, None]
    place = [record.lat_e7, record.lon_e7, record.speed_mm_s]
    return [record.flags, *[None] * 5, *place]


def _add_descriptor(db: sqlite3.Connection, feed: str, slot: int, record: Descriptor) -> None:
    row = (
        feed,
        slot,
        record.device_id,
        record.channel,
        record.quantity,
        record.unit,
        record.interval_ms,
    )
    db.execute("INSERT OR REPLACE INTO slots VALUES(?,?,?,?,?,?,?)", row)


def _add_gap(
    db: sqlite3.Connection, place: tuple[str, int, int, int], entry: OpenedEntry, record: Gap
) -> None:
    _insert(
        db,
        "gaps",
        [
            *place,
            entry.slot,
            *_named(db, place[0], entry.slot),
            int(record.reason),
            record.from_wall_us,
            record.to_wall_us,
            record.from_mono_us,
            record.to_mono_us,
            record.count,
        ],
    )
