"""The few hashes by which a tree grows: one per set bit of its size."""

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.hashing import node_hash
from ledger.merkle import EMPTY_ROOT

TreeNode = tuple[int, int, bytes]  # level, index, hash


@dataclass(frozen=True, slots=True)
class Frontier:
    """Size of a tree and the roots of its complete subtrees, largest first."""

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def append(self, leaf_hash: bytes) -> "Frontier":
        """The frontier with one leaf more."""
        return self.grow(0, leaf_hash)[0]

    def grow(self, level: int, root: bytes) -> tuple["Frontier", list[TreeNode]]:
        """The frontier with 1 << level leaves more, and every node that became complete.

        Raises ValueError if the subtree is not aligned with the size.
        """
        if self.size & ((1 << level) - 1):
            raise ValueError(f"subtree of level {level} is not aligned at {self.size}")
        nodes, index = list(self.nodes), self.size >> level
        size_after = self.size + (1 << level)
        complete = [(level, index, root)]
        while index & 1:
            root = node_hash(nodes.pop(), root)
            index, level = index >> 1, level + 1
            complete.append((level, index, root))
        return Frontier(size_after, (*nodes, root)), complete

    def extend(self, leaf_hashes: Iterable[bytes]) -> "Frontier":
        """The frontier with all these leaves more."""
        result = self
        for item in leaf_hashes:
            result = result.append(item)
        return result

    def root(self) -> bytes:
        """Root of the tree (RFC 9162)."""
        if not self.nodes:
            return EMPTY_ROOT
        root = self.nodes[-1]
        for node in reversed(self.nodes[:-1]):
            root = node_hash(node, root)
        return root
