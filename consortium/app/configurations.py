"""Kind 18: a party gives one of its gateways the next configuration. Body: [ 1, feed-id, version,
digest ].

The text stays off the chain. Its digest is what the chain puts in order, so two texts for one
version cannot both win: the second is refused here, for every machine alike.
"""

from consortium.app.delegations import require_feed
from consortium.app.gateway_row import gateway_row, require_active
from consortium.app.parties import require_version
from consortium.app.refusal import Code, Refused
from consortium.app.state import BlockContext, Draft
from consortium.transaction import KIND_CONFIGURATION, SENDER_PARTY, Transaction, fields
from ledger.hashing import HASH_BYTES


def configure(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Records the next version; the newest one again changes nothing."""
    version, feed_id, number, digest = fields(transaction.body, int, bytes, int, bytes)
    require_version(version)
    if len(digest) != HASH_BYTES:
        raise Refused(Code.BODY_WRONG, "the digest is not 32 bytes")
    gateway = gateway_row(draft, feed_id)
    require_active(gateway)
    sender = transaction.sender
    if sender.kind != SENDER_PARTY or sender.id != gateway.party_id:
        raise Refused(Code.UNAUTHORISED, "not the gateway's party")
    require_feed(draft, transaction, feed_id)
    known = draft.get("configuration", feed_id)
    newest = known[0] if known else 0
    if known is not None and known[:2] == [number, digest]:
        return (Code.ACCEPTED,)
    if number != newest + 1:
        raise Refused(Code.VERSION_TAKEN, f"version {number}, but the next one is {newest + 1}")
    draft.put(("configuration", feed_id), number, digest, context.time_ms)
    draft.record(0, KIND_CONFIGURATION, feed_id, number, digest)
    return (Code.ACCEPTED,)
