"""The warehouse's routes: gateways at a glance, the site's plan."""

from collections import defaultdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Request
from pydantic import BaseModel, Field
from sqlalchemy import delete, select
from starlette.responses import RedirectResponse, Response

from portal.access import Role, SignedIn, Viewer, only, visible_feeds
from portal.alerts.conditions import GATEWAY_SILENT_MS
from portal.alerts.pages import desk_of
from portal.errors import FieldError, MissingError
from portal.journey import queries
from portal.office.tables import ZONES
from portal.parts import Parts
from portal.read.gateways import CONDITIONS, GATEWAYS
from portal.read.readings import CHANNELS
from portal.read.tables import put, writing

LOOKS: Final = (Role.WAREHOUSE, Role.MANAGER, Role.AUDITOR)
ZONE_KINDS: Final = ("cold", "dock", "store", "yard")
ZONES_MAX: Final = 200
NAME_MAX: Final = 60
MS: Final = 1_000


class ZoneForm(BaseModel):
    """A zone of a site's plan; places in percent of the plan. device: "feed/device", or empty."""

    site: str = Field(min_length=1, max_length=NAME_MAX)
    name: str = Field(min_length=1, max_length=NAME_MAX)
    kind: str
    left: int = Field(ge=0, le=99)
    top: int = Field(ge=0, le=99)
    width: int = Field(ge=1, le=100)
    height: int = Field(ge=1, le=100)
    device: str = ""

    def row(self) -> dict[str, Any]:
        """The zone as it is held, cut to the plan."""
        feed, _, device = self.device.partition("/")
        return {
            "site": self.site.strip(),
            "name": self.name.strip(),
            "kind": self.kind,
            "left_percent": self.left,
            "top_percent": self.top,
            "width_percent": min(self.width, 100 - self.left),
            "height_percent": min(self.height, 100 - self.top),
            "feed": feed or None,
            "device": device or None,
        }


def gateways(parts: Parts, viewer: Viewer) -> list[dict[str, Any]]:
    """The viewer's gateways with how they are, those in trouble first."""
    of, how = GATEWAYS.c, CONDITIONS.c
    query = (
        select(GATEWAYS, *(column for column in how if column.name != "feed"))
        .join(CONDITIONS, how.feed == of.feed, isouter=True)
        .where(of.feed.in_(visible_feeds(viewer)))
        .order_by(of.name, of.feed)
    )
    due = select(CHANNELS.c.feed, CHANNELS.c.calibration).where(CHANNELS.c.calibration.is_not(None))
    with parts.read.connect() as db:
        rows = [dict(row) for row in db.execute(query).mappings()]
        calibrations: dict[str, list[str]] = defaultdict(list)
        for feed, text in db.execute(due.where(CHANNELS.c.feed.in_(visible_feeds(viewer)))):
            calibrations[feed].append(text)
    now = parts.clock_ms()
    found = [_judged(row, calibrations[row["feed"]], now) for row in rows]
    return sorted(found, key=lambda row: not row["troubles"])


def _judged(row: dict[str, Any], calibrations: list[str], now: int) -> dict[str, Any]:
    heard = row["heard_wall_us"]
    heard_ms = None if heard is None else heard // MS
    opened, anchored = row["opened_height"], row["anchored_height"]
    backlog = None if opened is None else max(0, opened - (-1 if anchored is None else anchored))
    tests = {
        "silent": heard_ms is not None and now - heard_ms > GATEWAY_SILENT_MS,
        "probes": bool(row["silent"]),
        "past_due": bool(row["past_due"]),
        "faults": bool(row["faults"]),
        "clock": row["clock_quality"] == 0,
        "full": (row["used_percent"] or 0) >= 70,
    }
    return row | {
        "heard_ms": heard_ms,
        "ago_ms": None if heard_ms is None else max(0, now - heard_ms),
        "backlog": backlog,
        "calibration": min(calibrations, default=None),
        "troubles": [name for name, is_so in tests.items() if is_so],
    }


def plan(parts: Parts, viewer: Viewer) -> dict[str, list[dict[str, Any]]]:
    """The viewer's zones by site, each with the newest temperature of its device."""
    query = (
        select(ZONES)
        .where(ZONES.c.organisation == viewer.organisation)
        .order_by(ZONES.c.site, ZONES.c.name, ZONES.c.id)
    )
    with parts.office.connect() as office:
        zones = [dict(row) for row in office.execute(query).mappings()]
    sites: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with parts.read.connect() as db:
        channels = {
            (c.feed, c.device): c for c in queries.channels(db, viewer, quantity="temperature")
        }
        for zone in zones:
            channel = channels.get((zone["feed"], zone["device"]))
            newest = queries.newest_value(db, channel) if channel else None
            sites[zone["site"]].append(zone | {"newest": newest})
    return dict(sites)


def routes(parts: Parts) -> APIRouter:
    """The room's routes."""
    router = APIRouter()
    router.include_router(_overview(parts))
    router.include_router(_plan(parts))
    return router


def _overview(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/warehouse", dependencies=[Depends(only(*LOOKS))])
    alerts = desk_of(parts)

    def values(viewer: Viewer) -> dict[str, Any]:
        return {
            "gateways": gateways(parts, viewer),
            "sites": plan(parts, viewer),
            "open_alerts": alerts.open_count(viewer),
        }

    @router.get("")
    def overview(request: Request, viewer: SignedIn) -> Response:
        return parts.shell.render(request, "warehouse/overview.html", **values(viewer))

    @router.get("/part")
    def part(request: Request, viewer: SignedIn) -> Response:
        return parts.shell.render(request, "warehouse/_overview.html", **values(viewer))

    return router


def _plan(parts: Parts) -> APIRouter:
    acts = only(Role.WAREHOUSE, Role.MANAGER)
    router = APIRouter(prefix="/warehouse/plan", dependencies=[Depends(acts)])

    @router.get("")
    def edit(request: Request, viewer: SignedIn) -> Response:
        with parts.read.connect() as db:
            devices = sorted({(c.feed, c.device) for c in queries.channels(db, viewer)})
        return parts.shell.render(
            request,
            "warehouse/plan.html",
            sites=plan(parts, viewer),
            devices=devices,
            kinds=ZONE_KINDS,
        )

    @router.post("")
    def add(viewer: SignedIn, form: Annotated[ZoneForm, Form()]) -> Response:
        with parts.read.connect() as db:
            known = {f"{c.feed}/{c.device}" for c in queries.channels(db, viewer)}
        if form.device and form.device not in known:
            raise FieldError("device", "warehouse.device_wrong")
        if form.kind not in ZONE_KINDS:
            raise FieldError("kind", "warehouse.kind_wrong")
        row = form.row() | {
            "id": parts.random_bytes(8).hex(),
            "organisation": viewer.organisation,
        }
        with writing(parts.office) as office:
            put(office, ZONES, row)
        return RedirectResponse("/warehouse/plan", 303)

    @router.post("/{zone_id}/remove")
    def remove(viewer: SignedIn, zone_id: str) -> Response:
        mine = (ZONES.c.id == zone_id) & (ZONES.c.organisation == viewer.organisation)
        with writing(parts.office) as office:
            gone = office.execute(delete(ZONES).where(mine))
        if not gone.rowcount:
            raise MissingError
        return RedirectResponse("/warehouse/plan", 303)

    return router
