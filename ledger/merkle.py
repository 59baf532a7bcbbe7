"""RFC 9162 Merkle trees: roots, inclusion, consistency and range proofs, making and checking.

Making reads nodes through a `NodeReader`: `read(level, index)` gives the hash over the leaves
[index << level, (index + 1) << level), so that a tree may live in memory, in a store, or partly
in blocks that have to be opened first. Checking takes bytes only.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Final

from ledger.errors import ProofError
from ledger.hashing import HASH_BYTES, node_hash

NodeReader = Callable[[int, int], bytes]
Range = tuple[int, int]  # first index, count >= 1

PATH_HASHES_MAX: Final = 64
EMPTY_ROOT: Final = sha256(b"").digest()


def split_point(count: int) -> int:
    """The largest power of two below count (count >= 2): where RFC 9162 cuts a tree in two."""
    return 1 << (count - 1).bit_length() - 1


def dyadic_parts(first: int, end: int) -> Iterator[tuple[int, int]]:
    """(level, index) of the largest aligned subtrees that tile [first, end), left to right."""
    at = first
    while at < end:
        level = (end - at).bit_length() - 1
        if at:
            level = min(level, (at & -at).bit_length() - 1)
        yield level, at >> level
        at += 1 << level


def tree_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Root over n >= 0 leaf hashes of 32 bytes (n = 0: the hash of no bytes). RFC 9162, 2.1.1."""
    if not leaf_hashes:
        return EMPTY_ROOT
    level = list(leaf_hashes)
    while len(level) > 1:
        paired = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            paired.append(level[-1])
        level = paired
    return level[0]


def span_root(read: NodeReader, first: int, end: int) -> bytes:
    """Root over the leaves [first, end), where first is aligned as RFC 9162 cuts trees."""
    parts = [read(level, index) for level, index in dyadic_parts(first, end)]
    root = parts.pop()
    while parts:
        root = node_hash(parts.pop(), root)
    return root


def inclusion_path(read: NodeReader, index: int, size: int) -> list[bytes]:
    """Hashes from the leaf's sibling to the root's child, 0 <= index < size. RFC 9162, 2.1.3.1."""
    path = []
    first, end = 0, size
    while end - first > 1:
        middle = first + split_point(end - first)
        if index < middle:
            path.append(span_root(read, middle, end))
            end = middle
        else:
            path.append(span_root(read, first, middle))
            first = middle
    return path[::-1]


def consistency_path(read: NodeReader, old_size: int, new_size: int) -> list[bytes]:
    """Hashes that show 0 < old_size <= new_size to be one growing tree. RFC 9162, 2.1.4.1."""
    path: list[bytes] = []
    first, end = 0, new_size
    whole = True  # the old tree's root is still the verifier's own
    while old_size != end - first or not whole:
        if old_size == end - first:
            path.append(span_root(read, first, end))
            break
        middle = first + split_point(end - first)
        if first + old_size <= middle:
            path.append(span_root(read, middle, end))
            end = middle
        else:
            path.append(span_root(read, first, middle))
            old_size -= middle - first
            first, whole = middle, False
    return path[::-1]


def check_hashes(hashes: Sequence[bytes]) -> None:
    """Refuses a path that is too long or holds anything but 32-byte hashes."""
    if len(hashes) > PATH_HASHES_MAX:
        raise ProofError(f"path of {len(hashes)} hashes, more than {PATH_HASHES_MAX}")
    for item in hashes:
        if type(item) is not bytes or len(item) != HASH_BYTES:
            raise ProofError("a path element is not a 32-byte hash")


def root_from_inclusion(*, leaf_hash: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Root that the path leads to; raises ProofError for a path of the wrong shape. RFC 9162,
    2.1.3.2.
    """
    check_hashes(path)
    if not 0 <= index < size:
        raise ProofError(f"leaf {index} is not in a tree of {size}")
    node, last, root = index, size - 1, leaf_hash
    for sibling in path:
        if last == 0:
            raise ProofError("path too long")
        if node & 1 or node == last:
            root = node_hash(sibling, root)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofError("path too short")
    return root


def verify_inclusion(
    *, leaf_hash: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> None:
    """Raises ProofError unless the leaf is at this index of the tree with this size and root."""
    if root_from_inclusion(leaf_hash=leaf_hash, index=index, size=size, path=path) != root:
        raise ProofError(f"leaf {index} is not under the root of size {size}")


def verify_consistency(
    *, old_size: int, new_size: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]
) -> None:
    """Raises ProofError unless the new tree only adds to the old one. RFC 9162, section 2.1.4.2."""
    check_hashes(path)
    if not 0 < old_size <= new_size:
        raise ProofError(f"sizes {old_size} to {new_size} do not grow")
    if old_size == new_size:
        if path or old_root != new_root:
            raise ProofError(f"two roots for size {old_size}")
        return
    hashes = list(path)
    if old_size & (old_size - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        raise ProofError("consistency path is empty")
    roots = _grown_roots(old_size - 1, new_size - 1, hashes)
    if roots != (old_root, new_root):
        raise ProofError(f"size {new_size} does not continue size {old_size}")


def _grown_roots(node: int, last: int, hashes: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Old and new root by RFC 9162, 2.1.4.2, steps 4 to 6 (node = old size - 1, last = new - 1)."""
    while node & 1:
        node, last = node >> 1, last >> 1
    old_root = new_root = hashes[0]
    for item in hashes[1:]:
        if last == 0:
            raise ProofError("consistency path too long")
        if node & 1 or node == last:
            old_root, new_root = node_hash(item, old_root), node_hash(item, new_root)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new_root = node_hash(new_root, item)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofError("consistency path too short")
    return old_root, new_root


def merge_ranges(ranges: Sequence[Range]) -> list[Range]:
    """The same leaves as ascending ranges that neither touch nor overlap: the one legal form."""
    merged: list[Range] = []
    for first, count in sorted(ranges):
        if merged and first <= merged[-1][0] + merged[-1][1]:
            start, length = merged[-1]
            merged[-1] = (start, max(length, first + count - start))
        else:
            merged.append((first, count))
    return merged


def range_path(read: NodeReader, size: int, ranges: Sequence[Range]) -> list[bytes]:
    """Hashes of the maximal nodes outside all ranges, left to right. Ranges as `merge_ranges`
    gives.
    """
    return [span_root(read, first, end) for first, end in _outside(size, ranges)]


def _outside(size: int, ranges: Sequence[Range]) -> Iterator[Range]:
    """(first, end) of each maximal subtree that holds no leaf of any range."""
    starts = [begin for begin, _ in ranges]
    stack: list[tuple[int, int]] = [(0, size)]
    while stack:
        first, end = stack.pop()
        touching = _touching(ranges, starts, first, end)
        if not touching:
            yield first, end
        elif not _covered(touching, first, end):
            middle = first + split_point(end - first)
            stack += [(middle, end), (first, middle)]


def root_from_ranges(
    *, size: int, ranges: Sequence[Range], leaf_hashes: Sequence[bytes], path: Sequence[bytes]
) -> bytes:
    """Root over known leaves (all of `ranges`, in order) and foreign nodes; every hash is used.

    Raises ProofError where ranges are not in their one legal form, or hashes are missing or left.
    """
    if any(type(item) is not bytes or len(item) != HASH_BYTES for item in path):
        raise ProofError("a path element is not a 32-byte hash")
    if not ranges or merge_ranges(ranges) != [tuple(item) for item in ranges]:
        raise ProofError("ranges are empty, touch or overlap")
    if ranges[0][0] < 0 or any(count < 1 for _, count in ranges) or sum(ranges[-1]) > size:
        raise ProofError("a range is outside the tree")
    if sum(count for _, count in ranges) != len(leaf_hashes):
        raise ProofError("leaves do not match their ranges")
    fold = _RangeFold(ranges, leaf_hashes, path)
    root = fold.root(0, size)
    if fold.path_used != len(path):
        raise ProofError("hashes left over in a range proof")
    return root


def _touching(
    ranges: Sequence[Range], starts: Sequence[int], first: int, end: int
) -> Sequence[Range]:
    """The ranges that meet [first, end), found by their starts: a proof may hold very many."""
    low = bisect_right(starts, first) - 1
    if low < 0 or sum(ranges[low]) <= first:
        low += 1
    return ranges[low : min(bisect_left(starts, end), low + 2)]


def _covered(touching: Sequence[Range], first: int, end: int) -> bool:
    begin, count = touching[0]
    return len(touching) == 1 and begin <= first and end <= begin + count


class _RangeFold:
    """One walk over a range proof, leaves and path consumed left to right."""

    def __init__(
        self, ranges: Sequence[Range], leaf_hashes: Sequence[bytes], path: Sequence[bytes]
    ) -> None:
        self._ranges, self._leaves, self._path = ranges, leaf_hashes, path
        self._starts = [begin for begin, _ in ranges]
        self._leaf_used = 0
        self.path_used = 0

    def root(self, first: int, end: int) -> bytes:
        touching = _touching(self._ranges, self._starts, first, end)
        if not touching:
            return self._next_hash()
        if _covered(touching, first, end):
            count = end - first
            self._leaf_used += count
            return tree_root(self._leaves[self._leaf_used - count : self._leaf_used])
        middle = first + split_point(end - first)
        left = self.root(first, middle)
        return node_hash(left, self.root(middle, end))

    def _next_hash(self) -> bytes:
        if self.path_used == len(self._path):
            raise ProofError("hashes missing in a range proof")
        self.path_used += 1
        return self._path[self.path_used - 1]


class MemoryTree:
    """A growing tree held whole in memory: for tests, small logs and opened blocks."""

    def __init__(self, leaf_hashes: Sequence[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[]]
        for item in leaf_hashes:
            self.append(item)

    @property
    def size(self) -> int:
        """Number of leaves."""
        return len(self._levels[0])

    def append(self, leaf_hash: bytes) -> None:
        """Adds one leaf hash."""
        self._levels[0].append(leaf_hash)
        level = 0
        while len(self._levels[level]) % 2 == 0:
            if level + 1 == len(self._levels):
                self._levels.append([])
            row = self._levels[level]
            self._levels[level + 1].append(node_hash(row[-2], row[-1]))
            level += 1

    def read(self, level: int, index: int) -> bytes:
        """Hash of one complete aligned subtree."""
        return self._levels[level][index]

    def root(self, size: int | None = None) -> bytes:
        """Root of the first `size` leaves (default: all)."""
        size = self.size if size is None else size
        return span_root(self.read, 0, size) if size else EMPTY_ROOT

    def inclusion_path(self, index: int, size: int | None = None) -> list[bytes]:
        """Inclusion path of a leaf in the tree of the first `size` leaves."""
        return inclusion_path(self.read, index, self.size if size is None else size)

    def consistency_path(self, old_size: int, new_size: int | None = None) -> list[bytes]:
        """Consistency path between two sizes."""
        return consistency_path(self.read, old_size, self.size if new_size is None else new_size)
