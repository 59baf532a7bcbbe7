"""The warehouse's routes."""

from fastapi import APIRouter, Depends, Request
from sqlalchemy import select
from starlette.responses import Response

from portal.access import Role, SignedIn, only, visible_feeds
from portal.parts import Parts
from portal.read.gateways import CONDITIONS, GATEWAYS


def routes(parts: Parts) -> APIRouter:
    """The room's routes."""
    router = APIRouter(
        prefix="/warehouse",
        dependencies=[Depends(only(Role.WAREHOUSE, Role.MANAGER, Role.AUDITOR))],
    )

    @router.get("")
    def overview(request: Request, viewer: SignedIn) -> Response:
        query = (
            select(GATEWAYS, CONDITIONS)
            .join(CONDITIONS, CONDITIONS.c.feed == GATEWAYS.c.feed, isouter=True)
            .where(GATEWAYS.c.feed.in_(visible_feeds(viewer)))
            .order_by(GATEWAYS.c.name, GATEWAYS.c.feed)
        )
        with parts.read.connect() as db:
            gateways = db.execute(query).mappings().all()
        return parts.shell.render(request, "warehouse/overview.html", gateways=gateways)

    return router
