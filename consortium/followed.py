"""What pages are built of: the genesis document, accepted transactions and opened runs, in the one
order in which this machine came to know them.

The order is kept in a file of its own, because two orders would give two sets of pages: a page that
is rebuilt follows the same numbers again. An item is never changed and never moved.

    item        = [ 0, genesis: bstr ] / [ 1, transaction ] / [ 2, run ]
    transaction = [ number, height, index in its block, chain time ms, bytes, [* log record] ]
    run         = [ feed-id, epoch, height, audience, first-index, [* entry] ]
    entry       = [ kind, slot, gtime, srcseq, body ]
"""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import zstandard

from consortium.errors import ChainStoreError
from consortium.read_model import OpenedBlock
from ledger.canonical import decode, encode

FOLLOWED_NAME: Final = "followed.sqlite"
ITEM_GENESIS, ITEM_TRANSACTION, ITEM_RUN = range(3)
ITEM_BYTES_MAX: Final = 64 << 20
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS items(seq INTEGER PRIMARY KEY, place TEXT UNIQUE, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS runs(feed TEXT, epoch INT, audience INT, height INT,
  PRIMARY KEY(feed, epoch, audience)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS numbers(name TEXT PRIMARY KEY, value INT) WITHOUT ROWID;
"""


class FollowedItems:
    """The file with that order. Calls may come from any thread."""

    def __init__(self, path: Path, *, genesis: bytes) -> None:
        """Opens or makes the file; raises ChainStoreError where it is another chain's."""
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        path.chmod(0o600)  # it holds readings in clear
        self._lock = threading.Lock()
        self._told: Callable[[], None] = lambda: None
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)
        self._add([("genesis", [ITEM_GENESIS, genesis])])
        if [ITEM_GENESIS, genesis] not in [item for _, item in self.after(0, 1)]:
            raise ChainStoreError(f"{path} belongs to another chain than genesis.cbor")

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def on_add(self, told: Callable[[], None]) -> None:
        """`told` is called, on whichever thread, when there are new items."""
        self._told = told

    def _add(self, items: list[tuple[str, list[Any]]], *, more: str = "", values: Any = ()) -> bool:
        rows = [(place, zstandard.compress(encode(item))) for place, item in items]
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                before = self._db.total_changes
                statement = "INSERT OR IGNORE INTO items(place, data) VALUES(?, ?)"
                self._db.executemany(statement, rows)
                added = self._db.total_changes > before
                if more:
                    self._db.execute(more, values)
            except BaseException:  # whatever it was: half of it must not stay
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        return added

    def add_transactions(self, first: int, rows: Sequence[Sequence[Any]]) -> None:
        """Adds accepted transactions, the first of which has this number; known ones stay."""
        numbered = list(enumerate(rows, first))
        items = [(f"tx-{n}", [ITEM_TRANSACTION, [n, *row]]) for n, row in numbered]
        more = "INSERT OR REPLACE INTO numbers VALUES('transactions', ?)"
        if rows and self._add(items, more=more, values=(first + len(rows),)):
            self._told()

    def transactions(self) -> int:
        """How many transactions are here: the number of the next."""
        rows = self._read("SELECT value FROM numbers WHERE name = 'transactions'")
        return int(rows[0][0]) if rows else 0

    def add_run(self, block: OpenedBlock) -> None:
        """Adds an opened run; the same again changes nothing."""
        feed, place = block.feed_id.hex(), (block.epoch, block.audience, block.height)
        entries = [[e.kind, e.slot, list(e.time), e.srcseq, e.body] for e in block.entries]
        run = [
            block.feed_id,
            block.epoch,
            block.height,
            block.audience,
            block.first_index,
            entries,
        ]
        name = "-".join(["run", feed, *map(str, place)])
        more = (
            "INSERT INTO runs VALUES(?,?,?,?) ON CONFLICT(feed, epoch, audience) DO UPDATE SET "
            "height = MAX(height, excluded.height)"
        )
        if self._add([(name, [ITEM_RUN, run])], more=more, values=(feed, *place)):
            self._told()

    def heights(self) -> dict[tuple[bytes, int, int], int]:
        """(feed id, epoch, audience) -> newest height that is here."""
        rows = self._read("SELECT feed, epoch, audience, height FROM runs")
        return {(bytes.fromhex(feed), e, a): height for feed, e, a, height in rows}

    def newest(self) -> int:
        """The last item's number."""
        return int(self._read("SELECT MAX(seq) FROM items")[0][0] or 0)

    def _read(self, query: str, values: tuple[int, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock:  # one connection: another thread's half transaction must not be seen
            return self._db.execute(query, values).fetchall()

    def after(self, seq: int, limit: int, *, bytes_max: int = 8 << 20) -> list[tuple[int, Any]]:
        """(number, item) behind a number, in order: at most `limit`, and no more once `bytes_max`
        are reached.
        """
        query = "SELECT seq, data FROM items WHERE seq > ? ORDER BY seq LIMIT ?"
        rows = self._read(query, (seq, limit))
        found: list[tuple[int, Any]] = []
        size = 0
        for number, data in rows:
            plain = zstandard.decompress(data, max_output_size=ITEM_BYTES_MAX)
            size += len(plain)
            if found and size > bytes_max:
                break
            found.append((number, decode(plain)))
        return found
