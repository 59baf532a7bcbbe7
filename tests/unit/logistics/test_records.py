from typing import Any

import pytest

from ledger.entry import (
    KIND_BOOT,
    KIND_DESCRIPTOR,
    KIND_GAP,
    KIND_POSITION,
    KIND_SUMMARY,
    KIND_TAG_SIGHTING,
    KIND_TELEMETRY,
)
from logistics.reading import Descriptor, Gap, GapReason, Position, TagSighting, Telemetry
from logistics.records import READING_KINDS, Record, record_of

RECORDS: list[tuple[int, Record]] = [
    (KIND_TELEMETRY, Telemetry(value=4000, exponent=-3, unit="CEL")),
    (KIND_TAG_SIGHTING, TagSighting(epc=b"\x30" * 12)),
    (KIND_POSITION, Position(lat_e7=1, lon_e7=2, fix=1)),
    (
        KIND_DESCRIPTOR,
        Descriptor(device_id="p", channel="t", quantity="temperature", unit="CEL", driver="nmea"),
    ),
    (KIND_GAP, Gap(reason=GapReason.SILENT)),
]


@pytest.mark.parametrize(("kind", "record"), RECORDS)
def test_a_body_is_the_record_of_its_kind(kind: int, record: Record) -> None:
    assert record == record_of(kind, record.to_body())


@pytest.mark.parametrize("kind", [KIND_BOOT, KIND_SUMMARY, 0, 99])
def test_other_kinds_have_no_record(kind: int) -> None:
    assert record_of(kind, RECORDS[0][1].to_body()) is None


@pytest.mark.parametrize("body", [None, [], {}, b"", [2, 4000, -3, "CEL", 0, None, None], "text"])
def test_a_body_of_an_unknown_layout_is_no_record_and_no_error(body: Any) -> None:
    assert [None] * len(RECORDS) == [record_of(kind, body) for kind, _ in RECORDS]


def test_readings_are_what_devices_measured_and_nothing_else() -> None:
    assert {KIND_TELEMETRY, KIND_TAG_SIGHTING, KIND_POSITION} == READING_KINDS
