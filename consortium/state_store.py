"""The chain machine's two LMDB environments: the application's state, and the chain blocks.

They are apart because they are two histories: an engine may hold a block that the application has
not taken yet, and hands it over again at the next start. One write transaction per chain block in
each. All calls of one store come from one thread (LMDB closes badly from another).
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import lmdb

from consortium.app.state import ChainState, Outcome
from consortium.errors import ChainStoreError, DoubleSignError
from ledger.canonical import decode, encode
from ledger.comet import Validator
from ledger.errors import DamagedError
from ledger.frontier import Frontier
from ledger.hashing import leaf_hash, node_hash
from ledger.map_tiles import TileChanges, decode_tile, tile_changes, tiled_map
from ledger.merkle import dyadic_parts
from ledger.state_map import StateMap, TreeNode

SCHEMA_VERSION: Final = 2
STATE_FOLDER: Final = "chain.store"
BLOCKS_FOLDER: Final = "blocks.store"
MAP_BYTES: Final = 4 << 30  # address space, not disk: fixed at open, never grown at run time
MARK_FOR_EVER: Final = (1 << 64) - 1
# Who still reads an older state finds its tiles for this many blocks.
STALE_BLOCKS: Final = 8
# A state of so many entries is read as a whole at every start, in under a second.
CHECKED_AT_START_MAX: Final = 10_000
TILES_CACHED: Final = 4_096  # about 4 kB each in memory
_HEIGHT, _ROOTS, _RESULTS, _TOP = b"height", b"roots", b"results", b"top"
_DATABASES: Final = (
    *("tiles", "stale", "keys"),  # the map
    *("leaves", "nodes", "index"),  # the log
    *("marks", "expiry", "changes"),
    "accepted",  # transactions in the order of acceptance; begins where a store of before had none
)
_SCHEMA, _GENESIS = b"schema", b"genesis"


def _u64(value: int) -> bytes:
    return value.to_bytes(8, "big")


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _open(
    folder: Path, *, genesis_digest: bytes, databases: tuple[str, ...]
) -> tuple[Any, list[Any]]:
    """The environment and its databases; refuses a folder of another chain or schema."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        env = lmdb.open(str(folder), map_size=MAP_BYTES, max_dbs=len(databases) + 1, mode=0o600)
        env.reader_check()
        opened = [env.open_db(name.encode()) for name in ("meta", *databases)]
        with env.begin(write=True, db=opened[0]) as lmdb_txn:
            _claim(lmdb_txn, folder, genesis_digest)
    except lmdb.Error as error:
        raise ChainStoreError(f"{folder}: {error}") from error
    return env, opened


def _claim(lmdb_txn: Any, folder: Path, genesis_digest: bytes) -> None:
    schema = lmdb_txn.get(_SCHEMA)
    if schema is None:
        lmdb_txn.put(_SCHEMA, _u64(SCHEMA_VERSION))
        lmdb_txn.put(_GENESIS, genesis_digest)
    elif _number(schema) != SCHEMA_VERSION:
        raise ChainStoreError(f"{folder} has schema {_number(schema)}, not {SCHEMA_VERSION}")
    elif lmdb_txn.get(_GENESIS) != genesis_digest:
        raise ChainStoreError(f"{folder} belongs to another chain than genesis.cbor")


class StateStore:
    """The application's committed state, its log with all tree nodes, and marks.

    The state's map is kept in tiles and read as it is asked for, so neither a start nor memory
    grows with it. Keys are listed on their own, for reads by their first element.
    """

    def __init__(self, home: Path, genesis_digest: bytes) -> None:
        """Opens or makes the store under `home`; raises ChainStoreError."""
        self._env, opened = _open(
            home / STATE_FOLDER,
            genesis_digest=genesis_digest,
            databases=_DATABASES,
        )
        self._meta, self._tiles, self._stale, self._keys, *rest = opened
        self._leaves, self._nodes, self._index, self._marks, self._expiry, self._changes = rest[:-1]
        self._accepted = rest[-1]
        self._load_tile = lru_cache(TILES_CACHED)(self._read_tile)
        self._map = StateMap()

    def close(self) -> None:
        """Closes the store."""
        self._env.close()

    def load(self) -> tuple[int, ChainState] | None:
        """(height, state) as last committed; None for a new store.

        A small state is checked as a whole, of a large one each part as it is read (`verify` for
        all).
        """
        with self._env.begin() as lmdb_txn:
            height = lmdb_txn.get(_HEIGHT, db=self._meta)
            if height is None:
                return None
            recorded = lmdb_txn.get(_ROOTS, db=self._meta)
            top = bytes(lmdb_txn.get(_TOP, db=self._meta))
            size = lmdb_txn.stat(self._leaves)["entries"]
            parts = dyadic_parts(0, size)
            nodes = tuple(self._node(lmdb_txn, level, index) for level, index in parts)
        self._map = tiled_map((_number(top[:8]), top[8:]), self._load_tile)
        state = ChainState(self._map, Frontier(size, nodes))
        if state.roots.app_hash != recorded:
            raise ChainStoreError("the stored state does not have the hash it was committed with")
        with self._env.begin(db=self._keys) as lmdb_txn:
            entries = lmdb_txn.stat()["entries"]
        if entries <= CHECKED_AT_START_MAX:
            self.verify()
        return _number(height), state

    def verify(self) -> int:
        """Entries of the map, every tile and key of it read; raises ChainStoreError."""
        self._load_tile.cache_clear()
        keys = {key for key, _ in self._map.items()}
        with self._env.begin(db=self._keys) as lmdb_txn:
            listed = {bytes(key) for key, _ in lmdb_txn.cursor()}
        if keys != listed:
            raise ChainStoreError("the list of keys is not that of the state's map")
        return len(keys)

    def _read_tile(self, version: int, hash_: bytes) -> TreeNode:
        try:
            with self._env.begin(db=self._tiles) as lmdb_txn:
                data = lmdb_txn.get(_u64(version) + hash_)
            if data is None:
                raise ChainStoreError(f"map tile {hash_.hex()} of version {version} is missing")
            return decode_tile(data, (version, hash_), self._load_tile)
        except (lmdb.Error, DamagedError) as error:
            raise ChainStoreError(f"the state's map: {error}") from error

    def keys(self, name: str) -> list[list[Any]]:
        """All keys of the state whose first element is this, decoded, in the order of their
        bytes.
        """
        found = []
        with self._env.begin(db=self._keys) as lmdb_txn:
            cursor = lmdb_txn.cursor()
            # A key is a list of 1 to 3 elements: the name stands behind one byte that says so.
            for elements in (1, 2, 3):
                prefix = bytes([0x80 | elements]) + encode(name)
                more = cursor.set_range(prefix)
                while more and cursor.key().startswith(prefix):
                    found.append(decode(bytes(cursor.key())))
                    more = cursor.next()
        return found

    def start(self, state: ChainState, results_hash: bytes) -> None:
        """Writes the state before the first block."""
        changes = tile_changes(StateMap(), state.map, 0)
        with self._env.begin(write=True) as lmdb_txn:
            for key, _ in state.map.items():  # noqa: PERF102  # no dict, and has no keys()
                lmdb_txn.put(key, b"", db=self._keys)
            self._put_tiles(lmdb_txn, changes, height=0)
            lmdb_txn.put(_HEIGHT, _u64(0), db=self._meta)
            lmdb_txn.put(_ROOTS, state.roots.app_hash, db=self._meta)
            lmdb_txn.put(_RESULTS, results_hash, db=self._meta)

    def results_hash(self) -> bytes:
        """Results hash of the block that was committed last."""
        with self._env.begin(db=self._meta) as lmdb_txn:
            return bytes(lmdb_txn.get(_RESULTS))

    def commit(
        self,
        outcome: Outcome,
        results_hash: bytes,
        *,
        next_set: tuple[Validator, ...] | None = None,
    ) -> ChainState:
        """Writes a block's outcome in one synced transaction; `next_set`: validators, if they
        changed. Returns the same state, its map read from here.
        """
        changes = tile_changes(self._map, outcome.state.map, outcome.height)
        try:
            with self._env.begin(write=True) as lmdb_txn:
                self._put_tiles(lmdb_txn, changes, height=outcome.height)
                self._write(lmdb_txn, outcome)
                if next_set is not None:
                    # The header that names the next set is the one after this block's.
                    row = encode([[[item.key, item.power] for item in next_set], None])
                    lmdb_txn.put(_u64(outcome.height + 1), row, db=self._changes)
                lmdb_txn.put(_RESULTS, results_hash, db=self._meta)
        except lmdb.Error as error:
            raise ChainStoreError(f"cannot commit height {outcome.height}: {error}") from error
        self._map = tiled_map(changes.top, self._load_tile)
        return ChainState(self._map, outcome.state.log)

    def _put_tiles(self, lmdb_txn: Any, changes: TileChanges, *, height: int) -> None:
        for hash_, tile in changes.puts:
            lmdb_txn.put(_u64(height) + hash_, tile, db=self._tiles)
        for version, hash_ in changes.stale:
            lmdb_txn.put(_u64(height) + _u64(version) + hash_, b"", db=self._stale)
        cursor = lmdb_txn.cursor(db=self._stale)
        while cursor.first() and _number(cursor.key()[:8]) + STALE_BLOCKS < height:
            lmdb_txn.delete(cursor.key()[8:], db=self._tiles)
            cursor.delete()
        version, hash_ = changes.top
        lmdb_txn.put(_TOP, _u64(version) + hash_, db=self._meta)

    def changes(self) -> list[tuple[int, list[Any], list[Any] | None]]:
        """(height of the header that names it, next validator set, that signed header when it is
        archived) of every change, heights ascending; sets and headers as values.
        """
        with self._env.begin(db=self._changes) as lmdb_txn:
            return [(_number(key), *decode(value)) for key, value in lmdb_txn.cursor()]

    def archive_change(self, height: int, signed_header: object) -> None:
        """Keeps the signed header of a change for ever: later proofs need it."""
        with self._env.begin(write=True, db=self._changes) as lmdb_txn:
            next_set, _ = decode(lmdb_txn.get(_u64(height)))
            lmdb_txn.put(_u64(height), encode([next_set, signed_header]))

    def oldest_unarchived_change(self) -> int | None:
        """Height of the first header of a change that is not archived yet."""
        return next((height for height, _, header in self.changes() if header is None), None)

    def _write(self, lmdb_txn: Any, outcome: Outcome) -> None:
        for key in outcome.puts:
            lmdb_txn.put(key, b"", db=self._keys, overwrite=False)
        size = lmdb_txn.stat(self._leaves)["entries"]
        for index, leaf in enumerate(outcome.leaves, size):
            encoded = leaf.encode()
            lmdb_txn.put(_u64(index), encoded, db=self._leaves)
            self._grow(lmdb_txn, index, leaf_hash(encoded))
            place = _place(leaf.record)
            if place:
                lmdb_txn.put(place + _u64(index), _u64(leaf.time_ms), db=self._index)
        number = lmdb_txn.stat(self._accepted)["entries"]
        for item in outcome.accepted:
            row = [outcome.height, item.index, item.time_ms, item.data, list(item.records)]
            lmdb_txn.put(_u64(number), encode(row), db=self._accepted)
            number += 1
        for mark, until in outcome.marks.items():
            self._put_mark(lmdb_txn, mark, until)
        self._drop_expired(lmdb_txn, outcome.height)
        lmdb_txn.put(_HEIGHT, _u64(outcome.height), db=self._meta)
        lmdb_txn.put(_ROOTS, outcome.state.roots.app_hash, db=self._meta)

    def _grow(self, lmdb_txn: Any, index: int, hash_: bytes) -> None:
        """Stores the leaf's hash and every subtree that it completes."""
        level = 0
        lmdb_txn.put(bytes([level]) + _u64(index), hash_, db=self._nodes)
        while index & 1:
            hash_ = node_hash(self._node(lmdb_txn, level, index - 1), hash_)
            level, index = level + 1, index >> 1
            lmdb_txn.put(bytes([level]) + _u64(index), hash_, db=self._nodes)

    def _node(self, lmdb_txn: Any, level: int, index: int) -> bytes:
        found = lmdb_txn.get(bytes([level]) + _u64(index), db=self._nodes)
        if found is None:
            raise ChainStoreError(f"log node {level}/{index} is missing")
        return bytes(found)

    def _put_mark(self, lmdb_txn: Any, mark: bytes, until: int | None) -> None:
        lmdb_txn.put(mark, _u64(MARK_FOR_EVER if until is None else until), db=self._marks)
        if until is not None:
            lmdb_txn.put(_u64(until) + mark, b"", db=self._expiry)

    def _drop_expired(self, lmdb_txn: Any, height: int) -> None:
        """Forgets ids of transactions that their own expiry refuses from now on."""
        cursor = lmdb_txn.cursor(db=self._expiry)
        while cursor.first() and _number(cursor.key()[:8]) < height:
            lmdb_txn.delete(cursor.key()[8:], db=self._marks)
            cursor.delete()

    def __contains__(self, mark: object) -> bool:
        """Whether a digest was marked (`consortium.app.state.Marks`)."""
        with self._env.begin(db=self._marks) as lmdb_txn:
            return lmdb_txn.get(mark) is not None

    def leaf(self, index: int) -> bytes | None:
        """A leaf of the log."""
        with self._env.begin(db=self._leaves) as lmdb_txn:
            found = lmdb_txn.get(_u64(index))
        return None if found is None else bytes(found)

    def accepted(self, first: int, limit: int) -> list[list[Any]]:
        """[height, index in the block, chain time ms, bytes, log records] of accepted transactions
        from a number on, in order.
        """
        found: list[list[Any]] = []
        with self._env.begin(db=self._accepted) as lmdb_txn:
            for number in range(first, first + limit):
                row = lmdb_txn.get(_u64(number))
                if row is None:
                    break
                found.append(decode(row))
        return found

    def node(self, level: int, index: int) -> bytes:
        """Hash of a complete subtree of the log (a `ledger.merkle.NodeReader`)."""
        with self._env.begin() as lmdb_txn:
            return self._node(lmdb_txn, level, index)

    def places(
        self, kind: int, feed_id: bytes, epoch: int, *, first_height: int
    ) -> Iterator[tuple[int, int, int]]:
        """(height, log index, chain time ms) of a feed's records of a kind, heights ascending."""
        prefix = bytes([kind]) + feed_id + epoch.to_bytes(4, "big")
        with self._env.begin(db=self._index) as lmdb_txn:
            cursor = lmdb_txn.cursor()
            found = cursor.set_range(prefix + _u64(first_height))
            while found and cursor.key().startswith(prefix):
                key = cursor.key()[len(prefix) :]
                yield _number(key[:8]), _number(key[8:]), _number(cursor.value())
                found = cursor.next()

    def last_place(
        self, kind: int, feed_id: bytes, epoch: int, *, below_height: int
    ) -> tuple[int, int, int] | None:
        """The last of `places` below a height; one step, however many there are."""
        prefix = bytes([kind]) + feed_id + epoch.to_bytes(4, "big")
        with self._env.begin(db=self._index) as lmdb_txn:
            cursor = lmdb_txn.cursor()
            found = cursor.set_range(prefix + _u64(below_height))
            found = cursor.prev() if found else cursor.last()
            if not found or not cursor.key().startswith(prefix):
                return None
            key = cursor.key()[len(prefix) :]
            return _number(key[:8]), _number(key[8:]), _number(cursor.value())


def _place(record: tuple[Any, ...]) -> bytes | None:
    """Index key of an anchor, mirror or opened record: kind, feed, epoch, height."""
    if record[0] not in (4, 5, 6):
        return None
    kind, feed_id, epoch, height, *_ = record
    return bytes([kind]) + bytes(feed_id) + int(epoch).to_bytes(4, "big") + _u64(height)


class BlockStore:
    """Chain blocks with their commits. A proposal is durable before anything of it is signed."""

    def __init__(self, home: Path, genesis_digest: bytes) -> None:
        """Opens or makes the store under `home`; raises ChainStoreError."""
        self._env, (self._meta, self._blocks) = _open(
            home / BLOCKS_FOLDER, genesis_digest=genesis_digest, databases=("blocks",)
        )

    def close(self) -> None:
        """Closes the store."""
        self._env.close()

    @property
    def height(self) -> int:
        """Height of the last block, signed or only proposed; 0 when there is none."""
        with self._env.begin(db=self._blocks) as lmdb_txn:
            cursor = lmdb_txn.cursor()
            return _number(cursor.key()) if cursor.last() else 0

    def propose(self, height: int, block: object) -> None:
        """Stores a block that is not signed yet; raises DoubleSignError for a height that is
        taken.
        """
        if not self._put(height, encode([False, block]), overwrite=False):
            raise DoubleSignError(f"height {height} has a block already")

    def sign(self, height: int, block: object) -> None:
        """Stores the block again, now with its commit."""
        self._put(height, encode([True, block]), overwrite=True)

    def _put(self, height: int, data: bytes, *, overwrite: bool) -> bool:
        try:
            with self._env.begin(write=True, db=self._blocks) as lmdb_txn:
                return bool(lmdb_txn.put(_u64(height), data, overwrite=overwrite))
        except lmdb.Error as error:
            raise ChainStoreError(f"cannot store block {height}: {error}") from error

    def block(self, height: int) -> tuple[bool, Any] | None:
        """(signed, block) at a height."""
        with self._env.begin(db=self._blocks) as lmdb_txn:
            found = lmdb_txn.get(_u64(height))
        return tuple(decode(found)) if found is not None else None
