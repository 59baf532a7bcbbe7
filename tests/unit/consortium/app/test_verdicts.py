"""Verdicts that the parties agree on: the chain holds a commitment, and a window follows."""

from __future__ import annotations

import pytest

from consortium.app.contracts import STATUS_DISPUTED, STATUS_FINAL, STATUS_PROPOSED
from consortium.app.refusal import Code
from consortium.app.verdicts import WAY_COSIGNED, agreed_digest, commitment
from consortium.transaction import KIND_OBJECT, KIND_SETTLE, KIND_VERDICT
from tests.fakes.agreement import CARRIER, CONSIGNMENT, SHIPPER, Agreement, cosigned
from tests.fakes.trip import MINUTE_MS, START_MS, Trip

DAY_MS = 86_400_000
VERDICT = b"the bytes that both computed"


@pytest.fixture
def made() -> Agreement:
    trip = Trip()
    trip.drive([2_000] * 60 + [6_000] * 45)
    agreement = Agreement(trip)
    agreement.ready(START_MS + MINUTE_MS, START_MS + trip.clock.now_ms)
    return agreement


def agree(
    made: Agreement, verdict: bytes = VERDICT, names: tuple[str, ...] = (CARRIER, SHIPPER)
) -> Code:
    committed = commitment(verdict, b"s" * 16)
    rows = cosigned(KIND_VERDICT, agreed_digest(CONSIGNMENT, committed), names)
    return made.send(KIND_VERDICT, [1, CONSIGNMENT, committed, rows])


def status(made: Agreement) -> int:
    row = made.chain.row("bound", CONSIGNMENT)
    assert row is not None
    return int(row[4])


def test_the_chain_learns_that_both_agree_and_not_on_what(made: Agreement) -> None:
    assert agree(made) == Code.ACCEPTED
    row = made.chain.row("verdict", CONSIGNMENT)
    assert row is not None
    assert row[:3] == [WAY_COSIGNED, commitment(VERDICT, b"s" * 16), None]
    assert agree(made) == Code.ACCEPTED, "the same again is harmless"
    assert agree(made, b"another") == Code.CONSIGNMENT_STATE
    assert made.open_case() == Code.CONSIGNMENT_STATE, "it has not been objected to"


def test_one_side_alone_agrees_on_nothing(made: Agreement) -> None:
    assert agree(made, names=(SHIPPER,)) == Code.COSIGNATURE_WRONG
    assert agree(made, names=(SHIPPER, "operator")) == Code.COSIGNATURE_WRONG


def test_the_window_ends_by_the_chains_time_and_then_nothing_is_judged_again(
    made: Agreement,
) -> None:
    assert made.send(KIND_SETTLE, [1, CONSIGNMENT]) == Code.CONSIGNMENT_STATE
    assert agree(made) == Code.ACCEPTED
    assert made.send(KIND_SETTLE, [1, CONSIGNMENT]) == Code.WINDOW_OPEN
    made.until(START_MS + 3 * DAY_MS)
    assert made.send(KIND_SETTLE, [1, CONSIGNMENT], "operator") == Code.UNAUTHORISED
    assert made.send(KIND_SETTLE, [1, CONSIGNMENT], CARRIER) == Code.ACCEPTED
    assert made.send(KIND_SETTLE, [1, CONSIGNMENT], SHIPPER) == Code.ACCEPTED
    assert status(made) == STATUS_FINAL
    assert agree(made, b"another") == Code.CONSIGNMENT_STATE


def test_an_objection_leads_to_the_validators_or_to_another_agreement(made: Agreement) -> None:
    assert agree(made) == Code.ACCEPTED
    assert made.send(KIND_OBJECT, [1, CONSIGNMENT, b"short"]) == Code.BODY_WRONG
    assert made.send(KIND_OBJECT, [1, CONSIGNMENT, bytes(32)], "operator") == Code.UNAUTHORISED
    assert made.send(KIND_OBJECT, [1, CONSIGNMENT, bytes(32)]) == Code.ACCEPTED
    assert status(made) == STATUS_DISPUTED
    assert made.send(KIND_SETTLE, [1, CONSIGNMENT]) == Code.CONSIGNMENT_STATE
    assert agree(made, b"what both found later") == Code.ACCEPTED
    assert status(made) == STATUS_PROPOSED
    assert made.send(KIND_OBJECT, [1, CONSIGNMENT, bytes(32)], CARRIER) == Code.ACCEPTED
    assert made.judged().amount == 15_000
    assert made.send(KIND_OBJECT, [1, CONSIGNMENT, bytes(32)]) == Code.CONSIGNMENT_STATE


def test_no_consignment_means_no_verdict(made: Agreement) -> None:
    other = b"x" * 16
    committed = commitment(VERDICT, bytes(16))
    rows = cosigned(KIND_VERDICT, agreed_digest(other, committed))
    assert made.send(KIND_VERDICT, [1, other, committed, rows]) == Code.CONSIGNMENT_UNKNOWN
