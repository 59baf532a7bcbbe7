"""Alerts in a list, taken on with a reason; limits and who is told."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Request
from pydantic import BaseModel, Field, field_validator
from starlette.responses import RedirectResponse, Response

from portal.access import Role, SignedIn, Viewer, only
from portal.alerts.conditions import SERIOUS, WARNING
from portal.alerts.delivery import webhook_address
from portal.alerts.desk import AlertDesk
from portal.errors import FieldError
from portal.journey.queries import channels
from portal.parts import Parts

LOOKS: Final = (Role.WAREHOUSE, Role.MANAGER, Role.AUDITOR)
ACTS: Final = (Role.WAREHOUSE, Role.MANAGER)
MINUTES_MAX: Final = 1_440


class WatchForm(BaseModel):
    """Limits for one channel ("feed/slot"), in whole degrees; an empty field is no limit."""

    channel: str
    low: int | None = Field(None, ge=-300, le=300)
    high: int | None = Field(None, ge=-300, le=300)
    for_min: int = Field(5, ge=0, le=MINUTES_MAX)
    severity: int = Field(SERIOUS, ge=WARNING, le=SERIOUS)

    @field_validator("low", "high", mode="before")
    @classmethod
    def _empty(cls, value: object) -> object:
        return None if value == "" else value

    def row(self) -> dict[str, Any]:
        """The limits as they are held; raises FieldError without any."""
        if self.low is None and self.high is None:
            raise FieldError("low", "alerts.limits_wrong")
        feed, _, slot = self.channel.partition("/")
        return {
            "feed": feed,
            "slot": int(slot),
            "low_milli": None if self.low is None else self.low * 1000,
            "high_milli": None if self.high is None else self.high * 1000,
            "for_s": self.for_min * 60,
            "severity": self.severity,
        }


def desk_of(parts: Parts) -> AlertDesk:
    """The alerts over these parts."""
    return AlertDesk(
        parts.read, parts.office, clock_ms=parts.clock_ms, random_bytes=parts.random_bytes
    )


def mail_address(text: str) -> str:
    """An address as it is kept, empty for none; raises FieldError."""
    cut = text.strip()
    name, _, host = cut.partition("@")
    if cut and not (
        name and "." in host and cut.isascii() and cut.isprintable() and " " not in cut
    ):
        raise FieldError("mail_to", "alerts.mail_wrong")
    return cut


def routes(parts: Parts) -> APIRouter:
    """The room's routes."""
    router = APIRouter()
    router.include_router(_list(parts))
    router.include_router(_settings(parts))
    return router


def _list(parts: Parts) -> APIRouter:
    router, desk = APIRouter(prefix="/alerts", dependencies=[Depends(only(*LOOKS))]), desk_of(parts)

    def shown(request: Request, viewer: Viewer, template: str) -> Response:
        return parts.shell.render(
            request, template, alerts=desk.alerts(viewer), may=viewer.may(*ACTS)
        )

    @router.get("")
    def alerts(request: Request, viewer: SignedIn) -> Response:
        return shown(request, viewer, "alerts/alerts.html")

    @router.get("/part")
    def part(request: Request, viewer: SignedIn) -> Response:
        return shown(request, viewer, "alerts/_alerts.html")

    @router.post("/{alert_id}/acknowledge", dependencies=[Depends(only(*ACTS))])
    def acknowledge(viewer: SignedIn, alert_id: str, reason: Annotated[str, Form()]) -> Response:
        desk.acknowledge(viewer, alert_id, reason)
        return RedirectResponse("/alerts", 303)

    return router


def _settings(parts: Parts) -> APIRouter:
    router, desk = (
        APIRouter(prefix="/alerts/settings", dependencies=[Depends(only(Role.MANAGER))]),
        desk_of(parts),
    )

    @router.get("")
    def settings(request: Request, viewer: SignedIn) -> Response:
        with parts.read.connect() as db:
            found = [c for c in channels(db, viewer) if c.unit is not None]
        return parts.shell.render(
            request,
            "alerts/settings.html",
            channels=found,
            watches=desk.watches(viewer),
            settings=desk.settings(viewer),
        )

    @router.post("")
    def set_settings(
        *,
        viewer: SignedIn,
        escalate_min: Annotated[int, Form(ge=1, le=MINUTES_MAX)],
        mail_to: Annotated[str, Form(max_length=200)] = "",
        webhook_to: Annotated[str, Form(max_length=300)] = "",
    ) -> Response:
        values = {
            "escalate_min": str(escalate_min),
            "mail_to": mail_address(mail_to),
            "webhook_to": webhook_address(webhook_to),
        }
        if webhook_to and not desk.settings(viewer).get("webhook_secret"):
            values["webhook_secret"] = parts.random_bytes(20).hex()
        desk.set(viewer, values)
        return RedirectResponse("/alerts/settings", 303)

    @router.post("/watch")
    def watch(viewer: SignedIn, form: Annotated[WatchForm, Form()]) -> Response:
        with parts.read.connect() as db:
            known = {f"{c.feed}/{c.slot}" for c in channels(db, viewer)}
        if form.channel not in known:
            raise FieldError("channel", "alerts.channel_wrong")
        desk.watch(viewer, form.row())
        return RedirectResponse("/alerts/settings", 303)

    return router
