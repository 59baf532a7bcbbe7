"""Kinds 7, 16 and 17: a gateway's key is revoked, another follows it, or the gateway is retired.

revoke = [ 1, feed-id ]                                  ; its party or an operator
rotate = [ 1, feed-id, alg, spki, level, old-signature, new-signature ]  ; the gateway, or its party
retire = [ 1, feed-id ]                                  ; its party or an operator

One rule for all (`ledger.proven_records`): a head counts if it was anchored while its key was the
feed's. After the end of a feed its devices' rows are closed, so they may stand in another's.
"""

from dataclasses import replace
from typing import Final

from consortium.app.delegations import require_feed
from consortium.app.gateway_row import (
    GatewayRow,
    close_slots,
    gateway_row,
    put_gateway_row,
    require_active,
)
from consortium.app.parties import require_new_key, require_role, require_version
from consortium.app.refusal import Code, Refused
from consortium.app.state import BlockContext, Draft
from consortium.transaction import SENDER_GATEWAY, SENDER_PARTY, Transaction, fields
from ledger.chain_genesis import ROLE_OPERATOR
from ledger.errors import FormatError, SignatureError
from ledger.key_change import KeyChange
from ledger.proven_records import EARLIER_KEYS_MAX, LEVEL_MAX
from ledger.signing import PublicKey

RECORD_REVOKED: Final = 7
RECORD_ROTATED: Final = 16
RECORD_RETIRED: Final = 17


def revoke(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Revokes a gateway's key from this block on; its party or an operator may."""
    feed_id, row = _to_end(draft, transaction)
    if row.ended_ms is None:
        _end(draft, feed_id, row, context.time_ms)
        draft.record(0, RECORD_REVOKED, feed_id, row.kid)
    return (Code.ACCEPTED,)


def retire(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Ends a gateway's feed in good order; what was anchored stays proven."""
    feed_id, row = _to_end(draft, transaction)
    if row.ended_ms is None:
        _end(draft, feed_id, replace(row, retired=True), context.time_ms)
        draft.record(0, RECORD_RETIRED, feed_id)
    elif not row.retired:
        raise Refused(Code.GATEWAY_REVOKED, "the gateway's key is revoked")
    return (Code.ACCEPTED,)


def _to_end(draft: Draft, transaction: Transaction) -> tuple[bytes, GatewayRow]:
    """The feed that the sender may end."""
    version, feed_id = fields(transaction.body, int, bytes)
    require_version(version)
    row = gateway_row(draft, feed_id)
    sender = transaction.sender
    # Not the gateway itself: a stolen token must not be able to end the feed for ever.
    if sender.kind != SENDER_PARTY or sender.id != row.party_id:
        require_role(draft, transaction, ROLE_OPERATOR)
    require_feed(draft, transaction, feed_id)
    return feed_id, row


def _end(draft: Draft, feed_id: bytes, row: GatewayRow, now_ms: int) -> None:
    put_gateway_row(draft, feed_id, replace(row, ended_ms=now_ms))
    draft.put(("key", row.kid), feed_id, row.from_ms, now_ms)
    close_slots(draft, feed_id, now_ms)


def rotate(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Another key follows the gateway's, and both have signed that; from now on only it counts."""
    version, feed_id, alg, spki, level, old_signature, new_signature = fields(
        transaction.body, int, bytes, int, bytes, int, bytes, bytes
    )
    require_version(version)
    row = gateway_row(draft, feed_id)
    require_active(row)
    _require_own(transaction, feed_id, row, level)
    require_feed(draft, transaction, feed_id)
    if len(row.earlier) >= EARLIER_KEYS_MAX:
        raise Refused(Code.KEYS_FULL, f"the feed has had {EARLIER_KEYS_MAX + 1} keys; enrol anew")
    change = KeyChange(
        feed_id=feed_id,
        old_kid=row.kid,
        alg=alg,
        spki=spki,
        level=level,
        old_signature=old_signature,
        new_signature=new_signature,
    )
    try:
        change.check(PublicKey(row.alg, row.spki))
    except (FormatError, SignatureError) as error:
        raise Refused(Code.ROTATION_WRONG, str(error)) from error
    require_new_key(draft, change.new_key.kid)
    _follow(draft, row, change, context.time_ms)
    return (Code.ACCEPTED,)


def _require_own(transaction: Transaction, feed_id: bytes, row: GatewayRow, level: int) -> None:
    sender = transaction.sender
    if sender.id != (feed_id if sender.kind == SENDER_GATEWAY else row.party_id):
        raise Refused(Code.UNAUTHORISED, "neither the feed's gateway nor its party")
    if not 0 <= level <= LEVEL_MAX:
        raise Refused(Code.BODY_WRONG, "level out of range")
    if sender.kind == SENDER_GATEWAY and level > row.level:
        raise Refused(Code.UNAUTHORISED, "a gateway does not raise its own key's level")


def _follow(draft: Draft, row: GatewayRow, change: KeyChange, now_ms: int) -> None:
    earlier = (*row.earlier, [row.alg, row.spki, row.level, row.from_ms, now_ms])
    new = replace(
        row, alg=change.alg, spki=change.spki, level=change.level, from_ms=now_ms, earlier=earlier
    )
    put_gateway_row(draft, change.feed_id, new)
    draft.put(("key", row.kid), change.feed_id, row.from_ms, now_ms)
    draft.put(("key", new.kid), change.feed_id, now_ms, None)
    draft.record(0, RECORD_ROTATED, change.feed_id, row.kid, change.alg, change.spki, change.level)
