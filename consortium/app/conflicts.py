"""Kind 8: evidence that one feed signed two histories. It freezes the feed's anchors.

Body: [ 1, feed-id, head, other-head / null ]; null sets the head against what is anchored. Both
heads must verify under keys of the feed, present, earlier or revoked: who signed twice is the
point, not when.
"""

from consortium.app.anchors import anchored_state
from consortium.app.gateway_row import gateway_row
from consortium.app.parties import require_version
from consortium.app.refusal import Code, Refused
from consortium.app.state import BlockContext, Draft
from consortium.transaction import Transaction, fields
from ledger.errors import InputError, RefutedError
from ledger.feed import AnchorState, anchor_state_of
from ledger.hashing import tagged
from ledger.head import decode_head
from ledger.signing import PublicKey


def report(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Freezes the feed if the evidence holds; a feed that is frozen stays as it is."""
    version, feed_id, head, other = fields(transaction.body, int, bytes, bytes, (bytes, type(None)))
    require_version(version)
    first = _signed(draft, feed_id, head)
    second = (
        _signed(draft, feed_id, other) if other else anchored_state(draft, feed_id, first.epoch)
    )
    if second is None or first.feed_id != feed_id or not _exclude(first, second):
        raise Refused(Code.NO_CONFLICT, "the heads do not exclude each other")
    if draft.get("frozen", feed_id) is not None:
        return (Code.ACCEPTED,)
    digests = sorted([first.head_digest, second.head_digest])
    evidence = tagged("wharf/conflict/1", b"".join(digests))
    draft.put(("frozen", feed_id), evidence, context.time_ms, *digests)
    draft.record(0, 8, feed_id, first.epoch, evidence, head, other)
    return (Code.ACCEPTED,)


def _signed(draft: Draft, feed_id: bytes, head: bytes) -> AnchorState:
    row = gateway_row(draft, feed_id)
    try:
        decoded = decode_head(head)
        key = row.key_named(decoded.claim.kid)
        if key is None:
            raise Refused(Code.NO_CONFLICT, "a head is of a key that is not the feed's")
        decoded.verify(PublicKey(*key))
    except (InputError, RefutedError) as error:
        raise Refused(Code.NO_CONFLICT, f"a head does not verify: {error}") from error
    return anchor_state_of(decoded.claim)


def _exclude(first: AnchorState, second: AnchorState) -> bool:
    """Whether no one history can hold both: same height or size, but not the same trees."""
    if (first.feed_id, first.epoch) != (second.feed_id, second.epoch):
        return False
    ours = (first.height, first.size, first.root, first.block_root)
    theirs = (second.height, second.size, second.root, second.block_root)
    lower, upper = sorted([ours, theirs])
    crossed = lower[0] < upper[0] and lower[1] > upper[1]
    same_place = first.height == second.height or first.size == second.size
    return crossed or (same_place and ours != theirs)
