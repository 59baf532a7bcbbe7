"""Capture: documents and single events come in; a job tells what became of each."""

import json
from typing import Any, Final

from fastapi import APIRouter, BackgroundTasks, Request
from sqlalchemy import insert, select
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from logistics.epcis.document import Document, read_document, read_event
from logistics.epcis.errors import EventError
from logistics.epcis.event_view import time_text
from portal.access import SignedIn, Viewer
from portal.errors import MissingError
from portal.office.event_tables import JOBS
from portal.parts import Parts
from portal.read.tables import writing
from portal.trace.chain_outbox import say_waiting
from portal.trace.epcis_answers import HEADERS, bounded_body, problem
from portal.trace.shelf import EventShelf, Taken
from portal.trace.subscriptions import Subscriptions

# Whom the events of a capture are for, besides their owner and whom it grants them.
SHOW_HEADER: Final = "wharf-show"
JOBS_MAX: Final = 1_000


class Capture:
    """Takes documents in, and remembers what became of each capture."""

    def __init__(self, parts: Parts, shelf: EventShelf) -> None:
        self._parts, self._shelf = parts, shelf

    def take(self, viewer: Viewer, document: Document, *, for_consumers: bool) -> str:
        """Keeps the document's events; the id of the job that tells of it."""
        taken = self._shelf.take(viewer.organisation, document, for_consumers=for_consumers)
        return self.note(viewer, taken, ())

    def note(self, viewer: Viewer, taken: Taken, errors: tuple[dict[str, Any], ...]) -> str:
        """Writes down a capture's end; the job's id."""
        now_ms, job = self._parts.clock_ms(), self._parts.random_bytes(16).hex()
        row = {
            "id": job,
            "organisation": viewer.organisation,
            "created_ms": now_ms,
            "finished_ms": now_ms,
            "success": int(not errors),
            "errors": json.dumps(errors),
            "known": taken.known,
            "taken": taken.new,
        }
        with writing(self._parts.office) as db:
            db.execute(insert(JOBS).values(**row))
        return job

    def jobs(self, viewer: Viewer, job: str | None = None) -> list[dict[str, Any]]:
        """The viewer's captures as EPCIS shows them, the newest first; or the one of this id."""
        chosen = select(JOBS).where(JOBS.c.organisation == viewer.organisation)
        if job is not None:
            chosen = chosen.where(JOBS.c.id == job)
        with self._parts.office.connect() as db:
            rows = db.execute(chosen.order_by(JOBS.c.created_ms.desc()).limit(JOBS_MAX)).all()
        return [
            {
                "captureID": row.id,
                "createdAt": time_text(row.created_ms),
                "finishedAt": time_text(row.finished_ms),
                "running": False,
                "success": bool(row.success),
                "captureErrorBehaviour": "rollback",
                "errors": json.loads(row.errors),
                "wharf:newEvents": row.taken,
                "wharf:knownEvents": row.known,
            }
            for row in rows
        ]


class CaptureRoutes:
    """The capture interface of one portal."""

    def __init__(self, parts: Parts, shelf: EventShelf, watches: Subscriptions) -> None:
        self._parts, self._shelf, self._watches = parts, shelf, watches
        self._capture = Capture(parts, shelf)

    def mount(self, router: APIRouter) -> None:
        """Adds the routes."""
        router.add_api_route("/capture", self.post_document, methods=["POST"])
        router.add_api_route("/events", self.post_event, methods=["POST"])
        router.add_api_route("/capture", self.get_captures, methods=["GET"])
        router.add_api_route("/capture/{job}", self.get_capture, methods=["GET"])
        for path in ("/capture", "/events", "/queries"):
            router.add_api_route(path, self.options, methods=["OPTIONS"])

    async def post_document(
        self, request: Request, viewer: SignedIn, after: BackgroundTasks
    ) -> Response:
        """202 with the job, or what is wrong with the document."""
        taken = await self._take(request, viewer, after, one=False)
        if isinstance(taken, Response):
            return taken
        headers = HEADERS | {"Location": f"/epcis/capture/{taken[0]}"}
        return Response(status_code=202, headers=headers, background=after)

    async def post_event(
        self, request: Request, viewer: SignedIn, after: BackgroundTasks
    ) -> Response:
        """201 with the event's place, or what is wrong with it."""
        taken = await self._take(request, viewer, after, one=True)
        if isinstance(taken, Response):
            return taken
        (event,) = taken[1].events
        headers = HEADERS | {"Location": f"/epcis/events/{event.event_id}"}
        return Response(status_code=201, headers=headers, background=after)

    async def _take(
        self, request: Request, viewer: Viewer, after: BackgroundTasks, *, one: bool
    ) -> Response | tuple[str, Document]:
        try:
            data = await bounded_body(request)
            document = await run_in_threadpool(read_event if one else read_document, data)
        except EventError as error:
            return problem(error)
        shown = request.headers.get(SHOW_HEADER) == "consumers"
        job = await run_in_threadpool(self._capture.take, viewer, document, for_consumers=shown)
        after.add_task(say_waiting, self._parts, self._shelf, viewer.organisation)
        after.add_task(self._watches.tell, viewer.organisation)
        return job, document

    def get_captures(self, viewer: SignedIn) -> Response:
        """The organisation's captures."""
        return JSONResponse(self._capture.jobs(viewer), headers=HEADERS)

    def get_capture(self, job: str, viewer: SignedIn) -> Response:
        """One capture; raises MissingError."""
        found = self._capture.jobs(viewer, job)
        if not found:
            raise MissingError
        return JSONResponse(found[0], headers=HEADERS)

    def options(self, viewer: SignedIn) -> Response:
        """What this interface is, in headers."""
        del viewer  # a stranger learns nothing, not even versions
        return Response(status_code=204, headers=HEADERS | {"Allow": "OPTIONS, GET, POST"})
