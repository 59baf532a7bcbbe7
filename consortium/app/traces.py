"""Kinds 60 to 64: whose a brand is, which things are whose, what was said and recalled.

    brand        = [ 1, prefix: tstr ]                         ; GS1 company prefix, 4 to 12 digits
    brand-seen   = [ 1, prefix: tstr, party-id ]               ; the sender saw its licence
    things       = [ 1, [* chain-id: bstr .size 32] ]          ; logistics.trace.item_key
    events       = [ 1, [* commitment: bstr .size 32] ]        ; salted, docs/formats/trace.md
    recall       = [ 1, is-open: bool, notice: bstr .size 32, [* chain-id] ]

The chain learns no key and no event: ids and commitments tell nothing to whom was not shown more.
Who claims a thing is part of its entry, so nobody can claim it away from its brand's owner.
"""

from typing import Any, Final

from consortium.app.parties import require_party, require_version
from consortium.app.refusal import Code, Refused
from consortium.app.state import BlockContext, Draft
from consortium.transaction import (
    KIND_BRAND,
    KIND_BRAND_SEEN,
    KIND_EVENTS,
    KIND_RECALL,
    KIND_THINGS,
    SENDER_PARTY,
    Transaction,
    fields,
)
from ledger.hashing import HASH_BYTES

ITEMS_MAX: Final = 1_000
PREFIX_DIGITS_MIN: Final = 4
PREFIX_DIGITS_MAX: Final = 12


def claim_brand(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Records the sender as owner of a company prefix; the same again changes nothing."""
    version, prefix = fields(transaction.body, int, str)
    require_version(version)
    party_id = _party_of(transaction)
    _require_prefix(prefix)
    known = draft.get("brand", prefix)
    if known is not None and known[0] == party_id:
        return (Code.ACCEPTED,)
    shorter = [prefix[:length] for length in range(PREFIX_DIGITS_MIN, len(prefix))]
    is_under = any(draft.get("brand", start) is not None for start in shorter)
    # GS1 gives out no prefix that begins with another: an overlap is a mistake or theft.
    if known is not None or is_under or draft.get("brand-within", prefix) is not None:
        raise Refused(Code.BRAND_TAKEN, f"prefix {prefix} overlaps one that is claimed")
    draft.put(("brand", prefix), party_id, None, context.time_ms)
    for start in shorter:
        draft.put(("brand-within", start), prefix)
    draft.record(0, KIND_BRAND, prefix, party_id)
    return (Code.ACCEPTED,)


def verify_brand(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Records that the sender saw the prefix's licence; never about itself."""
    del context  # the log leaf carries the time
    version, prefix, owner = fields(transaction.body, int, str, bytes)
    require_version(version)
    party_id = _party_of(transaction)
    known = draft.get("brand", prefix)
    if known is None or known[0] != owner:
        raise Refused(Code.BRAND_UNKNOWN, "that organisation does not claim the prefix")
    if owner == party_id:
        raise Refused(Code.BRAND_OWN, "nobody verifies its own brand")
    require_party(draft, owner)
    if known[1] == party_id:
        return (Code.ACCEPTED,)
    draft.put(("brand", prefix), owner, party_id, known[2])
    draft.record(0, KIND_BRAND_SEEN, prefix, owner, party_id)
    return (Code.ACCEPTED,)


def claim_things(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Records chain ids as the sender's; those that are already change nothing."""
    party_id = _party_of(transaction)
    for index, chain_id in enumerate(_digests(transaction)):
        if draft.get("thing", chain_id, party_id) is None:
            draft.put(("thing", chain_id, party_id), context.time_ms)
            draft.record(index, KIND_THINGS, chain_id, party_id)
    return (Code.ACCEPTED,)


def say_events(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Records commitments to events that the sender said; those already there change nothing."""
    party_id = _party_of(transaction)
    for index, commitment in enumerate(_digests(transaction)):
        if draft.get("event", commitment, party_id) is None:
            draft.put(("event", commitment, party_id), context.time_ms)
            draft.record(index, KIND_EVENTS, commitment, party_id)
    return (Code.ACCEPTED,)


def recall(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Opens or ends the sender's recall of classes, lots or items; the newest word counts."""
    version, is_open, notice, things = fields(transaction.body, int, bool, bytes, list)
    require_version(version)
    party_id = _party_of(transaction)
    if len(notice) != HASH_BYTES:
        raise Refused(Code.BODY_WRONG, "the notice's digest is not 32 bytes")
    for index, chain_id in enumerate(_checked(things)):
        known = draft.get("recall", chain_id, party_id)
        if known is None and not is_open:
            raise Refused(Code.RECALL_UNKNOWN, "nothing to end: no such recall")
        if known is not None and known[:2] == [is_open, notice]:
            continue
        draft.put(("recall", chain_id, party_id), is_open, notice, context.time_ms)
        draft.record(index, KIND_RECALL, chain_id, party_id, is_open, notice)
    return (Code.ACCEPTED,)


def _party_of(transaction: Transaction) -> bytes:
    if transaction.sender.kind != SENDER_PARTY:
        raise Refused(Code.UNAUTHORISED, "only a party says this")
    return transaction.sender.id


def _require_prefix(prefix: str) -> None:
    length_fits = PREFIX_DIGITS_MIN <= len(prefix) <= PREFIX_DIGITS_MAX
    if not length_fits or not (prefix.isascii() and prefix.isdigit()):
        raise Refused(Code.BODY_WRONG, "a company prefix has 4 to 12 digits")


def _digests(transaction: Transaction) -> list[bytes]:
    version, items = fields(transaction.body, int, list)
    require_version(version)
    return _checked(items)


def _checked(items: list[Any]) -> list[bytes]:
    if not 0 < len(items) <= ITEMS_MAX:
        raise Refused(Code.TOO_MANY_ITEMS, f"not 1 to {ITEMS_MAX} items")
    if any(type(item) is not bytes or len(item) != HASH_BYTES for item in items):
        raise Refused(Code.BODY_WRONG, "an item is not 32 bytes")
    return items
