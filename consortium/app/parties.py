"""Kinds 1, 11 and 12: an operator admits a party, a party changes its key, others identify it.

admit     = [ 1, name, alg, spki, role ]
party-key = [ 1, alg, spki, proof ]             ; proof: `possession`, for the sender's party id
identity  = [ 1, party-id, scheme, number ]     ; the sender says that it verified this
"""

from typing import Any, Final

from consortium.app.legal_ids import require_legal_id
from consortium.app.possession import require_possession
from consortium.app.refusal import Code, Refused
from consortium.app.state import BlockContext, Draft, put_party
from consortium.transaction import (
    KIND_IDENTITY,
    KIND_PARTY,
    KIND_PARTY_KEY,
    SENDER_PARTY,
    Transaction,
    fields,
)
from ledger.chain_genesis import ROLES, party_id_of
from ledger.errors import FormatError
from ledger.signing import PublicKey, kid_of

NAME_CHARACTERS_MAX: Final = 100
IDENTITIES_MAX: Final = 16


def admit(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Admits one party; the same again changes nothing."""
    version, name, alg, spki, role = fields(transaction.body, int, str, int, bytes, int)
    require_version(version)
    if context.rules.votes_min > 1:
        raise Refused(Code.VOTE_NEEDED, "this chain's organisations are admitted by vote")
    put_new_party(draft, [name, alg, spki, role], context)
    return (Code.ACCEPTED,)


def put_new_party(draft: Draft, row: list[Any], context: BlockContext) -> bytes:
    """Admits (name, algorithm, key, role) and gives the party's id; the same again is harmless."""
    name, alg, spki, role = row
    if role not in ROLES or not 0 < len(name) <= NAME_CHARACTERS_MAX:
        raise Refused(Code.BODY_WRONG, "role or name out of range")
    try:
        PublicKey(alg, spki)
    except FormatError as error:
        raise Refused(Code.BODY_WRONG, str(error)) from error
    party_id = party_id_of(name, alg, spki)
    known = draft.get("party", party_id)
    if known is not None:
        # The id names the first name and key: a key that was changed since does not matter.
        if known[3] == role:
            return party_id
        raise Refused(Code.PARTY_EXISTS, "the party is admitted with another role")
    require_new_key(draft, kid_of(spki))
    put_party(draft, (party_id, name, alg, spki, role), context.time_ms)
    draft.record(0, KIND_PARTY, party_id, name, alg, spki, role)
    return party_id


def change_key(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Gives the sending party another key from this block on; the same again changes nothing."""
    version, alg, spki, proof = fields(transaction.body, int, int, bytes, bytes)
    require_version(version)
    put_party_key(draft, transaction.sender.id, [alg, spki, proof], context=context)
    return (Code.ACCEPTED,)


def put_party_key(draft: Draft, party_id: bytes, row: list[Any], *, context: BlockContext) -> None:
    """Ends a party's key, ended already or not, and sets (algorithm, key, proof) as its next."""
    alg, spki, proof = row
    party = require_party(draft, party_id)
    if party[1:3] == [alg, spki] and signer_alive(draft, party):
        return
    require_possession(proof, chain_id=context.chain_id, party_id=party_id, alg=alg, spki=spki)
    require_new_key(draft, kid_of(spki))
    end_party_key(draft, party_id, context)
    name, _, _, role, admitted_ms = party
    draft.put(("party", party_id), name, alg, spki, role, admitted_ms)
    draft.put(("signer", kid_of(spki)), party_id, context.time_ms, None)
    draft.record(0, KIND_PARTY_KEY, party_id, alg, spki)


def signer_alive(draft: Draft, party: list[Any]) -> bool:
    """Whether a party's present key is not ended."""
    signer = draft.get("signer", kid_of(party[2]))
    return signer is not None and signer[2] is None


def end_party_key(draft: Draft, party_id: bytes, context: BlockContext) -> None:
    """Ends a party's present key from this block on, if it is not ended."""
    kid = kid_of(require_party(draft, party_id)[2])
    signer = draft.get("signer", kid)
    if signer is not None and signer[2] is None:
        draft.put(("signer", kid), party_id, signer[1], context.time_ms)


def identify(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Records a party's legal id, and that the sender verified it; the same again is harmless."""
    version, party_id, scheme, number = fields(transaction.body, int, bytes, str, str)
    require_version(version)
    if party_id == transaction.sender.id:
        raise Refused(Code.UNAUTHORISED, "nobody verifies its own legal id")
    put_identity(draft, party_id, [scheme, number, transaction.sender.id], context=context)
    return (Code.ACCEPTED,)


def put_identity(draft: Draft, party_id: bytes, row: list[Any], *, context: BlockContext) -> None:
    """Adds (scheme, number, verifier) to what is said of a party; nothing said is taken back."""
    require_party(draft, party_id)
    require_legal_id(row[0], row[1])
    known = draft.get("identity", party_id)
    said: list[list[Any]] = known[0] if known else []
    if row in [old[:3] for old in said]:
        return
    if len(said) >= IDENTITIES_MAX:
        raise Refused(Code.TOO_MANY_ITEMS, f"{IDENTITIES_MAX} legal ids are recorded already")
    draft.put(("identity", party_id), [*said, [*row, context.time_ms]])
    draft.record(0, KIND_IDENTITY, party_id, *row)


def require_party(draft: Draft, party_id: bytes) -> list[Any]:
    """The party's state: name, algorithm, key, role, admitted."""
    party = draft.get("party", party_id)
    if party is None:
        raise Refused(Code.PARTY_UNKNOWN, "no such party")
    return party


def is_suspended(draft: Draft, party_id: bytes) -> bool:
    """Whether the others suspended a party and did not restore it."""
    row = draft.get("suspended", party_id)
    return row is not None and row[1] is None


def require_version(version: int) -> None:
    """Refuses a body of another version than 1."""
    if version != 1:
        raise Refused(Code.BODY_WRONG, f"body version {version} is not known")


def require_role(draft: Draft, transaction: Transaction, *roles: int) -> list[object]:
    """The sending party's state, if it has one of these roles."""
    party = (
        draft.get("party", transaction.sender.id)
        if transaction.sender.kind == SENDER_PARTY
        else None
    )
    if party is None or party[3] not in roles:
        raise Refused(Code.UNAUTHORISED, "the sender's role does not allow this")
    return party


def require_new_key(draft: Draft, kid: bytes) -> None:
    """Refuses a key that a party, a gateway or a delegate holds or held."""
    if any(draft.get(name, kid) is not None for name in ("signer", "key", "delegate")):
        raise Refused(Code.KEY_IN_USE, "the key belongs to somebody already")
