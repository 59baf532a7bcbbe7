"""Who opens a run finds a summary whose numbers are not its readings'."""

from __future__ import annotations

import pytest

from logistics.reading import FLAG_SUSPECT
from logistics.summary_claims import slot_with_wrong_claim
from tests.fakes import trip as trips
from tests.fakes.trip import AUDIENCE, Trip, probe_slot


def test_honest_summaries_have_nothing_wrong() -> None:
    trip = Trip(probes=3)
    trip.drive([2_000, 9_000, -500], every=1)
    trip.read([1_000], flags=FLAG_SUSPECT)
    trip.seal()
    assert [slot_with_wrong_claim(run) for run in trip.runs.values()] == [None] * len(trip.runs)


@pytest.mark.parametrize("place", range(2, 8))
def test_each_number_of_a_summary_is_looked_at(place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = trips.stats_of

    def lying(slot: int, part: object) -> list[int]:
        row = honest(slot, part)  # type: ignore[arg-type]  # entries
        if slot == probe_slot(1) and len(row) > place:
            row[place] += 1
        return row

    monkeypatch.setattr(trips, "stats_of", lying)
    trip = Trip(probes=3)
    trip.drive([2_000, 9_000], every=2)
    assert slot_with_wrong_claim(trip.runs[0, AUDIENCE]) == probe_slot(1)
