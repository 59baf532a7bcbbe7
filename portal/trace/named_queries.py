"""Named queries and their subscriptions over REST."""

import json
from typing import Any, Final

from fastapi import APIRouter, Request
from sqlalchemy import delete, insert, select
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from logistics.epcis.document import read_json
from logistics.epcis.errors import EventError, QueryError
from logistics.epcis.query import flat, parse_query
from portal.access import SignedIn
from portal.errors import MissingError
from portal.office.event_tables import QUERIES
from portal.parts import Parts
from portal.read.tables import writing
from portal.trace.epcis_answers import HEADERS, bounded_body, problem
from portal.trace.events_found import named_parameters
from portal.trace.subscriptions import Subscriptions

NAME_CHARACTERS_MAX: Final = 80


class NamedQueryRoutes:
    """Named queries of one portal."""

    def __init__(self, parts: Parts, watches: Subscriptions) -> None:
        self._parts, self._watches = parts, watches

    def mount(self, router: APIRouter) -> None:
        """Adds the routes."""
        one, all_of_one = "/queries/{name}", "/queries/{name}/subscriptions"
        router.add_api_route("/queries", self.post_query, methods=["POST"])
        router.add_api_route("/queries", self.get_queries, methods=["GET"])
        router.add_api_route(one, self.get_query, methods=["GET"])
        router.add_api_route(one, self.delete_query, methods=["DELETE"])
        router.add_api_route(all_of_one, self.get_subscriptions, methods=["GET"])
        router.add_api_route(all_of_one, self.post_subscription, methods=["POST"])
        path = all_of_one + "/{subscription}"
        router.add_api_route(path, self.delete_subscription, methods=["DELETE"])

    async def post_query(self, request: Request, viewer: SignedIn) -> Response:
        """201, or 409 where the organisation has a query of this name."""
        try:
            name, query = checked_query(read_json(await bounded_body(request)))
        except (EventError, QueryError) as error:
            return problem(error)
        row = {
            "organisation": viewer.organisation,
            "name": name,
            "query": json.dumps(query),
            "created_ms": self._parts.clock_ms(),
        }
        if not await run_in_threadpool(self._add, row):
            body = {"type": "epcisException:ResourceAlreadyExistsException", "title": name}
            return JSONResponse(body | {"status": 409}, 409, headers=HEADERS)
        headers = HEADERS | {"Location": f"/epcis/queries/{name}"}
        return Response(status_code=201, headers=headers)

    def _add(self, row: dict[str, Any]) -> bool:
        own = (QUERIES.c.organisation == row["organisation"], QUERIES.c.name == row["name"])
        with writing(self._parts.office) as db:
            if db.execute(select(QUERIES.c.name).where(*own)).first() is not None:
                return False
            db.execute(insert(QUERIES).values(**row))
        return True

    def get_queries(self, viewer: SignedIn) -> Response:
        """The organisation's queries."""
        own = QUERIES.c.organisation == viewer.organisation
        with self._parts.office.connect() as db:
            rows = db.execute(select(QUERIES).where(own).order_by(QUERIES.c.name)).all()
        body = [{"name": row.name, "query": json.loads(row.query)} for row in rows]
        return JSONResponse(body, headers=HEADERS)

    def get_query(self, name: str, viewer: SignedIn) -> Response:
        """One query's parameters; raises MissingError."""
        rows = named_parameters(self._parts, viewer, name)
        return JSONResponse({"name": name, "query": dict(rows)}, headers=HEADERS)

    def delete_query(self, name: str, viewer: SignedIn) -> Response:
        """Ends a query and its subscriptions; raises MissingError."""
        own = (QUERIES.c.organisation == viewer.organisation, QUERIES.c.name == name)
        with writing(self._parts.office) as db:
            if db.execute(delete(QUERIES).where(*own)).rowcount == 0:
                raise MissingError
        self._watches.end(viewer, name)
        return Response(status_code=204, headers=HEADERS)

    def get_subscriptions(self, name: str, viewer: SignedIn) -> Response:
        """A query's subscriptions; raises MissingError."""
        named_parameters(self._parts, viewer, name)
        return JSONResponse(self._watches.listed(viewer, name), headers=HEADERS)

    async def post_subscription(self, name: str, request: Request, viewer: SignedIn) -> Response:
        """201 with the subscription's id."""
        try:
            value = read_json(await bounded_body(request))
            made = await run_in_threadpool(self._watches.add, viewer, name, value)
        except (EventError, QueryError) as error:
            return problem(error)
        headers = HEADERS | {"Location": f"/epcis/queries/{name}/subscriptions/{made}"}
        return JSONResponse({"subscriptionID": made}, 201, headers=headers)

    def delete_subscription(self, name: str, subscription: str, viewer: SignedIn) -> Response:
        """Ends a subscription; raises MissingError."""
        if not self._watches.end(viewer, name, subscription):
            raise MissingError
        return Response(status_code=204, headers=HEADERS)


def checked_query(value: Any) -> tuple[str, dict[str, Any]]:
    """(name, query) of a request's body; raises QueryError."""
    name = value.get("name") if isinstance(value, dict) else None
    if not isinstance(name, str) or not 0 < len(name) <= NAME_CHARACTERS_MAX or "/" in name:
        raise QueryError("name", f"not 1 to {NAME_CHARACTERS_MAX} characters without a slash")
    query = value.get("query")
    parse_query(flat(query))
    return name, query
