"""A Merkle map: one hash over a whole key-value state, with proofs of what is in it and what is
not.

A sparse Merkle tree of depth 256 in which a subtree with one entry is that entry's leaf and an
empty one is 32 zero bytes. Source of the form: the compact sparse Merkle tree of Libra/Diem
("Jellyfish") with the hashing of Celestia's data structures specification:

    path  = SHA-256(key), read from its highest bit: 0 goes left
    leaf  = SHA-256(0x00 || path || SHA-256(value))
    inner = SHA-256(0x01 || left || right)

A map may stand in memory as a whole, or hold subtrees that are read when they are asked for
(`map_tiles`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.errors import FormatError, ProofError
from ledger.hashing import HASH_BYTES, leaf_hash, node_hash, sha256

EMPTY: Final = bytes(HASH_BYTES)
DEPTH: Final = 8 * HASH_BYTES


@dataclass(frozen=True, slots=True)
class Leaf:
    """An entry; it stands for every subtree that holds nothing else."""

    path: bytes
    key: bytes
    value: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Inner:
    """Two subtrees with two entries at least between them."""

    left: "TreeNode"
    right: "TreeNode"
    hash: bytes


@dataclass(frozen=True, slots=True)
class Far:
    """A subtree that stands elsewhere, by the version that wrote it and its hash.

    Never a lone leaf, but at the root: nothing has to be read to see that it does not collapse.
    """

    version: int
    hash: bytes
    load: Callable[[int, bytes], "TreeNode"]


TreeNode = Leaf | Inner | Far | None


@dataclass(frozen=True, slots=True)
class MapProof:
    """Siblings from the leaf's level up to the root; for an absence also what stands there instead.

    `other` is (path, SHA-256(value)) of the one entry whose subtree the key would fall into, else
    None.
    """

    siblings: tuple[bytes, ...]
    other: tuple[bytes, bytes] | None = None

    def to_value(self) -> list[Any]:
        """The two elements in their order on the wire."""
        return [list(self.siblings), list(self.other) if self.other else None]


def map_proof_from_value(value: object) -> MapProof:
    """The proof in a decoded canonical value; raises FormatError."""
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[0], list):
        raise FormatError("map proof", "not siblings and another leaf")
    siblings, other = value
    if other is not None and (not isinstance(other, list) or len(other) != 2):
        raise FormatError("map proof", "other leaf is not a path and a value hash")
    hashes = [*siblings, *(other or ())]
    if any(type(item) is not bytes or len(item) != HASH_BYTES for item in hashes):
        raise FormatError("map proof", "an element is not a 32-byte hash")
    if len(siblings) > DEPTH:
        raise FormatError("map proof", f"{len(siblings)} siblings, more than {DEPTH}")
    return MapProof(tuple(siblings), (other[0], other[1]) if other else None)


def _bit(path: bytes, depth: int) -> int:
    return path[depth >> 3] >> (7 - (depth & 7)) & 1


def hash_of(tree_node: TreeNode) -> bytes:
    """Hash of a subtree; zero bytes when it is empty."""
    return tree_node.hash if tree_node else EMPTY


def near(tree_node: TreeNode) -> Leaf | Inner | None:
    """The subtree's top, read if it stands elsewhere."""
    while isinstance(tree_node, Far):
        tree_node = tree_node.load(tree_node.version, tree_node.hash)
    return tree_node


def _entry_hash(path: bytes, value_hash: bytes) -> bytes:
    return leaf_hash(path + value_hash)


def leaf_of(key: bytes, value: bytes) -> Leaf:
    """The entry's leaf."""
    path = sha256(key)
    return Leaf(path, key, value, _entry_hash(path, sha256(value)))


def inner_of(left: TreeNode, right: TreeNode) -> Inner:
    """The tree node over two subtrees that hold two entries at least."""
    return Inner(left, right, node_hash(hash_of(left), hash_of(right)))


def _inner(left: TreeNode, right: TreeNode) -> TreeNode:
    """A tree node over two subtrees, in its one form: a lone leaf stands for the whole subtree."""
    if left is None and (right is None or isinstance(right, Leaf)):
        return right
    if right is None and isinstance(left, Leaf):
        return left
    return inner_of(left, right)


def _put(tree_node: TreeNode, leaf: Leaf, depth: int) -> TreeNode:
    tree_node = near(tree_node)
    if tree_node is None or (isinstance(tree_node, Leaf) and tree_node.path == leaf.path):
        return leaf
    if isinstance(tree_node, Leaf):
        tree_node = (
            Inner(None, tree_node, b"")
            if _bit(tree_node.path, depth)
            else Inner(tree_node, None, b"")
        )
    if _bit(leaf.path, depth):
        return _inner(tree_node.left, _put(tree_node.right, leaf, depth + 1))
    return _inner(_put(tree_node.left, leaf, depth + 1), tree_node.right)


def _put_all(tree_node: TreeNode, leaves: Sequence[Leaf], depth: int) -> TreeNode:
    """The subtree with these leaves, of different paths; every tree node is hashed once."""
    if not leaves:
        return tree_node
    if len(leaves) == 1:
        return _put(tree_node, leaves[0], depth)
    tree_node = near(tree_node)
    left, right = (
        (tree_node.left, tree_node.right) if isinstance(tree_node, Inner) else (None, None)
    )
    if isinstance(tree_node, Leaf) and all(leaf.path != tree_node.path for leaf in leaves):
        leaves = [tree_node, *leaves]
    to_left = [leaf for leaf in leaves if not _bit(leaf.path, depth)]
    to_right = [leaf for leaf in leaves if _bit(leaf.path, depth)]
    return _inner(_put_all(left, to_left, depth + 1), _put_all(right, to_right, depth + 1))


def _remove(tree_node: TreeNode, path: bytes, depth: int) -> TreeNode:
    tree_node = near(tree_node)
    if tree_node is None:
        return None
    if isinstance(tree_node, Leaf):
        return None if tree_node.path == path else tree_node
    if _bit(path, depth):
        return _inner(tree_node.left, _remove(tree_node.right, path, depth + 1))
    return _inner(_remove(tree_node.left, path, depth + 1), tree_node.right)


@dataclass(frozen=True, slots=True)
class StateMap:
    """An immutable map from bytes to bytes; a change gives a new map that shares all the rest."""

    top: TreeNode = None

    @property
    def root(self) -> bytes:
        """Hash of the whole map, 32 bytes; zero bytes when empty."""
        return hash_of(self.top)

    def set(self, key: bytes, value: bytes) -> "StateMap":
        """The map with this value under the key. O(log n) hashes."""
        return StateMap(_put(self.top, leaf_of(key, value), 0))

    def set_all(self, entries: Mapping[bytes, bytes]) -> "StateMap":
        """The map with all these values; the same as one `set` after the other, with less work."""
        leaves = [leaf_of(key, value) for key, value in entries.items()]
        return StateMap(_put_all(self.top, leaves, 0))

    def delete(self, key: bytes) -> "StateMap":
        """The map without the key; the same map if it was not there."""
        return StateMap(_remove(self.top, sha256(key), 0))

    def get(self, key: bytes) -> bytes | None:
        """The value under the key, or None."""
        bits, depth, tree_node = int.from_bytes(sha256(key), "big"), DEPTH, near(self.top)
        while isinstance(tree_node, Inner):
            depth -= 1
            tree_node = near(tree_node.right if bits >> depth & 1 else tree_node.left)
        return tree_node.value if tree_node and tree_node.key == key else None

    def prove(self, key: bytes) -> MapProof:
        """Proof of the key's value, or of its absence."""
        path = sha256(key)
        siblings, found = self._descend(path)
        foreign = found is not None and found.path != path
        other = (found.path, sha256(found.value)) if found and foreign else None
        return MapProof(tuple(siblings[::-1]), other)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All keys and values, in the order of their paths."""
        stack: list[TreeNode] = [self.top]
        while stack:
            tree_node = near(stack.pop())
            if isinstance(tree_node, Leaf):
                yield tree_node.key, tree_node.value
            elif tree_node:
                stack += [tree_node.right, tree_node.left]

    def _descend(self, path: bytes) -> tuple[list[bytes], Leaf | None]:
        """Siblings from the root down, and the leaf where the path ends."""
        siblings: list[bytes] = []
        tree_node = near(self.top)
        while isinstance(tree_node, Inner):
            right = _bit(path, len(siblings))
            siblings.append(hash_of(tree_node.left if right else tree_node.right))
            tree_node = near(tree_node.right if right else tree_node.left)
        return siblings, tree_node


def state_map_of(items: Iterable[tuple[bytes, bytes]]) -> StateMap:
    """The map that holds these entries; the last one of a key counts."""
    result = StateMap()
    for key, value in items:
        result = result.set(key, value)
    return result


def verify_map(*, root: bytes, key: bytes, value: bytes | None, proof: MapProof) -> None:
    """Raises ProofError unless the map with this root holds the value, or (None) lacks the key."""
    path = sha256(key)
    if len(proof.siblings) > DEPTH:
        raise ProofError("map proof longer than the tree is deep")
    if value is not None and proof.other is not None:
        raise ProofError("map proof of a value names another leaf")
    if value is not None:
        hash_ = _entry_hash(path, sha256(value))
    elif proof.other is None:
        hash_ = EMPTY
    else:
        hash_ = _entry_hash(*_stands_there(proof.other, path, len(proof.siblings)))
    for depth, sibling in zip(range(len(proof.siblings) - 1, -1, -1), proof.siblings, strict=True):
        hash_ = node_hash(sibling, hash_) if _bit(path, depth) else node_hash(hash_, sibling)
    if hash_ != root:
        raise ProofError("map proof does not lead to the root")


def _stands_there(other: tuple[bytes, bytes], path: bytes, depth: int) -> tuple[bytes, bytes]:
    """The other leaf, if it shares the key's way down to this depth and is not the key itself."""
    shared = DEPTH - depth
    ours, theirs = int.from_bytes(path, "big"), int.from_bytes(other[0], "big")
    if ours == theirs or ours >> shared != theirs >> shared:
        raise ProofError("the other leaf of an absence proof does not stand in the key's way")
    return other
