"""Kinds 42, 46 and 47: verdicts that the parties agree on, objections, and what follows.

Verdict: [ 1, consignment-id, commitment, [ + [party-id, signature] ] ]
Object:  [ 1, consignment-id, reason-digest ]
Settle:  [ 1, consignment-id ]

The commitment is SHA-256("wharf/verdict-commit/1" || salt || verdict): the chain learns that all
parties computed the same bytes, not what they say. A verdict is a proposal until its window ends by
the chain's time. One objection opens a dispute (`disputes`); against a verdict that the validators
drew themselves it opens evidence anew, once for each party. After the window anyone of the parties
settles, and nothing judges the consignment again.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from consortium.app.contracts import (
    STATUS_BOUND,
    STATUS_DISPUTED,
    STATUS_FINAL,
    STATUS_PROPOSED,
    Bound,
    require_bound,
)
from consortium.app.cosignatures import require_cosignatures
from consortium.app.parties import require_version
from consortium.app.refusal import Code, Refused
from consortium.app.state import BlockContext, Draft
from consortium.transaction import (
    KIND_OBJECT,
    KIND_SETTLE,
    KIND_VERDICT,
    Transaction,
    fields,
)
from ledger.canonical import encode
from ledger.hashing import HASH_BYTES, tagged

WAY_COSIGNED, WAY_JUDGED = 1, 2
SALT_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A verdict that waits for its window. data: its bytes where the validators drew it."""

    way: int
    digest: bytes
    data: bytes | None
    proposed_ms: int
    until_ms: int
    objections: tuple[tuple[bytes, int, bytes], ...] = ()

    def to_value(self) -> list[Any]:
        """The row under ["verdict", consignment-id], without its version."""
        return [
            self.way, self.digest, self.data, self.proposed_ms, self.until_ms,
            [list(row) for row in self.objections],
        ]  # fmt: skip  # in the order of the format


def commitment(verdict: bytes, salt: bytes) -> bytes:
    """What the chain holds of a verdict that the parties agree on."""
    return tagged("wharf/verdict-commit/1", salt + verdict)


def agreed_digest(consignment_id: bytes, committed: bytes) -> bytes:
    """What the parties sign: the consignment is named outside the salt."""
    return tagged("wharf/verdict-agreed/1", encode([consignment_id, committed]))


def propose(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Records a verdict that all parties signed; the same again changes nothing.

    It also ends a dispute: what all agree on needs no judge.
    """
    version, consignment_id, committed, rows = fields(transaction.body, int, bytes, bytes, list)
    require_version(version)
    bound, core = require_bound(draft, transaction, consignment_id)
    if len(committed) != HASH_BYTES:
        raise Refused(Code.BODY_WRONG, "the commitment is not 32 bytes")
    known = proposal_of(draft, consignment_id)
    if known is not None and known.digest == committed and bound.status != STATUS_DISPUTED:
        return (Code.ACCEPTED,)
    if bound.status not in (STATUS_BOUND, STATUS_DISPUTED):
        raise Refused(Code.CONSIGNMENT_STATE, "a verdict is proposed or final already")
    require_cosignatures(
        draft,
        rows,
        kind=KIND_VERDICT,
        digest=agreed_digest(consignment_id, committed),
        parties=core.party_ids,
        context=context,
    )
    put_proposal(
        draft, consignment_id, bound, way=WAY_COSIGNED, digest=committed, data=None,
        window_ms=core.window_ms, context=context,
    )  # fmt: skip  # as it is declared
    return (Code.ACCEPTED,)


def put_proposal(
    draft: Draft,
    consignment_id: bytes,
    bound: Bound,
    *,
    way: int,
    digest: bytes,
    data: bytes | None,
    window_ms: int,
    context: BlockContext,
) -> None:
    """Sets the proposal; objections that were made before stay with it."""
    before = proposal_of(draft, consignment_id)
    made = Proposal(
        way=way,
        digest=digest,
        data=data,
        proposed_ms=context.time_ms,
        until_ms=context.time_ms + window_ms,
        objections=before.objections if before else (),
    )
    draft.put(("verdict", consignment_id), *made.to_value())
    put_status(draft, consignment_id, bound, status=STATUS_PROPOSED)
    draft.record(0, KIND_VERDICT, consignment_id, way, digest, made.until_ms)


def proposal_of(draft: Draft, consignment_id: bytes) -> Proposal | None:
    """The consignment's proposal, None where there is none."""
    row = draft.get("verdict", consignment_id)
    if row is None:
        return None
    way, digest, data, proposed_ms, until_ms, objections = row
    return Proposal(
        way=way,
        digest=digest,
        data=data,
        proposed_ms=proposed_ms,
        until_ms=until_ms,
        objections=tuple((party, at_ms, reason) for party, at_ms, reason in objections),
    )


def put_status(draft: Draft, consignment_id: bytes, bound: Bound, *, status: int) -> None:
    """Moves a consignment to another status."""
    draft.put(("bound", consignment_id), *replace(bound, status=status).to_value())


def object_to(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """A party objects within the window; each party once to the same consignment."""
    version, consignment_id, reason = fields(transaction.body, int, bytes, bytes)
    require_version(version)
    bound, _ = require_bound(draft, transaction, consignment_id)
    known = proposal_of(draft, consignment_id)
    if len(reason) != HASH_BYTES:
        raise Refused(Code.BODY_WRONG, "the reason's digest is not 32 bytes")
    if known is None or bound.status != STATUS_PROPOSED:
        raise Refused(Code.CONSIGNMENT_STATE, "no verdict waits for objections")
    if context.time_ms >= known.until_ms:
        raise Refused(Code.WINDOW_OVER, f"the window ended at {known.until_ms}")
    party = transaction.sender.id
    if party in {row[0] for row in known.objections}:
        raise Refused(Code.CONSIGNMENT_STATE, "this party has objected before")
    row = (party, context.time_ms, reason)
    draft.put(
        ("verdict", consignment_id), *replace(known, objections=(*known.objections, row)).to_value()
    )
    put_status(draft, consignment_id, bound, status=STATUS_DISPUTED)
    draft.record(0, KIND_OBJECT, consignment_id, party, reason)
    return (Code.ACCEPTED,)


def settle(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Makes a verdict final once its window has ended; final already is harmless."""
    version, consignment_id = fields(transaction.body, int, bytes)
    require_version(version)
    bound, _ = require_bound(draft, transaction, consignment_id)
    known = proposal_of(draft, consignment_id)
    if bound.status == STATUS_FINAL:
        return (Code.ACCEPTED,)
    if known is None or bound.status != STATUS_PROPOSED:
        raise Refused(Code.CONSIGNMENT_STATE, "no verdict waits for its window")
    if context.time_ms < known.until_ms:
        raise Refused(Code.WINDOW_OPEN, f"the window ends at {known.until_ms}")
    put_status(draft, consignment_id, bound, status=STATUS_FINAL)
    draft.record(0, KIND_SETTLE, consignment_id, known.way, known.digest)
    return (Code.ACCEPTED,)
