"""Queries over REST: events by parameters, and the resources that list what there is to ask for."""

import json
from typing import Any, Final

from fastapi import APIRouter, Request
from sqlalchemy import select
from starlette.responses import JSONResponse, Response

from logistics.epcis.errors import QueryError
from logistics.epcis.query import EventQuery, flat, parse_query
from logistics.epcis.vocabulary import CONTEXT, EVENT_TYPES
from portal.access import SignedIn, Viewer
from portal.errors import MissingError
from portal.office.event_tables import EVENTS, QUERIES, TERMS
from portal.parts import Parts
from portal.trace.epcis_answers import HEADERS, JSON_LD, page_response, problem
from portal.trace.shelf import EventShelf

# Resources that list what events there are, and the parameter that each stands for.
LISTS: Final[dict[str, tuple[str, Any]]] = {
    "eventTypes": ("eventType", None),
    "bizSteps": ("EQ_bizStep", EVENTS.c.step),
    "dispositions": ("EQ_disposition", EVENTS.c.disposition),
    "readPoints": ("EQ_readPoint", EVENTS.c.read_point),
    "bizLocations": ("EQ_bizLocation", EVENTS.c.location),
    "epcs": ("MATCH_anyEPC", TERMS.c.value),
}
LIST_MAX: Final = 1_000


class QueryRoutes:
    """The query interface of one portal."""

    def __init__(self, parts: Parts, shelf: EventShelf) -> None:
        self._parts, self._shelf = parts, shelf

    def mount(self, router: APIRouter) -> None:
        """Adds the routes; the general ones last."""
        router.add_api_route("/events", self.get_events, methods=["GET"])
        router.add_api_route("/events/{event_id:path}", self.get_event, methods=["GET"])
        router.add_api_route("/{resource}", self.get_list, methods=["GET"])
        path = "/{resource}/{value:path}/events"
        router.add_api_route(path, self.get_events_of, methods=["GET"])

    def get_events(self, request: Request, viewer: SignedIn) -> Response:
        """A page of the events that the parameters ask for."""
        return self._page(request, viewer)

    def get_event(self, event_id: str, request: Request, viewer: SignedIn) -> Response:
        """One event; raises MissingError."""
        # A CBV hash as event id ends in "?ver=CBV2.0", which arrives as a query.
        whole = event_id + (f"?{request.url.query}" if request.url.query else "")
        found = self._shelf.one(viewer, whole) or self._shelf.one(viewer, event_id)
        if found is None:
            raise MissingError
        body = {"@context": [CONTEXT], **found}
        return JSONResponse(body, headers=HEADERS, media_type=JSON_LD)

    def get_list(self, resource: str, viewer: SignedIn) -> Response:
        """The values of a resource among the viewer's own events; raises MissingError."""
        if resource not in LISTS:
            raise MissingError
        body = {
            "@context": CONTEXT,
            "type": "Collection",
            "member": self._members(resource, viewer),
        }
        return JSONResponse(body, headers=HEADERS, media_type=JSON_LD)

    def get_events_of(
        self, request: Request, viewer: SignedIn, *, resource: str, value: str
    ) -> Response:
        """The events of one of a resource's values, or of a named query; raises MissingError."""
        if resource == "queries":
            named = named_parameters(self._parts, viewer, value)
            return self._page(request, viewer, *named)
        if resource not in LISTS:
            raise MissingError
        return self._page(request, viewer, (LISTS[resource][0], value))

    def _page(self, request: Request, viewer: Viewer, *more: tuple[str, str]) -> Response:
        try:
            query: EventQuery = parse_query([*request.query_params.multi_items(), *more])
            return page_response(request, self._shelf.find(viewer, query))
        except QueryError as error:
            return problem(error)

    def _members(self, resource: str, viewer: Viewer) -> list[str]:
        column = LISTS[resource][1]
        if column is None:
            return list(EVENT_TYPES)
        own = EVENTS.c.organisation == viewer.organisation
        chosen = select(column).where(own, column.is_not(None)).distinct()
        if resource == "epcs":
            kinds = TERMS.c.kind.in_(("epc", "parent", "input", "output"))
            chosen = chosen.join(EVENTS, EVENTS.c.seq == TERMS.c.seq).where(kinds)
        with self._parts.office.connect() as db:
            return sorted(row[0] for row in db.execute(chosen.limit(LIST_MAX)))


def named_parameters(parts: Parts, viewer: Viewer, name: str) -> list[tuple[str, str]]:
    """The parameters of the viewer's query of this name; raises MissingError."""
    chosen = select(QUERIES.c.query).where(
        QUERIES.c.organisation == viewer.organisation, QUERIES.c.name == name
    )
    with parts.office.connect() as db:
        text = db.execute(chosen).scalar()
    if text is None:
        raise MissingError
    return flat(json.loads(text))
