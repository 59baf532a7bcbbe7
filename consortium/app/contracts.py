"""Kinds 40 and 41: contracts that all parties signed, and the consignments bound to them.

Contract: [ 1, core: bstr, [ + [party-id, signature] ] ]
Bind:     [ 1, consignment-id, contract-id, from-ms, to-ms, [ + device-id ],
            [ + [party-id, signature] ] ]

What is signed of a binding is SHA-256("wharf/bind/1" || all but version and signatures). With the
binding the chain notes what was last anchored of each feed in which the devices stand: evidence
begins there, so nothing behind the interval's beginning can be left out. A consignment keeps its
contract for good; binding it again, before a verdict, with all signatures, changes the rest.
"""

from dataclasses import dataclass
from typing import Any, Final

from consortium.app.cosignatures import require_cosignatures
from consortium.app.parties import require_version
from consortium.app.refusal import Code, Refused
from consortium.app.state import BlockContext, Draft
from consortium.transaction import KIND_BIND, KIND_CONTRACT, Transaction, fields
from ledger.canonical import encode
from ledger.hashing import tagged
from logistics.rules.contract import Core, decode_core
from logistics.rules.errors import RuleError

DEVICES_MAX: Final = 64
CONSIGNMENT_ID_BYTES: Final = (16, 32)
INTERVAL_MS_MAX: Final = 366 * 86_400_000

STATUS_BOUND, STATUS_PROPOSED, STATUS_DISPUTED, STATUS_FINAL = 1, 2, 3, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A consignment under its contract. bases: (feed, epoch, height, chain time) last anchored
    when it was bound.
    """

    contract_id: bytes
    from_ms: int
    to_ms: int
    devices: tuple[str, ...]
    status: int
    bases: tuple[tuple[bytes, int, int, int], ...]

    def to_value(self) -> list[Any]:
        """The row under ["bound", consignment-id], without its version."""
        return [
            self.contract_id, self.from_ms, self.to_ms, list(self.devices), self.status,
            [list(row) for row in self.bases],
        ]  # fmt: skip  # in the order of the format


def register(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Records a contract that every party signed; the same again changes nothing."""
    version, data, rows = fields(transaction.body, int, bytes, list)
    require_version(version)
    try:
        core = decode_core(data)
    except RuleError as error:
        raise Refused(Code.CONTRACT_WRONG, str(error)) from error
    if transaction.sender.id not in core.party_ids:
        raise Refused(Code.UNAUTHORISED, "not a party to the contract")
    if draft.get("contract", core.id) is not None:
        return (Code.ACCEPTED,)
    require_cosignatures(
        draft, rows, kind=KIND_CONTRACT, digest=core.digest, parties=core.party_ids, context=context
    )
    if core.supersedes is not None:
        _supersede(draft, core)
    draft.put(("contract", core.id), data, context.time_ms, None)
    draft.record(0, KIND_CONTRACT, core.id, core.version, core.supersedes)
    return (Code.ACCEPTED,)


def _supersede(draft: Draft, core: Core) -> None:
    """Ends an older version for new consignments; those bound to it keep it."""
    old_id = core.supersedes or b""
    old, row = require_contract(draft, old_id), draft.get("contract", old_id)
    if row is None or row[2] is not None:
        raise Refused(Code.CONTRACT_SUPERSEDED, "another version followed that contract already")
    if old.party_ids != core.party_ids or core.version <= old.version:
        raise Refused(Code.CONTRACT_WRONG, "not a later version between the same parties")
    draft.put(("contract", old_id), row[0], row[1], core.id)


def require_contract(draft: Draft, contract_id: bytes) -> Core:
    """The core of a registered contract."""
    row = draft.get("contract", contract_id)
    if row is None:
        raise Refused(Code.CONTRACT_UNKNOWN, "no such contract")
    return decode_core(row[0])


def bind(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Binds a consignment to a contract; the same again changes nothing."""
    version, *row, rows = fields(transaction.body, int, bytes, bytes, int, int, list, list)
    require_version(version)
    consignment_id, contract_id, from_ms, to_ms, devices = row
    core = require_contract(draft, contract_id)
    require_contracting(core, transaction)
    _check_binding(consignment_id, from_ms, to_ms, devices)
    known = draft.get("bound", consignment_id)
    bases = _bases(draft, devices, from_ms)
    if known is not None:
        old = bound_of(known)
        if (old.contract_id, old.from_ms, old.to_ms, list(old.devices)) == tuple(row[1:]):
            return (Code.ACCEPTED,)
        if old.status != STATUS_BOUND or old.contract_id != contract_id:
            raise Refused(Code.CONSIGNMENT_STATE, "bound to its contract, or judged already")
        kept = [base for base in old.bases if base[3] <= from_ms]
        bases = [*kept, *(b for b in bases if b[0] not in {base[0] for base in kept})]
    superseded = draft.get("contract", contract_id)
    if known is None and superseded is not None and superseded[2] is not None:
        raise Refused(Code.CONTRACT_SUPERSEDED, "a later version followed that contract")
    digest = binding_digest(row)
    require_cosignatures(
        draft, rows, kind=KIND_BIND, digest=digest, parties=core.party_ids, context=context
    )
    new = Bound(
        contract_id=contract_id,
        from_ms=from_ms,
        to_ms=to_ms,
        devices=tuple(devices),
        status=STATUS_BOUND,
        bases=tuple(sorted(bases)),
    )
    draft.put(("bound", consignment_id), *new.to_value())
    draft.record(0, KIND_BIND, consignment_id, contract_id, from_ms, to_ms, list(devices))
    return (Code.ACCEPTED,)


def binding_digest(row: list[Any]) -> bytes:
    """What the parties sign of [consignment-id, contract-id, from-ms, to-ms, devices]."""
    return tagged("wharf/bind/1", encode(row))


def _check_binding(consignment_id: bytes, from_ms: int, to_ms: int, devices: list[Any]) -> None:
    if len(consignment_id) not in CONSIGNMENT_ID_BYTES:
        raise Refused(Code.BODY_WRONG, "a consignment id is 16 or 32 bytes")
    if not 0 <= from_ms < to_ms <= from_ms + INTERVAL_MS_MAX:
        raise Refused(Code.BODY_WRONG, "the interval ends before it begins, or is over a year")
    if not 0 < len(devices) <= DEVICES_MAX or any(type(name) is not str for name in devices):
        raise Refused(Code.BODY_WRONG, f"not 1 to {DEVICES_MAX} devices")
    if devices != sorted(set(devices)):
        raise Refused(Code.BODY_WRONG, "devices do not ascend")


def _bases(draft: Draft, devices: list[str], from_ms: int) -> list[tuple[bytes, int, int, int]]:
    """What is anchored now of each feed in which the devices stand, if before the interval."""
    found = []
    feeds = {row[0] for name in devices for row in device_rows(draft, name)}
    for feed_id in sorted(feeds):
        epoch = epoch_of(draft, feed_id)
        anchored = draft.get("feed", feed_id, epoch)
        if anchored is not None and anchored[5] <= from_ms:
            found.append((feed_id, epoch, anchored[0], anchored[5]))
    return found


def device_rows(draft: Draft, device_id: str) -> list[list[Any]]:
    """All places that the chain knows of a device: feed, slot, descriptor hash, from, to."""
    row = draft.get("device", device_id)
    rows: list[list[Any]] = row[0] if row else []
    return rows


def epoch_of(draft: Draft, feed_id: bytes) -> int:
    """The feed's present epoch."""
    row = draft.get("epoch", feed_id)
    epoch: int = row[0] if row else 0
    return epoch


def bound_of(row: list[Any]) -> Bound:
    """The consignment in a row under ["bound", consignment-id]."""
    contract_id, from_ms, to_ms, devices, status, bases = row
    return Bound(
        contract_id=contract_id,
        from_ms=from_ms,
        to_ms=to_ms,
        devices=tuple(devices),
        status=status,
        bases=tuple((feed_id, epoch, height, at_ms) for feed_id, epoch, height, at_ms in bases),
    )


def require_bound(
    draft: Draft, transaction: Transaction, consignment_id: bytes
) -> tuple[Bound, Core]:
    """A bound consignment with its contract, of which the sender is a party."""
    row = draft.get("bound", consignment_id)
    if row is None:
        raise Refused(Code.CONSIGNMENT_UNKNOWN, "no such consignment is bound to a contract")
    bound = bound_of(row)
    core = require_contract(draft, bound.contract_id)
    require_contracting(core, transaction)
    return bound, core


def require_contracting(core: Core, transaction: Transaction) -> None:
    """Refuses whoever is no party to the contract."""
    if transaction.sender.id not in core.party_ids:
        raise Refused(Code.UNAUTHORISED, "not a party to the contract")
