"""Standard inclusion receipts (RFC 9942) for every leaf that a feed part proves.

A range proof holds all that the single paths need: a sibling is either a node of the proof or made
of leaves that are shown.
"""

from collections.abc import Sequence

from ledger.hashing import leaf_hash, node_hash
from ledger.head import decode_head
from ledger.merkle import Range, split_point
from ledger.proof_bundle import FeedPart


def inclusion_receipts(part: FeedPart) -> dict[int, bytes]:
    """Leaf index -> receipt, for every shown leaf of a part that `check_feed_part` accepted."""
    head = decode_head(part.head)
    walk = _Walk(part.ranges, [leaf_hash(leaf) for leaf in part.leaves], part.leaf_path)
    _, paths = walk.node(0, head.claim.size)
    return {index: head.inclusion_receipt(index, path) for index, path in sorted(paths.items())}


class _Walk:
    """One walk over a range proof that keeps each shown leaf's siblings, nearest first."""

    def __init__(
        self, ranges: Sequence[Range], leaf_hashes: Sequence[bytes], path: Sequence[bytes]
    ) -> None:
        self._ranges, self._leaves, self._path = ranges, iter(leaf_hashes), iter(path)

    def node(self, first: int, end: int) -> tuple[bytes, dict[int, list[bytes]]]:
        """Hash of the node over [first, end), and the paths of its shown leaves inside it."""
        if not any(begin < end and first < begin + count for begin, count in self._ranges):
            return next(self._path), {}
        if end - first == 1:
            return next(self._leaves), {first: []}
        middle = first + split_point(end - first)
        left, left_paths = self.node(first, middle)
        right, right_paths = self.node(middle, end)
        for path in left_paths.values():
            path.append(right)
        for path in right_paths.values():
            path.append(left)
        return node_hash(left, right), left_paths | right_paths
