"""Consignments as pages show them: who takes part, who holds the goods, and how warm they were.

Readings count for a consignment while the organisation whose gateway made them held the goods:
naming somebody else's device in a leg opens nothing. OUTSIDE is for the list's order; a hand-over
that came late does not move what was counted before it, and the consignment's own page counts anew.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Index, Table, Text, select, update

from consortium.transaction import (
    KIND_ACCEPT_LEG,
    KIND_CLOSE,
    KIND_CONSIGNMENT,
    KIND_GRANT,
    KIND_HAND_OVER,
    fields,
)
from logistics.hand_over import decode_hand_over
from logistics.reading import Telemetry
from portal.chart.spells import Interval
from portal.read.gateways import GATEWAYS
from portal.read.inputs import AcceptedTransaction, Entry, OpenedRun
from portal.read.readings import milli
from portal.read.tables import METADATA, Projection, big, put

CELSIUS = "CEL"
OPEN, RELEASED, REJECTED = range(3)
CONSIGNMENTS = Table(
    "consignments",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False, index=True),
    Column("consignee", Text, nullable=False, index=True),
    Column("holder", Text, nullable=False),
    Column("digest", Text, nullable=False),
    big("version", nullable=False),
    big("low_milli"),
    big("high_milli"),
    big("status", nullable=False),
    big("created_ms", nullable=False),
    big("closed_ms"),
    Column("closed_by", Text),
    big("outside", nullable=False),
    big("worst_milli"),
    big("newest_ms"),
    big("newest_milli"),
)
Index("consignments_by_risk", CONSIGNMENTS.c.status, CONSIGNMENTS.c.outside)
LEGS = Table(
    "consignment_legs",
    METADATA,
    Column("consignment", Text, primary_key=True),
    big("number", primary_key=True),
    Column("carrier", Text, nullable=False, index=True),
    Column("devices", Text, nullable=False),  # a JSON list
    big("accepted", nullable=False),
)
LEG_DEVICES = Table(
    "consignment_devices",
    METADATA,
    Column("device", Text, primary_key=True),
    Column("consignment", Text, primary_key=True),
)
CUSTODY = Table(
    "custody",
    METADATA,
    Column("consignment", Text, primary_key=True),
    big("number", primary_key=True),
    Column("giver", Text, nullable=False),
    Column("taker", Text, nullable=False),
    big("signed_ms", nullable=False),
    big("received_ms", nullable=False),
    big("strength", nullable=False),
    big("pieces", nullable=False),
    Column("seals", Text, nullable=False),  # a JSON list
    Column("digest", Text, nullable=False),
)
GRANTS = Table(
    "consignment_grants",
    METADATA,
    Column("consignment", Text, primary_key=True),
    Column("organisation", Text, primary_key=True),
    big("from_ms", nullable=False),
    big("to_ms"),
    big("granted_ms", nullable=False),
)


def _apply_transaction(db: Connection, accepted: AcceptedTransaction) -> None:
    for kind, *record in accepted.records:
        if kind == KIND_CONSIGNMENT:
            _state(db, accepted)
        elif kind == KIND_ACCEPT_LEG:
            id_, _, number, _ = record
            leg = (LEGS.c.consignment == id_.hex()) & (LEGS.c.number == number)
            db.execute(update(LEGS).where(leg).values(accepted=1))
        elif kind == KIND_CLOSE:
            id_, decision, _, sender = record
            values = {
                "status": decision, "closed_ms": accepted.time_ms, "closed_by": sender.hex(),
            }  # fmt: skip  # one row
            _change(db, id_, values)
        elif kind == KIND_GRANT:
            id_, party, from_ms, to_ms = record
            row = {
                "consignment": id_.hex(), "organisation": party.hex(), "from_ms": from_ms,
                "to_ms": to_ms, "granted_ms": accepted.time_ms,
            }  # fmt: skip  # one row
            put(db, GRANTS, row)
        elif kind == KIND_HAND_OVER:
            _hand_over(db, record[1], accepted.time_ms)


def _change(db: Connection, id_: bytes, values: Mapping[str, Any]) -> None:
    db.execute(update(CONSIGNMENTS).where(CONSIGNMENTS.c.id == id_.hex()).values(values))


def _state(db: Connection, accepted: AcceptedTransaction) -> None:
    types: list[Any] = [int, bytes, int, bytes, (list, type(None)), list, bytes]
    _, id_, version, digest, limits, legs, consignee = fields(accepted.body, *types)
    low, high = limits or (None, None)
    row = {
        "id": id_.hex(), "owner": accepted.sender.hex(), "consignee": consignee.hex(),
        "digest": digest.hex(), "version": version, "low_milli": low, "high_milli": high,
    }  # fmt: skip  # one row
    if version == 1:
        row |= {
            "holder": accepted.sender.hex(), "status": OPEN, "created_ms": accepted.time_ms,
            "outside": 0,
        }  # fmt: skip  # the rest of it
        put(db, CONSIGNMENTS, row)
    else:
        _change(db, id_, row)
    of = LEGS.c
    took = {
        (leg.number, leg.carrier): leg.accepted
        for leg in db.execute(select(LEGS).where(of.consignment == id_.hex()))
    }
    db.execute(LEGS.delete().where(of.consignment == id_.hex()))
    for number, (carrier, devices) in enumerate(legs):
        leg = {
            "consignment": id_.hex(), "number": number, "carrier": carrier.hex(),
            "devices": json.dumps(devices), "accepted": took.get((number, carrier.hex()), 0),
        }  # fmt: skip  # one row
        put(db, LEGS, leg)
        for device in devices:
            put(db, LEG_DEVICES, {"device": device, "consignment": id_.hex()})


def _hand_over(db: Connection, data: bytes, received_ms: int) -> None:
    document = decode_hand_over(data)
    row = {
        "consignment": document.consignment_id.hex(),
        "number": document.number,
        "giver": document.giver.hex(),
        "taker": document.taker.hex(),
        "signed_ms": document.signed_ms,
        "received_ms": received_ms,
        "strength": int(document.strength),
        "pieces": document.pieces,
        "seals": json.dumps(document.seals),
        "digest": document.digest.hex(),
    }
    put(db, CUSTODY, row)
    _change(db, document.consignment_id, {"holder": document.taker.hex()})


def custody_of(db: Connection, consignment: Mapping[str, Any], *, end_ms: int) -> list[Interval]:
    """Who held the goods when (name: the organisation's id), from its creation to its end."""
    query = select(CUSTODY.c.signed_ms, CUSTODY.c.taker)
    mine = query.where(CUSTODY.c.consignment == consignment["id"]).order_by(CUSTODY.c.number)
    begin, holder, found = consignment["created_ms"], consignment["owner"], []
    for signed_ms, taker in db.execute(mine):
        # A clock that is behind cannot make a holder's time negative.
        at = max(begin, signed_ms)
        found.append(Interval(begin, at, holder))
        begin, holder = at, taker
    found.append(Interval(begin, max(begin, consignment["closed_ms"] or end_ms), holder))
    return [part for part in found if part.to_ms > part.from_ms]


def _apply_run(db: Connection, run: OpenedRun, entries: Sequence[Entry]) -> None:
    warm: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for entry in entries:
        record = entry.record
        is_ours = isinstance(record, Telemetry) and record.unit == CELSIUS
        if is_ours and entry.device is not None and entry.time.wall_us is not None:
            warm[entry.device].append((entry.time.wall_us // 1000, milli(record)))
    if not warm:
        return
    whose = select(GATEWAYS.c.organisation).where(GATEWAYS.c.feed == run.feed.hex())
    organisation = db.execute(whose).scalar()
    query = (
        select(CONSIGNMENTS, LEG_DEVICES.c.device)
        .join(LEG_DEVICES, LEG_DEVICES.c.consignment == CONSIGNMENTS.c.id)
        .where(LEG_DEVICES.c.device.in_(sorted(warm)), CONSIGNMENTS.c.status == OPEN)
        .order_by(CONSIGNMENTS.c.id, LEG_DEVICES.c.device)
    )
    for row in db.execute(query).mappings().all():
        _count(db, dict(row), organisation, warm[row["device"]])


def _count(
    db: Connection,
    row: dict[str, Any],
    organisation: str | None,
    readings: Iterable[tuple[int, int]],
) -> None:
    far = max(at for at, _ in readings) + 1
    held = [p for p in custody_of(db, row, end_ms=far) if p.name == organisation]
    inside = [(at, v) for at, v in readings if any(p.from_ms <= at < p.to_ms for p in held)]
    if not inside:
        return
    low, high = row["low_milli"], row["high_milli"]
    outside = [
        v for _, v in inside if (high is not None and v > high) or (low is not None and v < low)
    ]
    known = [row["worst_milli"]] if row["worst_milli"] is not None else []
    newest = max(inside)
    values: dict[str, Any] = {}
    if outside:
        # A value far below the limits is as bad as one far above them.
        values["outside"] = CONSIGNMENTS.c.outside + len(outside)
        values["worst_milli"] = max(
            [*known, *outside], key=lambda v: (max(v - (high or v), (low or v) - v), v)
        )
    if row["newest_ms"] is None or newest[0] > row["newest_ms"]:
        values |= {"newest_ms": newest[0], "newest_milli": newest[1]}
    if values:
        db.execute(update(CONSIGNMENTS).where(CONSIGNMENTS.c.id == row["id"]).values(values))


PROJECTION = Projection(
    name="consignments", apply_transaction=_apply_transaction, apply_run=_apply_run
)
