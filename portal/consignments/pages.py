"""The list, one consignment, its files, and the decision about it."""

import hashlib
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, RedirectResponse, Response

from consortium.errors import ConsortiumError
from consortium.transaction import KIND_CLOSE, NONCE_BYTES
from portal.access import Role, SignedIn, Viewer, only
from portal.consignments.queries import Found, listed, one
from portal.errors import FieldError, ForbiddenError, VisitorError
from portal.journey import queries
from portal.journey.drawing import account_of, drawing_of
from portal.journey.export import export
from portal.office.tables import REASONS
from portal.parts import Parts
from portal.read.consignments import OPEN, REJECTED, RELEASED
from portal.read.tables import put, writing

PAGES_MAX: Final = 1_000
REASON_MAX: Final = 500
SALT_BYTES: Final = 32


def routes(parts: Parts) -> APIRouter:
    """The room's routes."""
    looks = only(Role.MANAGER, Role.WAREHOUSE, Role.AUDITOR)
    router = APIRouter(dependencies=[Depends(looks)])
    router.include_router(_list(parts))
    router.include_router(_one(parts))
    router.include_router(_decision(parts))
    return router


def _list(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/consignments")

    def shown(request: Request, viewer: Viewer, template: str, *, page: int) -> Response:
        with parts.read.connect() as db:
            found = listed(db, viewer, now_ms=parts.clock_ms(), page=page)
        return parts.shell.render(request, template, found=found, page=page)

    @router.get("")
    def consignments(
        request: Request, viewer: SignedIn, page: Annotated[int, Query(ge=0, le=PAGES_MAX)] = 0
    ) -> Response:
        return shown(request, viewer, "consignments/list.html", page=page)

    @router.get("/part")
    def part(
        request: Request, viewer: SignedIn, page: Annotated[int, Query(ge=0, le=PAGES_MAX)] = 0
    ) -> Response:
        return shown(request, viewer, "consignments/_list.html", page=page)

    return router


def look(parts: Parts, viewer: Viewer, consignment: str) -> Found:
    """A consignment of the viewer's as it is now; raises MissingError."""
    with parts.read.connect() as db:
        return one(db, viewer, consignment, now_ms=parts.clock_ms())


def _one(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/consignments/{consignment}")

    @router.get("")
    def page(request: Request, viewer: SignedIn, consignment: str) -> Response:
        found = look(parts, viewer, consignment)
        decides = viewer.organisation in (found.row["owner"], found.row["consignee"])
        return parts.shell.render(
            request,
            "consignments/one.html",
            found=found,
            row=found.row,
            account=account_of(found.journey),
            decides=decides and viewer.may(Role.MANAGER) and found.row["status"] == OPEN,
        )

    @router.get("/chart.json")
    def drawing(viewer: SignedIn, consignment: str) -> Response:
        return JSONResponse(drawing_of(look(parts, viewer, consignment).journey))

    @router.get("/export.{form}")
    def download(viewer: SignedIn, consignment: str, form: str) -> Response:
        found = look(parts, viewer, consignment)
        with parts.read.connect() as db:
            rows: dict[queries.Channel, list[list[object]]] = {}
            for channel, part in found.parts:
                rows.setdefault(channel, []).extend(queries.export_rows(db, channel, part))
        return export(form, name=f"consignment-{consignment}", span=found.journey.span, rows=rows)

    return router


def _decision(parts: Parts) -> APIRouter:
    router = APIRouter(dependencies=[Depends(only(Role.MANAGER))])

    @router.post("/consignments/{consignment}/decision")
    async def decide(
        *,
        viewer: SignedIn,
        consignment: str,
        decision: Annotated[int, Form(ge=RELEASED, le=REJECTED)],
        reason: Annotated[str, Form()],
    ) -> Response:
        found = await run_in_threadpool(look, parts, viewer, consignment)
        if viewer.organisation not in (found.row["owner"], found.row["consignee"]):
            raise ForbiddenError
        words = reason.strip()
        if not 0 < len(words) <= REASON_MAX:
            raise FieldError("reason", "consignments.reason_wrong", most=REASON_MAX)
        if await parts.door.party_id() != viewer.organisation_id:
            raise ForbiddenError("consignments.other_machine")
        # The chain carries a digest that nobody can guess; words and salt stay here.
        salt = parts.random_bytes(SALT_BYTES)
        row = {
            "consignment": consignment,
            "person": viewer.name,
            "salt": salt.hex(),
            "reason": words,
            "decision": decision,
            "at_ms": parts.clock_ms(),
        }
        await run_in_threadpool(_keep, parts, row)
        digest = hashlib.sha256(salt + words.encode()).digest()
        body = [1, bytes.fromhex(consignment), decision, digest]
        try:
            answer = await parts.door.send(KIND_CLOSE, body, nonce=parts.random_bytes(NONCE_BYTES))
        except ConsortiumError as error:
            raise VisitorError("consignments.not_sent") from error
        if answer.code:
            raise VisitorError("consignments.refused", code=answer.code)
        return RedirectResponse(f"/consignments/{consignment}", 303)

    return router


def _keep(parts: Parts, row: dict[str, object]) -> None:
    with writing(parts.office) as office:
        put(office, REASONS, row)
