"""One feed as the store holds it: state, blocks, trees, heads. Functions over a transaction."""

from collections.abc import Iterable
from typing import Any, Final

from ledger.block import (
    Block,
    BlockHeader,
    Run,
    RunBody,
    RunHead,
    decode_header,
    decode_run_body,
    decode_run_head,
)
from ledger.canonical import decode, encode
from ledger.errors import StoreError, UncheckableError
from ledger.frontier import Frontier, TreeNode
from ledger.head import Head, decode_head
from ledger.merkle import NodeReader, dyadic_parts
from ledger.sealer import Cut, FeedState, SlotState
from ledger.store import TREE_HEADERS, TREE_LEAVES, Transaction

FeedName = tuple[bytes, int]  # feed id, epoch
STATE_VERSION: Final = 1
LEVELS_MAX: Final = 64


def feed_prefix(feed: FeedName) -> bytes:
    """Store-key prefix of everything of one feed and epoch."""
    return feed[0] + feed[1].to_bytes(4, "big")


def _height(feed: FeedName, height: int) -> bytes:
    return feed_prefix(feed) + height.to_bytes(8, "big")


def _run(feed: FeedName, height: int, audience: int) -> bytes:
    return _height(feed, height) + audience.to_bytes(2, "big")


def _node(feed: FeedName, tree: int, level: int, index: int) -> bytes:
    return feed_prefix(feed) + bytes((tree, level)) + index.to_bytes(8, "big")


def put_state(txn: Transaction, state: FeedState) -> None:
    """Writes a feed's state with its slots."""
    feed = (state.feed_id, state.epoch)
    value = [
        STATE_VERSION, state.height, state.jseq_end, state.prev_digest,
        state.leaves.size, list(state.leaves.nodes), list(state.headers.nodes),
    ]  # fmt: skip  # one line per group reads as the format does
    txn.put("feeds", feed_prefix(feed), encode(value))
    for slot, held in state.slots.items():
        data = encode([held.total, held.descriptor_index, held.retired])
        txn.put("slots", feed_prefix(feed) + slot.to_bytes(4, "big"), data)


def get_state(txn: Transaction, feed: FeedName) -> FeedState | None:
    """A feed's state, None where nothing of it is held."""
    data = txn.get("feeds", feed_prefix(feed))
    if data is None:
        return None
    version, height, jseq_end, prev_digest, size, leaves, headers = decode(data)
    if version != STATE_VERSION:
        raise StoreError(f"feed state of version {version}")
    return FeedState(
        feed_id=feed[0],
        epoch=feed[1],
        height=height,
        jseq_end=jseq_end,
        prev_digest=prev_digest,
        leaves=Frontier(size, tuple(leaves)),
        headers=Frontier(height, tuple(headers)),
        slots=_get_slots(txn, feed),
    )


def _get_slots(txn: Transaction, feed: FeedName) -> dict[int, SlotState]:
    slots = {}
    for key, data in txn.scan("slots", feed_prefix(feed)):
        total, descriptor, retired = decode(data)
        slots[int.from_bytes(key[-4:], "big")] = SlotState(
            total=total, descriptor_index=descriptor, retired=retired
        )
    return slots


def feeds(txn: Transaction) -> list[FeedName]:
    """All feeds of which something is held."""
    return [(key[:16], int.from_bytes(key[16:], "big")) for key, _ in txn.scan("feeds", b"")]


def put_nodes(txn: Transaction, feed: FeedName, *, tree: int, nodes: Iterable[TreeNode]) -> None:
    """Writes complete tree nodes."""
    for level, index, root in nodes:
        txn.put("nodes", _node(feed, tree, level, index), root)


def delete_nodes(txn: Transaction, feed: FeedName, *, tree: int, size: int) -> None:
    """Removes the nodes of a tree that reach beyond its first `size` leaves."""
    for level in range(LEVELS_MAX):
        prefix = feed_prefix(feed) + bytes((tree, level))
        start = (size >> level).to_bytes(8, "big")
        for key, _ in list(txn.scan("nodes", prefix, start=start)):
            txn.delete("nodes", key)


def put_block(txn: Transaction, feed: FeedName, block: Block) -> None:
    """Writes a block's header and runs."""
    header = block.header
    txn.put("headers", _height(feed, header.height), header.encode())
    for run in block.runs:
        key = _run(feed, header.height, run.audience)
        txn.put("run_heads", key, run.head.encode())
        txn.put("run_bodies", key, run.body.encode())
        txn.put("ciphertexts", key, run.ciphertext)


def put_cut(txn: Transaction, made: Cut) -> None:
    """Writes all that a cut changes: block, both trees, state. Call it alone in one transaction."""
    feed = (made.state.feed_id, made.state.epoch)
    put_block(txn, feed, made.block)
    _mark_descriptors(txn, feed, made)
    put_nodes(txn, feed, tree=TREE_LEAVES, nodes=made.leaf_nodes)
    put_nodes(txn, feed, tree=TREE_HEADERS, nodes=made.header_nodes)
    put_state(txn, made.state)


def _mark_descriptors(txn: Transaction, feed: FeedName, made: Cut) -> None:
    """Notes the runs with a descriptor in them: later readings are proven with it, for ever."""
    slots = made.state.slots
    for run in made.block.runs:
        if any(slots[slot].descriptor_index >= run.head.first for slot in run.head.slots):
            txn.put("described", _run(feed, made.block.header.height, run.audience), b"")


def first_described(txn: Transaction, feed: FeedName) -> int | None:
    """The lowest block whose descriptors are noted: 0, but in a store older than these notes."""
    prefix = feed_prefix(feed)
    for key, _ in txn.scan("described", prefix, limit=1):
        return int.from_bytes(key[len(prefix) : len(prefix) + 8], "big")
    return None


def holds_descriptor(txn: Transaction, feed: FeedName, *, height: int, audience: int) -> bool:
    """Whether a run sealed here has a descriptor in it."""
    return txn.get("described", _run(feed, height, audience)) is not None


def pruned_below(txn: Transaction, feed: FeedName) -> int:
    """Blocks below this height are held without their readings, but for runs with descriptors."""
    held = get_value(txn, f"pruned-{feed[0].hex()}-{feed[1]}")
    return 0 if held is None else int(held)


def put_pruned_below(txn: Transaction, feed: FeedName, height: int) -> None:
    """Notes up to where readings were let go."""
    put_value(txn, f"pruned-{feed[0].hex()}-{feed[1]}", height)


def delete_run_body(txn: Transaction, feed: FeedName, *, height: int, audience: int) -> int:
    """Lets go of a run's body and ciphertext; returns their bytes."""
    key, size_bytes = _run(feed, height, audience), 0
    for table in ("run_bodies", "ciphertexts"):
        size_bytes += len(txn.get(table, key) or b"")
        txn.delete(table, key)
    return size_bytes


def get_subtrees(txn: Transaction, feed: FeedName, head: RunHead) -> tuple[bytes, ...]:
    """The roots that a run's body names, from the tree: they stay when the body was pruned."""
    read = node_reader(txn, feed, TREE_LEAVES)
    parts = dyadic_parts(head.first, head.first + head.count)
    return tuple(read(level, index) for level, index in parts)


def delete_blocks(txn: Transaction, feed: FeedName, heights: range) -> None:
    """Removes the blocks of these heights."""
    for height in heights:
        txn.delete("headers", _height(feed, height))
        for table in ("run_heads", "run_bodies", "ciphertexts"):
            for key, _ in list(txn.scan(table, _height(feed, height))):
                txn.delete(table, key)


def get_header(txn: Transaction, feed: FeedName, height: int) -> BlockHeader | None:
    """A block header, None where it is not held."""
    data = txn.get("headers", _height(feed, height))
    return None if data is None else decode_header(data)


def need_header(txn: Transaction, feed: FeedName, height: int) -> BlockHeader:
    """A block header; raises UncheckableError where it is not held."""
    header = get_header(txn, feed, height)
    if header is None:
        raise UncheckableError(f"block {height} of feed {feed[0].hex()[:8]} is not held here")
    return header


def get_run_head(txn: Transaction, feed: FeedName, *, height: int, audience: int) -> RunHead | None:
    """A run head, None where it is not held."""
    data = txn.get("run_heads", _run(feed, height, audience))
    return None if data is None else decode_run_head(data)


def get_run(txn: Transaction, feed: FeedName, *, height: int, audience: int) -> Run | None:
    """A whole run, None where it is not held or its ciphertext was pruned."""
    key = _run(feed, height, audience)
    parts = [txn.get(table, key) for table in ("run_heads", "run_bodies", "ciphertexts")]
    if parts[0] is None or parts[1] is None or parts[2] is None:
        return None
    head, body = decode_run_head(parts[0]), decode_run_body(parts[1])
    return Run(audience=audience, head=head, body=body, ciphertext=parts[2])


def get_run_parts(
    txn: Transaction, feed: FeedName, header: BlockHeader
) -> list[tuple[int, RunHead, RunBody]]:
    """Heads and bodies of all runs of a block; raises UncheckableError where one is missing."""
    parts = []
    for audience, _ in header.runs:
        key = _run(feed, header.height, audience)
        head, body = txn.get("run_heads", key), txn.get("run_bodies", key)
        if head is None or body is None:
            raise UncheckableError(f"run {audience} of block {header.height} is not held here")
        parts.append((audience, decode_run_head(head), decode_run_body(body)))
    return parts


def node_reader(txn: Transaction, feed: FeedName, tree: int) -> NodeReader:
    """Reads tree nodes of a feed; raises UncheckableError for one that is not held."""

    def read(level: int, index: int) -> bytes:
        root = txn.get("nodes", _node(feed, tree, level, index))
        if root is None:
            raise UncheckableError(f"tree node {level}/{index} is inside a block")
        return root

    return read


def put_head(txn: Transaction, head: Head) -> None:
    """Writes a head; an equal one is left as it is, so its signature never changes."""
    claim = head.claim
    key = _height((claim.feed_id, claim.epoch), claim.height)
    if txn.get("heads", key) is None:
        txn.put("heads", key, head.encode())


def get_head(txn: Transaction, feed: FeedName, height: int) -> Head | None:
    """The head that signs exactly this height, None where there is none."""
    data = txn.get("heads", _height(feed, height))
    return None if data is None else decode_head(data)


def newest_head(txn: Transaction, feed: FeedName) -> Head | None:
    """The highest head held, None where there is none."""
    found = txn.last("heads", feed_prefix(feed))
    return None if found is None else decode_head(found[1])


def head_at_or_above(txn: Transaction, feed: FeedName, height: int) -> Head | None:
    """The lowest head that covers a height, None where there is none."""
    start = height.to_bytes(8, "big")
    for _, data in txn.scan("heads", feed_prefix(feed), start=start, limit=1):
        return decode_head(data)
    return None


def put_value(txn: Transaction, key: str, value: Any) -> None:  # any canonical value
    """Writes a canonical value under a name of the meta table."""
    txn.put("meta", key.encode("ascii"), encode(value))


def get_value(txn: Transaction, key: str) -> Any:  # any canonical value
    """A canonical value of the meta table, None where there is none."""
    data = txn.get("meta", key.encode("ascii"))
    return None if data is None else decode(data)
