"""Alerts as they are held: found from the read model, acknowledged by people, told to the world."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, func, select, update

from portal.access import Viewer
from portal.alerts.conditions import (
    KIND_EDGE,
    KIND_PAST_DUE,
    SERIOUS,
    WARNING,
    Changes,
    Condition,
    OpenAlert,
    gateway_silent,
    past_limit,
    probe_silent,
    settle,
)
from portal.chart.thin import Point
from portal.errors import FieldError, MissingError
from portal.office.tables import ALERTS, DELIVERIES, SETTINGS, WATCHES
from portal.read.gateways import ALARMS, CONDITIONS, GATEWAYS
from portal.read.readings import CHANNELS, READINGS
from portal.read.tables import put, writing

MINUTE_MS: Final = 60_000
ESCALATE_MIN: Final = 15
REASON_MAX: Final = 300
LOOK_BACK_US: Final = 6 * 3_600_000_000
SHOWN_MAX: Final = 200


class AlertDesk:
    """Keeps alerts in step with the read model."""

    def __init__(
        self,
        read: Engine,
        office: Engine,
        *,
        clock_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._read, self._office = read, office
        self._clock_ms, self._random_bytes = clock_ms, random_bytes

    # Finding --------------------------------------------------------------------------------

    def look(self) -> Changes:
        """Finds what is wrong now, and opens, ends and escalates alerts by it."""
        now = self._clock_ms()
        with self._office.connect() as office:
            watches = [dict(row) for row in office.execute(select(WATCHES)).mappings()]
        with self._read.connect() as db:
            conditions = list(_conditions(db, watches, now))
        with writing(self._office) as office:
            alerts = _open_alerts(office)
            organisations = {a.organisation for a in alerts}
            limits = {name: _escalate_ms(office, name) for name in organisations}
            changes = settle(conditions, alerts, now_ms=now, escalate_ms=limits)
            self._write(office, changes, now)
        return changes

    def _write(self, office: Connection, changes: Changes, now: int) -> None:
        for condition in changes.opened:
            row = {
                "id": self._random_bytes(8).hex(),
                "organisation": condition.organisation,
                "kind": condition.kind,
                "subject": condition.subject,
                "about": json.dumps(dict(condition.about), ensure_ascii=False),
                "severity": condition.severity,
                "since_ms": condition.since_ms,
                "opened_ms": now,
            }
            put(office, ALERTS, row)
            self._tell(office, "opened", row, now)
        for name, alerts in (("ended", changes.ended), ("escalated", changes.escalated)):
            for alert in alerts:
                mine = ALERTS.c.id == alert.id
                office.execute(update(ALERTS).where(mine).values({f"{name}_ms": now}))
                found = office.execute(select(ALERTS).where(mine)).mappings().one()
                self._tell(office, name, dict(found), now)

    def _tell(self, office: Connection, event: str, alert: Mapping[str, Any], now: int) -> None:
        """Queues a message for each way that the organisation has set."""
        names = ("id", "kind", "severity", "since_ms")
        content = {"event": event, "about": json.loads(alert["about"])} | {
            name: alert[name] for name in names
        }
        for way in ("mail", "webhook"):
            if not setting(office, alert["organisation"], f"{way}_to"):
                continue
            row = {
                "id": self._random_bytes(8).hex(),
                "organisation": alert["organisation"],
                "way": way,
                "content": json.dumps(content, ensure_ascii=False, sort_keys=True),
                "since_ms": now,
                "due_ms": now,
                "tries": 0,
            }
            put(office, DELIVERIES, row)

    # People ---------------------------------------------------------------------------------

    def alerts(self, viewer: Viewer) -> list[dict[str, Any]]:
        """The organisation's alerts: open ones first, the gravest first, then by age."""
        of = ALERTS.c
        query = (
            select(ALERTS)
            .where(of.organisation == viewer.organisation)
            .order_by(of.ended_ms.is_not(None), of.severity.desc(), of.opened_ms.desc(), of.id)
            .limit(SHOWN_MAX)
        )
        with self._office.connect() as office:
            rows = list(office.execute(query).mappings())
        return [dict(row) | {"about": json.loads(row["about"])} for row in rows]

    def open_count(self, viewer: Viewer) -> int:
        """How many of the organisation's alerts are open and not acknowledged."""
        of = ALERTS.c
        mine = (of.organisation == viewer.organisation) & of.ended_ms.is_(None)
        query = select(func.count()).where(mine & of.acked_ms.is_(None))
        with self._office.connect() as office:
            return office.execute(query).scalar() or 0

    def acknowledge(self, viewer: Viewer, alert_id: str, reason: str) -> None:
        """Somebody takes an alert on; raises FieldError without a reason, MissingError where the
        organisation has no such alert, or it is taken already.
        """
        words = reason.strip()
        if not 0 < len(words) <= REASON_MAX:
            raise FieldError("reason", "alerts.reason_wrong", most=REASON_MAX)
        of = ALERTS.c
        mine = (of.id == alert_id) & (of.organisation == viewer.organisation)
        values = {"acked_ms": self._clock_ms(), "acked_by": viewer.name, "reason": words}
        with writing(self._office) as office:
            done = office.execute(update(ALERTS).where(mine, of.acked_ms.is_(None)).values(values))
        if not done.rowcount:
            raise MissingError

    def watch(self, viewer: Viewer, row: Mapping[str, Any]) -> None:
        """Sets the limits of one of the viewer's channels (checked by the caller)."""
        with writing(self._office) as office:
            put(office, WATCHES, {"organisation": viewer.organisation, **row})

    def watches(self, viewer: Viewer) -> dict[tuple[str, int], Row[Any]]:
        """The organisation's limits by (feed, slot)."""
        query = select(WATCHES).where(WATCHES.c.organisation == viewer.organisation)
        with self._office.connect() as office:
            return {(row.feed, row.slot): row for row in office.execute(query)}

    def settings(self, viewer: Viewer) -> dict[str, str]:
        """The organisation's settings by name."""
        query = select(SETTINGS.c.name, SETTINGS.c.value).where(
            SETTINGS.c.organisation == viewer.organisation
        )
        with self._office.connect() as office:
            return {row.name: row.value for row in office.execute(query)}

    def set(self, viewer: Viewer, values: Mapping[str, str]) -> None:
        """Sets settings of the organisation."""
        with writing(self._office) as office:
            for name, value in values.items():
                row = {"organisation": viewer.organisation, "name": name, "value": value}
                put(office, SETTINGS, row)


def setting(office: Connection, organisation: str, name: str) -> str:
    """A setting's value, empty where there is none."""
    mine = (SETTINGS.c.organisation == organisation) & (SETTINGS.c.name == name)
    return office.execute(select(SETTINGS.c.value).where(mine)).scalar() or ""


def _escalate_ms(office: Connection, organisation: str) -> int:
    return int(setting(office, organisation, "escalate_min") or ESCALATE_MIN) * MINUTE_MS


def _open_alerts(office: Connection) -> list[OpenAlert]:
    names = ("id", "organisation", "kind", "subject", "opened_ms", "acked_ms", "escalated_ms")
    query = select(*(ALERTS.c[name] for name in names)).where(ALERTS.c.ended_ms.is_(None))
    return [OpenAlert(**row) for row in office.execute(query).mappings()]


def _conditions(
    db: Connection, watches: Iterable[Mapping[str, Any]], now: int
) -> Iterable[Condition]:
    for found_row in db.execute(_gateways()).mappings().all():
        row = dict(found_row) | {"heard_ms": _ms(found_row["heard_wall_us"])}
        if (silent := gateway_silent(row, now_ms=now)) is not None:
            yield silent
        if row["past_due"]:
            about = {"gateway": row["name"], "count": row["past_due"]}
            yield Condition(
                organisation=row["organisation"],
                kind=KIND_PAST_DUE,
                subject=row["feed"],
                severity=WARNING,
                since_ms=now,
                about=about,
            )
    channels = {(row["feed"], row["slot"]): row for row in _channels(db)}
    for row in channels.values():
        if (silent := probe_silent(row, now_ms=now)) is not None:
            yield silent
    for watch in watches:
        channel = channels.get((watch["feed"], watch["slot"]))
        if channel and channel["organisation"] == watch["organisation"]:
            found = past_limit({**channel, **watch}, _newest_points(db, channel))
            if found is not None:
                yield found
    yield from _edge_alarms(db, channels)


def _gateways() -> Any:
    of = GATEWAYS.c
    return (
        select(of.feed, of.name, of.organisation, CONDITIONS.c.past_due)
        .add_columns(CONDITIONS.c.heard_wall_us)
        .join(CONDITIONS, CONDITIONS.c.feed == of.feed)
        .where(of.ended_ms.is_(None))
    )


def _channels(db: Connection) -> Iterable[dict[str, Any]]:
    of = CHANNELS.c
    newest = (
        select(READINGS.c.wall_us)
        .where(READINGS.c.feed == of.feed, READINGS.c.slot == of.slot)
        .order_by(READINGS.c.wall_us.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(of.feed, of.slot, of.device, of.interval_ms, newest.label("newest_us"))
        .add_columns(GATEWAYS.c.organisation, GATEWAYS.c.name.label("gateway"))
        .add_columns(CONDITIONS.c.heard_wall_us)
        .join(GATEWAYS, GATEWAYS.c.feed == of.feed)
        .join(CONDITIONS, CONDITIONS.c.feed == of.feed)
        .where(of.unit.is_not(None), GATEWAYS.c.ended_ms.is_(None))
    )
    for row in db.execute(query).mappings():
        yield dict(row) | {
            "interval_ms": row["interval_ms"] or MINUTE_MS,
            "newest_ms": _ms(row["newest_us"]),
            "heard_ms": _ms(row["heard_wall_us"]),
        }


def _ms(us: int | None) -> int | None:
    return None if us is None else us // 1000


def _newest_points(db: Connection, channel: Mapping[str, Any]) -> list[Point]:
    of = READINGS.c
    newest = channel["newest_us"]
    if newest is None:
        return []
    query = (
        select(of.wall_us, of.value_milli)
        .where(
            of.feed == channel["feed"],
            of.slot == channel["slot"],
            of.wall_us >= newest - LOOK_BACK_US,
        )
        .order_by(of.wall_us)
    )
    return [Point(at // 1000, milli) for at, milli in db.execute(query)]


def _edge_alarms(
    db: Connection, channels: Mapping[tuple[str, int], Mapping[str, Any]]
) -> Iterable[Condition]:
    """What gateways raised by their own limits and did not clear."""
    of = ALARMS.c
    newest = (
        select(of.feed, of.slot, func.max(of.leaf_index).label("leaf_index"))
        .group_by(of.feed, of.slot)
        .subquery()
    )
    same = (of.feed == newest.c.feed) & (of.slot == newest.c.slot)
    query = select(ALARMS).join(newest, same & (of.leaf_index == newest.c.leaf_index))
    for row in db.execute(query.where(of.raised == 1)).mappings():
        channel = channels.get((row["feed"], row["slot"]))
        if channel is None:
            continue
        yield Condition(
            organisation=channel["organisation"],
            kind=KIND_EDGE,
            subject=f"{row['feed']}/{row['slot']}",
            severity=SERIOUS,
            since_ms=_ms(row["since_wall_us"] or row["wall_us"]) or 0,
            about={
                "device": channel["device"],
                "gateway": channel["gateway"],
                "feed": row["feed"],
                "side": "above" if row["above"] else "below",
                "limit": row["limit_milli"],
            },
        )
