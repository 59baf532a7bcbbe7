"""Kinds 9 and 10: what the organisations decide together. One vote each, none about oneself.

propose = [ 1, action, until-height ]           ; `actions`; the proposer's own vote is yes
vote    = [ 1, proposal-id, yes: bool ]         ; proposal-id is the proposing transaction's id

Voters are the parties behind validators. An action is in effect in the block of the vote that
decides: at least the genesis document's number of yes votes and more than half of those who may
vote, or all of them where they are fewer. A vote whose action does not fit any more is refused.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from consortium.app.actions import carry_out, concerned
from consortium.app.parties import require_version
from consortium.app.refusal import Code, Refused
from consortium.app.state import BlockContext, Draft
from consortium.app.validator_changes import voters
from consortium.transaction import (
    KIND_PROPOSE,
    KIND_VOTE,
    NOT_AFTER_AHEAD_MAX,
    Transaction,
    fields,
)

OPEN, PASSED, REJECTED = 1, 2, 3
OPEN_MAX: Final = 64
OPEN_OF_PARTY_MAX: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A proposal as the state holds it; `until` is the last chain height for a vote."""

    action: list[Any]
    proposer: bytes
    until: int
    status: int = OPEN
    yes: tuple[bytes, ...] = ()
    no: tuple[bytes, ...] = ()
    opened_ms: int
    closed_ms: int | None = None

    def to_row(self) -> list[Any]:
        """The elements in their order in the state."""
        return [
            self.action, self.proposer, self.until, self.status, list(self.yes), list(self.no),
            self.opened_ms, self.closed_ms,
        ]  # fmt: skip  # in the order of the format


def read_proposal(row: list[Any]) -> Proposal:
    """The proposal in a state row."""
    action, proposer, until, status, yes, no, opened_ms, closed_ms = row
    return Proposal(
        action=action,
        proposer=proposer,
        until=until,
        status=status,
        yes=tuple(yes),
        no=tuple(no),
        opened_ms=opened_ms,
        closed_ms=closed_ms,
    )


def votes_needed(eligible: int, votes_min: int) -> int:
    """Yes votes that decide among this many voters."""
    return min(eligible, max(votes_min, eligible // 2 + 1))


def propose(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Opens a proposal; where the proposer's vote is enough it is carried out at once."""
    version, action, until = fields(transaction.body, int, list, int)
    require_version(version)
    proposer = transaction.sender.id
    _require_voter(draft, proposer)
    if not context.height <= until <= context.height + NOT_AFTER_AHEAD_MAX:
        raise Refused(Code.BODY_WRONG, f"until is not within {NOT_AFTER_AHEAD_MAX} heights")
    about = concerned(draft, action)
    carry_out(
        draft.fork(), action, proposer=proposer, context=context
    )  # what cannot be done is not asked for
    proposal = Proposal(
        action=action, proposer=proposer, until=until, opened_ms=context.time_ms,
        yes=() if proposer == about else (proposer,),
    )  # fmt: skip  # one line of what is given, one of what follows
    _put_open(draft, transaction.tx_id, proposer, context)
    draft.record(0, KIND_PROPOSE, transaction.tx_id, proposer, until, action)
    _settle(draft, transaction.tx_id, proposal, context)
    return (Code.ACCEPTED,)


def vote(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Counts one party's vote; the same again changes nothing, another is refused."""
    version, proposal_id, yes = fields(transaction.body, int, bytes, bool)
    require_version(version)
    row = draft.get("proposal", proposal_id)
    if row is None:
        raise Refused(Code.PROPOSAL_UNKNOWN, "no such proposal")
    proposal, party = read_proposal(row), transaction.sender.id
    if party in (proposal.yes if yes else proposal.no):
        return (Code.ACCEPTED,)
    if party in proposal.yes or party in proposal.no:
        raise Refused(Code.VOTED_ALREADY, "the party voted otherwise")
    if proposal.status != OPEN or proposal.until < context.height:
        raise Refused(Code.PROPOSAL_CLOSED, "decided or expired")
    _require_voter(draft, party)
    if party == concerned(draft, proposal.action):
        raise Refused(Code.NO_VOTE, "nobody votes about itself")
    voted = (
        replace(proposal, yes=(*proposal.yes, party))
        if yes
        else replace(proposal, no=(*proposal.no, party))
    )
    settled = _settle(draft, proposal_id, voted, context)
    draft.record(0, KIND_VOTE, proposal_id, party, yes, settled.status)
    return (Code.ACCEPTED,)


def _require_voter(draft: Draft, party_id: bytes) -> None:
    if party_id not in voters(draft):
        raise Refused(Code.NO_VOTE, "only a party with a validator has a vote")


def _settle(
    draft: Draft, proposal_id: bytes, proposal: Proposal, context: BlockContext
) -> Proposal:
    eligible = voters(draft) - {concerned(draft, proposal.action)}
    needed = votes_needed(len(eligible), context.rules.votes_min)
    if len(eligible.intersection(proposal.yes)) >= needed:
        carry_out(draft, proposal.action, proposer=proposal.proposer, context=context)
        proposal = replace(proposal, status=PASSED, closed_ms=context.time_ms)
    elif len(eligible.difference(proposal.no)) < needed:
        proposal = replace(proposal, status=REJECTED, closed_ms=context.time_ms)
    draft.put(("proposal", proposal_id), *proposal.to_row())
    return proposal


def open_proposals(draft: Draft, height: int) -> dict[bytes, Proposal]:
    """Proposals that may still be voted on at a height, by id, in the order they were made."""
    row = draft.get("proposals")
    found = {}
    for proposal_id in row[0] if row else []:
        state = draft.get("proposal", proposal_id)
        proposal = read_proposal(state) if state is not None else None
        if proposal is not None and proposal.status == OPEN and proposal.until >= height:
            found[proposal_id] = proposal
    return found


def _put_open(draft: Draft, proposal_id: bytes, proposer: bytes, context: BlockContext) -> None:
    still_open = open_proposals(draft, context.height)
    own = sum(1 for proposal in still_open.values() if proposal.proposer == proposer)
    if len(still_open) >= OPEN_MAX or own >= OPEN_OF_PARTY_MAX:
        raise Refused(
            Code.TOO_MANY_OPEN, f"{OPEN_MAX} are open, or {OPEN_OF_PARTY_MAX} of one's own"
        )
    draft.put(("proposals",), [*still_open, proposal_id])
