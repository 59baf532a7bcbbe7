"""Kinds 20 to 23: consignments, their legs, who may see them, and how they end.

    consignment = [ 1, consignment-id, version, digest, limits / null, [+ leg], consignee ]
    leg         = [ carrier: party-id, [* device-id] ]
    accept leg  = [ 1, consignment-id, version, leg-number ]
    close       = [ 1, consignment-id, decision, reason-digest ]       decision: 1 release, 2 reject
    grant       = [ 1, consignment-id, party-id, from-ms, to-ms / null ]

What it is, where it goes and what it costs stays outside, bound by the digest (salted, over the
consignment's own document). Limits are milli-degrees, [low, high]: whoever judges needs them.
"""

from typing import Any, Final

from consortium.app.parties import require_party, require_version
from consortium.app.refusal import Code, Refused
from consortium.app.state import BlockContext, Draft
from consortium.errors import MalformedError
from consortium.transaction import (
    ID_BYTES,
    KIND_ACCEPT_LEG,
    KIND_CLOSE,
    KIND_CONSIGNMENT,
    KIND_GRANT,
    Transaction,
    fields,
)
from ledger.hashing import HASH_BYTES

LEGS_MAX, DEVICES_MAX = 16, 64
DEVICE_ID_BYTES_MAX: Final = 256
MILLI_MAX: Final = 1_000_000
TIME_MS_MAX: Final = 253_402_300_799_999
OPEN, RELEASED, REJECTED = 0, 1, 2

Row = list[Any]  # [owner, version, digest, limits, legs, consignee, status, holder, hand-overs, ms]
OWNER, NUMBER, DIGEST, LIMITS, LEGS, CONSIGNEE, STATUS, HOLDER, HAND_OVERS, CREATED_MS = range(10)


def state(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Records a consignment, or its next version; the newest one again changes nothing."""
    version, id_, number, digest, limits, legs, consignee = fields(
        transaction.body, int, bytes, int, bytes, (list, type(None)), list, bytes
    )
    require_version(version)
    if len(id_) != ID_BYTES or len(digest) != HASH_BYTES:
        raise Refused(Code.BODY_WRONG, "the id is not 16 bytes, or the digest not 32")
    _check_limits(limits)
    checked = [_checked_leg(draft, leg) for leg in _bounded(legs)]
    require_party(draft, consignee)
    owner = transaction.sender.id
    known = draft.get("consignment", id_)
    if known is not None and known[OWNER] != owner:
        raise Refused(Code.CONSIGNMENT_TAKEN, "another organisation's consignment has this id")
    if known is not None and known[NUMBER] == number and known[DIGEST] == digest:
        return (Code.ACCEPTED,)
    if number != (known[NUMBER] if known else 0) + 1:
        raise Refused(Code.VERSION_TAKEN, f"version {number} is not the next one")
    row: Row = [owner, number, digest, limits, checked, consignee, OPEN, owner, 0, context.time_ms]
    if known is not None:
        _require_open(known)
        _keep_accepted(known, row)
    draft.put(("consignment", id_), *row)
    draft.record(0, KIND_CONSIGNMENT, id_, number, digest, owner)
    return (Code.ACCEPTED,)


def _keep_accepted(known: Row, row: Row) -> None:
    """A leg that its carrier accepted stands in every later version as it was."""
    for at, leg in enumerate(known[LEGS]):
        if leg[2]:
            if at >= len(row[LEGS]) or row[LEGS][at][:2] != leg[:2]:
                raise Refused(Code.LEG_ACCEPTED, f"leg {at} was accepted by its carrier")
            row[LEGS][at] = leg
    row[HOLDER:] = known[HOLDER:]


def _check_limits(limits: Any) -> None:
    if limits is None:
        return
    try:
        low, high = fields(limits, int, int)
    except MalformedError as error:
        raise Refused(Code.BODY_WRONG, f"limits: {error}") from error
    if not -MILLI_MAX <= low <= high <= MILLI_MAX:
        raise Refused(Code.BODY_WRONG, "limits are not low and high in milli-degrees")


def _bounded(legs: list[Any]) -> list[Any]:
    if not 0 < len(legs) <= LEGS_MAX:
        raise Refused(Code.TOO_MANY_ITEMS, f"not 1 to {LEGS_MAX} legs")
    return legs


def _checked_leg(draft: Draft, leg: Any) -> list[Any]:
    try:
        carrier, devices = fields(leg, bytes, list)
    except MalformedError as error:
        raise Refused(Code.BODY_WRONG, f"leg: {error}") from error
    require_party(draft, carrier)
    fit = all(type(d) is str and 0 < len(d.encode()) <= DEVICE_ID_BYTES_MAX for d in devices)
    if len(devices) > DEVICES_MAX or not fit or len(set(devices)) != len(devices):
        raise Refused(Code.BODY_WRONG, f"devices are not at most {DEVICES_MAX} ids, each once")
    return [carrier, devices, False]


def require_consignment(draft: Draft, id_: bytes) -> Row:
    """The consignment's row; refuses where there is none."""
    row = draft.get("consignment", id_)
    if row is None:
        raise Refused(Code.NO_CONSIGNMENT, "no consignment has this id")
    return row


def _require_open(row: Row) -> None:
    if row[STATUS] != OPEN:
        raise Refused(Code.CONSIGNMENT_CLOSED, "it was released or rejected already")


def accept_leg(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """A carrier takes on a leg of the version that it saw."""
    del context  # the log leaf carries the time
    version, id_, number, at = fields(transaction.body, int, bytes, int, int)
    require_version(version)
    row = require_consignment(draft, id_)
    _require_open(row)
    if number != row[NUMBER] or not 0 <= at < len(row[LEGS]):
        raise Refused(Code.LEG_UNKNOWN, "no such leg in the newest version")
    leg = row[LEGS][at]
    if leg[0] != transaction.sender.id:
        raise Refused(Code.UNAUTHORISED, "another carrier's leg")
    if not leg[2]:
        leg[2] = True
        draft.put(("consignment", id_), *row)
        draft.record(0, KIND_ACCEPT_LEG, id_, number, at, leg[0])
    return (Code.ACCEPTED,)


def close(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Owner or consignee releases or rejects it, with a reason that stays outside."""
    del context  # the log leaf carries the time
    version, id_, decision, reason = fields(transaction.body, int, bytes, int, bytes)
    require_version(version)
    row = require_consignment(draft, id_)
    sender = transaction.sender.id
    if sender not in (row[OWNER], row[CONSIGNEE]):
        raise Refused(Code.UNAUTHORISED, "neither its owner nor its consignee")
    if decision not in (RELEASED, REJECTED) or len(reason) != HASH_BYTES:
        raise Refused(Code.BODY_WRONG, "not a decision with the digest of its reason")
    _require_open(row)
    row[STATUS] = decision
    draft.put(("consignment", id_), *row)
    draft.record(0, KIND_CLOSE, id_, decision, reason, sender)
    return (Code.ACCEPTED,)


def grant(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Its owner opens it to an organisation for an interval; an earlier end revokes what is left.

    What was seen before stays seen: a grant can only be ended for the future.
    """
    version, id_, party_id, from_ms, to_ms = fields(
        transaction.body, int, bytes, bytes, int, (int, type(None))
    )
    require_version(version)
    row = require_consignment(draft, id_)
    if transaction.sender.id != row[OWNER]:
        raise Refused(Code.UNAUTHORISED, "not its owner")
    require_party(draft, party_id)
    if not 0 <= from_ms <= (TIME_MS_MAX if to_ms is None else to_ms) <= TIME_MS_MAX:
        raise Refused(Code.BODY_WRONG, "the interval ends before it begins, or is out of range")
    draft.put(("consignment-grant", id_, party_id), from_ms, to_ms, context.time_ms)
    draft.record(0, KIND_GRANT, id_, party_id, from_ms, to_ms)
    return (Code.ACCEPTED,)
