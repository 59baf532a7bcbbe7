"""Kinds 5 and 6: what other parties hold and could open. A party signs for itself, in batches.

Mirrored: [ 1, [+ [feed-id, epoch, height, block-digest]] ]
Opened:   [ 1, [+ [feed-id, epoch, height, audience, block-digest, ok]] ]
"""

from typing import Any, Final

from consortium.app.anchors import each
from consortium.app.delegations import require_feed
from consortium.app.parties import require_version
from consortium.app.refusal import Code, Refused
from consortium.app.state import BlockContext, Draft
from consortium.errors import MalformedError
from consortium.transaction import ID_BYTES, SENDER_PARTY, Transaction, fields
from ledger.canonical import encode
from ledger.chain_proof import RECORD_MIRROR, RECORD_OPENED
from ledger.hashing import HASH_BYTES, tagged

ITEMS_MAX: Final = 1_000
HEIGHT_MAX: Final = (1 << 63) - 1
AUDIENCE_MAX: Final = (1 << 16) - 1


def mirrored(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Records that the sending party holds blocks' ciphertexts."""
    del context  # the log leaf carries the time
    return _each_statement(draft, transaction, RECORD_MIRROR, [bytes, int, int, bytes])


def opened(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Records that the sending party opened runs and checked them, or that it could not."""
    del context  # the log leaf carries the time
    return _each_statement(draft, transaction, RECORD_OPENED, [bytes, int, int, int, bytes, bool])


def _each_statement(
    draft: Draft, transaction: Transaction, record: int, types: list[type]
) -> tuple[Code, ...]:
    version, items = fields(transaction.body, int, list)
    require_version(version)
    if transaction.sender.kind != SENDER_PARTY:
        raise Refused(Code.UNAUTHORISED, "only a party may state this")
    if not 0 < len(items) <= ITEMS_MAX:
        raise Refused(Code.TOO_MANY_ITEMS, f"not 1 to {ITEMS_MAX} items")
    party_id = transaction.sender.id

    def handle(fork: Draft, index: int, item: object) -> None:
        row = _checked(fork, item, types)
        require_feed(fork, transaction, row[0])
        mark = tagged("wharf/stated/1", encode([record, *row, party_id]))
        if not fork.is_marked(mark):
            fork.mark(mark)
            fork.record(index, record, *row, party_id)

    return each(draft, items, handle)


def _checked(draft: Draft, item: object, types: list[type]) -> list[Any]:
    try:
        row = fields(item, *types)
    except MalformedError as error:
        raise Refused(Code.BODY_WRONG, str(error)) from error
    feed_id, epoch, height, *rest = row
    digest = rest[1] if len(rest) > 1 else rest[0]
    audience = rest[0] if len(rest) > 1 else 0
    if len(feed_id) != ID_BYTES or len(digest) != HASH_BYTES:
        raise Refused(Code.BODY_WRONG, "feed id or block digest of a wrong length")
    if not (
        0 <= epoch <= HEIGHT_MAX and 0 <= height <= HEIGHT_MAX and 0 <= audience <= AUDIENCE_MAX
    ):
        raise Refused(Code.BODY_WRONG, "a number is out of range")
    if draft.get("gateway", feed_id) is None:
        raise Refused(Code.GATEWAY_UNKNOWN, "the feed is not enrolled")
    return row
