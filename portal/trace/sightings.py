"""Dock sightings become EPCIS events by themselves, each with the cold that was measured there.

An event's id is made of the ledger entry that it follows from, so writing it twice is writing it
once. Sensor reports point at their entries (`rawData`): a proof bundle shows those.
"""

import json
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Row, func, select

from logistics.business_event import ZoneStep
from logistics.epc import decode_epc
from logistics.epcis.document import Document, read_document
from logistics.epcis.event_view import time_text
from logistics.epcis.vocabulary import CONTEXT
from logistics.trace.item_key import key_of_epc
from portal.office.event_tables import SIGHTED
from portal.parts import Parts
from portal.read.gateways import GATEWAYS
from portal.read.readings import CHANNELS, READINGS
from portal.read.sightings import SIGHTINGS
from portal.read.tables import add_new, writing
from portal.trace.shelf import EventShelf

WRITE_S: Final = 5.0
AT_ONCE: Final = 500
NEAR_US: Final = 600 * 1_000_000  # a reading further from the sighting says nothing of it
REPORTS_MAX: Final = 4
_STEPS: Final = {
    ZoneStep.ARRIVED: "arriving",
    ZoneStep.MOVED: "entering_exiting",
    ZoneStep.DEPARTED: "departing",
}


class Sightings:
    """Writes events of the read model's sightings for the gateways' organisations."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._shelf = EventShelf(parts.office, parts.clock_ms, parts.random_bytes)

    def write(self) -> int:
        """Writes what is new; how many events were."""
        with self._parts.read.connect() as db:
            rows = self._new(db)
            events = [(row, event_of(row, _reports(db, row))) for row in rows]
        count = 0
        for owner in sorted({row.organisation for row in rows}):
            own = [event for row, event in events if event and row.organisation == owner]
            if own:
                count += self._shelf.take(owner, _document(own), for_consumers=True).new
        keys = [{"place": place_of(row)} for row in rows]
        with writing(self._parts.office) as db:
            add_new(db, SIGHTED, keys)
        return count

    def _new(self, db: Connection) -> list[Row[Any]]:
        chosen = (
            select(SIGHTINGS, GATEWAYS.c.organisation)
            .join(GATEWAYS, GATEWAYS.c.feed == SIGHTINGS.c.feed)
            .where(SIGHTINGS.c.wall_us.is_not(None))
            .order_by(SIGHTINGS.c.feed, SIGHTINGS.c.epoch, SIGHTINGS.c.leaf_index)
        )
        counted = select(func.count()).select_from(chosen.order_by(None).subquery())
        with self._parts.office.connect() as office:
            written = office.execute(select(func.count()).select_from(SIGHTED)).scalar()
            if written == db.execute(counted).scalar():
                return []  # the usual case, and cheap
            done = set(office.execute(select(SIGHTED.c.place)).scalars())
        return [row for row in db.execute(chosen) if place_of(row) not in done][:AT_ONCE]


def place_of(row: Row[Any]) -> str:
    """The ledger entry's place as a URN: feed, epoch, leaf index."""
    return f"urn:wharf:entry:{row.feed}:{row.epoch}:{row.leaf_index}"


def event_of(row: Row[Any], reports: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The event of a sighting; None for a tag that names no goods, or a step that is none."""
    key = key_of_epc(decode_epc(bytes.fromhex(row.epc)))
    step = _STEPS.get(ZoneStep(row.step))
    if key is None or step is None:
        return None
    event: dict[str, Any] = {
        "type": "ObjectEvent",
        "eventID": place_of(row),
        "eventTime": time_text(row.wall_us // 1000),
        "eventTimeZoneOffset": "+00:00",
        "epcList": [key.uri],
        "action": "OBSERVE",
        "bizStep": step,
        "readPoint": {"id": f"urn:wharf:zone:{row.feed}:{quote(row.zone, safe='')}"},
    }
    return event | ({"sensorElementList": [{"sensorReport": reports}]} if reports else {})


def _reports(db: Connection, row: Row[Any]) -> list[dict[str, Any]]:
    """The nearest earlier temperature of each sensor of the same gateway, with its entry."""
    chosen = (
        select(READINGS, CHANNELS.c.device)
        .join(CHANNELS, (CHANNELS.c.feed == READINGS.c.feed) & (CHANNELS.c.slot == READINGS.c.slot))
        .where(
            READINGS.c.feed == row.feed,
            CHANNELS.c.quantity == "temperature",
            READINGS.c.wall_us.between(row.wall_us - NEAR_US, row.wall_us),
        )
        .order_by(READINGS.c.wall_us.desc())
        .limit(200)
    )
    newest: dict[int, Row[Any]] = {}
    for found in db.execute(chosen):
        newest.setdefault(found.slot, found)
    return [_report(found) for _, found in sorted(newest.items())[:REPORTS_MAX]]


def _report(found: Row[Any]) -> dict[str, Any]:
    return {
        "type": "Temperature",
        "value": found.value_milli / 1000,
        "uom": "CEL",
        "time": time_text(found.wall_us // 1000),
        "deviceID": f"urn:wharf:device:{quote(found.device, safe='')}",
        "rawData": place_of(found),
    }


def _document(events: list[dict[str, Any]]) -> Document:
    """The events through the same gate as a stranger's."""
    body = {
        "@context": [CONTEXT],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": events[-1]["eventTime"],
        "epcisBody": {"eventList": events},
    }
    return read_document(json.dumps(body).encode())
