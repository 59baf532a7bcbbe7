"""Single receipts out of a range proof, judged by the receipt verifier."""

import pytest

from ledger.hashing import leaf_hash
from ledger.merkle import MemoryTree, inclusion_path, range_path
from ledger.receipts import _Walk


@pytest.mark.parametrize("size", [2, 3, 7, 8, 21, 64, 100])
def test_every_shown_leaf_gets_the_path_that_the_whole_tree_gives(size: int) -> None:
    hashes = [leaf_hash(bytes([index])) for index in range(size)]
    tree = MemoryTree(hashes)
    ranges = [(0, 1), (size // 2 + 1, max(1, size // 3 - 1))] if size > 4 else [(0, 1)]
    shown = [hashes[i] for first, count in ranges for i in range(first, first + count)]
    root, paths = _Walk(ranges, shown, range_path(tree.read, size, ranges)).node(0, size)
    assert root == tree.root(size)
    assert set(paths) == {i for first, count in ranges for i in range(first, first + count)}
    for index, path in paths.items():
        assert path == inclusion_path(tree.read, index, size)
