"""Blocks, heads, trees and what others sent, in LMDB. The only module of the ledger that opens it.

Layout and limits: docs/formats/store.md. One process, one environment, one writing thread; keys are
big-endian, so a range of heights is a range of keys.
"""

import errno
import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final, TypeVar

import lmdb
from google_crc32c import value as crc32c

from ledger.errors import DamagedError, StoreError

MAP_BYTES: Final = 8 << 30
FULL_SHARE_ALARM: Final = 0.7
SCHEMA: Final = b"2"
CHECKSUM_BYTES: Final = 4
LOCK_NAME: Final = "one-process"
TREE_LEAVES: Final = 0
TREE_HEADERS: Final = 1
TABLES: Final = (
    "headers",
    "run_heads",
    "run_bodies",
    "ciphertexts",
    "described",
    "heads",
    "nodes",
    "feeds",
    "slots",
    "audience_keys",
    "grants",
    "anchors",
    "statements",
    "conflicts",
    "meta",
)
FULL_RETRY_S: Final = 1.0
ROOM_STEP_BYTES: Final = 256 << 10
CHANGE_BYTES: Final = 4 * 4096  # pages from a tree's root to the changed one, copied on each change
Result = TypeVar("Result")
_log = logging.getLogger(__name__)


class StoreFullError(StoreError):
    """No room on the disk or in the map. Nothing was written; asking again later is right."""


class Transaction:
    """One LMDB transaction, by table name. Reads see one moment; writes are all or nothing."""

    def __init__(self, txn: lmdb.Transaction, tables: dict[str, "lmdb._Database"]) -> None:
        self._txn, self._tables = txn, tables
        self.room_bytes = 0  # by which the file may grow for the changes so far, at most

    def get(self, table: str, key: bytes) -> bytes | None:
        """The value, or None; raises DamagedError rather than give what was not written."""
        value = self._txn.get(key, db=self._tables[table])
        return None if value is None else unsealed(table, key, bytes(value))

    def put(self, table: str, key: bytes, value: bytes) -> None:
        """Writes a value."""
        self.room_bytes += len(key) + len(value) + CHANGE_BYTES
        self._txn.put(key, sealed(table, key, value), db=self._tables[table])

    def delete(self, table: str, key: bytes) -> None:
        """Removes a value; nothing happens if there is none."""
        self.room_bytes += CHANGE_BYTES
        self._txn.delete(key, db=self._tables[table])

    def scan(
        self, table: str, prefix: bytes, *, start: bytes = b"", limit: int = 1 << 62
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys with a prefix in order, from `prefix + start` on, at most `limit`."""
        with self._txn.cursor(db=self._tables[table]) as cursor:
            found = cursor.set_range(prefix + start)
            while found and limit > 0 and bytes(cursor.key()).startswith(prefix):
                key = bytes(cursor.key())
                yield key, unsealed(table, key, bytes(cursor.value()))
                limit -= 1
                found = cursor.next()

    def last(self, table: str, prefix: bytes) -> tuple[bytes, bytes] | None:
        """The last key with a prefix, or None."""
        with self._txn.cursor(db=self._tables[table]) as cursor:
            behind = prefix + b"\xff" * 32
            found = cursor.prev() if cursor.set_range(behind) else cursor.last()
            if found and bytes(cursor.key()).startswith(prefix):
                key = bytes(cursor.key())
                return key, unsealed(table, key, bytes(cursor.value()))
        return None

    def damaged(self, table: str) -> list[bytes]:
        """Keys of a table under which stands what was not written there."""
        keys = []
        with self._txn.cursor(db=self._tables[table]) as cursor:
            for raw_key, stored in cursor:
                key, value = bytes(raw_key), bytes(stored)
                if value != sealed(table, key, value[:-CHECKSUM_BYTES]):
                    keys.append(key)
        return keys

    def count(self, table: str) -> int:
        """Number of values in a table."""
        return int(self._txn.stat(self._tables[table])["entries"])


class Store:
    """The open store. Writes run on one thread of its own; reads may run on any.

    waits_for_room: on a full disk `write_later` waits until there is room (`is_full` tells of it);
    else it raises StoreFullError, as `write` always does. `make_room`, where set, is run in a
    transaction of its own before each new try.
    """

    def __init__(
        self, folder: Path, *, map_bytes: int = MAP_BYTES, waits_for_room: bool = False
    ) -> None:
        self._waits_for_room, self._closing = waits_for_room, threading.Event()
        self.is_full = False
        self.make_room: Callable[[Transaction], object] | None = None
        self._failed: str | None = None
        with ExitStack() as undo:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self._lock = _lock(folder / LOCK_NAME)
                undo.callback(os.close, self._lock)
                self._env = _open(folder, map_bytes)
                undo.callback(self._env.close)
                self._room = _Room(folder / "data.mdb", map_bytes)
                undo.callback(self._room.close)
                self._env.reader_check()
                self._tables = {name: self._env.open_db(name.encode()) for name in TABLES}
            except (lmdb.Error, OSError) as error:
                raise StoreError(f"{folder}: {error}") from error
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-writer")
            undo.callback(self._thread.shutdown)
            self.write(_check_schema)
            self._undo = undo.pop_all()

    def read(self, work: Callable[[Transaction], Result]) -> Result:
        """What `work` returns over one moment of the store. Keep it under a second.

        Raises StoreError where the file is so damaged that it has no way to what is asked.
        """
        try:
            with self._env.begin(buffers=False) as txn:
                return work(Transaction(txn, self._tables))
        except lmdb.Error as error:
            raise StoreError(f"the store cannot be read: {error}") from error

    def write(self, work: Callable[[Transaction], Result]) -> Result:
        """Runs `work` on the writing thread in one synced transaction and waits for it.

        Raises StoreFullError (nothing written, try later) or StoreError; one that came from the
        disk is final: every later write is refused.
        """
        return self._thread.submit(self._write, work).result()

    def write_later(self, work: Callable[[Transaction], Result]) -> "Future[Result]":
        """Like `write`, without waiting. `work` may run again where there was no room for it."""
        return self._thread.submit(self._write_in_time, work)

    def _write_in_time(self, work: Callable[[Transaction], Result]) -> Result:
        while True:
            try:
                result = self._write(work)
            except StoreFullError as error:
                if not self._waits_for_room or self._closing.is_set():
                    raise
                if not self.is_full:
                    _log.critical("store_full stop=writing error=%s", error)
                self.is_full = True
                if not self._made_room():
                    self._closing.wait(FULL_RETRY_S)
            else:
                if self.is_full:
                    _log.warning("store_has_room writing=again")
                self.is_full = False
                return result

    def _made_room(self) -> bool:
        """True where something was let go. Even that needs a few pages, which may be missing."""
        if self.make_room is None:
            return False
        try:
            made = bool(self._write(self.make_room))
            if made:
                # LMDB gives freed pages out from the second transaction after theirs on.
                self._write(lambda txn: txn.put("meta", b"room", b""))
            return made
        except StoreFullError:
            return False

    def _write(self, work: Callable[[Transaction], Result]) -> Result:
        if self._failed:
            raise StoreError(f"store stopped: {self._failed}")
        try:
            with self._env.begin(write=True) as txn:
                changes = Transaction(txn, self._tables)
                result = work(changes)
                self._take_room(txn, changes.room_bytes)
                return result
        except (lmdb.MapFullError, lmdb.DiskError) as error:
            raise StoreFullError(f"store write failed: {error}") from error
        except lmdb.Error as error:
            # The bare class is an error number of the operating system, and so the disk's word.
            if type(error) is lmdb.Error or isinstance(error, lmdb.PanicError):
                self._failed = str(error)
            raise StoreError(f"store write failed: {error}") from error

    def _take_room(self, txn: lmdb.Transaction, bytes_max: int) -> None:
        """Raises StoreFullError where there is no room for what a transaction may add."""
        page_bytes = self._env.stat()["psize"]
        file_bytes = (self._env.info()["last_pgno"] + 1) * page_bytes
        try:
            self._room.take(file_bytes + bytes_max)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                self._failed = str(error)
                raise StoreError(f"store write failed: {error}") from error
            # Pages that were freed are written again before the file grows.
            if file_bytes - self._used_pages(txn) * page_bytes < bytes_max:
                raise StoreFullError(f"no room on the disk: {error}") from error

    def _used_pages(self, txn: lmdb.Transaction) -> int:
        stats = [self._env.stat(), *(txn.stat(table) for table in self._tables.values())]
        return sum(s["branch_pages"] + s["leaf_pages"] + s["overflow_pages"] for s in stats)

    @property
    def used_bytes(self) -> int:
        """Pages that hold something. The file keeps those that were freed, and uses them again."""
        with self._env.begin(buffers=False) as txn:
            stats = [self._env.stat(), *(txn.stat(table) for table in self._tables.values())]
        pages = sum(s["branch_pages"] + s["leaf_pages"] + s["overflow_pages"] for s in stats)
        return int(pages * stats[0]["psize"])

    @property
    def file_bytes(self) -> int:
        """Size of the file, which never shrinks."""
        info, stat = self._env.info(), self._env.stat()
        return int((info["last_pgno"] + 1) * stat["psize"])

    @property
    def map_bytes(self) -> int:
        """What the file may grow to."""
        return int(self._env.info()["map_size"])

    @property
    def full_share(self) -> float:
        """Share of the map that is in use, 0 to 1; an alarm is due above FULL_SHARE_ALARM."""
        return self.used_bytes / self.map_bytes

    def close(self) -> None:
        """Waits for the writer and closes; writes that still wait for room are given up."""
        self._closing.set()
        self._undo.close()


class _Room:
    """Room on the disk for the store's file, taken before LMDB writes.

    A disk that fills up under a write takes a part of it, and LMDB reports that exactly as it
    reports a failing disk. The one has to wait, the other is final.
    """

    def __init__(self, path: Path, map_bytes: int) -> None:
        self._fd, self._map_bytes = os.open(path, os.O_RDWR), map_bytes
        self._end = 0  # so that holes from earlier runs are filled as well

    def take(self, end: int) -> None:
        """Has the file's first `end` bytes on the disk; raises OSError."""
        end = min(-(-end // ROOM_STEP_BYTES) * ROOM_STEP_BYTES, self._map_bytes)
        if end > self._end:
            os.posix_fallocate(self._fd, self._end, end - self._end)
            self._end = end

    def close(self) -> None:
        """Lets go of the file; what was taken stays."""
        os.close(self._fd)


def sealed(table: str, key: bytes, value: bytes) -> bytes:
    """What is stored for a value: the value and CRC-32C over table, key and value."""
    checksum: int = crc32c(b"\x00".join((table.encode(), key, value)))
    return value + checksum.to_bytes(CHECKSUM_BYTES, "big")


def unsealed(table: str, key: bytes, stored: bytes) -> bytes:
    """The value in what is stored; raises DamagedError where a bit has changed."""
    value = stored[:-CHECKSUM_BYTES]
    if stored != sealed(table, key, value):
        raise DamagedError(table, key)
    return value


def is_in_use(folder: Path) -> bool:
    """Whether a program has the store in this folder open."""
    try:
        fd = os.open(folder / LOCK_NAME, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _open(folder: Path, map_bytes: int) -> lmdb.Environment:
    return lmdb.open(
        str(folder),
        map_size=map_bytes,
        max_dbs=len(TABLES),
        metasync=True,
        sync=True,
        mode=0o600,  # keys are in it
    )


def _lock(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise StoreError(f"{path.parent} is in use by another program; stop it first") from error
    return fd


def _check_schema(txn: Transaction) -> None:
    held = txn.get("meta", b"schema")
    if held is None:
        txn.put("meta", b"schema", SCHEMA)
    elif held != SCHEMA:
        raise StoreError(f"store has schema {held!r}, this program knows {SCHEMA!r}")
