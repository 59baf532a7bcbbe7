"""Kind 4: heads of many gateways. Body: [ 1, [+ anchor-item] ] (items as `ledger.feed` has them).

The chain is a witness: no consistency proof of both trees from what is anchored, no anchor. Each
item has its own outcome, and a head that was anchored before is accepted again without effect.
"""

from typing import Any, Final

from consortium.app.checked_once import anchor_state, public_key
from consortium.app.gateway_row import gateway_row, require_active
from consortium.app.parties import require_version
from consortium.app.refusal import Code, Refused
from consortium.app.state import BlockContext, Draft
from consortium.transaction import Transaction, fields
from ledger.errors import AnchorError, InputError, RefutedError
from ledger.feed import (
    AnchorItem,
    AnchorState,
    anchor_item_from_value,
    check_anchor,
    check_not_future,
)
from ledger.hashing import tagged
from ledger.head import HeadClaim, decode_head
from ledger.signing import PublicKey

ITEMS_MAX: Final = 512


def anchor_heads(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Anchors each head that may be anchored; the outcome of each, in order."""
    version, items = fields(transaction.body, int, list)
    require_version(version)
    if not 0 < len(items) <= ITEMS_MAX:
        raise Refused(Code.TOO_MANY_ITEMS, f"not 1 to {ITEMS_MAX} items")
    return each(draft, items, lambda fork, index, item: _anchor(fork, index, item, context))


def each(draft: Draft, items: list[Any], handle: Any) -> tuple[Code, ...]:
    """Outcome of each item; a refused one leaves no trace and does not harm the others."""
    codes = []
    for index, item in enumerate(items):
        fork = draft.fork()
        try:
            handle(fork, index, item)
        except Refused as refused:
            codes.append(refused.code)
        else:
            draft.adopt(fork)
            codes.append(Code.ACCEPTED)
    return tuple(codes)


def head_mark(head_digest: bytes) -> bytes:
    """The mark of a head that was anchored."""
    return tagged("wharf/anchored/1", head_digest)


def gateway_key(draft: Draft, feed_id: bytes, kid: bytes) -> PublicKey:
    """The feed's key with this id, present or earlier, revoked or not."""
    key = gateway_row(draft, feed_id).key_named(kid)
    if key is None:
        raise Refused(Code.ANCHOR_KEY, "head of a key that is not the feed's")
    return public_key(*key)


def anchored_state(draft: Draft, feed_id: bytes, epoch: int) -> AnchorState | None:
    """What is anchored of a feed's epoch."""
    row = draft.get("feed", feed_id, epoch)
    if row is None:
        return None
    height, size, root, block_root, head_digest, _ = row
    return AnchorState(
        feed_id=feed_id,
        epoch=epoch,
        height=height,
        size=size,
        root=root,
        block_root=block_root,
        head_digest=head_digest,
    )


def _anchor(draft: Draft, index: int, value: object, context: BlockContext) -> None:
    try:
        item = anchor_item_from_value(value)
        claim = decode_head(item.head).claim
    except (InputError, RefutedError) as error:
        raise Refused(Code.BODY_WRONG, str(error)) from error
    key = gateway_key(draft, claim.feed_id, claim.kid)
    if draft.is_marked(head_mark(claim.digest)):
        return
    _require_open(draft, claim)
    previous = anchored_state(draft, claim.feed_id, claim.epoch)
    try:
        state = _grown(previous, item, key, now_ms=context.time_ms)
    except AnchorError as error:
        raise Refused(Code(error.code), str(error)) from error
    # The same trees signed again (another date or counter): nothing new is witnessed.
    if state == previous:
        return
    draft.mark(head_mark(state.head_digest))
    values = (state.height, state.size, state.root, state.block_root, state.head_digest)
    draft.put(("feed", state.feed_id, state.epoch), *values, context.time_ms)
    draft.record(index, 4, state.feed_id, state.epoch, *values)


def _grown(
    previous: AnchorState | None, item: AnchorItem, key: PublicKey, *, now_ms: int
) -> AnchorState:
    """`check_anchor`, its work done once; the order of its refusals is the full check's."""
    try:
        state = anchor_state(previous, item, key)
    except AnchorError:
        return check_anchor(previous, item, key, now_ms=now_ms)
    check_not_future(decode_head(item.head).claim, now_ms)
    return state


def current_epoch(draft: Draft, feed_id: bytes) -> int:
    """The feed's epoch that is open; 0 until its owner opened another."""
    row = draft.get("epoch", feed_id)
    return int(row[0]) if row is not None else 0


def is_frozen(draft: Draft, feed_id: bytes, epoch: int) -> bool:
    """Whether a conflict of this epoch, or of one after it, is on the chain."""
    row = draft.get("frozen", feed_id)
    return row is not None and bool(row[4] >= epoch)


def _require_open(draft: Draft, claim: HeadClaim) -> None:
    row = gateway_row(draft, claim.feed_id)
    require_active(row)
    if claim.kid != row.kid:
        raise Refused(Code.KEY_ROTATED, "another key has followed the one that signed this head")
    if is_frozen(draft, claim.feed_id, claim.epoch):
        raise Refused(Code.FEED_FROZEN, "the feed is frozen by evidence of a conflict")
    if claim.epoch != current_epoch(draft, claim.feed_id):
        raise Refused(Code.EPOCH_NOT_OPEN, f"epoch {claim.epoch} is not the open one")
