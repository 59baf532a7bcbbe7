"""What a dock door saw becomes events by itself, once, with the cold that was measured there."""

import json
from pathlib import Path

from sqlalchemy import select

from ledger.entry import KIND_BUSINESS_EVENT
from logistics.business_event import ZoneEvent, ZoneStep
from logistics.epc import encode_epc
from portal.access import Role
from portal.office.event_tables import EVENTS
from portal.trace.sightings import Sightings
from tests.fakes.portal import (
    OUR_FEED,
    OURS,
    THEIRS,
    entry,
    feed_items,
    make_fake_parts,
    run,
    sign_in,
    two_organisations,
)

ITEM = encode_epc("urn:epc:tag:sgtin-96:3.0614141.812345.6789")
ZONES = 1 << 16 | 7


def sighting(step: ZoneStep, epc: bytes = ITEM) -> list[object]:
    return ZoneEvent(step=step, epc=epc, zone="dock 1", reads=3, dwell_ms=900).to_body()


def test_an_arrival_becomes_one_event_that_points_at_proven_readings(tmp_path: Path) -> None:
    parts = make_fake_parts(tmp_path, items=two_organisations())
    rows = [
        entry(KIND_BUSINESS_EVENT, ZONES, 50, sighting(ZoneStep.ARRIVED), at_s=300),
        entry(KIND_BUSINESS_EVENT, ZONES, 51, sighting(ZoneStep.DISPLACED), at_s=301),
        entry(KIND_BUSINESS_EVENT, ZONES, 52, sighting(ZoneStep.ARRIVED, b"\x00" * 12), at_s=302),
    ]
    feed_items(parts, [run(OUR_FEED, 2, rows)], first=50)
    writer = Sightings(parts)
    assert 1 == writer.write()
    assert 0 == writer.write()
    with parts.office.connect() as db:
        (row,) = db.execute(select(EVENTS)).all()
    event = json.loads(row.text)
    assert OURS.hex() == row.organisation
    assert ("arriving", ["https://id.gs1.org/01/80614141123458/21/6789"]) == (
        event["bizStep"],
        event["epcList"],
    )
    (report,) = event["sensorElementList"][0]["sensorReport"]
    assert (9.5, f"urn:wharf:entry:{OUR_FEED.hex()}:0:4") == (report["value"], report["rawData"])
    stranger, _ = sign_in(parts, THEIRS, Role.MANAGER, name="Rival")
    assert "arriving" not in stranger.get("/epcis/events").text
