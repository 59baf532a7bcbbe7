"""Kind 15: the owner opens a feed's next epoch, after a conflict or a restored backup.

Body: [ 1, feed-id, epoch, last-head: bstr, witnessed-size ]

The last head is one that was anchored in the epoch before: its trees go on from there, so the new
epoch rests on what the chain witnessed. `witnessed-size` is the highest size of the feed that
anybody is known to have seen, at least what is anchored and what a conflict on the chain shows. The
entries between the two may be missing, and every verdict on the new epoch says so.
"""

from typing import Any

from consortium.app.anchors import anchored_state, current_epoch, gateway_key, head_mark
from consortium.app.delegations import require_feed
from consortium.app.gateway_row import gateway_row, require_active
from consortium.app.parties import require_version
from consortium.app.refusal import Code, Refused
from consortium.app.state import BlockContext, Draft
from consortium.transaction import KIND_ANCHORS, KIND_EPOCH, SENDER_PARTY, Transaction, fields
from ledger.errors import InputError, RefutedError
from ledger.head import HeadClaim, decode_head

SIZE_MAX = (1 << 63) - 1


def open_epoch(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Opens the next epoch of a feed at a head that was anchored; the same again is harmless."""
    version, feed_id, epoch, last_head, witnessed_size = fields(
        transaction.body, int, bytes, int, bytes, int
    )
    require_version(version)
    _require_owner(draft, transaction, feed_id)
    try:
        head = decode_head(last_head)
        head.verify(gateway_key(draft, feed_id, head.claim.kid))
    except (InputError, RefutedError) as error:
        raise Refused(Code.EPOCH_WRONG, f"last head: {error}") from error
    claim = head.claim
    row = [claim.digest, claim.height, claim.size, witnessed_size]
    known = draft.get("epoch", feed_id, epoch)
    if known is not None and known[:4] == row:
        return (Code.ACCEPTED,)
    _require_next(draft, feed_id, epoch, claim)
    _require_witnessed(draft, claim, witnessed_size)
    _put(draft, feed_id, epoch, claim, row=row, now_ms=context.time_ms)
    return (Code.ACCEPTED,)


def _require_owner(draft: Draft, transaction: Transaction, feed_id: bytes) -> None:
    gateway, sender = gateway_row(draft, feed_id), transaction.sender
    if sender.kind != SENDER_PARTY or sender.id != gateway.party_id:
        raise Refused(Code.UNAUTHORISED, "only the gateway's party opens an epoch")
    require_feed(draft, transaction, feed_id)
    require_active(gateway)


def _require_next(draft: Draft, feed_id: bytes, epoch: int, claim: HeadClaim) -> None:
    if epoch != current_epoch(draft, feed_id) + 1:
        raise Refused(Code.EPOCH_WRONG, "not the epoch after the present one")
    if (claim.feed_id, claim.epoch) != (feed_id, epoch - 1):
        raise Refused(Code.EPOCH_WRONG, "the last head is of another feed or epoch")
    if not draft.is_marked(head_mark(claim.digest)):
        raise Refused(Code.EPOCH_WRONG, "the last head was never anchored")


def _require_witnessed(draft: Draft, claim: HeadClaim, witnessed_size: int) -> None:
    anchored = anchored_state(draft, claim.feed_id, claim.epoch)
    frozen = draft.get("frozen", claim.feed_id)
    seen = [claim.size, anchored.size if anchored else 0, frozen[5] if frozen else 0]
    if not max(seen) <= witnessed_size <= SIZE_MAX:
        raise Refused(Code.EPOCH_WRONG, f"size {max(seen)} was witnessed, which is more")


def _put(
    draft: Draft, feed_id: bytes, epoch: int, claim: HeadClaim, *, row: list[Any], now_ms: int
) -> None:
    draft.put(("epoch", feed_id), epoch)
    draft.put(("epoch", feed_id, epoch), *row, now_ms)
    trees = (claim.height, claim.size, claim.root, claim.block_root, claim.digest)
    draft.put(("feed", feed_id, epoch), *trees, now_ms)
    draft.record(0, KIND_EPOCH, feed_id, epoch, *row)
    # The new epoch begins with an anchor of its own: what proofs over its first blocks rest on.
    draft.record(1, KIND_ANCHORS, feed_id, epoch, *trees)
