"""Gateways: whose they are, what is anchored of them, when they were heard, and how they are."""

from sqlalchemy import Column, Connection, Table, Text, update

from consortium.transaction import KIND_RETIRE
from ledger.chain_proof import RECORD_ANCHOR, RECORD_GATEWAY, RECORD_REVOKED
from ledger.entry import KIND_BOOT, KIND_CLOCK_STEP
from logistics.health import AlarmChange, BoxHealth
from portal.read.inputs import AcceptedTransaction, Entry
from portal.read.tables import METADATA, Projection, big, put

GATEWAYS = Table(
    "gateways",
    METADATA,
    Column("feed", Text, primary_key=True),
    Column("organisation", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    big("level", nullable=False),
    big("enrolled_ms", nullable=False),
    big("ended_ms"),
    big("anchored_height"),
    big("anchored_ms"),
)
# How a gateway is, by its own entries; written for feeds that are not enrolled here, too.
CONDITIONS = Table(
    "conditions",
    METADATA,
    Column("feed", Text, primary_key=True),
    big("heard_wall_us"),
    big("opened_height"),
    big("clock_quality"),
    big("clock_unc_us"),
    big("boots"),
    Column("software", Text),
    big("clock_steps"),
    big("written_mb_a_day"),
    big("used_percent"),
    big("silent"),
    big("past_due"),
    big("faults"),
)
ALARMS = Table(
    "alarms",
    METADATA,
    Column("feed", Text, primary_key=True),
    big("epoch", primary_key=True),
    big("leaf_index", primary_key=True),
    Column("device", Text),
    Column("channel", Text),
    big("slot", nullable=False),
    big("raised", nullable=False),
    big("above", nullable=False),
    big("limit_milli", nullable=False),
    big("for_s", nullable=False),
    big("value", nullable=False),
    big("exponent", nullable=False),
    big("wall_us"),
    big("since_wall_us"),
)


def _apply_transaction(db: Connection, accepted: AcceptedTransaction) -> None:
    for kind, *record in accepted.records:
        if kind == RECORD_GATEWAY:
            feed, organisation, _, _, level, _, name = record
            row = {
                "feed": feed.hex(),
                "organisation": organisation.hex(),
                "name": name,
                "level": level,
                "enrolled_ms": accepted.time_ms,
            }
            put(db, GATEWAYS, row)
        elif kind == RECORD_ANCHOR:
            values = {"anchored_height": record[2], "anchored_ms": accepted.time_ms}
            _change(db, record[0], **values)
        elif kind in (RECORD_REVOKED, KIND_RETIRE):
            _change(db, record[0], ended_ms=accepted.time_ms)


def _change(db: Connection, feed: bytes, **values: int) -> None:
    db.execute(update(GATEWAYS).where(GATEWAYS.c.feed == feed.hex()).values(**values))


def _apply_entry(db: Connection, entry: Entry) -> None:
    if isinstance(entry.record, AlarmChange):
        _add_alarm(db, entry, entry.record)
    elif isinstance(entry.record, BoxHealth):
        box = entry.record
        row = {
            "feed": entry.feed.hex(),
            "written_mb_a_day": box.written_mb_a_day,
            "used_percent": box.used_percent,
            "silent": box.silent,
            "past_due": box.past_due,
            "faults": box.faults,
        }
        put(db, CONDITIONS, row)
    elif entry.kind == KIND_BOOT:
        software = entry.body[1] if isinstance(entry.body, list) and len(entry.body) > 1 else None
        row = {"feed": entry.feed.hex(), "boots": entry.time.boot, "software": str(software or "")}
        put(db, CONDITIONS, row)
    elif entry.kind == KIND_CLOCK_STEP:
        put(db, CONDITIONS, {"feed": entry.feed.hex(), "clock_steps": entry.srcseq})


def _add_alarm(db: Connection, entry: Entry, alarm: AlarmChange) -> None:
    row = {
        "feed": entry.feed.hex(),
        "epoch": entry.epoch,
        "leaf_index": entry.index,
        "device": entry.device,
        "channel": entry.channel,
        "slot": entry.slot,
        "raised": int(alarm.raised),
        "above": int(alarm.above),
        "limit_milli": alarm.limit_milli,
        "for_s": alarm.for_s,
        "value": alarm.value,
        "exponent": alarm.exponent,
        "wall_us": entry.time.wall_us,
        "since_wall_us": alarm.since_wall_us,
    }
    put(db, ALARMS, row)


PROJECTION = Projection(
    name="gateways", apply_transaction=_apply_transaction, apply_entry=_apply_entry
)
