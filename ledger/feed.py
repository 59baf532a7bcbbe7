"""Rules that link blocks and heads of one feed: what may follow, what may be anchored, what
conflicts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.block import NO_PREVIOUS, BlockHeader, RunBody, RunHead
from ledger.entry import CONTROL_SLOT, KIND_GENESIS, SALT_BYTES, decode_entry, feed_id_of
from ledger.errors import (
    AnchorForkedError,
    AnchorFutureError,
    AnchorInconsistentError,
    AnchorKeyError,
    AnchorSmallerError,
    ConflictError,
    FormatError,
    InputError,
    ProofError,
    RefutedError,
)
from ledger.frontier import Frontier, TreeNode
from ledger.hashing import leaf_hash
from ledger.head import Head, HeadClaim, decode_head
from ledger.merkle import check_hashes, dyadic_parts, verify_consistency, verify_inclusion
from ledger.signing import PublicKey

FUTURE_S_MAX: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorState:
    """The newest state of a feed that a witness has accepted."""

    feed_id: bytes
    epoch: int
    height: int
    size: int
    root: bytes
    block_root: bytes
    head_digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorItem:
    """A head with what proves that both trees only grew since the last accepted one.

    First of a feed: `previous_size` 0, `genesis_leaf` = leaf 0 and `leaf_path` its inclusion path.
    """

    head: bytes
    previous_size: int
    leaf_path: tuple[bytes, ...]
    header_path: tuple[bytes, ...]
    genesis_leaf: bytes | None

    def to_value(self) -> list[Any]:
        """The five elements in their order on the wire."""
        return [
            self.head,
            self.previous_size,
            list(self.leaf_path),
            list(self.header_path),
            self.genesis_leaf,
        ]


def anchor_item_from_value(value: object) -> AnchorItem:
    """The item in a decoded canonical value; raises FormatError or ProofError."""
    if not isinstance(value, list) or len(value) != 5:
        raise FormatError("anchor item", "not five elements")
    head, previous_size, leaf_path, header_path, genesis = value
    types = [type(v) for v in (head, previous_size, leaf_path, header_path)]
    if types != [bytes, int, list, list] or not isinstance(genesis, bytes | None):
        raise FormatError("anchor item", "elements of a wrong type")
    check_hashes(leaf_path)
    check_hashes(header_path)
    return AnchorItem(
        head=head,
        previous_size=previous_size,
        leaf_path=tuple(leaf_path),
        header_path=tuple(header_path),
        genesis_leaf=genesis,
    )


def anchor_state_of(claim: HeadClaim) -> AnchorState:
    """The state that a head claims."""
    return AnchorState(
        feed_id=claim.feed_id,
        epoch=claim.epoch,
        height=claim.height,
        size=claim.size,
        root=claim.root,
        block_root=claim.block_root,
        head_digest=claim.digest,
    )


def check_anchor(
    previous: AnchorState | None, item: AnchorItem, key: PublicKey, *, now_ms: int | None = None
) -> AnchorState:
    """The state after accepting a head; raises a subclass of AnchorError for every refusal.

    A head equal to what is anchored gives that state again, so a resend is harmless. now_ms: the
    witness's own time, UTC since 1970; a head may be as old as it likes, but not of the far future.
    """
    try:
        head = decode_head(item.head)
        head.verify(key)
    except (InputError, RefutedError) as error:
        raise AnchorKeyError(f"head refused: {error}") from error
    new = anchor_state_of(head.claim)
    check_not_future(head.claim, now_ms)
    if previous is None:
        _check_first(new, item)
        return new
    if (new.feed_id, new.epoch) != (previous.feed_id, previous.epoch):
        raise AnchorKeyError("head of another feed or epoch")
    if _same_or_forked(previous, new):
        return previous
    _check_growth(previous, new, item)
    return new


def check_not_future(claim: HeadClaim, now_ms: int | None) -> None:
    """Raises AnchorFutureError for a head dated more than a day after the witness's time."""
    if now_ms is None or claim.issued_at_s is None:
        return
    if claim.issued_at_s > now_ms // 1000 + FUTURE_S_MAX:
        raise AnchorFutureError(f"head dated {claim.issued_at_s - now_ms // 1000} s ahead")


def _check_first(new: AnchorState, item: AnchorItem) -> None:
    genesis = item.genesis_leaf
    if genesis is None or item.previous_size:
        raise AnchorInconsistentError("first head without its genesis leaf")
    if feed_id_of_leaf(genesis) != new.feed_id:
        raise AnchorKeyError("genesis leaf of another feed")
    try:
        verify_inclusion(
            leaf_hash=leaf_hash(genesis),
            index=0,
            size=new.size,
            path=item.leaf_path,
            root=new.root,
        )
    except ProofError as error:
        raise AnchorInconsistentError(f"genesis leaf: {error}") from error


def feed_id_of_leaf(genesis: bytes) -> bytes:
    """The feed that a genesis leaf names; raises AnchorKeyError if it is none."""
    entry_bytes = genesis[SALT_BYTES:]
    try:
        entry = decode_entry(entry_bytes)
    except InputError as error:
        raise AnchorKeyError(f"genesis leaf: {error}") from error
    named = (entry.kind, entry.slot, entry.srcseq) == (KIND_GENESIS, CONTROL_SLOT, 0)
    if genesis[:SALT_BYTES] != bytes(SALT_BYTES) or not named:
        raise AnchorKeyError("leaf 0 is not a genesis entry with a zero salt")
    return feed_id_of(entry_bytes)


def _same_or_forked(previous: AnchorState, new: AnchorState) -> bool:
    """True for a resend; raises where both cannot be true, or the new one is older."""
    if new.height == previous.height and new.size == previous.size:
        if (new.root, new.block_root) != (previous.root, previous.block_root):
            raise AnchorForkedError(f"two histories for height {new.height}")
        return True
    if new.height == previous.height or new.size == previous.size:
        raise AnchorForkedError("same height or size, but not both")
    if new.height < previous.height or new.size < previous.size:
        raise AnchorSmallerError(f"height {new.height} is below anchored {previous.height}")
    return False


def _check_growth(previous: AnchorState, new: AnchorState, item: AnchorItem) -> None:
    if item.previous_size != previous.size or item.genesis_leaf is not None:
        raise AnchorInconsistentError(f"path does not start at size {previous.size}")
    try:
        verify_consistency(
            old_size=previous.size,
            new_size=new.size,
            old_root=previous.root,
            new_root=new.root,
            path=item.leaf_path,
        )
        verify_consistency(
            old_size=previous.height + 1,
            new_size=new.height + 1,
            old_root=previous.block_root,
            new_root=new.block_root,
            path=item.header_path,
        )
    except ProofError as error:
        raise AnchorInconsistentError(str(error)) from error


def check_follows(previous: BlockHeader | None, header: BlockHeader) -> None:
    """Raises ConflictError unless the header may stand behind the previous one (None: is the
    first).
    """
    if previous is None:
        if (header.height, header.start, header.prev_digest) != (0, 0, NO_PREVIOUS):
            raise ConflictError("a first block that is not at height 0")
        return
    if (header.feed_id, header.epoch) != (previous.feed_id, previous.epoch):
        raise ConflictError("block of another feed or epoch")
    if header.height != previous.height + 1 or header.start != previous.size:
        raise ConflictError(f"height {header.height} does not start where the last block ended")
    if header.prev_digest != previous.digest or header.jseq_end < previous.jseq_end:
        raise ConflictError(f"height {header.height} does not link to the block before")


def check_structure(
    header: BlockHeader, runs: Sequence[tuple[int, RunHead, RunBody]], frontier: Frontier
) -> tuple[Frontier, list[TreeNode]]:
    """Frontier after the block, and every tree node that it completes.

    Raises ConflictError where runs are not the header's, do not tile it, or do not fold to its
    root. None of it needs a key: any relay may find it.
    """
    for audience, head, body in runs:
        if head.body_digest != body.digest:
            raise ConflictError(f"run {audience} has another body")
    return check_folding(header, [(a, head, body.subtrees) for a, head, body in runs], frontier)


def check_folding(
    header: BlockHeader,
    runs: Sequence[tuple[int, RunHead, Sequence[bytes]]],
    frontier: Frontier,
) -> tuple[Frontier, list[TreeNode]]:
    """The same from audiences, run heads and their subtree roots, which outlive a pruned body."""
    if frontier.size != header.start:
        raise ConflictError(f"height {header.height} starts where no tree ends")
    if [(audience, head.digest) for audience, head, _ in runs] != list(header.runs):
        raise ConflictError(f"runs of height {header.height} are not those of its header")
    at, nodes = header.start, []
    for audience, head, subtrees in runs:
        if head.first != at or head.slots[0] >> 16 != audience:
            raise ConflictError(f"run {audience} does not follow, or has another audience")
        parts = list(dyadic_parts(head.first, head.first + head.count))
        if len(parts) != len(subtrees):
            raise ConflictError(f"run {audience} has {len(subtrees)} subtrees")
        for (level, _), root in zip(parts, subtrees, strict=True):
            frontier, complete = frontier.grow(level, root)
            nodes += complete
        at += head.count
    if at != header.size or frontier.root() != header.root:
        raise ConflictError(f"runs of height {header.height} do not fold to its root")
    return frontier, nodes


def check_head_fits(head: Head, header: BlockHeader, header_frontier: Frontier) -> None:
    """Raises ConflictError unless a head signs exactly this header and the header tree up to it."""
    claim = head.claim
    if (claim.feed_id, claim.epoch, claim.height) != (header.feed_id, header.epoch, header.height):
        raise FormatError("head", "for another feed, epoch or height")
    if (claim.size, claim.root) != (header.size, header.root):
        raise ConflictError(f"head and block header differ at height {header.height}")
    if header_frontier.size != header.height + 1 or header_frontier.root() != claim.block_root:
        raise ConflictError(f"head signs another row of headers at height {header.height}")
