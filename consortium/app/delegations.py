"""Kinds 13 and 14: people who act for an organisation, and the end of a key.

delegate = [ 1, name, title, alg, spki, proof, [+ kind], [* feed-id],
             until-height / null, until-ms / null ]
end-key  = [ 1, kid ]     ; a delegate's key, or the organisation's own

A delegate sends in the organisation's name with its own key: the named kinds only, about the named
feeds only (none named: all), until a chain height or time, whichever comes first. The organisation
may change that as long as the key is not ended; an ended key never comes back.
"""

from typing import Any, Final

from consortium.app.parties import (
    NAME_CHARACTERS_MAX,
    end_party_key,
    require_new_key,
    require_party,
    require_version,
    signer_alive,
)
from consortium.app.possession import require_possession
from consortium.app.refusal import Code, Refused
from consortium.app.rights import KINDS_OF_TITLE
from consortium.app.state import BlockContext, Draft
from consortium.app.validator_changes import voters
from consortium.transaction import (
    ID_BYTES,
    KIND_DELEGATE,
    KIND_END_KEY,
    SENDER_PARTY,
    Transaction,
    fields,
)
from ledger.signing import kid_of

FEEDS_MAX: Final = 64
HEIGHTS_MAX: Final = 100_000_000
MS_MAX: Final = 3 * 366 * 86_400_000

Row = list[Any]  # a state row, or the delegate's part of a body


def delegate(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Lets a person act for the sending party; the same again changes nothing."""
    number = (int, type(None))
    version, *row = fields(
        transaction.body, int, str, int, int, bytes, bytes, list, list, number, number
    )
    require_version(version)
    name, title, alg, spki, proof, kinds, feeds, until_height, until_ms = row
    _require_scope(name, title, kinds, feeds)
    _require_expiry(until_height, until_ms, context)
    party_id, kid = transaction.sender.id, kid_of(spki)
    stored = [party_id, name, title, alg, spki, kinds, feeds, until_height, until_ms]
    known = draft.get("delegate", kid)
    if known is None:
        require_possession(proof, chain_id=context.chain_id, party_id=party_id, alg=alg, spki=spki)
        require_new_key(draft, kid)
    elif known[0] != party_id or known[-1] is not None:
        raise Refused(Code.KEY_IN_USE, "the key is another party's delegate's, or was ended")
    elif known[:9] == stored:
        return (Code.ACCEPTED,)
    draft.put(("delegate", kid), *stored, context.time_ms, None)
    draft.record(0, KIND_DELEGATE, party_id, kid, *stored[1:])
    return (Code.ACCEPTED,)


def _require_scope(name: str, title: int, kinds: list[Any], feeds: list[Any]) -> None:
    if not 0 < len(name) <= NAME_CHARACTERS_MAX:
        raise Refused(Code.BODY_WRONG, "name out of range")
    allowed = KINDS_OF_TITLE.get(title, frozenset())
    if not kinds or any(type(kind) is not int or kind not in allowed for kind in kinds):
        raise Refused(Code.OUT_OF_SCOPE, "a kind that this title cannot have, or none")
    if len(feeds) > FEEDS_MAX or any(type(f) is not bytes or len(f) != ID_BYTES for f in feeds):
        raise Refused(Code.BODY_WRONG, f"feeds are not at most {FEEDS_MAX} ids")
    if kinds != sorted(set(kinds)) or feeds != sorted(set(feeds)):
        raise Refused(Code.BODY_WRONG, "kinds or feeds do not ascend")


def _require_expiry(until_height: int | None, until_ms: int | None, context: BlockContext) -> None:
    if until_height is None and until_ms is None:
        raise Refused(Code.BODY_WRONG, "a delegation without an end")
    bounds = [
        (until_height, context.height, HEIGHTS_MAX),
        (until_ms, context.time_ms, MS_MAX),
    ]
    if any(until is not None and not now <= until <= now + most for until, now, most in bounds):
        raise Refused(Code.BODY_WRONG, "the end is past, or too far")


def require_delegate(draft: Draft, transaction: Transaction, context: BlockContext) -> Row:
    """The row of the delegate that signs; refuses one whose time is over, or another kind."""
    row = draft.get("delegate", transaction.kid)
    if row is None or row[0] != transaction.sender.id:
        raise Refused(Code.KEY_NOT_SENDERS, "the key is not the sender's")
    until_height, until_ms, _, ended_ms = row[7:]
    late = until_height is not None and until_height < context.height
    if late or ended_ms is not None or (until_ms is not None and until_ms < context.time_ms):
        raise Refused(Code.DELEGATION_ENDED, "the delegation is over")
    if transaction.kind not in row[5]:
        raise Refused(Code.OUT_OF_SCOPE, f"kind {transaction.kind} was not delegated")
    return row


def require_feed(draft: Draft, transaction: Transaction, feed_id: bytes) -> None:
    """Refuses a delegate that may not act on this feed; others pass."""
    if transaction.sender.kind != SENDER_PARTY:
        return
    row = draft.get("delegate", transaction.kid)
    if row is not None and row[6] and feed_id not in row[6]:
        raise Refused(Code.OUT_OF_SCOPE, "the feed was not delegated")


def end_key(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Ends a key of the sending party from this block on; ended already is harmless."""
    version, kid = fields(transaction.body, int, bytes)
    require_version(version)
    party_id = transaction.sender.id
    party = require_party(draft, party_id)
    if kid == kid_of(party[2]):
        if not signer_alive(draft, party):
            return (Code.ACCEPTED,)
        if not voters(draft) - {party_id}:
            raise Refused(Code.NO_VOTE, "no other party could vote a next key in")
        end_party_key(draft, party_id, context)
    else:
        row = draft.get("delegate", kid)
        if row is None or row[0] != party_id:
            raise Refused(Code.DELEGATION_UNKNOWN, "no delegate of this party has the key")
        if row[-1] is not None:
            return (Code.ACCEPTED,)
        draft.put(("delegate", kid), *row[:-1], context.time_ms)
    draft.record(0, KIND_END_KEY, party_id, kid)
    return (Code.ACCEPTED,)
