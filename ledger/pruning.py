"""Letting go of readings that others hold, in a feed that is sealed here.

A pruned block keeps its header, run heads and tree nodes: its place, its links and its part in both
trees are provable for ever. What goes is the run bodies and ciphertexts. Runs with a descriptor
stay whole, the genesis among them: every later reading is proven with its slot's descriptor.
"""

from dataclasses import dataclass

from ledger.feed_store import (
    FeedName,
    delete_run_body,
    first_described,
    get_state,
    holds_descriptor,
    need_header,
    pruned_below,
    put_pruned_below,
)
from ledger.store import Transaction


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one step let go: blocks, bytes of values, and the height below which all is gone."""

    blocks: int
    size_bytes: int
    below: int


def prune(txn: Transaction, feed: FeedName, *, below: int, blocks_max: int) -> Pruned:
    """Lets go of the readings of the oldest blocks under a height, at most so many at once.

    The newest block always stays. Whether others hold the readings is the caller's to know.
    """
    state, first = get_state(txn, feed), first_described(txn, feed)
    start = pruned_below(txn, feed)
    if state is None or first is None:
        return Pruned(0, 0, start)
    # Blocks from before descriptors were noted are never let go: one of them may hold some.
    start = max(start, first)
    heights = range(start, min(below, start + blocks_max, state.height - 1))
    size_bytes = 0
    for height in heights:
        for audience, _ in need_header(txn, feed, height).runs:
            if not holds_descriptor(txn, feed, height=height, audience=audience):
                size_bytes += delete_run_body(txn, feed, height=height, audience=audience)
    if heights:
        put_pruned_below(txn, feed, heights.stop)
    return Pruned(len(heights), size_bytes, max(start, heights.stop) if heights else start)
