"""Kinds 43 to 45: evidence before all validators, and the verdict that each draws alone.

Case:     [ 1, consignment-id, money: bstr ]
Evidence: [ 1, consignment-id, feed-part, [ * opener: party-id ] ]
Judge:    [ 1, consignment-id ]

Opening a case notes, of each feed in which the devices stand, the head that was last anchored: all
evidence is proven against it, from what was anchored when the consignment was bound, or from the
feed's beginning. Parts come in order and each goes on where the last one ended, so no block can be
left out. Until the contract's window has passed since the opening, only whole evidence is judged;
after that what is missing is missing, which is never "fine".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from consortium.app.contracts import (
    STATUS_BOUND,
    STATUS_DISPUTED,
    Bound,
    device_rows,
    epoch_of,
    require_bound,
)
from consortium.app.parties import require_version
from consortium.app.refusal import Code, Refused
from consortium.app.state import BlockContext, Draft
from consortium.app.verdicts import WAY_JUDGED, proposal_of, put_proposal, put_status
from consortium.transaction import (
    ID_BYTES,
    KIND_CASE,
    KIND_EVIDENCE,
    Transaction,
    fields,
)
from ledger.canonical import encode
from ledger.chain_proof import RECORD_OPENED
from ledger.errors import InputError
from ledger.hashing import tagged
from ledger.head import HeadClaim, decode_head
from ledger.proof_bundle import feed_part_from_value
from logistics.rules.contract import Core, decode_money
from logistics.rules.errors import EvidenceError, RuleError
from logistics.rules.evidence import Opened, Progress, Question, take_part
from logistics.rules.facts import Case, Interval, band_of
from logistics.rules.traces import trace_from_value
from logistics.rules.verdict import judge

OPENERS_MAX: Final = 16
FEEDS_MAX: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A feed's part of a case: the head to prove against, the base, and the devices' slots."""

    feed_id: bytes
    epoch: int
    head_digest: bytes
    base_height: int | None
    anchored_ms: int
    last_height: int
    slots: tuple[int, ...]

    def to_value(self) -> list[Any]:
        """In the order of the format."""
        return [
            self.feed_id, self.epoch, self.head_digest, self.base_height, self.anchored_ms,
            self.last_height, list(self.slots),
        ]  # fmt: skip  # in the order of the format


def open_case(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Opens the dispute of a consignment whose interval is anchored behind."""
    version, consignment_id, money = fields(transaction.body, int, bytes, bytes)
    require_version(version)
    bound, core = require_bound(draft, transaction, consignment_id)
    if bound.status not in (STATUS_BOUND, STATUS_DISPUTED):
        raise Refused(Code.CONSIGNMENT_STATE, "a verdict waits for its window, or is final")
    if bound.status == STATUS_DISPUTED and _is_open(draft, consignment_id):
        return (Code.ACCEPTED,)
    try:
        decode_money(money, core)
    except RuleError as error:
        raise Refused(Code.CONTRACT_WRONG, str(error)) from error
    targets = _targets(draft, bound)
    draft.put(
        ("case", consignment_id),
        transaction.sender.id,
        context.time_ms,
        money,
        [target.to_value() for target in targets],
    )
    for target in targets:
        _put_progress(
            draft,
            consignment_id,
            target,
            Progress(height=target.base_height, traces={}, clocks={}),
        )
    put_status(draft, consignment_id, bound, status=STATUS_DISPUTED)
    draft.record(0, KIND_CASE, consignment_id, transaction.sender.id)
    return (Code.ACCEPTED,)


def _is_open(draft: Draft, consignment_id: bytes) -> bool:
    """Whether a case is open that no verdict was drawn from yet: nobody may begin it anew."""
    case, known = draft.get("case", consignment_id), proposal_of(draft, consignment_id)
    if case is None:
        return False
    return known is None or known.way != WAY_JUDGED or case[1] > known.proposed_ms


def _targets(draft: Draft, bound: Bound) -> list[Target]:
    """One for each feed in which a device stood within the interval, ascending."""
    slots: dict[bytes, set[int]] = {}
    for name in bound.devices:
        for feed_id, slot, _, from_ms, to_ms in device_rows(draft, name):
            if from_ms < bound.to_ms and (to_ms is None or to_ms >= bound.from_ms):
                slots.setdefault(feed_id, set()).add(slot)
    if len(slots) > FEEDS_MAX:
        raise Refused(Code.TOO_MANY_ITEMS, f"the devices stood in over {FEEDS_MAX} feeds")
    targets = (_target(draft, bound, feed_id, slots[feed_id]) for feed_id in sorted(slots))
    return [target for target in targets if target is not None]


def _target(draft: Draft, bound: Bound, feed_id: bytes, slots: set[int]) -> Target | None:
    """None for a feed with a conflict or another epoch since: it is no evidence."""
    epoch = epoch_of(draft, feed_id)
    base = next((row for row in bound.bases if row[0] == feed_id), None)
    frozen = draft.get("frozen", feed_id)
    anchored = draft.get("feed", feed_id, epoch)
    if frozen is not None or anchored is None or epoch != (base[1] if base else 0):
        return None
    height, _, _, _, head_digest, time_ms = anchored
    gateway = draft.get("gateway", feed_id)
    has_ended = gateway is not None and gateway[6] is not None
    if time_ms < bound.to_ms and not has_ended:
        raise Refused(
            Code.NOT_ANCHORED_YET,
            f"feed {feed_id.hex()[:8]}: nothing was anchored after the interval's end yet",
        )
    return Target(
        feed_id=feed_id,
        epoch=epoch,
        head_digest=head_digest,
        base_height=base[2] if base and base[2] else None,
        anchored_ms=time_ms,
        last_height=height,
        slots=tuple(sorted(slots)),
    )


def targets_of(row: list[Any]) -> list[Target]:
    """The targets in a row under ["case", consignment-id]."""
    return [
        Target(
            feed_id=feed_id,
            epoch=epoch,
            head_digest=head_digest,
            base_height=base_height,
            anchored_ms=anchored_ms,
            last_height=last_height,
            slots=tuple(slots),
        )
        for feed_id, epoch, head_digest, base_height, anchored_ms, last_height, slots in row[3]
    ]


def take_evidence(
    draft: Draft, transaction: Transaction, context: BlockContext
) -> tuple[Code, ...]:
    """Takes the next part of one feed's evidence."""
    del context  # the order of parts decides, not their time
    version, consignment_id, value, openers = fields(transaction.body, int, bytes, list, list)
    require_version(version)
    bound, core = require_bound(draft, transaction, consignment_id)
    row = draft.get("case", consignment_id)
    if row is None or bound.status != STATUS_DISPUTED:
        raise Refused(Code.CONSIGNMENT_STATE, "no case is open")
    if len(openers) > OPENERS_MAX or any(
        type(party) is not bytes or len(party) != ID_BYTES for party in openers
    ):
        raise Refused(Code.BODY_WRONG, f"openers are not up to {OPENERS_MAX} party ids")
    try:
        part = feed_part_from_value(value)
        claim = decode_head(part.head).claim
        target = _require_target(row, claim)
        progress = take_part(
            part,
            question_of(
                core,
                target,
                claim,
                bound=bound,
                opened=opened_by(draft, target, core, openers=openers),
            ),
            _progress(draft, consignment_id, target),
        )
    except (EvidenceError, InputError) as error:
        raise Refused(Code.EVIDENCE_WRONG, str(error)) from error
    _put_progress(draft, consignment_id, target, progress)
    digest = tagged("wharf/evidence/1", encode(value))
    draft.record(0, KIND_EVIDENCE, consignment_id, target.feed_id, progress.height, digest)
    return (Code.ACCEPTED,)


def _require_target(row: list[Any], claim: HeadClaim) -> Target:
    for target in targets_of(row):
        if target.feed_id == claim.feed_id and target.head_digest == claim.digest:
            return target
    raise Refused(Code.EVIDENCE_WRONG, "not under a head that the case names")


def question_of(
    core: Core, target: Target, claim: HeadClaim, *, bound: Bound, opened: Opened
) -> Question:
    """What a feed's evidence is judged by."""
    return Question(
        claim=claim,
        slots=target.slots,
        band=band_of(core.facts),
        gap_ms=core.gap_ms,
        clock_min=core.clock_min,
        from_ms=bound.from_ms,
        to_ms=bound.to_ms,
        anchored_ms=target.anchored_ms,
        opened=opened,
    )


def opened_by(draft: Draft, target: Target, core: Core, *, openers: Sequence[bytes]) -> Opened:
    """Whether parties other than the gateway's own said that they opened a block and it was right.

    The contract's parties are always asked, so a word against the block cannot be left out.
    """
    gateway = draft.get("gateway", target.feed_id)
    own = gateway[0] if gateway else b""
    asked = sorted({*core.party_ids, *openers} - {own})

    def opened(height: int, audience: int, digest: bytes) -> bool | None:
        said = [RECORD_OPENED, target.feed_id, target.epoch, height, audience, digest]

        def stated(ok: bool, party: bytes) -> bool:  # noqa: FBT001  # as it stands in the record
            return draft.is_marked(tagged("wharf/stated/1", encode([*said, ok, party])))

        if any(stated(False, party) for party in asked):  # noqa: FBT003  # as above
            return False
        return True if any(stated(True, party) for party in asked) else None  # noqa: FBT003  # as above

    return opened


def _progress(draft: Draft, consignment_id: bytes, target: Target) -> Progress:
    row = draft.get("evidence", consignment_id, target.feed_id)
    if row is None:
        return Progress(height=target.base_height, traces={}, clocks={})
    height, clocks, traces = row
    return Progress(
        height=height,
        traces={slot: trace_from_value(value) for slot, value in traces},
        clocks=dict(clocks),
    )


def _put_progress(draft: Draft, consignment_id: bytes, target: Target, progress: Progress) -> None:
    draft.put(
        ("evidence", consignment_id, target.feed_id),
        progress.height,
        [list(row) for row in sorted(progress.clocks.items())],
        [[slot, trace.to_value()] for slot, trace in sorted(progress.traces.items())],
    )


def judge_case(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Draws the verdict from the evidence that is there, and proposes it."""
    version, consignment_id = fields(transaction.body, int, bytes)
    require_version(version)
    bound, core = require_bound(draft, transaction, consignment_id)
    row = draft.get("case", consignment_id)
    if row is None or bound.status != STATUS_DISPUTED:
        raise Refused(Code.CONSIGNMENT_STATE, "no case is open")
    _, opened_ms, money, _ = row
    found = [(target, _progress(draft, consignment_id, target)) for target in targets_of(row)]
    whole = all(progress.height == target.last_height for target, progress in found)
    if not whole and context.time_ms < opened_ms + core.window_ms:
        raise Refused(Code.EVIDENCE_INCOMPLETE, "the evidence does not reach the case's heads yet")
    traces = tuple(trace for _, progress in found for trace in progress.traces.values())
    shown = {trace.device_id for trace in traces}
    case = Case(
        interval=Interval(from_ms=bound.from_ms, to_ms=bound.to_ms, gap_ms=core.gap_ms),
        traces=traces,
        absent=tuple(name for name in bound.devices if name not in shown),
    )
    try:
        verdict = judge(core, decode_money(money, core), case, consignment_id=consignment_id)
    except RuleError as error:
        raise Refused(Code.EVIDENCE_WRONG, str(error)) from error
    put_proposal(
        draft, consignment_id, bound, way=WAY_JUDGED, digest=verdict.digest, data=verdict.encode(),
        window_ms=core.window_ms, context=context,
    )  # fmt: skip  # as it is declared
    return (Code.ACCEPTED,)
