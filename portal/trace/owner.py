"""What an organisation does with its own goods: number them, tell of them, recall, export, share.

The form for a phone is for suppliers without a gateway: three fields and a scan are an event.
"""

import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, BackgroundTasks, Depends, Form, Query, Request
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, PlainTextResponse, Response

from consortium.transaction import KIND_THINGS
from ledger.hashing import sha256
from logistics.epcis.document import read_event
from logistics.epcis.errors import EventError
from logistics.epcis.event_view import EventView, time_text, view
from logistics.epcis.fsma import REQUIRED, MasterData, Sheet, sheets
from logistics.epcis.vocabulary import BIZ_STEPS, CONTEXT
from logistics.errors import IdentifierError
from logistics.trace.item_key import ItemKey, KeyKind, new_serial, sgtin
from logistics.trace.key_of_link import key_of_uri
from portal.access import Role, SignedIn, Viewer, only
from portal.errors import FieldError, ForbiddenError, MissingError
from portal.office.event_tables import EVENTS
from portal.parts import Parts
from portal.trace.chain_outbox import say_waiting
from portal.trace.shelf import EventShelf

ITEMS_MAX: Final = 1_000
CODES_MAX: Final = 200
EXPORT_EVENTS_MAX: Final = 100_000
TELLABLE: Final = (
    "receiving",
    "shipping",
    "packing",
    "unpacking",
    "storing",
    "inspecting",
    "transporting",
    "arriving",
    "departing",
    "commissioning",
    "retail_selling",
)
_TOLD_OFFSET: Final = "+00:00"


class OwnerRoutes:
    """An organisation's own business with its goods."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._shelf = EventShelf(parts.office, parts.clock_ms, parts.random_bytes)

    def mount(self, router: APIRouter) -> None:
        """Adds the routes."""
        router.add_api_route("/tell", self.get_form, methods=["GET"])
        router.add_api_route("/tell", self.post_form, methods=["POST"])
        router.add_api_route("/trace/items", self.post_items, methods=["POST"])
        router.add_api_route("/trace/recall", self.get_recall, methods=["GET"])
        router.add_api_route("/trace/grants", self.post_grant, methods=["POST"])
        router.add_api_route("/trace/fsma", self.get_sheets, methods=["GET"])
        router.add_api_route("/trace/fsma/{sheet}.csv", self.get_sheet, methods=["GET"])

    def get_form(self, request: Request, viewer: SignedIn) -> Response:
        """The form on which somebody without a gateway tells what happened."""
        del viewer  # the form is the same for all
        return self._form(request, told="")

    def _form(self, request: Request, *, told: str) -> Response:
        steps = [(step, f"trace.step_{step}") for step in TELLABLE]
        return self._parts.shell.render(request, "trace/tell.html", steps=steps, told=told)

    async def post_form(
        self,
        request: Request,
        viewer: SignedIn,
        after: BackgroundTasks,
        *,
        step: Annotated[str, Form(max_length=40)],
        codes: Annotated[str, Form(max_length=40_000)],
        place: Annotated[str, Form(max_length=200)] = "",
        celsius: Annotated[str, Form(max_length=10)] = "",
        show: Annotated[str, Form(max_length=3)] = "",
    ) -> Response:
        """Keeps the event and shows the form again; raises FieldError."""
        now_ms = self._parts.clock_ms()
        told = told_event(
            step=step, codes=codes.split(), place=place, celsius=celsius, now_ms=now_ms
        )
        try:
            document = read_event(json.dumps(told).encode())
        except EventError as error:
            raise FieldError("codes", "trace.not_told", reason=str(error)) from error
        await run_in_threadpool(
            self._shelf.take, viewer.organisation, document, for_consumers=bool(show)
        )
        after.add_task(say_waiting, self._parts, self._shelf, viewer.organisation)
        answer = self._form(request, told=document.events[0].event_id)
        answer.background = after
        return answer

    async def post_items(
        self,
        viewer: SignedIn,
        gtin: Annotated[str, Query(max_length=14)],
        count: Annotated[int, Query(ge=1, le=ITEMS_MAX)],
    ) -> Response:
        """New items of a GTIN with serials that nobody guesses, claimed on the chain.

        Raises ForbiddenError where the chain machine is another organisation's.
        """
        # The chain machine signs, and for its own organisation only.
        if await self._parts.door.party_id() != viewer.organisation_id:
            raise ForbiddenError
        try:
            made = [sgtin(gtin, new_serial(self._parts.random_bytes)) for _ in range(count)]
        except IdentifierError as error:
            raise FieldError("gtin", "trace.code_wrong", reason=str(error)) from error
        ids = [item.chain_id for item in made]
        answer = await self._parts.door.send(
            KIND_THINGS, [1, ids], nonce=sha256(b"".join(ids))[:16]
        )
        body = {"items": [item.uri for item in made], "code": answer.code}
        return JSONResponse(body, 201 if answer.code == 0 else 409)

    def get_recall(
        self, viewer: SignedIn, thing: Annotated[list[str], Query(max_length=CODES_MAX)]
    ) -> Response:
        """What came of these lots or items, what they came of, who was handed any of it."""
        starts = [_key(text, "thing").uri for text in thing]
        after = self._shelf.reach(viewer, starts, forward=True)
        before = self._shelf.reach(viewer, starts, forward=False)
        receivers = self._shelf.receivers(viewer, after | set(starts))
        body = {"from": starts, "after": sorted(after), "before": sorted(before)}
        return JSONResponse(body | {"receivers": sorted(receivers)})

    def post_grant(
        self,
        viewer: SignedIn,
        reader: Annotated[str, Query(pattern="^[0-9a-f]{32}$")],
        thing: Annotated[str, Query(max_length=300)] = "",
    ) -> Response:
        """Lets another organisation read the events that name a thing, or all of them."""
        self._shelf.grant(viewer, reader, _key(thing, "thing").uri if thing else "")
        return Response(status_code=204)

    def get_sheets(self, viewer: SignedIn) -> Response:
        """Which sheets there are, how long, and how many cells no event filled."""
        rows = [
            {"sheet": made.name, "rows": len(made.rows), "missing": len(made.missing)}
            for made in self._sheets(viewer)
        ]
        return JSONResponse(rows)

    def get_sheet(self, sheet: str, viewer: SignedIn) -> Response:
        """One critical tracking event's sheet as CSV; raises MissingError."""
        if sheet not in REQUIRED:
            raise MissingError
        made = next((row for row in self._sheets(viewer) if row.name == sheet), None)
        if made is None:
            raise MissingError
        headers = {"content-disposition": f'attachment; filename="{sheet}.csv"'}
        return PlainTextResponse(made.csv(), media_type="text/csv", headers=headers)

    def _sheets(self, viewer: Viewer) -> tuple[Sheet, ...]:
        chosen = select(EVENTS.c.text, EVENTS.c.event_id).where(
            EVENTS.c.organisation == viewer.organisation
        )
        with self._parts.office.connect() as db:
            rows = db.execute(chosen.order_by(EVENTS.c.seq).limit(EXPORT_EVENTS_MAX)).all()
        said = [view(json.loads(row.text), row.event_id) for row in rows]
        wrong = {event.event_id for event in said if event.is_error}
        kept: list[EventView] = [event for event in said if event.event_id not in wrong]
        return sheets(kept, MasterData({}, {}, {}))


def told_event(
    *, step: str, codes: list[str], place: str, celsius: str, now_ms: int
) -> dict[str, Any]:
    """The event of a form; raises FieldError."""
    if step not in BIZ_STEPS:
        raise FieldError("step", "trace.not_told", reason=step)
    keys = [_key(text, "codes") for text in codes[: CODES_MAX + 1]]
    if not 0 < len(keys) <= CODES_MAX:
        raise FieldError("codes", "trace.too_many", count=CODES_MAX)
    moment = time_text(now_ms)
    event: dict[str, Any] = {
        "@context": [CONTEXT],
        "type": "ObjectEvent",
        "eventTime": moment,
        "eventTimeZoneOffset": _TOLD_OFFSET,
        "action": "ADD" if step == "commissioning" else "OBSERVE",
        "bizStep": step,
        "epcList": [key.uri for key in keys if key.kind in (KeyKind.SGTIN, KeyKind.SSCC)],
    }
    lots = [key for key in keys if key.kind is KeyKind.LOT]
    if lots:
        event["quantityList"] = [{"epcClass": key.uri, "quantity": 1} for key in lots]
    if place:
        event["readPoint"] = {"id": _key(place, "place").uri}
    if celsius:
        event["sensorElementList"] = [{"sensorReport": [_report(celsius, moment)]}]
    return event


def _report(celsius: str, moment: str) -> dict[str, Any]:
    try:
        value = float(celsius.replace(",", ".").replace("−", "-"))
    except ValueError:
        raise FieldError("celsius", "trace.not_told", reason=celsius) from None
    if not -100 <= value <= 150:
        raise FieldError("celsius", "trace.not_told", reason=celsius)
    return {"type": "Temperature", "value": value, "uom": "CEL", "time": moment}


def _key(text: str, field: str) -> ItemKey:
    try:
        return key_of_uri(text)
    except IdentifierError as error:
        raise FieldError(field, "trace.code_wrong", reason=str(error)) from error


def routes(parts: Parts) -> APIRouter:
    """The room's routes."""
    router = APIRouter(dependencies=[Depends(only(Role.WAREHOUSE, Role.MANAGER, Role.DRIVER))])
    OwnerRoutes(parts).mount(router)
    return router
