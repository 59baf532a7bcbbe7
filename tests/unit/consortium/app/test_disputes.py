"""From registered contract to the verdict that each validator draws, and what a liar may try."""

from __future__ import annotations

from consortium.app.refusal import Code
from consortium.transaction import KIND_OBJECT, KIND_SETTLE
from logistics.rules.verdict import Outcome, Verdict
from tests.fakes.agreement import CARRIER, CONSIGNMENT, Agreement
from tests.fakes.trip import MINUTE_MS, START_MS, Trip

FROM_MS = START_MS + MINUTE_MS
COLD, WARM = 2_000, 6_000


def agreement(values: list[int], *, every: int = 10) -> Agreement:
    """A trip with these readings, anchored and opened, its consignment bound from the first one."""
    trip = Trip()
    trip.drive(values, every=every)
    made = Agreement(trip)
    made.ready(FROM_MS, START_MS + trip.clock.now_ms)
    return made


def warm_trip(warm: int = 45) -> list[int]:
    return [COLD] * 60 + [WARM] * warm + [COLD] * 60


def facts_of(verdict: Verdict) -> dict[str, int | None]:
    return {name: proven for name, proven, _ in verdict.facts}


def test_an_excursion_is_judged_by_the_validators_and_settled_after_its_window() -> None:
    made = agreement(warm_trip())
    verdict = made.judged()
    assert verdict.outcome == Outcome.BROKEN
    assert facts_of(verdict)["warm_longest_ms"] == 45 * MINUTE_MS
    assert verdict.amount == 15_000
    assert made.send(KIND_SETTLE, [1, CONSIGNMENT]) == Code.WINDOW_OPEN
    made.until(START_MS + 4 * 86_400_000)
    assert made.send(KIND_SETTLE, [1, CONSIGNMENT]) == Code.ACCEPTED
    assert made.open_case() == Code.CONSIGNMENT_STATE
    assert made.send(KIND_OBJECT, [1, CONSIGNMENT, bytes(32)], CARRIER) == Code.CONSIGNMENT_STATE


def test_a_cold_trip_is_kept_from_summaries_alone() -> None:
    made = agreement([COLD] * 120)
    assert made.judged().outcome == Outcome.KEPT
    made = agreement([COLD] * 120)
    assert made.open_case() == Code.ACCEPTED
    (part,) = made.parts()
    assert len(part.leaves) < 40
