"""Kind 1: an operator admits a party. Body: [ 1, name, alg, spki, role ]."""

from consortium.app.refusal import Code, Refused
from consortium.app.state import BlockContext, Draft, put_party
from consortium.transaction import SENDER_PARTY, Transaction, fields
from ledger.chain_genesis import ROLE_OPERATOR, ROLES, party_id_of
from ledger.errors import FormatError
from ledger.signing import PublicKey, kid_of

NAME_CHARACTERS_MAX = 100


def admit(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Admits one party; the same again changes nothing."""
    version, name, alg, spki, role = fields(transaction.body, int, str, int, bytes, int)
    require_version(version)
    require_role(draft, transaction, ROLE_OPERATOR)
    if context.rules.votes_min > 1:
        raise Refused(Code.VOTE_NEEDED, "this chain's organisations are admitted by vote")
    if role not in ROLES or not 0 < len(name) <= NAME_CHARACTERS_MAX:
        raise Refused(Code.BODY_WRONG, "role or name out of range")
    try:
        PublicKey(alg, spki)
    except FormatError as error:
        raise Refused(Code.BODY_WRONG, str(error)) from error
    party_id = party_id_of(name, alg, spki)
    known = draft.get("party", party_id)
    if known is not None:
        if known[:4] == [name, alg, spki, role]:
            return (Code.ACCEPTED,)
        raise Refused(Code.PARTY_EXISTS, "the party is admitted with another role")
    require_new_key(draft, kid_of(spki))
    put_party(draft, (party_id, name, alg, spki, role), context.time_ms)
    draft.record(0, 1, party_id, name, alg, spki, role)
    return (Code.ACCEPTED,)


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
    """Refuses a key that a party or a gateway holds already."""
    if draft.get("signer", kid) is not None or draft.get("key", kid) is not None:
        raise Refused(Code.KEY_IN_USE, "the key belongs to somebody already")
