"""Reads for charts and maps, each filtered by who looks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select

from portal.access import Viewer, visible_feeds
from portal.chart.spells import HOLDS, Interval
from portal.chart.thin import Point, bucket_for, thinned
from portal.errors import MissingError
from portal.read.gateways import CONDITIONS, GATEWAYS
from portal.read.readings import CHANNELS, GAPS, HOUR_US, HOURS, POSITIONS, READINGS

US_PER_MS: Final = 1_000
HOUR_MS: Final = HOUR_US // US_PER_MS
EXACT_MAX: Final = 20_000  # readings that are read one by one for one chart
TRACK_MAX: Final = 2_000
DEFAULT_INTERVAL_MS: Final = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One channel of one device, as its newest descriptor says. interval_ms: how often a value is
    due. anchored_height: the gateway's newest anchored block, -1 where there is none.
    """

    feed: str
    slot: int
    device: str
    channel: str
    quantity: str
    unit: str | None
    interval_ms: int
    gateway: str
    anchored_height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What is drawn of a channel, and what is known of it.

    points: drawn. known: what spells and silences are counted from: every reading, or the least and
    greatest of each hour where a span has too many. hold_ms: how long one of them stands. thin:
    hours of which much is missing. proven_ms: readings after it are not anchored yet; None where
    none is.
    """

    channel: Channel
    span: Interval
    points: tuple[Point, ...]
    known: tuple[Point, ...]
    hold_ms: int
    thin: tuple[Interval, ...]
    proven_ms: int | None
    marks: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a receiver was: ms since 1970, 1e-7 degrees, how the gateway doubts it."""

    at_ms: int
    lat_e7: int
    lon_e7: int
    flags: int


def channels(db: Connection, viewer: Viewer, *, quantity: str | None = None) -> list[Channel]:
    """The channels of the viewer's gateways, by gateway, device and channel."""
    query = (
        select(CHANNELS, GATEWAYS.c.name, GATEWAYS.c.anchored_height)
        .join(GATEWAYS, GATEWAYS.c.feed == CHANNELS.c.feed)
        .where(CHANNELS.c.feed.in_(visible_feeds(viewer)))
        .order_by(GATEWAYS.c.name, CHANNELS.c.device, CHANNELS.c.channel, CHANNELS.c.slot)
    )
    if quantity is not None:
        query = query.where(CHANNELS.c.quantity == quantity)
    return [_channel(row) for row in db.execute(query).mappings()]


def channels_of(db: Connection, organisation: str, devices: Iterable[str]) -> list[Channel]:
    """The channels of these devices at an organisation's gateways, whoever looks: for callers that
    have decided which interval of them may be seen.
    """
    query = (
        select(CHANNELS, GATEWAYS.c.name, GATEWAYS.c.anchored_height)
        .join(GATEWAYS, GATEWAYS.c.feed == CHANNELS.c.feed)
        .where(GATEWAYS.c.organisation == organisation, CHANNELS.c.device.in_(sorted(devices)))
        .order_by(CHANNELS.c.device, CHANNELS.c.feed, CHANNELS.c.slot)
    )
    return [_channel(row) for row in db.execute(query).mappings()]


def device_channels(db: Connection, viewer: Viewer, feed: str, *, device: str) -> list[Channel]:
    """The channels of one device; raises MissingError where the viewer has none such."""
    found = [c for c in channels(db, viewer) if (c.feed, c.device) == (feed, device)]
    if not found:
        raise MissingError
    return found


def _channel(row: Mapping[Any, Any]) -> Channel:
    anchored = row["anchored_height"]
    return Channel(
        feed=row["feed"],
        slot=row["slot"],
        device=row["device"],
        channel=row["channel"],
        quantity=row["quantity"],
        unit=row["unit"],
        interval_ms=row["interval_ms"] or DEFAULT_INTERVAL_MS,
        gateway=row["name"],
        anchored_height=-1 if anchored is None else anchored,
    )


def newest_ms(db: Connection, feeds: Iterable[str]) -> int | None:
    """The newest moment that these gateways told of (ms since 1970)."""
    query = select(func.max(CONDITIONS.c.heard_wall_us)).where(CONDITIONS.c.feed.in_(list(feeds)))
    newest = db.execute(query).scalar()
    return None if newest is None else int(newest) // US_PER_MS


def line(
    db: Connection, channel: Channel, span: Interval, *, points_max: int, share: int = 1
) -> Line:
    """What is drawn of a channel between two moments, in at most about `points_max` points.

    share: how many lines are drawn together; readings that all of them may read are bounded.
    """
    expected = (span.to_ms - span.from_ms) // max(1, channel.interval_ms)
    if expected > EXACT_MAX // share:
        return _line_of_hours(db, channel, span)
    rows = _rows(db, channel, span)
    known = tuple(Point(at // US_PER_MS, milli) for at, milli, _, _ in rows)
    points: Sequence[Point] = known
    if len(known) > points_max:
        points = thinned(known, bucket_for(span.to_ms - span.from_ms, points_max))
    proven = [at for at, _, height, _ in rows if height <= channel.anchored_height]
    marks = [(at // US_PER_MS, flags) for at, _, _, flags in rows if flags]
    return Line(
        channel=channel,
        span=span,
        points=tuple(points),
        known=known,
        hold_ms=HOLDS * channel.interval_ms,
        thin=(),
        proven_ms=max(proven) // US_PER_MS if proven else None,
        marks=tuple(marks[:TRACK_MAX]),
    )


def _line_of_hours(db: Connection, channel: Channel, span: Interval) -> Line:
    of = HOURS.c
    query = (
        select(HOURS)
        .where(
            of.feed == channel.feed,
            of.slot == channel.slot,
            of.hour.between(span.from_ms // HOUR_MS, span.to_ms // HOUR_MS),
        )
        .order_by(of.hour)
    )
    points: list[Point] = []
    thin = []
    rows = db.execute(query).mappings().all()
    for row in rows:
        low = Point(row["least_us"] // US_PER_MS, row["least_milli"])
        high = Point(row["greatest_us"] // US_PER_MS, row["greatest_milli"])
        points += sorted({low, high}, key=lambda point: point.at_ms)
        # The last hour is not over; of any other a tenth may be missing before it is hatched.
        if row is not rows[-1] and row["count"] * channel.interval_ms * 10 < 9 * HOUR_MS:
            begin = row["hour"] * HOUR_MS
            thin.append(Interval(max(begin, span.from_ms), begin + HOUR_MS))
    return Line(
        channel=channel,
        span=span,
        points=tuple(points),
        known=tuple(points),
        hold_ms=max(2 * HOUR_MS, HOLDS * channel.interval_ms),
        thin=tuple(thin),
        proven_ms=_last_proven(db, channel),
        marks=(),
    )


def _rows(db: Connection, channel: Channel, span: Interval) -> Sequence[Any]:
    of = READINGS.c
    query = (
        select(of.wall_us, of.value_milli, of.height, of.flags)
        .where(
            of.feed == channel.feed,
            of.slot == channel.slot,
            of.wall_us.between(span.from_ms * US_PER_MS, span.to_ms * US_PER_MS),
        )
        .order_by(of.wall_us, of.epoch, of.leaf_index)
    )
    return db.execute(query).all()


def exact_points(db: Connection, channel: Channel, span: Interval) -> list[Point]:
    """Every reading of a channel between two moments, ends included, in time order."""
    return [Point(at // US_PER_MS, milli) for at, milli, _, _ in _rows(db, channel, span)]


def export_rows(db: Connection, channel: Channel, span: Interval) -> list[list[Any]]:
    """[ms since 1970, thousandths, anchored, flags] of every reading, in time order."""
    return [
        [at // US_PER_MS, milli, height <= channel.anchored_height, flags]
        for at, milli, height, flags in _rows(db, channel, span)
    ]


def _last_proven(db: Connection, channel: Channel) -> int | None:
    if channel.anchored_height < 0:
        return None  # asked otherwise, every reading would be looked at
    of = READINGS.c
    newest = _newest(channel).where(of.height <= channel.anchored_height)
    row = db.execute(newest).first()
    return None if row is None else int(row.wall_us) // US_PER_MS


def _newest(channel: Channel) -> Select[Any]:
    of = READINGS.c
    return (
        select(of.wall_us, of.value_milli, of.height)
        .where(of.feed == channel.feed, of.slot == channel.slot, of.wall_us.is_not(None))
        .order_by(of.wall_us.desc())
        .limit(1)
    )


def gaps(db: Connection, channel: Channel, span: Interval) -> list[Interval]:
    """Signed gaps of a channel that touch the span; `name`: the reason's number."""
    of = GAPS.c
    query = (
        select(of.from_wall_us, of.to_wall_us, of.reason)
        .where(
            of.feed == channel.feed,
            of.slot == channel.slot,
            of.to_wall_us >= span.from_ms * US_PER_MS,
            of.from_wall_us <= span.to_ms * US_PER_MS,
        )
        .order_by(of.from_wall_us)
    )
    return [
        Interval(begin // US_PER_MS, end // US_PER_MS, str(reason))
        for begin, end, reason in db.execute(query)
    ]


def track(db: Connection, feed: str, span: Interval) -> list[Place]:
    """The gateway's way between two moments, thinned evenly where it is long."""
    of = POSITIONS.c
    query = (
        select(of.wall_us, of.lat_e7, of.lon_e7, of.flags)
        .where(
            of.feed == feed,
            of.wall_us.between(span.from_ms * US_PER_MS, span.to_ms * US_PER_MS),
        )
        .order_by(of.wall_us, of.leaf_index)
    )
    rows = db.execute(query).all()
    step = -(-len(rows) // TRACK_MAX) or 1
    kept = [*rows[::step], *rows[-1:]] if step > 1 else rows
    return [Place(at // US_PER_MS, lat, lon, flags) for at, lat, lon, flags in kept]


def newest_value(db: Connection, channel: Channel) -> tuple[int, int, bool] | None:
    """(ms since 1970, thousandths, anchored) of the channel's newest reading."""
    row = db.execute(_newest(channel)).first()
    if row is None:
        return None
    return row.wall_us // US_PER_MS, row.value_milli, row.height <= channel.anchored_height
