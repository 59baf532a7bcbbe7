"""The few hashes by which a tree grows: one per set bit of its size."""

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.hashing import node_hash
from ledger.merkle import EMPTY_ROOT


@dataclass(frozen=True, slots=True)
class Frontier:
    """Size of a tree and the roots of its complete subtrees, largest first."""

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def append(self, leaf_hash: bytes) -> "Frontier":
        """The frontier with one leaf more."""
        return self.append_subtree(0, leaf_hash)

    def append_subtree(self, level: int, root: bytes) -> "Frontier":
        """The frontier with 1 << level leaves more; raises ValueError if that is not aligned."""
        if self.size & ((1 << level) - 1):
            raise ValueError(f"subtree of level {level} is not aligned at {self.size}")
        nodes, size = list(self.nodes), self.size >> level
        while size & 1:
            root = node_hash(nodes.pop(), root)
            size >>= 1
        return Frontier(self.size + (1 << level), (*nodes, root))

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
