"""Consignments for a viewer: the list by risk, and one with all that was measured on its way."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, select

from portal.access import Viewer, visible_consignments
from portal.chart.spells import Interval, Limits
from portal.errors import MissingError
from portal.journey import queries
from portal.journey.drawing import Journey
from portal.journey.queries import Channel
from portal.read.consignments import CONSIGNMENTS, CUSTODY, LEGS, OPEN, custody_of
from portal.read.organisations import ORGANISATIONS

PAGE: Final = 100
POINTS: Final = 1_200
TEMPERATURE: Final = "temperature"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One page of the list, and how many there are: at_risk, open_count of all that are visible."""

    rows: tuple[dict[str, Any], ...]
    at_risk: int
    open_count: int
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One consignment: its row, hand-overs in order, names of organisations, journey, readings."""

    row: dict[str, Any]
    hand_overs: tuple[dict[str, Any], ...]
    names: Mapping[str, str]
    journey: Journey
    parts: tuple[tuple[Channel, Interval], ...]


def _names(db: Connection) -> dict[str, str]:
    of = ORGANISATIONS.c
    return {row.id: row.name for row in db.execute(select(of.id, of.name))}


def listed(db: Connection, viewer: Viewer, *, now_ms: int, page: int = 0) -> Listed:
    """The viewer's consignments: open ones that were outside their limits first, then other open
    ones, the newest first, then closed ones.
    """
    of = CONSIGNMENTS.c
    mine = visible_consignments(viewer, now_ms)
    risk: ColumnElement[bool] = (of.status == OPEN) & (of.outside > 0)
    query = (
        select(CONSIGNMENTS)
        .where(mine)
        .order_by(risk.desc(), of.status != OPEN, of.outside.desc(), of.created_ms.desc(), of.id)
        .limit(PAGE + 1)
        .offset(page * PAGE)
    )
    counts = select(func.count().filter(risk), func.count().filter(of.status == OPEN)).where(mine)
    names = _names(db)
    rows = [dict(row) for row in db.execute(query).mappings()]
    at_risk, open_count = db.execute(counts).one()
    shown = tuple(
        row
        | {name: names.get(row[name], row[name][:8]) for name in ("owner", "consignee", "holder")}
        for row in rows[:PAGE]
    )
    return Listed(rows=shown, at_risk=at_risk, open_count=open_count, more=len(rows) > PAGE)


def one(db: Connection, viewer: Viewer, consignment: str, *, now_ms: int) -> Found:
    """A consignment of the viewer's; raises MissingError."""
    mine = (CONSIGNMENTS.c.id == consignment) & visible_consignments(viewer, now_ms)
    known = db.execute(select(CONSIGNMENTS).where(mine)).mappings().one_or_none()
    if known is None:
        raise MissingError
    row = dict(known)
    names, end_ms = _names(db), row["closed_ms"] or max(now_ms, row["newest_ms"] or 0)
    custody = custody_of(db, row, end_ms=end_ms)
    parts = _parts(db, row, custody)
    whole = Interval(row["created_ms"], max(end_ms, row["created_ms"] + 1))
    warm = [(channel, part) for channel, part in parts if channel.quantity == TEMPERATURE]
    journey = Journey(
        span=whole,
        lines=tuple(
            queries.line(db, channel, part, points_max=POINTS, share=len(warm))
            for channel, part in warm
        ),
        limits=Limits(row["low_milli"], row["high_milli"]),
        holders=tuple(replace(part, name=names.get(part.name, part.name[:8])) for part in custody),
        gaps=tuple(gap for channel, part in warm for gap in queries.gaps(db, channel, part)),
        track=tuple(
            place
            for feed, part in sorted({(channel.feed, part) for channel, part in parts}, key=_begin)
            for place in queries.track(db, feed, part)
        ),
    )
    hand_overs = select(CUSTODY).where(CUSTODY.c.consignment == consignment)
    rows = db.execute(hand_overs.order_by(CUSTODY.c.number)).mappings()
    return Found(
        row=row,
        hand_overs=tuple(dict(item) | {"seals": json.loads(item["seals"])} for item in rows),
        names=names,
        journey=journey,
        parts=tuple(warm),
    )


def _begin(item: tuple[str, Interval]) -> tuple[int, str]:
    feed, part = item
    return part.from_ms, feed


def _parts(
    db: Connection, row: Mapping[str, Any], custody: list[Interval]
) -> list[tuple[Channel, Interval]]:
    """What may be seen of whose channels: a holder's own devices, while it held the goods."""
    legs = db.execute(select(LEGS).where(LEGS.c.consignment == row["id"])).all()
    named = {device for leg in legs for device in json.loads(leg.devices)}
    found: list[tuple[Channel, Interval]] = []
    for part in custody:
        accepted = {
            device
            for leg in legs
            if leg.carrier == part.name and leg.accepted
            for device in json.loads(leg.devices)
        }
        devices = named if part.name in (row["owner"], row["consignee"]) else accepted
        found += [(channel, part) for channel in queries.channels_of(db, part.name, devices)]
    return found
