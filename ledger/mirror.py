"""Holding another's feed: what arrives is checked without any key, then stored whole.

A mirror never needs to read: it checks that headers link, that runs tile and fold to the root, that
the ciphertexts are the bound ones and that heads sign exactly that. What excludes itself is kept as
a conflict.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from ledger.block import (
    NO_PREVIOUS,
    Block,
    BlockHeader,
    BlockParts,
    Run,
    decode_header,
    decode_run_body,
    decode_run_head,
)
from ledger.canonical import encode
from ledger.conflict import (
    conflict_of_header,
    conflict_of_heads,
    conflict_of_row,
    exclude_each_other,
)
from ledger.entry import PUBLIC_AUDIENCE
from ledger.errors import (
    ConflictError,
    FormatError,
    LimitError,
    PrunedError,
    UncheckableError,
    UnsignedBlocksError,
)
from ledger.feed import (
    AnchorItem,
    AnchorState,
    check_follows,
    check_structure,
)
from ledger.feed_store import (
    FeedName,
    delete_blocks,
    delete_nodes,
    feed_prefix,
    get_header,
    get_run,
    get_state,
    head_at_or_above,
    newest_head,
    node_reader,
    pruned_below,
    put_block,
    put_head,
    put_nodes,
    put_state,
)
from ledger.frontier import Frontier
from ledger.hashing import sha256
from ledger.head import Head, decode_head
from ledger.merkle import (
    EMPTY_ROOT,
    NodeReader,
    consistency_path,
    dyadic_parts,
    inclusion_path,
    span_root,
)
from ledger.opening import OpenedRun, open_run
from ledger.sealed import GRANT_BYTES_MAX, PUBLIC_KEY, place_of, run_key
from ledger.sealer import FeedState
from ledger.signed_grant import open_envelope, sealed_in
from ledger.signing import PublicKey
from ledger.store import TREE_HEADERS, TREE_LEAVES, Transaction

GRANTS_MAX: Final = 32
GRANTS_FEED_MAX: Final = 16_384

KeyOf = Callable[[bytes], PublicKey | None]  # feed id -> the enrolled key, None if not enrolled


def blocks_held(txn: Transaction, feed: FeedName) -> int:
    """Number of blocks held of a feed: the next height that is wanted."""
    state = get_state(txn, feed)
    return state.height if state else 0


def accept_block(txn: Transaction, parts: BlockParts) -> BlockHeader:
    """Checks and stores the next block of a feed; one already held is accepted again silently.

    Raises InputError for malformed bytes, UncheckableError for a block out of turn, ConflictError
    where its parts contradict each other or the signed block of that height, and
    UnsignedBlocksError where it differs from a block that no head has signed yet: no side is proven
    then. Enrolment is the caller's to check.
    """
    header = decode_header(parts.header)
    feed = (header.feed_id, header.epoch)
    state = get_state(txn, feed) or FeedState(feed_id=header.feed_id, epoch=header.epoch, slots={})
    held = get_header(txn, feed, header.height)
    if held is not None:
        if held.digest == header.digest:
            return header
        if signed_height(txn, feed) >= header.height:
            raise ConflictError(f"not the signed block of height {header.height}")
        raise UnsignedBlocksError(f"another unsigned block is held at height {header.height}")
    if header.height != state.height:
        raise UncheckableError(f"height {header.height} before height {state.height}")
    previous = get_header(txn, feed, header.height - 1) if header.height else None
    block = _checked_runs(header, parts)
    check_follows(previous, header)
    triples = [(run.audience, run.head, run.body) for run in block.runs]
    leaves, nodes = check_structure(header, triples, state.leaves)
    headers, header_nodes = state.headers.grow(0, header.digest)
    put_block(txn, feed, block)
    put_nodes(txn, feed, tree=TREE_LEAVES, nodes=nodes)
    put_nodes(txn, feed, tree=TREE_HEADERS, nodes=header_nodes)
    grown = replace(
        state,
        height=header.height + 1,
        jseq_end=header.jseq_end,
        prev_digest=header.digest,
        leaves=leaves,
        headers=headers,
    )
    put_state(txn, grown)
    return header


def _checked_runs(header: BlockHeader, parts: BlockParts) -> Block:
    runs = []
    for audience, head_bytes, body_bytes, ciphertext in parts.runs:
        head, body = decode_run_head(head_bytes), decode_run_body(body_bytes)
        if len(ciphertext) != body.ct_bytes or sha256(ciphertext) != body.ct_digest:
            raise FormatError("run", f"ciphertext of run {audience} is not the bound one")
        runs.append(Run(audience=audience, head=head, body=body, ciphertext=ciphertext))
    return Block(header=header, runs=tuple(runs))


def signed_height(txn: Transaction, feed: FeedName) -> int:
    """Height of the newest head held, -1 where there is none."""
    head = newest_head(txn, feed)
    return head.claim.height if head else -1


def drop_unsigned(txn: Transaction, feed: FeedName) -> None:
    """Lets go of blocks that no held head covers: any carrier could have made them up."""
    state, height = get_state(txn, feed), signed_height(txn, feed) + 1
    if state is None or state.height <= height:
        return
    delete_blocks(txn, feed, range(height, state.height))
    last = get_header(txn, feed, height - 1) if height else None
    size = last.size if last else 0
    restored = replace(
        state,
        height=height,
        jseq_end=last.jseq_end if last else 0,
        prev_digest=last.digest if last else NO_PREVIOUS,
        leaves=frontier_at(node_reader(txn, feed, TREE_LEAVES), size),
        headers=frontier_at(node_reader(txn, feed, TREE_HEADERS), height),
    )
    # Nodes of the blocks let go would be read as the new ones' until those are complete.
    delete_nodes(txn, feed, tree=TREE_LEAVES, size=size)
    delete_nodes(txn, feed, tree=TREE_HEADERS, size=height)
    put_state(txn, restored)


def keep_conflict(txn: Transaction, feed: FeedName, evidence: bytes) -> None:
    """Keeps evidence of a conflict (`conflict.py`) for ever; the same is kept once."""
    txn.put("conflicts", feed_prefix(feed) + sha256(evidence), evidence)


def conflicts_of(txn: Transaction, feed: FeedName) -> list[bytes]:
    """All evidence of conflicts held of a feed."""
    return [evidence for _, evidence in txn.scan("conflicts", feed_prefix(feed))]


def in_conflict(txn: Transaction, feed: FeedName) -> bool:
    """True once a conflict of this feed is known."""
    return any(True for _ in txn.scan("conflicts", feed_prefix(feed), limit=1))


def accept_head(txn: Transaction, data: bytes, key_of: KeyOf) -> Head:
    """Checks and stores a head whose block is held.

    Raises InputError, SignatureError, UncheckableError (block not held yet, feed not enrolled),
    ConflictError with both heads where the signer signed two histories, or UnsignedBlocksError
    where the held blocks above the newest head are not the signed ones.
    """
    head = decode_head(data)
    claim = head.claim
    key = key_of(claim.feed_id)
    if key is None:
        raise UncheckableError(f"feed {claim.feed_id.hex()[:8]} is not enrolled")
    head.verify(key)
    feed = (claim.feed_id, claim.epoch)
    header = get_header(txn, feed, claim.height)
    if header is None:
        raise UncheckableError(f"head for height {claim.height} before its block")
    same_tree = (claim.size, claim.root) == (header.size, header.root)
    if not same_tree or claim.block_root != header_root(txn, feed, claim.height + 1):
        covering = head_at_or_above(txn, feed, claim.height)
        if covering is None:
            raise UnsignedBlocksError(f"held blocks are not those signed at height {claim.height}")
        evidence = _conflict(txn, header, head, covering)
        raise ConflictError(f"two histories are signed at height {claim.height}", evidence)
    put_head(txn, head)
    return head


def _conflict(txn: Transaction, header: BlockHeader, new: Head, held: Head) -> bytes:
    """Evidence of a new head against a held one of the same height or above."""
    if exclude_each_other(new.claim, held.claim):
        return conflict_of_heads(new.encode(), held.encode())
    feed, count = (new.claim.feed_id, new.claim.epoch), new.claim.height + 1
    read, row = node_reader(txn, feed, TREE_HEADERS), header_root(txn, feed, count)
    if row != new.claim.block_root:
        path = consistency_path(read, count, held.claim.height + 1)
        return conflict_of_row(new.encode(), held.encode(), row=row, path=path)
    path = inclusion_path(read, count - 1, held.claim.height + 1)
    return conflict_of_header(new.encode(), held.encode(), header=header.encode(), path=path)


def contradiction(txn: Transaction, feed: FeedName, anchored: AnchorState) -> bytes | None:
    """Evidence (docs/formats/chain.md, conflict form 4) that the signed history held here is not
    the anchored one; empty where they agree, None where the one held here does not reach so far.
    """
    head = newest_head(txn, feed)
    if head is None or head.claim.height < anchored.height:
        return None
    count = anchored.height + 1
    row = header_root(txn, feed, count)
    if row == anchored.block_root:
        return b""
    path = consistency_path(node_reader(txn, feed, TREE_HEADERS), count, head.claim.height + 1)
    return encode([1, head.encode(), row, list(path)])


def header_root(txn: Transaction, feed: FeedName, count: int) -> bytes:
    """Root of the header tree over the first `count` headers."""
    if not count:
        return EMPTY_ROOT
    return span_root(node_reader(txn, feed, TREE_HEADERS), 0, count)


def frontier_at(read: NodeReader, size: int) -> Frontier:
    """Frontier of a tree at an earlier size."""
    return Frontier(size, tuple(read(level, index) for level, index in dyadic_parts(0, size)))


def accept_grant(
    txn: Transaction, feed: FeedName, *, audience: int, key_epoch: int, sealed: bytes
) -> None:
    """Keeps a sealed key: at most GRANTS_MAX of one feed, audience and key epoch, and not endlessly
    many of one feed, whoever sends them. Raises LimitError.
    """
    size_bytes = len(sealed_in(sealed))
    if size_bytes > GRANT_BYTES_MAX:
        raise LimitError("sealed key in bytes", size_bytes, GRANT_BYTES_MAX)
    prefix = _grant_prefix(feed, audience, key_epoch)
    held = {value for _, value in txn.scan("grants", prefix)}
    if sealed in held:
        return
    if len(held) >= GRANTS_MAX:
        raise LimitError("grants of one key", len(held) + 1, GRANTS_MAX)
    if sum(1 for _ in txn.scan("grants", feed_prefix(feed))) >= GRANTS_FEED_MAX:
        raise LimitError("grants of one feed", GRANTS_FEED_MAX + 1, GRANTS_FEED_MAX)
    txn.put("grants", prefix + sha256(sealed)[:16], sealed)


def grants_of(txn: Transaction, feed: FeedName) -> list[bytes]:
    """All sealed keys held of a feed, bare."""
    return [sealed_in(value) for _, value in txn.scan("grants", feed_prefix(feed))]


def put_signed_grant(txn: Transaction, feed: FeedName, *, held: bytes, signed: bytes) -> None:
    """Has a signed grant stand where the same one stood unsigned, or by an earlier key."""
    place, *_ = open_envelope(signed)
    prefix = _grant_prefix(feed, place.audience, place.key_epoch)
    txn.delete("grants", prefix + sha256(held)[:16])
    txn.put("grants", prefix + sha256(signed)[:16], signed)


def _grant_prefix(feed: FeedName, audience: int, key_epoch: int) -> bytes:
    return feed_prefix(feed) + audience.to_bytes(2, "big") + key_epoch.to_bytes(4, "big")


def anchor_item(
    txn: Transaction, feed: FeedName, previous: AnchorState | None
) -> AnchorItem | None:
    """The newest head with what proves growth since `previous`; None where there is nothing new."""
    head = newest_head(txn, feed)
    if head is None or (previous and head.claim.height <= previous.height):
        return None
    claim = head.claim
    read = node_reader(txn, feed, TREE_LEAVES)
    if previous is None:
        opened = open_public_run(txn, feed, 0)
        path = inclusion_path(opened.reader(read), 0, claim.size)
        return AnchorItem(
            head=head.encode(),
            previous_size=0,
            leaf_path=tuple(path),
            header_path=(),
            genesis_leaf=opened.leaves[0],
        )
    headers = node_reader(txn, feed, TREE_HEADERS)
    header_path = consistency_path(headers, previous.height + 1, claim.height + 1)
    return AnchorItem(
        head=head.encode(),
        previous_size=previous.size,
        leaf_path=tuple(consistency_path(read, previous.size, claim.size)),
        header_path=tuple(header_path),
        genesis_leaf=None,
    )


def open_public_run(txn: Transaction, feed: FeedName, height: int) -> OpenedRun:
    """Audience 0 of a block in clear; everyone may read it."""
    return open_held_run(txn, feed, height=height, audience=PUBLIC_AUDIENCE, key=PUBLIC_KEY)


def open_held_run(
    txn: Transaction, feed: FeedName, *, height: int, audience: int, key: bytes
) -> OpenedRun:
    """An audience's run of a held block in clear, with that audience's key.

    Raises UncheckableError where it is not held, PrunedError where it was let go, OpeningError
    where it does not open.
    """
    header, run = (
        get_header(txn, feed, height),
        get_run(txn, feed, height=height, audience=audience),
    )
    if header is None or run is None:
        below = pruned_below(txn, feed)
        if header is not None and height < below:
            raise PrunedError(height, below)
        raise UncheckableError(f"run {audience} of block {height} is not held here")
    place = place_of(header, audience=audience, key_epoch=run.head.key_epoch)
    return open_run(
        header=header,
        audience=audience,
        head=run.head,
        body=run.body,
        ciphertext=run.ciphertext,
        key=run_key(key, run.body.run_salt, place),
    )
