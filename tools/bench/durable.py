"""Where the measured ledger path keeps its bytes: segment files and LMDB, or SQLite in WAL mode."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from ledger.feed_store import put_cut, put_head, put_value
from ledger.head import Head
from ledger.journal import Journal
from ledger.sealer import Cut
from ledger.store import TABLES, Store, Transaction, sealed, unsealed

MAP_BYTES: Final = 1 << 30


class Durable(Protocol):
    """What the path asks of its disk. Each call returns when all of it is synced."""

    def append(self, entries: Sequence[bytes]) -> int:
        """Keep entries; return the number of the first."""

    def save_cut(self, made: Cut) -> None:
        """Keep a block, and let go of the entries that it holds."""

    def save_intent(self, intent: list[bytes]) -> None:
        """Keep what is about to be signed."""

    def save_head(self, head: Head) -> None:
        """Keep a signed head."""

    def close(self) -> None:
        """Let go of the files."""


class OwnFiles:
    """The gateway's own journal and store."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "store", map_bytes=MAP_BYTES)
        self._journal, _ = Journal.open(folder / "journal")

    def append(self, entries: Sequence[bytes]) -> int:
        """Keep entries; return the number of the first."""
        return self._journal.append(entries)

    def save_cut(self, made: Cut) -> None:
        """Keep a block, and let go of the entries that it holds."""
        self.store.write(lambda txn: put_cut(txn, made))
        self._journal.forget(made.state.jseq_end)

    def save_intent(self, intent: list[bytes]) -> None:
        """Keep what is about to be signed."""
        self.store.write(lambda txn: put_value(txn, "sign-intent", intent))

    def save_head(self, head: Head) -> None:
        """Keep a signed head."""
        self.store.write(lambda txn: put_head(txn, head))

    def close(self) -> None:
        """Let go of the files."""
        self._journal.close()
        self.store.close()


class _Rows(Transaction):
    """The store's tables as SQLite tables; the same values, checksums included."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def put(self, table: str, key: bytes, value: bytes) -> None:
        """Write a value."""
        row = (key, sealed(table, key, value))
        self._connection.execute(f"REPLACE INTO {table} VALUES (?, ?)", row)  # noqa: S608 - a name of ours

    def get(self, table: str, key: bytes) -> bytes | None:
        """Return the value, or None."""
        query = f"SELECT value FROM {table} WHERE key = ?"  # noqa: S608 - a name of ours
        row = self._connection.execute(query, (key,)).fetchone()
        return None if row is None else unsealed(table, key, row[0])


class SqliteFile:
    """One SQLite file, WAL, synchronous FULL: an entry a row, a block as the same tables."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._next_jseq = 1
        self._connection = sqlite3.connect(
            folder / "ledger.sqlite", isolation_level=None, check_same_thread=False
        )
        self._lock = threading.Lock()  # SQLite has one writer; a lock wakes sooner than its polling
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("CREATE TABLE journal (jseq INTEGER PRIMARY KEY, entry BLOB)")
        for table in TABLES:
            self._connection.execute(
                f"CREATE TABLE {table} (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID"
            )

    def append(self, entries: Sequence[bytes]) -> int:
        """Keep entries; return the number of the first."""
        first = self._next_jseq
        with self._transaction():
            rows = enumerate(entries, first)
            self._connection.executemany("INSERT INTO journal VALUES (?, ?)", rows)
        self._next_jseq += len(entries)
        return first

    def save_cut(self, made: Cut) -> None:
        """Keep a block, and let go of the entries that it holds."""
        with self._transaction() as txn:
            put_cut(txn, made)
            self._connection.execute("DELETE FROM journal WHERE jseq <= ?", (made.state.jseq_end,))

    def save_intent(self, intent: list[bytes]) -> None:
        """Keep what is about to be signed."""
        with self._transaction() as txn:
            put_value(txn, "sign-intent", intent)

    def save_head(self, head: Head) -> None:
        """Keep a signed head."""
        with self._transaction() as txn:
            put_head(txn, head)

    @contextmanager
    def _transaction(self) -> Iterator[_Rows]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            yield _Rows(self._connection)
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
