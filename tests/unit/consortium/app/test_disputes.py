"""From registered contract to the verdict that each validator draws, and what a liar may try."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consortium.app.refusal import Code
from consortium.transaction import KIND_OBJECT, KIND_SETTLE
from ledger.proof_bundle import FeedPart
from logistics.reading import FLAG_SUSPECT, FLAG_UNCALIBRATED
from logistics.rules import gathering
from logistics.rules.evidence import Band
from logistics.rules.verdict import Outcome, Problem, Verdict
from tests.fakes import trip as trips
from tests.fakes.agreement import CARRIER, CONSIGNMENT, Agreement, contract
from tests.fakes.trip import MINUTE_MS, START_MS, Trip, probe_slot

FROM_MS = START_MS + MINUTE_MS
COLD, WARM = 2_000, 6_000
DAY_MS = 86_400_000


def agreed(trip: Trip) -> Agreement:
    """The trip anchored and opened, its consignment bound from the first reading to the last."""
    made = Agreement(trip)
    made.ready(FROM_MS, START_MS + trip.clock.now_ms)
    return made


def agreement(values: list[int], *, every: int = 10) -> Agreement:
    trip = Trip()
    trip.drive(values, every=every)
    return agreed(trip)


def warm_trip(warm: int = 45) -> list[int]:
    return [COLD] * 60 + [WARM] * warm + [COLD] * 60


def facts_of(verdict: Verdict) -> dict[str, int | None]:
    return {name: proven for name, proven, _ in verdict.facts}


def named(verdict: Verdict) -> dict[Problem, int]:
    return {problem[0]: problem[3] for problem in verdict.problems}


def test_an_excursion_is_judged_by_the_validators_and_settled_after_its_window() -> None:
    made = agreement(warm_trip())
    verdict = made.judged()
    assert verdict.outcome == Outcome.BROKEN
    assert facts_of(verdict)["warm_longest_ms"] == 45 * MINUTE_MS
    assert verdict.amount == 15_000
    assert made.send(KIND_SETTLE, [1, CONSIGNMENT]) == Code.WINDOW_OPEN
    made.until(START_MS + 4 * DAY_MS)
    assert made.send(KIND_OBJECT, [1, CONSIGNMENT, bytes(32)], CARRIER) == Code.WINDOW_OVER
    assert made.send(KIND_SETTLE, [1, CONSIGNMENT]) == Code.ACCEPTED
    assert made.open_case() == Code.CONSIGNMENT_STATE
    assert made.send(KIND_OBJECT, [1, CONSIGNMENT, bytes(32)], CARRIER) == Code.CONSIGNMENT_STATE


def test_a_cold_trip_is_kept_from_summaries_alone() -> None:
    made = agreement([COLD] * 120)
    assert made.open_case() == Code.ACCEPTED
    (part,) = made.parts()
    assert len(part.leaves) < 40
    assert made.give(part) == Code.ACCEPTED
    assert made.judge() == Code.ACCEPTED
    assert made.verdict().outcome == Outcome.KEPT
    assert made.verdict().amount == 0


# What is left out ---------------------------------------------------------------------------


def test_evidence_that_leaves_out_an_hour_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "BLOCKS_AT_ONCE", 3)
    made = agreement(warm_trip())
    assert made.open_case() == Code.ACCEPTED
    parts = made.parts()
    assert made.give(parts[0]) == Code.ACCEPTED
    for later in parts[2:]:
        assert made.give(later) == Code.EVIDENCE_WRONG
    assert made.give(parts[0]) == Code.EVIDENCE_WRONG, "twice the same hour"
    assert made.give(parts[1]) == Code.ACCEPTED


def test_a_verdict_waits_for_the_whole_evidence_and_then_says_no_evidence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gathering, "BLOCKS_AT_ONCE", 3)
    made = agreement([COLD] * 300)
    assert made.open_case(CARRIER) == Code.ACCEPTED
    assert made.judge() == Code.EVIDENCE_INCOMPLETE
    for part in made.parts()[:4]:
        assert made.give(part) == Code.ACCEPTED
    assert made.judge() == Code.EVIDENCE_INCOMPLETE
    made.until(START_MS + 4 * DAY_MS)
    assert made.judge() == Code.ACCEPTED
    verdict = made.verdict()
    assert verdict.outcome == Outcome.NO_EVIDENCE
    assert named(verdict)[Problem.SILENT] > 2 * 3_600_000


def test_with_no_evidence_at_all_nothing_is_fine() -> None:
    made = agreement([COLD] * 60)
    assert made.open_case() == Code.ACCEPTED
    made.until(START_MS + 4 * DAY_MS)
    assert made.judge() == Code.ACCEPTED
    assert made.verdict().outcome == Outcome.NO_EVIDENCE
    assert Problem.ABSENT in named(made.verdict())


def test_readings_of_a_crossing_block_cannot_be_kept_back() -> None:
    made = agreement(warm_trip())
    assert made.open_case() == Code.ACCEPTED
    (part,) = made.parts()
    wanted = gathering.Wanted(
        head=made.trip.head(),
        base=None,
        slots=made.trip.slots,
        band=Band(low=-90_000, high=90_000, settled_low=-90_000, settled_high=90_000),
        gap_ms=10**9,
        from_ms=0,
        to_ms=1 << 60,
    )
    (short,) = gathering.gather(made.trip, wanted)
    assert len(short.leaves) < len(part.leaves)
    assert made.give(short) == Code.EVIDENCE_WRONG


def drop_header(part: FeedPart) -> FeedPart:
    headers = (*part.headers[:4], *part.headers[5:])
    return replace(part, headers=headers)


def drop_leaf(part: FeedPart) -> FeedPart:
    return replace(part, leaves=part.leaves[:-1])


def swap_leaves(part: FeedPart) -> FeedPart:
    first, second, *rest = part.leaves
    return replace(part, leaves=(second, first, *rest))


def flip_bit(part: FeedPart) -> FeedPart:
    last = part.leaves[-1]
    return replace(part, leaves=(*part.leaves[:-1], last[:-1] + bytes([last[-1] ^ 1])))


def drop_run(part: FeedPart) -> FeedPart:
    return replace(part, run_heads=part.run_heads[1:])


def other_slot(part: FeedPart) -> FeedPart:
    return replace(part, slots=(probe_slot(1),))


def both_slots(part: FeedPart) -> FeedPart:
    return replace(part, slots=(probe_slot(0), probe_slot(1)))


def later_start(part: FeedPart) -> FeedPart:
    return replace(part, first_height=1)


def other_path(part: FeedPart) -> FeedPart:
    first, *rest = part.header_path
    return replace(part, header_path=(bytes(32), *rest) if first else ())


def twice_the_leaf(part: FeedPart) -> FeedPart:
    return replace(part, leaves=(*part.leaves, part.leaves[-1]))


@pytest.mark.parametrize(
    "lie",
    [
        drop_header,
        drop_leaf,
        swap_leaves,
        flip_bit,
        drop_run,
        other_slot,
        both_slots,
        later_start,
        other_path,
        twice_the_leaf,
    ],
    ids=lambda lie: lie.__name__,
)
def test_evidence_that_was_tampered_with_is_refused(
    lie: Callable[[FeedPart], FeedPart], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "BLOCKS_AT_ONCE", 8)
    trip = Trip(probes=2)
    for count in range(120):
        trip.read([WARM if 50 < count < 100 else COLD, COLD])
        if count % 10 == 9:
            trip.seal()
    made = Agreement(trip)
    assert made.register() == Code.ACCEPTED
    assert made.bind(FROM_MS, START_MS + trip.clock.now_ms, devices=["probe-0"]) == Code.ACCEPTED
    made.until(START_MS + trip.clock.now_ms + MINUTE_MS)
    assert made.anchor() == Code.ACCEPTED
    made.opened()
    assert made.open_case() == Code.ACCEPTED
    part, *_ = made.parts()
    assert part.slots == (probe_slot(0),)
    assert made.give(lie(part)) == Code.EVIDENCE_WRONG
    assert made.give(part) == Code.ACCEPTED


def test_leaves_that_nobody_needs_are_refused() -> None:
    """Another device's readings, proven and all, do not come onto the chain by the way."""
    trip = Trip(probes=2)
    trip.drive([COLD] * 60)
    made = Agreement(trip)
    assert made.register() == Code.ACCEPTED
    assert made.bind(FROM_MS, START_MS + trip.clock.now_ms, devices=["probe-0"]) == Code.ACCEPTED
    made.until(START_MS + trip.clock.now_ms + MINUTE_MS)
    assert made.anchor() == Code.ACCEPTED
    made.opened()
    assert made.open_case() == Code.ACCEPTED
    (part,) = made.parts()
    wanted = gathering.Wanted(
        head=trip.head(), base=None, slots=trip.slots, band=None, gap_ms=900_000,
        from_ms=0, to_ms=1 << 60,
    )  # fmt: skip  # all of it
    (both,) = gathering.gather(trip, wanted)
    assert made.give(replace(both, slots=part.slots)) == Code.EVIDENCE_WRONG
    assert made.give(part) == Code.ACCEPTED


def test_summaries_of_another_slot_do_not_stand_for_the_bound_one() -> None:
    """The colder neighbour's whole evidence, honest in itself, is not this device's."""
    trip = Trip(probes=2)
    for count in range(120):
        trip.read([WARM if 50 < count < 100 else COLD, COLD])
        if count % 10 == 9:
            trip.seal()
    made = Agreement(trip)
    assert made.register() == Code.ACCEPTED
    assert made.bind(FROM_MS, START_MS + trip.clock.now_ms, devices=["probe-0"]) == Code.ACCEPTED
    made.until(START_MS + trip.clock.now_ms + MINUTE_MS)
    assert made.anchor() == Code.ACCEPTED
    made.opened()
    assert made.open_case() == Code.ACCEPTED
    wanted = gathering.Wanted(
        head=trip.head(),
        base=None,
        slots=(probe_slot(1),),
        band=None,
        gap_ms=900_000,
        from_ms=0,
        to_ms=1 << 60,
    )
    (neighbours,) = gathering.gather(trip, wanted)
    assert made.give(neighbours) == Code.EVIDENCE_WRONG


def test_evidence_of_another_feed_is_refused() -> None:
    made = agreement(warm_trip())
    assert made.open_case() == Code.ACCEPTED
    other = agreement([COLD] * 165)
    other.trip = Trip("other truck")
    other.trip.drive([COLD] * 165)
    wanted = gathering.Wanted(
        head=other.trip.head(),
        base=None,
        slots=other.trip.slots,
        band=None,
        gap_ms=900_000,
        from_ms=0,
        to_ms=1 << 60,
    )
    (part,) = gathering.gather(other.trip, wanted)
    assert made.give(part) == Code.EVIDENCE_WRONG


# An excursion over several blocks -------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(
    cuts=st.sets(st.integers(1, 164), max_size=40),
    size=st.integers(1, 9),
    raw=st.booleans(),
)
def test_no_cutting_of_blocks_or_evidence_changes_what_an_excursion_comes_to(
    cuts: set[int], size: int, raw: bool
) -> None:
    trip = Trip()
    for count, value in enumerate(warm_trip(), 1):
        trip.read([value])
        if count in cuts or count == 165:
            trip.seal()
    made = agreed(trip)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(gathering, "BLOCKS_AT_ONCE", size)
        if raw:
            patched.setattr("tests.fakes.agreement.band_of", lambda _: None)
        verdict = made.judged()
    assert facts_of(verdict)["warm_longest_ms"] == 45 * MINUTE_MS
    assert facts_of(verdict)["warm_total_ms"] == 45 * MINUTE_MS
    assert (verdict.outcome, verdict.amount) == (Outcome.BROKEN, 15_000)


@pytest.mark.parametrize("every", [1, 5, 7, 10, 65])
def test_an_excursion_that_hysteresis_carries_into_the_next_block_is_counted_there(
    every: int,
) -> None:
    """3.9 °C is within the limit and yet no end of what began above it."""
    verdict = agreement([COLD] * 30 + [WARM] * 5 + [3_900] * 40 + [COLD] * 30, every=every).judged()
    assert facts_of(verdict)["warm_longest_ms"] == 45 * MINUTE_MS


def test_a_wider_proof_gives_the_same_bytes() -> None:
    """Bound in time the evidence begins shortly before; bound late, with the feed's beginning."""
    verdicts = []
    for is_late in (False, True):
        trip = Trip()
        trip.drive([WARM] * 60)
        for _ in range(10):
            trip.read([COLD], flags=FLAG_SUSPECT)
        trip.drive([COLD] * 60)
        made = Agreement(trip)
        begin_ms = START_MS + trip.clock.now_ms + 20 * MINUTE_MS
        made.until(START_MS + trip.clock.now_ms)
        assert made.register() == Code.ACCEPTED
        if not is_late:
            assert made.anchor() == Code.ACCEPTED
        trip.drive([COLD] * 120)
        end_ms = START_MS + trip.clock.now_ms
        if is_late:
            made.until(end_ms + MINUTE_MS)
            assert made.anchor() == Code.ACCEPTED
        assert made.bind(begin_ms, end_ms) == Code.ACCEPTED
        trip.drive([WARM] * 60)
        made.until(START_MS + trip.clock.now_ms + MINUTE_MS)
        assert made.anchor() == Code.ACCEPTED
        made.opened()
        assert made.open_case() == Code.ACCEPTED
        first_heights = [part.first_height for part in made.parts()]
        assert (first_heights[0] == 0) == is_late
        verdicts.append(made.judged().encode())
    assert verdicts[0] == verdicts[1]


def test_more_evidence_than_is_needed_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    short = agreement(warm_trip()).judged().encode()
    monkeypatch.setattr("tests.fakes.agreement.band_of", lambda _: None)
    made = agreement(warm_trip())
    assert made.judged().encode() == short


# Clocks -----------------------------------------------------------------------------------------


def test_a_clock_that_is_shifted_within_a_boot_is_no_evidence() -> None:
    trip = Trip()
    trip.drive([COLD] * 60)
    trip.clock.shift_ms = 3_600_000
    trip.drive([WARM] * 60)
    trip.clock.shift_ms = 0
    trip.drive([COLD] * 60)
    verdict = agreed(trip).judged()
    assert verdict.outcome == Outcome.NO_EVIDENCE
    assert named(verdict)[Problem.CLOCK] >= 59 * MINUTE_MS


def test_a_clock_ahead_of_the_chain_is_no_evidence() -> None:
    """A new boot's clock has nothing of its own to be compared with but the chain's time."""
    trip = Trip()
    trip.drive([COLD] * 60)
    trip.clock.boot, trip.clock.shift_ms = 2, 2 * 3_600_000
    trip.drive([WARM] * 60)
    made = Agreement(trip)
    made.ready(FROM_MS, START_MS + trip.clock.now_ms)
    verdict = made.judged()
    assert verdict.outcome == Outcome.NO_EVIDENCE
    assert named(verdict)[Problem.CLOCK] == 60 * MINUTE_MS


@pytest.mark.parametrize("quality", [0, 1])
def test_time_that_no_network_set_is_no_evidence(quality: int) -> None:
    trip = Trip()
    trip.clock.quality = quality
    trip.drive([COLD] * 60)
    verdict = agreed(trip).judged()
    assert verdict.outcome == Outcome.NO_EVIDENCE
    assert Problem.CLOCK in named(verdict)


# What nobody else saw, and what must be named ------------------------------------------------


def test_blocks_that_nobody_opened_are_no_evidence_and_named() -> None:
    trip = Trip()
    trip.drive([COLD] * 120)
    made = Agreement(trip)
    to_ms = START_MS + trip.clock.now_ms
    assert made.register() == Code.ACCEPTED
    assert made.bind(FROM_MS, to_ms) == Code.ACCEPTED
    made.until(to_ms + MINUTE_MS)
    assert made.anchor() == Code.ACCEPTED
    made.opened([0, 1, 2, 7, 8, 9, 10, 11])
    verdict = made.judged()
    assert verdict.outcome == Outcome.NO_EVIDENCE
    assert named(verdict)[Problem.UNOPENED] == 40 * MINUTE_MS


def test_the_gateways_own_party_opening_its_blocks_proves_nothing() -> None:
    trip = Trip()
    trip.drive([COLD] * 60)
    made = Agreement(trip)
    to_ms = START_MS + trip.clock.now_ms
    assert made.register() == Code.ACCEPTED
    assert made.bind(FROM_MS, to_ms) == Code.ACCEPTED
    made.until(to_ms + MINUTE_MS)
    assert made.anchor() == Code.ACCEPTED
    made.opened(name=CARRIER)
    assert made.judged().outcome == Outcome.NO_EVIDENCE


def test_a_word_against_a_block_cannot_be_left_out() -> None:
    made = agreement([COLD] * 120)
    made.opened([5, 6, 7, 8], ok=False)
    verdict = made.judged()
    assert verdict.outcome == Outcome.NO_EVIDENCE
    assert named(verdict)[Problem.DISPUTED] == 40 * MINUTE_MS


def test_marked_readings_are_named_and_missing_calibration_too() -> None:
    trip = Trip()
    trip.drive([COLD] * 30)
    for _ in range(10):
        trip.read([COLD], flags=FLAG_SUSPECT)
    for _ in range(7):
        trip.read([COLD], flags=FLAG_UNCALIBRATED)
    trip.seal()
    trip.drive([COLD] * 30)
    found = named(agreed(trip).judged())
    assert (found[Problem.SUSPECT], found[Problem.UNCALIBRATED]) == (10, 7)
    assert found[Problem.NEVER_CALIBRATED] == 77
    assert Problem.GATEWAY_COUNTS in found


def test_a_summary_that_lies_is_found_by_whoever_sends_the_readings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = trips.stats_of
    monkeypatch.setattr(
        trips, "stats_of", lambda slot, part: [*honest(slot, part)[:3], 1000, 2000, 2000, 2000, 0]
    )
    made = agreement(warm_trip())
    monkeypatch.setattr("tests.fakes.agreement.band_of", lambda _: None)
    verdict = made.judged()
    assert facts_of(verdict)["warm_longest_ms"] == 45 * MINUTE_MS
    assert named(verdict)[Problem.SUMMARY_WRONG] == len(made.trip.headers)


def test_silence_between_readings_is_no_evidence_from_the_gap_on() -> None:
    trip = Trip()
    trip.drive([COLD] * 30)
    trip.clock.now_ms += 3 * 3_600_000
    trip.drive([COLD] * 30)
    verdict = agreed(trip).judged()
    assert verdict.outcome == Outcome.NO_EVIDENCE
    assert named(verdict)[Problem.SILENT] == 3 * 3_600_000 + MINUTE_MS - 900_000


# Windows, objections, versions ------------------------------------------------------------------


def test_an_objection_opens_the_evidence_anew_and_each_party_has_one() -> None:
    made = agreement(warm_trip())
    first = made.judged().encode()
    assert made.send(KIND_OBJECT, [1, CONSIGNMENT, bytes(32)], CARRIER) == Code.ACCEPTED
    assert made.judged().encode() == first
    assert made.send(KIND_OBJECT, [1, CONSIGNMENT, bytes(32)], CARRIER) == Code.CONSIGNMENT_STATE


def test_nobody_gains_time_by_opening_a_case_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "BLOCKS_AT_ONCE", 9)
    made = agreement(warm_trip())
    made.judged()
    assert made.send(KIND_OBJECT, [1, CONSIGNMENT, bytes(32)], CARRIER) == Code.ACCEPTED
    assert made.open_case(CARRIER) == Code.ACCEPTED
    first, second = made.parts()
    assert made.give(first) == Code.ACCEPTED
    before = made.chain.row("case", CONSIGNMENT)
    assert made.open_case(CARRIER) == Code.ACCEPTED, "harmless"
    assert made.chain.row("case", CONSIGNMENT) == before
    assert made.give(second) == Code.ACCEPTED, "what was given stays given"


def test_a_later_version_never_judges_what_is_bound_to_the_earlier_one() -> None:
    made = agreement(warm_trip())
    old = made.drafted
    later = contract(version=2)
    superseding = replace(later.core, supersedes=old.core.id)
    assert made.register(replace(later, core=superseding)) == Code.ACCEPTED
    row = (FROM_MS, START_MS + made.trip.clock.now_ms)
    assert made.bind(*row, contract_id=superseding.id) == Code.CONSIGNMENT_STATE
    assert made.judged().contract_id == old.core.id
    made.until(START_MS + 4 * DAY_MS)
    assert made.send(KIND_SETTLE, [1, CONSIGNMENT]) == Code.ACCEPTED
    assert made.bind(*row, contract_id=superseding.id) == Code.CONSIGNMENT_STATE


def test_a_case_waits_until_the_interval_is_anchored_behind() -> None:
    trip = Trip()
    trip.drive([COLD] * 60)
    made = Agreement(trip)
    assert made.register() == Code.ACCEPTED
    assert made.bind(FROM_MS, START_MS + 10 * trip.clock.now_ms) == Code.ACCEPTED
    assert made.anchor() == Code.ACCEPTED
    assert made.open_case() == Code.NOT_ANCHORED_YET


def test_evidence_begins_at_what_was_anchored_when_the_consignment_was_bound() -> None:
    trip = Trip()
    trip.drive([WARM] * 60)
    made = Agreement(trip)
    made.until(START_MS + trip.clock.now_ms)
    assert made.anchor() == Code.ACCEPTED
    begin_ms = START_MS + trip.clock.now_ms + 10 * MINUTE_MS
    assert made.register() == Code.ACCEPTED
    trip.drive([COLD] * 120)
    assert made.bind(begin_ms, START_MS + trip.clock.now_ms) == Code.ACCEPTED
    made.until(START_MS + trip.clock.now_ms + MINUTE_MS)
    assert made.anchor() == Code.ACCEPTED
    made.opened()
    assert made.open_case() == Code.ACCEPTED
    (part,) = made.parts()
    assert part.first_height == 5
    assert made.give(part) == Code.ACCEPTED
    assert made.judge() == Code.ACCEPTED
    assert made.verdict().outcome == Outcome.KEPT


def two_trucks(order: str) -> Verdict:
    """Goods with a probe on each of two gateways; evidence comes in this order, a part a letter."""
    first, second = Trip(), Trip("trailer", prefix="trailer")
    for trip in (first, second):
        trip.drive(warm_trip(40 if trip is first else 50))
    made = Agreement(first)
    made.enrol(second)
    assert made.register() == Code.ACCEPTED
    end_ms = START_MS + first.clock.now_ms
    assert made.bind(FROM_MS, end_ms, devices=["probe-0", "trailer-0"]) == Code.ACCEPTED
    made.until(end_ms + MINUTE_MS + 60 * MINUTE_MS)
    for trip in (first, second):
        made.trip, made._anchored = trip, None
        assert made.anchor() == Code.ACCEPTED
        made.opened()
    assert made.open_case() == Code.ACCEPTED
    waiting = {}
    for letter, trip in (("a", first), ("b", second)):
        made.trip = trip
        waiting[letter] = made.parts()
    for letter in order:
        assert made.give(waiting[letter].pop(0)) == Code.ACCEPTED
    assert not waiting["a"] + waiting["b"]
    assert made.judge() == Code.ACCEPTED
    return made.verdict()


def test_the_order_in_which_two_feeds_evidence_comes_changes_no_byte(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gathering, "BLOCKS_AT_ONCE", 9)
    verdicts = [two_trucks(order) for order in ("aabb", "bbaa", "abab", "baba")]
    assert len({verdict.encode() for verdict in verdicts}) == 1
    assert facts_of(verdicts[0])["warm_longest_ms"] == 50 * MINUTE_MS, "the worst probe counts"
    assert [source[0] for source in verdicts[0].sources] == ["probe-0", "trailer-0"]


# The same bytes everywhere ----------------------------------------------------------------------

_ELSEWHERE = """
from tests.unit.consortium.app.test_disputes import agreement, warm_trip
made = agreement(warm_trip())
print(made.judged().encode().hex(), made.chain.app.app_hash.hex())
"""


def test_the_verdict_and_the_state_are_the_same_bytes_in_other_processes() -> None:
    answers = {
        subprocess.run(
            [sys.executable, "-c", _ELSEWHERE],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path.cwd())},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "4711")
    }
    made = agreement(warm_trip())
    assert answers == {f"{made.judged().encode().hex()} {made.chain.app.app_hash.hex()}\n"}
