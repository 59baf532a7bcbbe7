"""Tiles without a store: deletions, damage, and that only what changed is read and written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import DamagedError
from ledger.map_tiles import TileName, decode_tile, tile_changes, tiled_map
from ledger.state_map import StateMap, TreeNode, state_map_of


class Tiles:
    """A store of tiles in a dictionary that counts what is read."""

    def __init__(self) -> None:
        self.held, self.reads, self.version = dict[TileName, bytes](), 0, 0
        self.map = StateMap()

    def load(self, version: int, hash_: bytes) -> TreeNode:
        self.reads += 1
        return decode_tile(self.held[version, hash_], (version, hash_), self.load)

    def keep(self, new: StateMap) -> None:
        """Writes the new map and drops at once what only the old one used."""
        self.version += 1
        changes = tile_changes(self.map, new, self.version)
        self.held |= {(self.version, hash_): tile for hash_, tile in changes.puts}
        for name in changes.stale:
            del self.held[name]
        self.map = tiled_map(changes.top, self.load)

    def reached(self) -> set[TileName]:
        """Names of all tiles that the map needs."""
        seen: set[TileName] = set()

        def load(version: int, hash_: bytes) -> TreeNode:
            seen.add((version, hash_))
            return decode_tile(self.held[version, hash_], (version, hash_), load)

        top = self.map.top
        assert top is not None
        list(tiled_map((self.version_of_top, top.hash), load).items())
        return seen

    @property
    def version_of_top(self) -> int:
        top = self.map.top
        version: int = getattr(top, "version")  # noqa: B009  # a far tree node has one
        return version


STEPS = st.lists(
    st.dictionaries(st.integers(0, 60), st.none() | st.binary(max_size=3), max_size=20),
    min_size=1,
    max_size=8,
)


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_exactly_the_tiles_that_the_newest_map_needs_are_kept(
    steps: list[dict[int, bytes | None]],
) -> None:
    tiles, model = Tiles(), dict[bytes, bytes]()
    for step in steps:
        map_ = tiles.map
        for number, value in step.items():
            key = b"key %d" % number
            if value is None:
                map_, _ = map_.delete(key), model.pop(key, None)
            else:
                map_, model[key] = map_.set(key, value), value
        tiles.keep(map_)
        assert tiles.map.root == state_map_of(model.items()).root
        assert dict(tiles.map.items()) == model
    assert tiles.reached() == set(tiles.held)


def test_one_change_reads_and_writes_one_way_from_the_top() -> None:
    tiles = Tiles()
    tiles.keep(state_map_of((b"key %d" % n, b"v") for n in range(5_000)))
    held, tiles.reads = len(tiles.held), 0
    tiles.keep(tiles.map.set(b"key 77", b"other"))
    assert tiles.reads <= 12
    assert len(tiles.held) == held


def test_a_changed_or_cut_tile_is_damaged() -> None:
    tiles = Tiles()
    tiles.keep(state_map_of((b"key %d" % n, b"v") for n in range(40)))
    for name, tile in tiles.held.items():
        for bad in (
            tile[:-1],
            tile + b"\x00",
            b"",
            b"\x02" + tile,
            bytes([tile[0] ^ 1]) + tile[1:],
        ):
            with pytest.raises(DamagedError):
                decode_tile(bad, name, tiles.load)
        for at in range(0, len(tile), 11):
            bad = tile[:at] + bytes([tile[at] ^ 0x80]) + tile[at + 1 :]
            try:
                again = decode_tile(bad, name, tiles.load)
            except DamagedError:
                continue
            # A version is under no hash: a wrong one names a tile that is not there.
            assert again is not None
            assert again.hash == name[1]
