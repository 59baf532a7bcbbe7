"""A state map cut into tiles, so that a store keeps it and a program reads only what it asks for.

A tile is the part of the tree between two depths that are multiples of four, with the entries that
stand in it. As in Diem's "Jellyfish" tree a tile is named by the version that wrote it and its
hash, so names ascend as a chain grows and a reader of an older version keeps its tiles until they
are dropped.

    tile  = node                                  ; of the subtree's top, at most four levels
    node  = 0x00                                  ; empty
          / 0x01 u32 key-size u32 value-size key value
          / 0x02 node node                        ; left, right
          / 0x03 u64 version hash                 ; another tile, four levels below this one's top
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ledger.errors import DamagedError
from ledger.hashing import HASH_BYTES
from ledger.state_map import Far, Inner, Leaf, StateMap, TreeNode, hash_of, inner_of, leaf_of, near

LEVELS: Final = 4
_EMPTY, _LEAF, _INNER, _FAR = range(4)

TileName = tuple[int, bytes]  # version, hash
LoadTile = Callable[[int, bytes], TreeNode]


@dataclass(slots=True)
class TileChanges:
    """What a store has to write and may drop between two versions. `top`: names the whole map."""

    top: TileName
    puts: list[tuple[bytes, bytes]] = field(default_factory=list)  # hash, tile; of this version
    stale: list[TileName] = field(default_factory=list)


def tiled_map(top: TileName, load: LoadTile) -> StateMap:
    """The map of which `top` is the first tile; `load` reads a tile (`decode_tile`)."""
    return StateMap(Far(*top, load))


def tile_changes(old: StateMap, new: StateMap, version: int) -> TileChanges:
    """What makes `new` of `old`, which is stored; `version` is above all that were written.

    Reads only tiles on the ways to what changed. O(changes x log n).
    """
    writer = _Writer(version)
    changes = writer.changes
    changes.top = writer.tile(old.top, new.top)
    return changes


class _Writer:
    """Goes down both trees at once, and stops where a hash is the same."""

    def __init__(self, version: int) -> None:
        self._version = version
        self.changes = TileChanges((version, b""))

    def tile(self, old: TreeNode, new: TreeNode) -> TileName:
        """The name of the tile that holds `new`, written unless it is what was there."""
        hash_ = hash_of(new)
        if isinstance(old, Far):
            if old.hash == hash_:
                return old.version, hash_
            self.changes.stale.append((old.version, old.hash))
        if isinstance(new, Far):
            return new.version, hash_
        out = bytearray()
        self._encode(near(old), new, 0, out)
        self.changes.puts.append((hash_, bytes(out)))
        return self._version, hash_

    def _encode(self, old: TreeNode, new: TreeNode, level: int, out: bytearray) -> None:
        if not isinstance(new, Inner | Far):
            self._drop(old)
            _encode_lone(new, out)
        elif level == LEVELS:
            version, hash_ = self.tile(old, new)
            out += b"\x03" + version.to_bytes(8, "big") + hash_
        else:
            ours, theirs = near(new), near(old)
            if not isinstance(ours, Inner):
                raise DamagedError("map", hash_of(new))
            pair = (theirs.left, theirs.right) if isinstance(theirs, Inner) else (None, None)
            out.append(_INNER)
            self._encode(pair[0], ours.left, level + 1, out)
            self._encode(pair[1], ours.right, level + 1, out)

    def _drop(self, old: TreeNode) -> None:
        """Names every tile below a subtree that is gone as stale."""
        if isinstance(old, Far):
            self.changes.stale.append((old.version, old.hash))
        top = near(old)
        if isinstance(top, Inner):
            self._drop(top.left)
            self._drop(top.right)


def _encode_lone(leaf: Leaf | None, out: bytearray) -> None:
    if leaf is None:
        out.append(_EMPTY)
        return
    sizes = len(leaf.key).to_bytes(4, "big") + len(leaf.value).to_bytes(4, "big")
    out += b"\x01" + sizes + leaf.key + leaf.value


def decode_tile(data: bytes, name: TileName, load: LoadTile) -> TreeNode:
    """The subtree's top in a stored tile; raises DamagedError unless it has the hash it is named
    by.
    """
    try:
        top, end = _decode(data, 0, load)
    except IndexError:
        raise DamagedError("map", name[1]) from None
    if end != len(data) or hash_of(top) != name[1]:
        raise DamagedError("map", name[1])
    return top


def _decode(data: bytes, at: int, load: LoadTile) -> tuple[TreeNode, int]:
    kind, at = data[at], at + 1
    if kind == _EMPTY:
        return None, at
    if kind == _LEAF:
        key_size, value_size = _number(data, at, 4), _number(data, at + 4, 4)
        key_end = at + 8 + key_size
        key, value = data[at + 8 : key_end], data[key_end : key_end + value_size]
        return leaf_of(key, value), key_end + value_size
    if kind == _INNER:
        left, at = _decode(data, at, load)
        right, at = _decode(data, at, load)
        return inner_of(left, right), at
    end = at + 8 + HASH_BYTES
    return Far(_number(data, at, 8), data[at + 8 : end], load), end


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")
