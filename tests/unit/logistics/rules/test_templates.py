"""The shipped templates, each with worked examples: what happened, and what it comes to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from logistics.rules.custody import HandOver
from logistics.rules.drafting import TEMPLATES, Draft, draft_of, template_text
from logistics.rules.explain import Explained, explain
from logistics.rules.facts import Case, Interval
from logistics.rules.traces import Located, Measured, Note, Piece, Trace
from logistics.rules.verdict import Outcome, Verdict, decode_verdict, judge

PARTIES = [(b"a" * 16, "carrier"), (b"b" * 16, "shipper")]
MONDAY_MS = 1_780_876_800_000  # 2026-06-08T00:00:00Z
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
KEPT, BROKEN, NO_EVIDENCE = Outcome.KEPT, Outcome.BROKEN, Outcome.NO_EVIDENCE


def drafted(name: str) -> Draft:
    return draft_of(template_text(name), fresh_salt=lambda: b"s" * 16, parties=PARTIES)


def trace(pieces: list[Piece], quantity: str = "temperature", **notes: int) -> Trace:
    return Trace(
        device_id="probe",
        channel=quantity,
        quantity=quantity,
        seq_by="sensor",
        calibration="a certificate",
        interval_ms=MINUTE_MS,
        pieces=tuple(pieces),
        notes={Note[name.upper()]: count for name, count in notes.items()},
    )


def temperatures(*rows: tuple[int, int]) -> Case:
    """A reading a minute: so many minutes at so many milli-degrees each."""
    values = [value for minutes, value in rows for _ in range(minutes)]
    pieces: list[Piece] = [
        Measured(MONDAY_MS + at * MINUTE_MS, value) for at, value in enumerate(values)
    ]
    return case_of([trace(pieces)], len(values) * MINUTE_MS)


def case_of(traces: list[Trace], length_ms: int, **more: object) -> Case:
    interval = Interval(from_ms=MONDAY_MS, to_ms=MONDAY_MS + length_ms, gap_ms=1)
    return Case(interval=interval, traces=tuple(traces), **more)  # type: ignore[arg-type]  # custody


def verdict_of(name: str, case: Case) -> Verdict:
    made = drafted(name)
    interval = replace(case.interval, gap_ms=made.core.gap_ms)
    verdict = judge(
        made.core, made.money, replace(case, interval=interval), consignment_id=b"c" * 16
    )
    assert decode_verdict(verdict.encode()) == verdict
    return verdict


@pytest.mark.parametrize(
    ("name", "rows", "outcome", "cents"),
    [
        ("chilled-food", [(600, 3_900)], KEPT, 0),
        ("chilled-food", [(60, 2_000), (30, 4_001), (60, 2_000)], KEPT, 0),
        ("chilled-food", [(60, 2_000), (31, 4_001), (60, 2_000)], BROKEN, 15_000),
        # Thirty minutes three times, and one more: an hour and a minute beyond what is free.
        ("chilled-food", [(30, 9_000), (9, 2_000)] * 3 + [(1, 9_000)], BROKEN, 30_000),
        ("chilled-food", [(30, 9_000), (9, 2_000)] * 3, KEPT, 0),
        # Hysteresis: 3.9 °C does not end what began above 4 °C.
        ("chilled-food", [(10, 4_100), (25, 3_900), (60, 2_000)], BROKEN, 15_000),
        ("chilled-food", [(60, 2_000), (1, -1), (60, 2_000)], BROKEN, 40_000),
        ("chilled-food", [(60, 0), (60, 4_000)], KEPT, 0),
        ("vaccine", [(1_440, 5_000)], KEPT, 0),
        ("vaccine", [(60, 5_000), (59, -500), (60, 5_000)], BROKEN, 0),
        ("vaccine", [(60, 5_000), (60, -500), (60, 5_000)], BROKEN, 5_000_000),
        ("vaccine", [(60, 5_000), (20, 8_100), (60, 5_000)], KEPT, 0),
        ("vaccine", [(60, 5_000), (40, 8_100), (60, 5_000)], BROKEN, 25_000),
        ("vaccine", [(600, 8_100), (60, 5_000)], BROKEN, 2_585_000),
        ("frozen", [(600, -18_000)], KEPT, 0),
        ("frozen", [(60, -20_000), (20, -17_000), (60, -20_000)], KEPT, 0),
        ("frozen", [(60, -20_000), (21, -17_000), (60, -20_000)], BROKEN, 50_000),
        ("frozen", [(60, -20_000), (7, -14_000), (60, -20_000)], BROKEN, 11_667),
    ],
)
def test_a_trip_by_temperature_comes_to_what_is_written(
    name: str, rows: list[tuple[int, int]], outcome: Outcome, cents: int
) -> None:
    verdict = verdict_of(name, temperatures(*rows))
    assert (verdict.outcome, verdict.amount) == (outcome, cents)


DOCK_OR_NOT = {True: (535_420_000, 99_650_000), False: (530_000_000, 90_000_000)}


def positions(*rows: tuple[int, bool], begin_hour: int = 5) -> Case:
    """A position every five minutes: so many minutes in the dock or out of it, from 06:00 local."""
    pieces, at = list[Piece](), MONDAY_MS + begin_hour * HOUR_MS
    for minutes, inside in rows:
        for _ in range(0, minutes, 5):
            pieces.append(Located(at, *DOCK_OR_NOT[inside]))
            at += 5 * MINUTE_MS
    begin_ms = MONDAY_MS + begin_hour * HOUR_MS
    interval = Interval(from_ms=begin_ms, to_ms=at, gap_ms=1)
    return Case(interval=interval, traces=(trace(pieces, "position"),))


@pytest.mark.parametrize(
    ("rows", "begin_hour", "cents"),
    [
        ([(60, False), (120, True), (60, False)], 5, 0),
        ([(60, False), (125, True), (60, False)], 5, 1_500),
        ([(60, False), (180, True), (60, False)], 5, 6_000),
        ([(120, True), (5, False), (30, True)], 5, 4_500),  # out for five minutes is still there
        ([(120, True), (15, False), (30, True)], 5, 3_000),  # for fifteen it is not
        ([(360, True)], 17, 12_000),  # from 18:00 local, four hours count and 22:00 ends them
        ([(3_000, True)], 5, 60_000),  # the cap
    ],
)
def test_waiting_at_the_dock_costs_by_quarters_of_working_time(
    rows: list[tuple[int, bool]], begin_hour: int, cents: int
) -> None:
    verdict = verdict_of("detention", positions(*rows, begin_hour=begin_hour))
    assert verdict.amount == cents
    assert verdict.outcome == (BROKEN if cents else KEPT)


ROUTE = [(535_500_000, 99_900_000), (532_500_000, 94_000_000), (530_800_000, 88_000_000)]


def drive(hours_to_arrive: int, hours_astray: int = 0) -> Case:
    """Each ten minutes a place: at the start, astray for some hours, then at the consignee's."""
    pieces = list[Piece]()
    for step in range(60 * 6):
        at = MONDAY_MS + step * 10 * MINUTE_MS
        where = ROUTE[2] if step >= hours_to_arrive * 6 else ROUTE[1]
        where = (520_000_000, 94_000_000) if step < hours_astray * 6 else where
        pieces.append(Located(at, *where))
    return case_of([trace(pieces, "position")], 60 * HOUR_MS)


@pytest.mark.parametrize(
    ("hours", "astray", "outcome", "cents"),
    [(40, 0, KEPT, 0), (48, 0, KEPT, 0), (49, 1, BROKEN, 5_000), (51, 2, BROKEN, 40_000),
     (70, 0, BROKEN, 60_000), (40, 1, KEPT, 0)],
)  # fmt: skip  # trips
def test_delivery_is_by_the_ring_the_deadline_and_the_route(
    hours: int, astray: int, outcome: Outcome, cents: int
) -> None:
    verdict = verdict_of("geofence-delivery", drive(hours, astray))
    assert (verdict.outcome, verdict.amount) == (outcome, cents)


def hand_over(at: int, giver: str | None, taker: str, seals: str = "S1 S2") -> HandOver:
    both = [name.encode() * 16 for name in (giver, taker) if name]
    return HandOver(
        at_ms=MONDAY_MS + at, giver=both[0] if giver else None, taker=both[-1],
        signed_by=frozenset(both), seals_found=tuple(seals.split()),
        seals_set=tuple(seals.split()),
    )  # fmt: skip  # a row


@pytest.mark.parametrize(
    ("row", "outcome", "cents"),
    [
        ([hand_over(1, None, "a"), hand_over(2, "a", "b"), hand_over(3, "b", "c")], KEPT, 0),
        ([hand_over(1, None, "a"), hand_over(2, "x", "b")], BROKEN, 50_000),
        ([hand_over(1, None, "a"), hand_over(2, "a", "b", "S1 S9")], BROKEN, 100_000),
        (None, NO_EVIDENCE, 0),
    ],
)
def test_custody_is_by_signatures_and_seals(
    row: list[HandOver] | None, outcome: Outcome, cents: int
) -> None:
    custody = None if row is None else tuple(row)
    verdict = verdict_of("custody-seals", case_of([], HOUR_MS, custody=custody))
    assert (verdict.outcome, verdict.amount) == (outcome, cents)


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_says_each_clause_in_both_languages(name: str) -> None:
    made = drafted(name)
    for language in ("en", "zh"):
        assert len(made.prose.text(language)) > 40
        assert all(made.prose.clause(item.number, language) for item in made.core.clauses)
    assert any("\u4e00" <= letter <= "\u9fff" for letter in made.prose.text("zh"))
    assert not any("\u4e00" <= letter <= "\u9fff" for letter in made.prose.text("en"))


def explained(language: str, *, for_judge: bool) -> str:
    case = temperatures((60, 2_000), (45, 6_500), (60, 2_000))
    made = drafted("chilled-food")
    case = replace(case, interval=replace(case.interval, gap_ms=made.core.gap_ms))
    verdict = judge(made.core, made.money, case, consignment_id=b"c" * 16)
    about = Explained(
        core=made.core, verdict=verdict, case=case, money=made.money, prose=made.prose
    )
    return "\n".join(explain(about, language=language, for_judge=for_judge))


def test_a_driver_reads_which_rule_when_how_far_and_what_it_costs() -> None:
    text = explained("en", for_judge=False)
    assert text.startswith("BROKEN: Chilled food, 0 to 4 °C")
    assert "2026-06-08 01:00:00 to 2026-06-08 01:45:00, 0:45:00, worst 6.5 °C (limit 4 °C)" in text
    assert "To pay: 150.00 EUR, at most 5000.00 EUR." in text
    assert "warm_longest_ms" not in text
    assert "1.2 KEPT" in text
    assert "应付：150.00 EUR" in explained("zh", for_judge=False)


def test_a_judge_reads_conditions_numbers_and_identities_too() -> None:
    text = explained("en", for_judge=True)
    assert "condition: warm_longest_ms <= 1800000 && warm_total_ms <= 5400000" in text
    assert "warm_longest_ms = 2700000 ms (0:45:00)" in text
    assert drafted("chilled-food").core.id.hex() in text
    assert "a certificate" in text
    assert "条件：" in explained("zh", for_judge=True)
