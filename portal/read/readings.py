"""Readings, positions and gaps as drawn: exact rows, and the least and greatest of each hour.

The hours are kept so that a month of many sensors is drawn from few rows; least and greatest stay
exact, so no breach is lost in them.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Column, Connection, Index, Table, Text, case

from ledger.entry import KIND_DESCRIPTOR, KIND_GAP
from logistics.reading import Descriptor, Gap, Position, Telemetry
from logistics.units import Scaled, rescale
from portal.read.gateways import CONDITIONS
from portal.read.inputs import Entry, OpenedRun
from portal.read.tables import METADATA, Projection, add_new, big, insert_into, put

HOUR_US: Final = 3_600_000_000
MILLI: Final = -3

CHANNELS = Table(
    "channels",
    METADATA,
    Column("feed", Text, primary_key=True),
    big("slot", primary_key=True),
    Column("device", Text, nullable=False, index=True),
    Column("channel", Text, nullable=False),
    Column("quantity", Text, nullable=False),
    Column("unit", Text),
    Column("calibration", Text),
    big("interval_ms"),
)
READINGS = Table(
    "readings",
    METADATA,
    Column("feed", Text, primary_key=True),
    big("slot", primary_key=True),
    big("epoch", primary_key=True),
    big("leaf_index", primary_key=True),
    big("height", nullable=False),
    big("wall_us"),
    big("unc_us", nullable=False),
    big("value_milli", nullable=False),
    big("flags", nullable=False),
)
Index("readings_by_time", READINGS.c.feed, READINGS.c.slot, READINGS.c.wall_us)
HOURS = Table(
    "hours",
    METADATA,
    Column("feed", Text, primary_key=True),
    big("slot", primary_key=True),
    big("hour", primary_key=True),
    big("least_milli", nullable=False),
    big("least_us", nullable=False),
    big("greatest_milli", nullable=False),
    big("greatest_us", nullable=False),
    big("count", nullable=False),
)
POSITIONS = Table(
    "positions",
    METADATA,
    Column("feed", Text, primary_key=True),
    big("epoch", primary_key=True),
    big("leaf_index", primary_key=True),
    Column("device", Text),
    big("height", nullable=False),
    big("wall_us"),
    big("lat_e7", nullable=False),
    big("lon_e7", nullable=False),
    big("speed_mm_s"),
    big("flags", nullable=False),
)
Index("positions_by_time", POSITIONS.c.feed, POSITIONS.c.wall_us)
GAPS = Table(
    "gaps",
    METADATA,
    Column("feed", Text, primary_key=True),
    big("epoch", primary_key=True),
    big("leaf_index", primary_key=True),
    big("slot", nullable=False),
    big("reason", nullable=False),
    big("from_wall_us"),
    big("to_wall_us"),
    big("count"),
)


def milli(record: Telemetry) -> int:
    """A reading's value in thousandths of its unit, rounded as `logistics.units.rescale` does."""
    return rescale(Scaled(record.value, record.exponent), MILLI)


def _place(entry: Entry) -> dict[str, Any]:
    return {"feed": entry.feed.hex(), "epoch": entry.epoch, "leaf_index": entry.index}


def _apply_run(db: Connection, run: OpenedRun, entries: Sequence[Entry]) -> None:
    for entry in entries:
        if entry.kind == KIND_DESCRIPTOR and isinstance(entry.record, Descriptor):
            put(db, CHANNELS, _channel(entry, entry.record))
    readings = [row for row in map(_reading, entries) if row]
    add_new(db, READINGS, readings)
    _add_hours(db, run.feed.hex(), readings)
    add_new(db, POSITIONS, [row for row in map(_position, entries) if row])
    gaps = [_gap(e, e.record) for e in entries if e.kind == KIND_GAP and isinstance(e.record, Gap)]
    add_new(db, GAPS, gaps)
    _note_heard(db, run, entries)


def _channel(entry: Entry, record: Descriptor) -> dict[str, Any]:
    return {
        "feed": entry.feed.hex(),
        "slot": entry.slot,
        "device": record.device_id,
        "channel": record.channel,
        "quantity": record.quantity,
        "unit": record.unit,
        "calibration": record.calibration,
        "interval_ms": record.interval_ms,
    }


def _reading(entry: Entry) -> dict[str, Any] | None:
    if not isinstance(entry.record, Telemetry):
        return None
    return _place(entry) | {
        "slot": entry.slot,
        "height": entry.height,
        "wall_us": entry.time.wall_us,
        "unc_us": entry.time.unc_us,
        "value_milli": milli(entry.record),
        "flags": entry.record.flags,
    }


def _position(entry: Entry) -> dict[str, Any] | None:
    record = entry.record
    if not isinstance(record, Position):
        return None
    return _place(entry) | {
        "device": entry.device,
        "height": entry.height,
        "wall_us": entry.time.wall_us,
        "lat_e7": record.lat_e7,
        "lon_e7": record.lon_e7,
        "speed_mm_s": record.speed_mm_s,
        "flags": record.flags,
    }


def _gap(entry: Entry, record: Gap) -> dict[str, Any]:
    return _place(entry) | {
        "slot": entry.slot,
        "reason": int(record.reason),
        "from_wall_us": record.from_wall_us,
        "to_wall_us": record.to_wall_us,
        "count": record.count,
    }


def _hour_rows(feed: str, readings: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    hours: dict[tuple[int, int], dict[str, Any]] = {}
    for row in readings:
        at, value = row["wall_us"], row["value_milli"]
        if at is None:
            continue
        key = (row["slot"], at // HOUR_US)
        point = {
            "feed": feed, "slot": key[0], "hour": key[1], "count": 1, "least_milli": value,
            "least_us": at, "greatest_milli": value, "greatest_us": at,
        }  # fmt: skip  # one point
        hours[key] = _joined(hours[key], point) if key in hours else point
    return list(hours.values())


def _joined(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    low = min(one, other, key=lambda row: (row["least_milli"], row["least_us"]))
    high = min(one, other, key=lambda row: (-row["greatest_milli"], row["greatest_us"]))
    return one | {
        "count": one["count"] + other["count"],
        "least_milli": low["least_milli"],
        "least_us": low["least_us"],
        "greatest_milli": high["greatest_milli"],
        "greatest_us": high["greatest_us"],
    }


def _add_hours(db: Connection, feed: str, readings: list[dict[str, Any]]) -> None:
    rows = _hour_rows(feed, readings)
    if not rows:
        return
    statement = insert_into(db, HOURS)
    new, old = statement.excluded, HOURS.c
    lower = (new.least_milli < old.least_milli) | (
        (new.least_milli == old.least_milli) & (new.least_us < old.least_us)
    )
    higher = (new.greatest_milli > old.greatest_milli) | (
        (new.greatest_milli == old.greatest_milli) & (new.greatest_us < old.greatest_us)
    )
    changes = {
        "count": old["count"] + new["count"],
        "least_milli": case((lower, new.least_milli), else_=old.least_milli),
        "least_us": case((lower, new.least_us), else_=old.least_us),
        "greatest_milli": case((higher, new.greatest_milli), else_=old.greatest_milli),
        "greatest_us": case((higher, new.greatest_us), else_=old.greatest_us),
    }
    keys = [old.feed, old.slot, old.hour]
    db.execute(statement.on_conflict_do_update(index_elements=keys, set_=changes), rows)


def _note_heard(db: Connection, run: OpenedRun, entries: Sequence[Entry]) -> None:
    """The gateway's newest clock and block, whichever run they came in."""
    timed = [entry.time for entry in entries if entry.time.wall_us is not None]
    row: dict[str, Any] = {"feed": run.feed.hex(), "opened_height": run.height}
    if timed:
        last = max(timed, key=lambda time: (time.boot, time.mono_us))
        row |= {
            "heard_wall_us": last.wall_us,
            "clock_quality": last.quality,
            "clock_unc_us": last.unc_us,
        }
    put(db, CONDITIONS, row)


PROJECTION = Projection(name="readings", apply_run=_apply_run)
