"""The verdict: contract, interval, facts, clauses, amount, and what it does not rest on.

    verdict = [ 1, contract-id, consignment-id, from-ms, to-ms, outcome,
                [* [fact, proven / null, at-worst / null]], [+ [clause, outcome]],
                amount / null, currency, [* source], [* problem] ]
    source  = [ device-id, channel, seq-by, calibration / null, missing-ms, [* [note, count]] ]
    problem = [ code, device-id, channel, quantity ]

A pure function of the contract's core and amounts and of the case: the same bytes on every machine,
in every process, however the evidence was cut into parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Final

from ledger.canonical import decode, encode
from ledger.hashing import tagged
from logistics.rules.contract import Core, Money
from logistics.rules.facts import OPERATORS, Case, Fact, value_of
from logistics.rules.money import capped
from logistics.rules.traces import Missing, Note, Reason, Trace

VERSION: Final = 1


class Outcome(IntEnum):
    """What a clause or the whole came to; the numbers are part of the format."""

    KEPT = 1
    BROKEN = 2
    NO_EVIDENCE = 3


class Problem(IntEnum):
    """What the verdict names beside its facts; the numbers are part of the format."""

    UNOPENED = 1
    DISPUTED = 2
    CLOCK = 3
    GAP = 4
    UNIT = 5
    SILENT = 6  # time without a reading, beyond what a value may hold
    UNCALIBRATED = 11
    SUSPECT = 12
    UNTIMED = 13
    OTHER_MARKS = 14
    SUMMARY_WRONG = 15
    NEVER_CALIBRATED = 16
    GATEWAY_COUNTS = 17  # complete from the gateway's intake, not from the sensor
    ABSENT = 18  # a device that the consignment names, and of which nothing is shown


_OF_NOTE: Final = {
    Note.UNCALIBRATED: Problem.UNCALIBRATED,
    Note.SUSPECT: Problem.SUSPECT,
    Note.UNTIMED: Problem.UNTIMED,
    Note.OTHER_MARKS: Problem.OTHER_MARKS,
    Note.SUMMARY_WRONG: Problem.SUMMARY_WRONG,
    Note.NEVER_CALIBRATED: Problem.NEVER_CALIBRATED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """See the module. Facts: (name, proven, at worst); None: nothing to draw it from."""

    contract_id: bytes
    consignment_id: bytes
    from_ms: int
    to_ms: int
    outcome: Outcome
    facts: tuple[tuple[str, int | None, int | None], ...]
    clauses: tuple[tuple[str, Outcome], ...]
    amount: int | None
    currency: str
    sources: tuple[tuple[Any, ...], ...]
    problems: tuple[tuple[Problem, str, str, int], ...]

    def encode(self) -> bytes:
        """Canonical bytes."""
        return encode(
            [
                VERSION, self.contract_id, self.consignment_id, self.from_ms, self.to_ms,
                int(self.outcome),
                [list(row) for row in self.facts],
                [[number, int(outcome)] for number, outcome in self.clauses],
                self.amount, self.currency,
                [list(row) for row in self.sources],
                [[int(code), *rest] for code, *rest in self.problems],
            ]
        )  # fmt: skip  # in the order of the format

    @property
    def digest(self) -> bytes:
        """Digest of the bytes."""
        return tagged("wharf/verdict/1", self.encode())


def decode_verdict(data: bytes) -> Verdict:
    """The verdict in bytes that `Verdict.encode` gave."""
    (_, contract_id, consignment_id, from_ms, to_ms, outcome, facts, clauses, amount, currency,
     sources, problems) = decode(data)  # fmt: skip  # in the order of the format
    return Verdict(
        contract_id=contract_id,
        consignment_id=consignment_id,
        from_ms=from_ms,
        to_ms=to_ms,
        outcome=Outcome(outcome),
        facts=tuple((name, proven, worst) for name, proven, worst in facts),
        clauses=tuple((number, Outcome(value)) for number, value in clauses),
        amount=amount,
        currency=currency,
        sources=tuple(tuple(row) for row in sources),
        problems=tuple((Problem(row[0]), row[1], row[2], row[3]) for row in problems),
    )


def judge(core: Core, money: Money, case: Case, *, consignment_id: bytes) -> Verdict:
    """The verdict on a case under a contract.

    A clause is broken where its condition is false of the proven facts and stays false with missing
    time taken at its worst; kept where no more is missing than the contract allows and the
    condition is true; everything else is no evidence, never "fine".
    """
    ordered = sorted(case.traces, key=lambda trace: (trace.device_id, trace.channel))
    case = replace(case, traces=tuple(ordered), absent=tuple(sorted(case.absent)))
    quantities = {operator.quantity for operator in OPERATORS.values()} - {None}
    missing = {str(quantity): _missing_ms(case, str(quantity)) for quantity in quantities}
    facts = {fact.name: _bounds(fact, case, missing) for fact in core.facts}
    by_name = {fact.name: fact for fact in core.facts}
    clauses = tuple(
        (clause.number, _clause(core, clause.condition, facts, by_name=by_name, missing=missing))
        for clause in core.clauses
    )
    outcomes = {outcome for _, outcome in clauses}
    whole = next((o for o in (Outcome.BROKEN, Outcome.NO_EVIDENCE) if o in outcomes), Outcome.KEPT)
    return Verdict(
        contract_id=core.id,
        consignment_id=consignment_id,
        from_ms=case.interval.from_ms,
        to_ms=case.interval.to_ms,
        outcome=whole,
        facts=tuple((name, *bounds) for name, bounds in sorted(facts.items())),
        clauses=clauses,
        amount=_amount(money, facts, clauses),
        currency=core.currency,
        sources=(
            *(_source(trace, case) for trace in case.traces),
            *((device, "", "", None, case.interval.length_ms, []) for device in case.absent),
        ),
        problems=_problems(case),
    )


Bounds = tuple[int | None, int | None]


def _missing_ms(case: Case, quantity: str) -> int:
    """The most that any channel of a quantity lacks; all of it where a device is absent."""
    if case.absent:
        return case.interval.length_ms
    return max((case.missing_ms(trace) for trace in case.of(quantity)), default=0)


def _bounds(fact: Fact, case: Case, missing: Mapping[str, int]) -> Bounds:
    """(proven, at worst) of a fact."""
    proven, operator = value_of(fact, case), OPERATORS[fact.operator]
    if proven is None or operator.quantity is None:
        return proven, proven
    lost = missing[operator.quantity]
    if not lost:
        return proven, proven
    return proven, proven + lost if operator.grows else None


def _clause(
    core: Core,
    condition: Any,
    facts: Mapping[str, Bounds],
    *,
    by_name: Mapping[str, Fact],
    missing: Mapping[str, int],
) -> Outcome:
    quantities = {OPERATORS[by_name[name].operator].quantity for name in condition.names}
    lost = max((missing[q] for q in quantities if q is not None), default=0)
    proven = {name: facts[name][0] for name in condition.names}
    if any(value is None for value in proven.values()):
        return Outcome.NO_EVIDENCE
    holds = condition.holds(proven)
    if lost <= core.missing_ms_max:
        return Outcome.KEPT if holds else Outcome.BROKEN
    worst = {name: facts[name][1] for name in condition.names}
    if holds or any(value is None for value in worst.values()):
        return Outcome.NO_EVIDENCE
    return Outcome.NO_EVIDENCE if condition.holds(worst) else Outcome.BROKEN


def _amount(
    money: Money, facts: Mapping[str, Bounds], clauses: Sequence[tuple[str, Outcome]]
) -> int:
    """What the broken clauses cost, from proven facts alone, at most the cap."""
    broken = {number for number, outcome in clauses if outcome == Outcome.BROKEN}
    amounts = [
        charge.of(facts[charge.fact][0] or 0)
        for number, charge in money.charges
        if number in broken
    ]
    return capped(amounts, money.cap)


def _source(trace: Trace, case: Case) -> tuple[Any, ...]:
    notes = [[int(note), count] for note, count in sorted(trace.notes.items())]
    missing = case.missing_ms(trace)
    return trace.device_id, trace.channel, trace.seq_by, trace.calibration, missing, notes


def _problems(case: Case) -> tuple[tuple[Problem, str, str, int], ...]:
    """What must be said of the sources, ascending; quantities are milliseconds or counts."""
    found = [(Problem.ABSENT, device, "", 1) for device in case.absent]
    for trace in case.traces:
        where = trace.device_id, trace.channel
        by_reason: dict[Reason, int] = {}
        for piece in trace.pieces:
            if isinstance(piece, Missing):
                inside = min(piece.to_ms, case.interval.to_ms) - max(
                    piece.from_ms, case.interval.from_ms
                )
                if inside > 0:
                    by_reason[piece.reason] = by_reason.get(piece.reason, 0) + inside
        found += [(Problem(int(reason)), *where, ms) for reason, ms in by_reason.items()]
        silent = case.missing_ms(trace) - sum(by_reason.values())
        if silent > 0:
            found.append((Problem.SILENT, *where, silent))
        found += [
            (problem, *where, trace.notes[note])
            for note, problem in _OF_NOTE.items()
            if trace.notes.get(note)
        ]
        if trace.seq_by == "gateway":
            found.append((Problem.GATEWAY_COUNTS, *where, 1))
    return tuple(sorted(found))
