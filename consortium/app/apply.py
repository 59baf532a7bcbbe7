"""From transaction bytes to what they change, or to the refusal that they meet. Pure.

Order of the checks, each with its own code: size and form, chain, expiry, replay, sender and key,
signature, the right to send this kind, then the kind's own rules.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from consortium.app import (
    anchors,
    configurations,
    conflicts,
    consignments,
    contracts,
    delegations,
    deposits,
    devices,
    disputes,
    epochs,
    gateway_keys,
    gateways,
    hand_overs,
    parties,
    proposals,
    statements,
    traces,
    verdicts,
)
from consortium.app.checked_once import public_key, taken_apart, verifies
from consortium.app.refusal import Code, Refused
from consortium.app.rights import KINDS_OF_GATEWAY, ROLES_OF_KIND
from consortium.app.state import BlockContext, Draft
from consortium.errors import MalformedError
from consortium.transaction import (
    KIND_ACCEPT_LEG,
    KIND_ACCESS,
    KIND_ANCHORS,
    KIND_BIND,
    KIND_BRAND,
    KIND_BRAND_SEEN,
    KIND_CASE,
    KIND_CLOSE,
    KIND_CONFIGURATION,
    KIND_CONFLICT,
    KIND_CONSIGNMENT,
    KIND_CONTRACT,
    KIND_DELEGATE,
    KIND_DEPOSIT,
    KIND_DEVICE,
    KIND_END_KEY,
    KIND_EPOCH,
    KIND_EVENTS,
    KIND_EVIDENCE,
    KIND_GATEWAY,
    KIND_GRANT,
    KIND_HAND_OVER,
    KIND_IDENTITY,
    KIND_JUDGE,
    KIND_MIRRORED,
    KIND_OBJECT,
    KIND_OPENED,
    KIND_PARTY,
    KIND_PARTY_KEY,
    KIND_PROPOSE,
    KIND_RECALL,
    KIND_RETIRE,
    KIND_REVOKE,
    KIND_ROTATE,
    KIND_SETTLE,
    KIND_THINGS,
    KIND_VERDICT,
    KIND_VOTE,
    NOT_AFTER_AHEAD_MAX,
    SENDER_PARTY,
    TX_BYTES_MAX,
    Transaction,
)
from ledger.canonical import encode
from ledger.errors import InputError

Handler = Callable[[Draft, Transaction, BlockContext], tuple[Code, ...]]

HANDLERS: Final[Mapping[int, Handler]] = {
    KIND_PARTY: parties.admit,
    KIND_GATEWAY: gateways.enrol,
    KIND_DEVICE: devices.record_devices,
    KIND_ANCHORS: anchors.anchor_heads,
    KIND_MIRRORED: statements.mirrored,
    KIND_OPENED: statements.opened,
    KIND_REVOKE: gateway_keys.revoke,
    KIND_CONFLICT: conflicts.report,
    KIND_ROTATE: gateway_keys.rotate,
    KIND_RETIRE: gateway_keys.retire,
    KIND_CONFIGURATION: configurations.configure,
    KIND_PROPOSE: proposals.propose,
    KIND_VOTE: proposals.vote,
    KIND_PARTY_KEY: parties.change_key,
    KIND_IDENTITY: parties.identify,
    KIND_DELEGATE: delegations.delegate,
    KIND_END_KEY: delegations.end_key,
    KIND_EPOCH: epochs.open_epoch,
    KIND_CONSIGNMENT: consignments.state,
    KIND_ACCEPT_LEG: consignments.accept_leg,
    KIND_CLOSE: consignments.close,
    KIND_GRANT: consignments.grant,
    KIND_HAND_OVER: hand_overs.hand_over,
    KIND_CONTRACT: contracts.register,
    KIND_BIND: contracts.bind,
    KIND_VERDICT: verdicts.propose,
    KIND_CASE: disputes.open_case,
    KIND_EVIDENCE: disputes.take_evidence,
    KIND_JUDGE: disputes.judge_case,
    KIND_OBJECT: verdicts.object_to,
    KIND_SETTLE: verdicts.settle,
    KIND_DEPOSIT: deposits.deposit,
    KIND_ACCESS: deposits.access,
    KIND_BRAND: traces.claim_brand,
    KIND_BRAND_SEEN: traces.verify_brand,
    KIND_THINGS: traces.claim_things,
    KIND_EVENTS: traces.say_events,
    KIND_RECALL: traces.recall,
}


@dataclass(frozen=True, slots=True)
class TxResult:
    """Outcome of a transaction; `item_codes` one per item.

    In no hash: `text` is for people, `records` says how many log leaves it gave. None: nothing
    changed.
    """

    code: Code
    item_codes: tuple[Code, ...] = ()
    text: str = ""
    records: int = 0

    @property
    def data(self) -> bytes:
        """The bytes that the engine hashes with the code: the items' codes, or nothing."""
        return encode([int(code) for code in self.item_codes]) if self.item_codes else b""


def decode_checked(data: bytes) -> Transaction:
    """The transaction in these bytes; raises Refused by its size or form."""
    if len(data) > TX_BYTES_MAX:
        raise Refused(Code.OVERSIZED, f"{len(data)} bytes, more than {TX_BYTES_MAX}")
    try:
        return taken_apart(data)
    except MalformedError as error:
        raise Refused(Code.MALFORMED, str(error)) from error


def check(draft: Draft, transaction: Transaction, context: BlockContext) -> None:
    """Raises Refused unless the transaction is for this chain, alive, new, and signed by its
    sender.
    """
    if transaction.chain_id != context.chain_id:
        raise Refused(Code.OTHER_CHAIN, f"for chain {transaction.chain_id!r}")
    if transaction.not_after < context.height:
        raise Refused(Code.EXPIRED, f"not after height {transaction.not_after}")
    if transaction.not_after > context.height + NOT_AFTER_AHEAD_MAX:
        raise Refused(Code.EXPIRY_TOO_FAR, f"expires more than {NOT_AFTER_AHEAD_MAX} heights ahead")
    if transaction.kind not in HANDLERS:
        raise Refused(Code.KIND_UNKNOWN, f"kind {transaction.kind}")
    if draft.is_marked(transaction.tx_id):
        raise Refused(Code.REPLAYED, "accepted before")
    alg, spki = _sender_key(draft, transaction, context)
    if alg != transaction.alg:
        raise Refused(Code.KEY_NOT_SENDERS, "another algorithm than the key's")
    if not verifies(public_key(alg, spki), transaction.tbs, transaction.signature):
        raise Refused(Code.SIGNATURE_WRONG, "the signature does not verify")
    _require_right(draft, transaction)


def _sender_key(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[int, bytes]:
    """(algorithm, SPKI) of the sender's key, if it is the one named and neither it nor the sender
    has ended.
    """
    sender = transaction.sender
    is_party = sender.kind == SENDER_PARTY
    known = draft.get("party" if is_party else "gateway", sender.id)
    if known is None:
        raise Refused(Code.SENDER_UNKNOWN, "the sender is not on this chain")
    if parties.is_suspended(draft, sender.id if is_party else known[0]):
        raise Refused(Code.PARTY_SUSPENDED, "the organisation is suspended")
    key = draft.get("signer" if is_party else "key", transaction.kid)
    if is_party and key is None:
        row = delegations.require_delegate(draft, transaction, context)
        return row[3], row[4]
    if key is None or key[0] != sender.id:
        raise Refused(Code.KEY_NOT_SENDERS, "the key is not the sender's")
    if key[2] is not None:
        raise Refused(Code.KEY_REVOKED, "the key is revoked")
    return known[1], known[2]


def _require_right(draft: Draft, transaction: Transaction) -> None:
    sender = transaction.sender
    if sender.kind != SENDER_PARTY:
        allowed = transaction.kind in KINDS_OF_GATEWAY
    else:
        role = parties.require_party(draft, sender.id)[3]
        allowed = role in ROLES_OF_KIND.get(transaction.kind, frozenset())
    if not allowed:
        raise Refused(Code.UNAUTHORISED, "the sender's role does not allow this")


def deliver(draft: Draft, data: bytes, context: BlockContext) -> tuple[TxResult, bytes | None]:
    """Applies one transaction to the draft: (result, transaction id), or a refusal and no trace."""
    fork = draft.fork()
    try:
        transaction = decode_checked(data)
        check(draft, transaction, context)
        codes = HANDLERS[transaction.kind](fork, transaction, context)
    except Refused as refused:
        return TxResult(refused.code, text=refused.text), None
    except (MalformedError, InputError) as error:
        return TxResult(Code.BODY_WRONG, text=str(error)), None
    if Code.ACCEPTED not in codes:
        return TxResult(codes[0], codes, "no item was accepted"), None
    if fork.records:
        # What changed nothing may be sent again for ever: there is nothing to guard.
        fork.mark(transaction.tx_id, transaction.not_after)
    draft.adopt(fork)
    return TxResult(Code.ACCEPTED, codes, records=len(fork.records)), transaction.tx_id
