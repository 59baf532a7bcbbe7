"""Kinds 50 and 51: what was deposited as evidence, and who looked at it or took a copy.

    deposit = [ 1, digest, what ]      what: 1 deposit file, 2 verifier's page, 3 other document
    access  = [ 1, digest, action ]    action: 1 shown, 2 exported, 3 verified

Any organisation may deposit and any may look: the chain says who and when, the file stays outside.
"""

from typing import Final

from consortium.app.parties import require_version
from consortium.app.refusal import Code, Refused
from consortium.app.state import BlockContext, Draft
from consortium.transaction import KIND_ACCESS, KIND_DEPOSIT, Transaction, fields
from ledger.hashing import HASH_BYTES

DEPOSIT_FILE, VERIFIER_PAGE, OTHER_DOCUMENT = 1, 2, 3
WHATS: Final = frozenset({DEPOSIT_FILE, VERIFIER_PAGE, OTHER_DOCUMENT})
SHOWN, EXPORTED, VERIFIED = 1, 2, 3
ACTIONS: Final = frozenset({SHOWN, EXPORTED, VERIFIED})


def deposit(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Records a document's digest under the sender; the sender's own again changes nothing."""
    digest, what = _checked(transaction, WHATS)
    known = draft.get("deposit", digest)
    party_id = transaction.sender.id
    if known is not None and known[:2] != [party_id, what]:
        raise Refused(Code.DEPOSIT_EXISTS, "deposited before, by another or as something else")
    if known is None:
        draft.put(("deposit", digest), party_id, what, context.time_ms)
        draft.record(0, KIND_DEPOSIT, digest, what, party_id)
    return (Code.ACCEPTED,)


def access(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Records that the sender looked at a deposit; every time counts."""
    digest, action = _checked(transaction, ACTIONS)
    if draft.get("deposit", digest) is None:
        raise Refused(Code.DEPOSIT_UNKNOWN, "nothing with this digest was deposited")
    counted = draft.get("accesses", digest)
    draft.put(("accesses", digest), (counted[0] if counted else 0) + 1, context.time_ms)
    draft.record(0, KIND_ACCESS, digest, action, transaction.sender.id)
    return (Code.ACCEPTED,)


def _checked(transaction: Transaction, numbers: frozenset[int]) -> tuple[bytes, int]:
    version, digest, number = fields(transaction.body, int, bytes, int)
    require_version(version)
    if len(digest) != HASH_BYTES or number not in numbers:
        raise Refused(Code.BODY_WRONG, "not a digest of 32 bytes, or a number that is not known")
    return digest, number
