"""Kind 30: goods change hands. Body: [ 1, document: bstr, [+ [party-id, kid, signature]] ].

The document is logistics.hand_over's; only the present holder gives, and the numbers follow each
other, so nothing can be played again or put in front. A key counts if it is good when this arrives:
a phone that was revoked meanwhile signs nothing any more, whatever time it wrote.
"""

from typing import Any, Final

from consortium.app.checked_once import public_key, verifies
from consortium.app.consignments import (
    CONSIGNEE,
    HAND_OVERS,
    HOLDER,
    LEGS,
    OWNER,
    STATUS,
    require_consignment,
)
from consortium.app.parties import is_suspended, require_version
from consortium.app.refusal import Code, Refused
from consortium.app.state import BlockContext, Draft
from consortium.errors import MalformedError
from consortium.transaction import KIND_HAND_OVER, Transaction, fields
from ledger.errors import InputError
from logistics.hand_over import ONE_SIDED, HandOver, decode_hand_over

SIGNATURES_MAX: Final = 2


def hand_over(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Moves custody by one document that its sides signed."""
    version, data, signatures = fields(transaction.body, int, bytes, list)
    require_version(version)
    try:
        document = decode_hand_over(data)
    except InputError as error:
        raise Refused(Code.BODY_WRONG, str(error)) from error
    if document.chain_id != context.chain_id:
        raise Refused(Code.OTHER_CHAIN, f"signed for chain {document.chain_id!r}")
    row = require_consignment(draft, document.consignment_id)
    _check_place(draft, document, row)
    _check_signatures(draft, document, signatures, context)
    if transaction.sender.id not in (document.giver, document.taker, row[OWNER]):
        raise Refused(Code.UNAUTHORISED, "neither side of the hand-over, nor the owner")
    row[HOLDER] = document.taker
    row[HAND_OVERS] += 1
    draft.put(("consignment", document.consignment_id), *row)
    draft.put(
        ("custody", document.consignment_id, document.number),
        document.giver,
        document.taker,
        document.signed_ms,
        context.time_ms,
        int(document.strength),
        document.digest,
    )
    draft.record(0, KIND_HAND_OVER, document.digest, data, signatures)
    return (Code.ACCEPTED,)


def _check_place(draft: Draft, document: HandOver, row: list[Any]) -> None:
    """The hand-over is the next one of this consignment, by whoever holds it, to one of its own."""
    known = draft.get("custody", document.consignment_id, document.number)
    if known is not None:
        same = known[-1] == document.digest
        code = Code.HAND_OVER_KNOWN if same else Code.HAND_OVER_ORDER
        raise Refused(code, "this one is held already" if same else "another has this number")
    if document.number != row[HAND_OVERS]:
        raise Refused(Code.HAND_OVER_ORDER, f"number {row[HAND_OVERS]} comes next")
    if row[STATUS]:
        raise Refused(Code.CONSIGNMENT_CLOSED, "it was released or rejected already")
    if document.giver != row[HOLDER]:
        raise Refused(Code.NOT_HOLDER, "the giver does not hold it")
    carriers = {leg[0] for leg in row[LEGS] if leg[2]}
    if document.taker not in carriers | {row[OWNER], row[CONSIGNEE]}:
        raise Refused(Code.NOT_HOLDER, "the taker has accepted no leg, and is not its consignee")


def _check_signatures(
    draft: Draft, document: HandOver, signatures: list[Any], context: BlockContext
) -> None:
    wanted = [document.giver]
    if document.strength not in ONE_SIDED:
        wanted.append(document.taker)
    if not 0 < len(signatures) <= SIGNATURES_MAX:
        raise Refused(Code.HAND_OVER_SIGNATURE, "not one or two signatures")
    signed = []
    for item in signatures:
        try:
            party_id, kid, signature = fields(item, bytes, bytes, bytes)
        except MalformedError as error:
            raise Refused(Code.BODY_WRONG, f"signature: {error}") from error
        alg, spki = _key(draft, party_id, kid, context)
        if not verifies(public_key(alg, spki), document.tbs, signature):
            raise Refused(Code.HAND_OVER_SIGNATURE, "a signature does not verify")
        signed.append(party_id)
    if sorted(signed) != sorted(wanted):
        raise Refused(Code.HAND_OVER_SIGNATURE, "not signed by the sides that its strength names")


def _key(draft: Draft, party_id: bytes, kid: bytes, context: BlockContext) -> tuple[int, bytes]:
    """The party's own key, or that of its delegate for hand-overs, if it is good now."""
    if is_suspended(draft, party_id):
        raise Refused(Code.PARTY_SUSPENDED, "a side of it is suspended")
    party, key = draft.get("party", party_id), draft.get("signer", kid)
    if party is not None and key is not None and key[0] == party_id and key[2] is None:
        return party[1], party[2]
    row = draft.get("delegate", kid)
    if row is None or row[0] != party_id or KIND_HAND_OVER not in row[5]:
        raise Refused(Code.HAND_OVER_KEY, "no key of that organisation for hand-overs")
    until_height, until_ms, _, ended_ms = row[7:]
    late = until_height is not None and until_height < context.height
    if late or ended_ms is not None or (until_ms is not None and until_ms < context.time_ms):
        raise Refused(Code.HAND_OVER_KEY, "the key was ended, or its time is over")
    return row[3], row[4]
