"""What a verdict costs a validator: three weeks of twenty probes, judged from summaries."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from ledger.canonical import decode, encode
from ledger.hashing import sha256
from ledger.head import decode_head
from ledger.proof_bundle import feed_part_from_value
from logistics.rules.drafting import Draft, draft_of, template_text
from logistics.rules.evidence import Progress, Question, take_part
from logistics.rules.facts import Case, Interval, band_of
from logistics.rules.gathering import Wanted, gather
from logistics.rules.verdict import Outcome, judge
from tests.fakes.trip import MINUTE_MS, START_MS, Trip, all_opened
from tools.bench.figure import Figure, at_most
from tools.bench.session import BenchError, Session

PROBES: Final = 20
DAYS: Final = 21
SEALED_EVERY: Final = 10  # minutes; a reading a minute


@dataclass(frozen=True, slots=True)
class Consignment:
    """A finished trip: the contract and the evidence as it came in transactions."""

    drafted: Draft
    slots: tuple[int, ...]
    interval: Interval
    parts: tuple[bytes, ...]

    def judged(self) -> Outcome:
        """What a validator does: reads each part, proves it, and judges."""
        core = self.drafted.core
        progress = Progress(height=None, traces={}, clocks={})
        for data in self.parts:
            part = feed_part_from_value(decode(data))
            question = Question(
                claim=decode_head(part.head).claim,
                slots=self.slots,
                band=band_of(core.facts),
                gap_ms=core.gap_ms,
                clock_min=core.clock_min,
                from_ms=self.interval.from_ms,
                to_ms=self.interval.to_ms,
                anchored_ms=self.interval.to_ms,
                opened=all_opened,
            )
            progress = take_part(part, question, progress)
        case = Case(interval=self.interval, traces=tuple(progress.traces.values()))
        return judge(core, self.drafted.money, case, consignment_id=bytes(16)).outcome


def consignment(days: int = DAYS) -> Consignment:
    """Chilled goods that stay cold, sealed by the real sealer."""
    parties = [(b"\1" * 16, "carrier"), (b"\2" * 16, "shipper")]
    drafted = draft_of(template_text("chilled-food"), fresh_salt=lambda: bytes(16), parties=parties)
    trip = Trip(probes=PROBES)
    trip.drive([2_000 + minute % 90 * 10 for minute in range(days * 1440)], every=SEALED_EVERY)
    core, end_ms = drafted.core, START_MS + trip.clock.now_ms
    interval = Interval(from_ms=START_MS + MINUTE_MS, to_ms=end_ms, gap_ms=core.gap_ms)
    wanted = Wanted(
        head=trip.head(),
        base=None,
        slots=trip.slots,
        band=band_of(core.facts),
        gap_ms=core.gap_ms,
        from_ms=interval.from_ms,
        to_ms=interval.to_ms,
    )
    parts = tuple(encode(part.to_value()) for part in gather(trip, wanted))
    return Consignment(drafted, trip.slots, interval, parts)


def measure(session: Session) -> list[Figure]:
    """Seconds for the whole consignment, beside only hashing the same bytes."""
    made = consignment()
    if made.judged() != Outcome.KEPT:
        raise BenchError("the cold trip was not judged as kept")

    def hashed() -> float:
        begun = time.perf_counter()
        for data in made.parts:
            sha256(data)
        return time.perf_counter() - begun

    def judged() -> float:
        begun = time.perf_counter()
        made.judged()
        return time.perf_counter() - begun

    ours, theirs = session.interleaved("three weeks judged", judged, hashed)
    size = sum(len(data) for data in made.parts)
    blocks = DAYS * 1440 // SEALED_EVERY
    return [
        Figure(
            name=f"three weeks of {PROBES} probes judged from summaries, {blocks:,} blocks",
            unit="s", ours=ours, peer="hashing the evidence", theirs=theirs, goal=at_most(2),
            note=f"{size / 1e6:.1f} MB in {len(made.parts)} transactions",
        )
    ]  # fmt: skip  # a figure
