from __future__ import annotations

import json

import pytest

from portal.events import LINE_BYTES_MAX, Event, RejectedLine, parse_line

READING = {
    "type": "reading",
    "t_ms": 1_700_000_000_000,
    "gateway": "cold-room",
    "sensor": "cold-room/probe-1",
    "quantity": "temperature",
    "celsius_milli": 4125,
    "state": "journaled",
}


def line(**changes: object) -> bytes:
    return json.dumps({**READING, **changes}).encode()


def test_a_reading_keeps_its_known_fields_and_loses_others() -> None:
    event = parse_line(line(secret="x"))
    assert Event("reading", READING) == event


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"celsius_milli": 4.1}, "reading: celsius_milli"),
        ({"celsius_milli": True}, "reading: celsius_milli"),
        ({"celsius_milli": 2**60}, "reading: celsius_milli"),
        ({"state": "certain"}, "reading: state"),
        ({"sensor": "x" * 3000}, "reading: sensor"),
        ({"quantity": "pressure"}, "reading: quantity"),
        ({"type": "rumour"}, "unknown type"),
        ({"type": ["reading"]}, "unknown type"),
    ],
)
def test_a_reading_with_a_wrong_field_is_rejected_by_name(
    changes: dict[str, object], reason: str
) -> None:
    assert RejectedLine(reason) == parse_line(line(**changes))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "not an object"),
        (b"[" * 60_000, "not JSON"),
        (b" " * (LINE_BYTES_MAX + 1), "line too long"),
    ],
)
def test_noise_is_a_value_and_never_an_exception(data: bytes, reason: str) -> None:
    assert RejectedLine(reason) == parse_line(data)


def test_a_position_off_the_globe_is_rejected() -> None:
    position = {"type": "position", "t_ms": 1, "gateway": "t", "lon_e7": 0, "state": "live"}
    good = json.dumps({**position, "lat_e7": 900_000_000}).encode()
    bad = json.dumps({**position, "lat_e7": 900_000_001}).encode()
    assert isinstance(parse_line(good), Event)
    assert RejectedLine("position: lat_e7") == parse_line(bad)


def test_an_open_band_has_no_end() -> None:
    band = {"type": "band", "id": "k", "kind": "kill", "from_ms": 1, "to_ms": None}
    assert Event("band", band) == parse_line(json.dumps(band).encode())


def test_a_negative_count_in_the_account_is_rejected() -> None:
    counts = {"type": "counts", "rows": [{"name": "a", "missing": -1}]}
    assert RejectedLine("counts: rows") == parse_line(json.dumps(counts).encode())
