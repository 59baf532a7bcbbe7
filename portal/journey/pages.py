"""Sensors in a list, and one device on its own page: answer, chart, map, table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from sqlalchemy import Connection
from starlette.responses import JSONResponse, Response

from portal.access import Role, SignedIn, Viewer, only
from portal.chart.spells import Interval, Limits
from portal.errors import FieldError
from portal.journey import queries
from portal.journey.drawing import Journey, account_of, drawing_of
from portal.journey.export import export
from portal.journey.queries import Channel
from portal.parts import Parts

POINTS: Final = 1_200
DAY_MS: Final = 86_400_000
SPANS: Final = (
    ("hour", DAY_MS // 24),
    ("day", DAY_MS),
    ("week", 7 * DAY_MS),
    ("month", 31 * DAY_MS),
)
TEMPERATURE: Final = "temperature"


def moment(text: str, field: str) -> int | None:
    """A moment (ms since 1970) as a form or a link gives it: ISO 8601, UTC where it names no zone,
    or a number of ms. None for an empty text; raises FieldError.
    """
    if not text:
        return None
    if text.isdecimal():
        return min(int(text), 253_402_300_799_999)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise FieldError(field, "journey.moment_wrong") from error
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def span_of(from_: str, to: str, *, newest_ms: int) -> Interval:
    """The span that is asked for; the last day of what is known where nothing is."""
    end = moment(to, "to")
    end_ms = newest_ms if end is None else end
    begin = moment(from_, "from")
    begin_ms = end_ms - DAY_MS if begin is None else begin
    if begin_ms >= end_ms:
        raise FieldError("from", "journey.span_wrong")
    return Interval(begin_ms, end_ms)


def journey_of(
    db: Connection, found: Sequence[Channel], span: Interval, *, limits: Limits
) -> Journey:
    """The temperatures of these channels in a span, with gaps and the way."""
    shown = [c for c in found if c.quantity == TEMPERATURE]
    feeds = sorted({c.feed for c in found})
    return Journey(
        span=span,
        lines=tuple(queries.line(db, c, span, points_max=POINTS, share=len(shown)) for c in shown),
        limits=limits,
        gaps=tuple(gap for c in shown for gap in queries.gaps(db, c, span)),
        track=tuple(place for feed in feeds for place in queries.track(db, feed, span)),
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """What part of the record is asked for, and between which limits (degrees Celsius)."""

    from_: Annotated[str, Query(alias="from", max_length=40)] = ""
    to: Annotated[str, Query(max_length=40)] = ""
    low: Annotated[int | None, Query(ge=-300, le=300)] = None
    high: Annotated[int | None, Query(ge=-300, le=300)] = None

    @property
    def limits(self) -> Limits:
        """The limits in thousandths of a degree."""
        return Limits(*(None if x is None else x * 1000 for x in (self.low, self.high)))

    def query(self, span: Interval) -> str:
        """The same as a link's query, the span written out."""
        edges = (("low", self.low), ("high", self.high))
        more = [f"&{name}={value}" for name, value in edges if value is not None]
        return f"from={span.from_ms}&to={span.to_ms}{''.join(more)}"


Asks = Annotated[Asked, Depends()]


def routes(parts: Parts) -> APIRouter:
    """The room's routes."""
    looks = only(Role.WAREHOUSE, Role.MANAGER, Role.AUDITOR)
    router = APIRouter(dependencies=[Depends(looks)])
    router.include_router(_all_sensors(parts))
    router.include_router(_one_device(parts))
    return router


def _all_sensors(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/sensors")

    def temperatures(db: Connection, viewer: Viewer) -> tuple[list[Channel], int]:
        found = queries.channels(db, viewer, quantity=TEMPERATURE)
        return found, queries.newest_ms(db, {c.feed for c in found}) or parts.clock_ms()

    @router.get("")
    def sensors(request: Request, viewer: SignedIn) -> Response:
        with parts.read.connect() as db:
            found = queries.channels(db, viewer)
            rows = [(channel, queries.newest_value(db, channel)) for channel in found]
        return parts.shell.render(request, "journey/sensors.html", rows=rows)

    @router.get("/all")
    def all_sensors(request: Request, viewer: SignedIn, asked: Asks) -> Response:
        with parts.read.connect() as db:
            _, newest = temperatures(db, viewer)
        span = span_of(asked.from_, asked.to, newest_ms=newest)
        return parts.shell.render(
            request,
            "journey/all.html",
            span=span,
            spans=SPANS,
            newest=newest,
            data=f"/sensors/all/chart.json?{asked.query(span)}",
        )

    @router.get("/all/chart.json")
    def all_drawing(viewer: SignedIn, asked: Asks) -> Response:
        with parts.read.connect() as db:
            found, newest = temperatures(db, viewer)
            span = span_of(asked.from_, asked.to, newest_ms=newest)
            journey = journey_of(db, found, span, limits=asked.limits)
        return JSONResponse(drawing_of(replace(journey, track=())))

    return router


def _one_device(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/sensors/{feed}/{device}")

    def look(
        viewer: Viewer, feed: str, device: str, *, asked: Asked
    ) -> tuple[list[Channel], int, Journey]:
        with parts.read.connect() as db:
            found = queries.device_channels(db, viewer, feed, device=device)
            newest = queries.newest_ms(db, [feed]) or parts.clock_ms()
            span = span_of(asked.from_, asked.to, newest_ms=newest)
            return found, newest, journey_of(db, found, span, limits=asked.limits)

    @router.get("")
    def sensor(
        *, request: Request, viewer: SignedIn, feed: str, device: str, asked: Asks
    ) -> Response:
        found, newest, journey = look(viewer, feed, device, asked=asked)
        return parts.shell.render(
            request,
            "journey/sensor.html",
            channels=found,
            account=account_of(journey),
            span=journey.span,
            spans=SPANS,
            newest=newest,
            low=asked.low,
            high=asked.high,
            here=f"/sensors/{feed}/{quote(device, safe='')}",
            query=asked.query(journey.span),
        )

    @router.get("/chart.json")
    def drawing(*, viewer: SignedIn, feed: str, device: str, asked: Asks) -> Response:
        _, _, journey = look(viewer, feed, device, asked=asked)
        return JSONResponse(drawing_of(journey))

    @router.get("/export.{form}")
    def download(*, viewer: SignedIn, feed: str, device: str, form: str, asked: Asks) -> Response:
        found, _, journey = look(viewer, feed, device, asked=asked)
        with parts.read.connect() as db:
            rows = {c: queries.export_rows(db, c, journey.span) for c in found}
        return export(form, name=device, span=journey.span, rows=rows)

    return router
