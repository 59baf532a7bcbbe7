"""Tags that came to a door or left it: what the gateways' zones decided."""

from sqlalchemy import Column, Connection, Table, Text

from logistics.business_event import ZoneEvent
from portal.read.inputs import Entry
from portal.read.tables import METADATA, Projection, add_new, big

SIGHTINGS = Table(
    "sightings",
    METADATA,
    Column("feed", Text, primary_key=True),
    big("epoch", primary_key=True),
    big("leaf_index", primary_key=True),
    Column("epc", Text, nullable=False),
    big("step", nullable=False),
    Column("zone", Text, nullable=False),
    big("wall_us"),
)


def _apply(db: Connection, entry: Entry) -> None:
    if not isinstance(entry.record, ZoneEvent):
        return
    row = {
        "feed": entry.feed.hex(),
        "epoch": entry.epoch,
        "leaf_index": entry.index,
        "epc": entry.record.epc.hex(),
        "step": int(entry.record.step),
        "zone": entry.record.zone,
        "wall_us": entry.time.wall_us,
    }
    add_new(db, SIGHTINGS, [row])


PROJECTION = Projection(name="sightings", apply_entry=_apply)
