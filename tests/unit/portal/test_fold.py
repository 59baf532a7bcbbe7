from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from portal.events import STATES, Event
from portal.fold import Fold


def reading(t_ms: int, state: str, sensor: str = "probe", gateway: str = "g") -> Event:
    body = {"t_ms": t_ms, "gateway": gateway, "sensor": sensor, "celsius_milli": 4000 + t_ms}
    return Event("reading", {"type": "reading", "state": state, **body})


def band(**fields: object) -> Event:
    return Event("band", {"type": "band", "id": "b", "kind": "outage", "from_ms": 1, **fields})


def only(messages: list[dict[str, Any]]) -> dict[str, Any]:
    (message,) = messages
    return message


def test_readings_leave_in_columns_sorted_by_time() -> None:
    fold = Fold()
    for t_ms in (30, 10, 20):
        fold.apply(reading(t_ms, "live"))
    expected = {
        "type": "series",
        "key": "series g probe",
        "gateway": "g",
        "sensor": "probe",
        "celsius_milli": [4010, 4020, 4030],
        "t_ms": [10, 20, 30],
        "state": [0, 0, 0],
    }
    assert expected == only(fold.snapshot())


def test_a_reading_never_falls_back_to_a_less_sure_state() -> None:
    fold = Fold()
    fold.apply(reading(1, "anchored"))
    fold.apply(reading(1, "live"))
    assert [2] == only(fold.snapshot())["state"]


def test_drain_tells_each_change_once() -> None:
    fold = Fold()
    fold.apply(reading(1, "live"))
    assert [1] == only(fold.drain())["t_ms"]
    fold.apply(reading(1, "live"))
    assert [] == fold.drain()
    fold.apply(reading(1, "journaled"))
    assert [1] == only(fold.drain())["state"]


def test_advance_lifts_all_earlier_readings_of_its_gateway_only() -> None:
    fold = Fold()
    for t_ms in (1, 2, 3):
        fold.apply(reading(t_ms, "journaled"))
    fold.apply(reading(1, "journaled", gateway="other"))
    fold.drain()
    body = {"type": "advance", "gateway": "g", "to_ms": 2, "state": "anchored"}
    fold.apply(Event("advance", body))
    changed = only(fold.drain())
    assert ([1, 2], [2, 2]) == (changed["t_ms"], changed["state"])


def test_a_band_told_again_keeps_what_it_said_before() -> None:
    fold = Fold()
    fold.apply(band(label="no uplink", to_ms=None))
    fold.apply(band(to_ms=9))
    message = only(fold.snapshot())
    assert ("no uplink", 9, "band b") == (message["label"], message["to_ms"], message["key"])


def test_rejected_lines_are_counted_for_the_reader() -> None:
    fold = Fold()
    fold.reject()
    fold.reject()
    assert 2 == only(fold.snapshot())["count"]


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(STATES), st.booleans()), max_size=30))
def test_drained_changes_rebuild_the_snapshot(steps: list[tuple[int, str, bool]]) -> None:
    fold, seen = Fold(), dict[int, int]()
    for t_ms, state, drain in [*steps, (0, "live", True)]:
        fold.apply(reading(t_ms, state))
        for message in fold.drain() if drain else []:
            seen.update(zip(message["t_ms"], message["state"], strict=True))
    message = only(fold.snapshot())
    assert dict(zip(message["t_ms"], message["state"], strict=True)) == seen
