"""The state's map in tiles: hash and proofs as in memory, and no more kept than is used."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consortium.app.state import ChainState, Outcome
from consortium.errors import ChainStoreError
from consortium.state_store import STALE_BLOCKS, StateStore
from ledger.canonical import encode
from ledger.frontier import Frontier
from ledger.state_map import StateMap, state_map_of, verify_map


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    opened = StateStore(tmp_path, b"g" * 32)
    opened.start(ChainState(StateMap(), Frontier()), b"")
    opened.load()
    yield opened
    opened.close()


def key_of(number: int) -> bytes:
    return encode(["gateway", number])


def committed(store: StateStore, map_: StateMap, height: int, puts: dict[bytes, bytes]) -> StateMap:
    """The map that comes back from a commit of these entries."""
    for key, value in puts.items():
        map_ = map_.set(key, value)
    state = ChainState(map_, Frontier())
    outcome = Outcome(height=height, state=state, puts=puts, leaves=(), marks={})
    return store.commit(outcome, b"").map


def tiles_of(store: StateStore) -> int:
    with store._env.begin(db=store._tiles) as lmdb_txn:
        return int(lmdb_txn.stat()["entries"])


BLOCKS = st.lists(
    st.dictionaries(st.integers(0, 300), st.binary(max_size=9), max_size=40), max_size=8
)


@given(BLOCKS)
@settings(max_examples=20, deadline=None)
def test_a_stored_map_has_the_root_and_proofs_of_the_one_in_memory(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[dict[int, bytes]]
) -> None:
    store = StateStore(tmp_path_factory.mktemp("state"), b"g" * 32)
    store.start(ChainState(StateMap(), Frontier()), b"")
    store.load()
    map_, model = StateMap(), dict[bytes, bytes]()
    for height, block in enumerate(blocks, 1):
        puts = {key_of(number): value for number, value in block.items()}
        map_ = committed(store, map_, height, puts)
        model |= puts
    loaded = store.load()
    assert loaded is not None
    again = loaded[1].map
    assert state_map_of(model.items()).root == map_.root == again.root
    for number in range(0, 301, 7):
        key = key_of(number)
        proof = again.prove(key)
        verify_map(root=again.root, key=key, value=model.get(key), proof=proof)
    assert dict(again.items()) == model
    assert len(store.keys("gateway")) == store.verify() == len(model)
    store.close()


def test_an_older_state_is_still_read_for_some_blocks_and_then_dropped(store: StateStore) -> None:
    first = committed(store, StateMap(), 1, {key_of(n): b"old" for n in range(500)})
    map_ = committed(store, first, 2, {key_of(7): b"new"})
    store._load_tile.cache_clear()
    assert (first.get(key_of(7)), map_.get(key_of(7))) == (b"old", b"new")
    for height in range(3, STALE_BLOCKS + 4):
        map_ = committed(store, map_, height, {key_of(height): b"later"})
    store._load_tile.cache_clear()
    assert map_.get(key_of(8)) is not None
    with pytest.raises(ChainStoreError, match="missing"):
        first.get(key_of(7))


def test_what_is_rewritten_does_not_pile_up(store: StateStore) -> None:
    map_ = committed(store, StateMap(), 1, {key_of(n): b"v" for n in range(500)})
    once = tiles_of(store)
    for height in range(2, 200):
        map_ = committed(store, map_, height, {key_of(height % 10): b"%d" % height})
    assert tiles_of(store) < once + STALE_BLOCKS * 5


def test_a_block_that_changes_nothing_writes_no_tile(store: StateStore) -> None:
    map_ = committed(store, StateMap(), 1, {key_of(n): b"v" for n in range(50)})
    before = tiles_of(store)
    assert committed(store, map_, 2, {}).root == map_.root
    assert committed(store, map_, 3, {key_of(3): b"v"}).root == map_.root
    assert before == tiles_of(store)


def test_a_map_that_was_never_unloaded_is_stored_all_the_same(store: StateStore) -> None:
    """The caller may go on with its own map: what is stored already is not written twice."""
    map_ = StateMap()
    for height in range(1, 30):
        puts = {key_of(height * 10 + n): b"%d" % n for n in range(10)}
        committed(store, map_, height, puts)
        for key, value in puts.items():
            map_ = map_.set(key, value)
    loaded = store.load()
    assert loaded is not None
    assert loaded[1].map.root == map_.root
    assert store.verify() == 290


def test_keys_are_listed_by_their_first_element(store: StateStore) -> None:
    names: list[list[object]] = [["validators"], ["party", b"p"], ["feed", b"f", 0], ["fee", b"f"]]
    committed(store, StateMap(), 1, {encode(name): b"v" for name in names})
    for name in names:
        assert store.keys(str(name[0])) == [name]


def test_a_list_of_keys_that_is_not_the_maps_is_found(store: StateStore) -> None:
    committed(store, StateMap(), 1, {key_of(1): b"v"})
    with store._env.begin(write=True, db=store._keys) as lmdb_txn:
        lmdb_txn.delete(key_of(1))
    with pytest.raises(ChainStoreError, match="list of keys"):
        store.verify()
