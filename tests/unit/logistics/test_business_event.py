"""Zone events and frame digests: strict both ways; docs/formats/business-event.md is true."""

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from ledger.canonical import decode, encode
from ledger.entry import KIND_BUSINESS_EVENT, KIND_DOCUMENT_HASH
from logistics.business_event import FrameDigest, ZoneEvent, ZoneStep
from logistics.errors import BodyError
from logistics.records import record_of

PAGE = Path(__file__).parents[3] / "docs/formats/business-event.md"
EVENT = ZoneEvent(
    step=ZoneStep.ARRIVED,
    epc=bytes.fromhex("3174257bf4499602d2000000"),
    zone="dock-1",
    reads=5,
    dwell_ms=900,
    rssi_cdbm=-5000,
)
DIGEST = FrameDigest(
    sha256=hashlib.sha256(bytes.fromhex("01da0253")).digest(),
    size_bytes=4,
    sender=bytes.fromhex("0102030405060708"),
    counter=42,
    device_time_ms=1_795_428_900_250,
)
RECORDS: dict[str, tuple[int, Any]] = {
    "zone event": (KIND_BUSINESS_EVENT, EVENT),
    "frame digest": (KIND_DOCUMENT_HASH, DIGEST),
}


def page_examples() -> dict[str, bytes]:
    blocks = re.findall(r"```hex\nexample ([a-z ]+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return {name: bytes.fromhex(re.sub(r"#.*", "", text)) for name, text in blocks}


@pytest.mark.parametrize("name", RECORDS)
def test_the_worked_example_is_the_record_both_ways(name: str) -> None:
    (kind, record), raw = RECORDS[name], page_examples()[name]
    assert raw == encode(record.to_body())
    assert record == record_of(kind, decode(raw))


@pytest.mark.parametrize(
    ("at", "wrong"),
    [(0, 2), (1, 5), (1, 0), (2, bytes(63)), (3, ""), (4, 1), (5, -1), (6, 0.5), (7, 9_000)],
)
def test_a_zone_event_out_of_range_is_refused(at: int, wrong: object) -> None:
    body = EVENT.to_body()
    body[at] = wrong
    with pytest.raises(BodyError):
        ZoneEvent.from_body(body)


@pytest.mark.parametrize(
    ("at", "wrong"), [(1, bytes(31)), (1, bytes(33)), (2, -1), (3, bytes(17)), (4, -1), (5, 1024)]
)
def test_a_frame_digest_out_of_range_is_refused(at: int, wrong: object) -> None:
    body = DIGEST.to_body()
    body[at] = wrong
    with pytest.raises(BodyError):
        FrameDigest.from_body(body)
