"""Consignments for programs: state them by CSV, follow them; errors as RFC 9457 problems."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, BackgroundTasks, Depends, Query, Request
from fastapi.openapi.utils import get_openapi
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from logistics.consignment_table import (
    FILE_CHARS_MAX,
    Fault,
    PlannedConsignment,
    TableError,
    parse_consignments,
)
from portal.access import Role, SignedIn, only
from portal.api.planned import PlannedDesk
from portal.consignments.queries import listed, one
from portal.parts import Parts

PAGES_MAX: Final = 1_000
PROBLEM: Final = "application/problem+json"
_TABLE: Final = {
    "requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}},
    "responses": {"422": {"description": "faults by row and field", "content": {PROBLEM: {}}}},
}


def routes(parts: Parts) -> APIRouter:
    """The room's routes; /api/openapi.json describes them."""
    looks = only(Role.MANAGER, Role.WAREHOUSE, Role.AUDITOR)
    router = APIRouter(prefix="/api", dependencies=[Depends(looks)])
    _reading(router, parts)
    _stating(router, PlannedDesk(parts))
    described = get_openapi(title="Wharfinger", version="1", routes=router.routes)

    @router.get("/openapi.json", include_in_schema=False)
    def openapi() -> Response:
        return JSONResponse(described)

    return router


def _reading(router: APIRouter, parts: Parts) -> None:
    @router.get("/consignments")
    def consignments(
        viewer: SignedIn, page: Annotated[int, Query(ge=0, le=PAGES_MAX)] = 0
    ) -> Response:
        """The organisation's consignments, those at risk first."""
        with parts.read.connect() as db:
            found = listed(db, viewer, now_ms=parts.clock_ms(), page=page)
        body = {"at_risk": found.at_risk, "open": found.open_count, "more": found.more}
        return JSONResponse(body | {"consignments": list(found.rows)})

    @router.get("/consignments/{consignment}")
    def consignment(viewer: SignedIn, consignment: str) -> Response:
        """One consignment with its hand-overs; organisations by id, and what they are called."""
        with parts.read.connect() as db:
            found = one(db, viewer, consignment, now_ms=parts.clock_ms())
        shown = {found.row[name] for name in ("owner", "consignee", "holder")}
        shown |= {item[side] for item in found.hand_overs for side in ("giver", "taker")}
        names = {id_: found.names.get(id_, "") for id_ in sorted(shown)}
        body = {"consignment": found.row, "hand_overs": list(found.hand_overs), "names": names}
        return JSONResponse(body)


def _stating(router: APIRouter, desk: PlannedDesk) -> None:
    @router.get("/planned")
    def planned(viewer: SignedIn) -> Response:
        """What tables stated, and whether the chain has it."""
        return JSONResponse({"planned": desk.listed(viewer)})

    @router.post("/consignments", dependencies=[Depends(only(Role.MANAGER))], openapi_extra=_TABLE)
    async def state(
        request: Request, viewer: SignedIn, after: BackgroundTasks, *, preview: bool = False
    ) -> Response:
        """Takes a table whole (202), or shows what it would be (200), or takes nothing (422).

        Sent again, an equal table changes nothing, and what still waits goes to the chain.
        """
        try:
            table = parse_consignments(await _text(request))
            if preview:
                await run_in_threadpool(desk.check, table)
                return JSONResponse({"consignments": [_shown(plan) for plan in table]})
            await desk.require_own_machine(viewer)
            await run_in_threadpool(desk.take, viewer, table)
        except TableError as error:
            return _problem(error)
        after.add_task(desk.send, viewer.organisation)
        answer = JSONResponse({"taken": [plan.name for plan in table]}, 202)
        answer.background = after
        return answer


async def _text(request: Request) -> str:
    """The body as text, read only as far as one may be; raises TableError."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > FILE_CHARS_MAX:
            raise TableError((Fault(1, "file", f"more than {FILE_CHARS_MAX} bytes"),))
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise TableError((Fault(1, "file", f"no UTF-8 at byte {error.start}"),)) from error


def _shown(plan: PlannedConsignment) -> dict[str, Any]:
    return {
        "name": plan.name,
        "units": list(plan.units),
        "carrier": plan.carrier,
        "consignee": plan.consignee,
        "devices": list(plan.devices),
        "from": plan.origin,
        "to": plan.destination,
        "pickup_ms": plan.pickup_ms,
        "delivery_ms": plan.delivery_ms,
        "limits_milli": plan.limits_milli,
    }


def _problem(error: TableError) -> Response:
    faults = [{"row": f.row, "field": f.field, "reason": f.reason} for f in error.faults]
    title = "nothing was taken: the table has faults"
    body = {"type": "about:blank", "title": title, "status": 422, "errors": faults}
    return JSONResponse(body, 422, media_type=PROBLEM)
