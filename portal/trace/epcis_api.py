"""EPCIS 2.0 over REST: capture, query, named queries, subscriptions, discovery.

Source: EPCIS 2.0, section 12. Below /epcis; a program signs in with a token as bearer.
"""

from fastapi import APIRouter

from portal.parts import Parts
from portal.trace.capture import CaptureRoutes
from portal.trace.events_found import QueryRoutes
from portal.trace.named_queries import NamedQueryRoutes
from portal.trace.shelf import EventShelf
from portal.trace.subscriptions import Subscriptions


def routes(parts: Parts) -> APIRouter:
    """The room's routes; the most general paths come last."""
    router = APIRouter(prefix="/epcis")
    shelf = EventShelf(parts.office, parts.clock_ms, parts.random_bytes)
    watches = Subscriptions(parts, shelf)
    CaptureRoutes(parts, shelf, watches).mount(router)
    NamedQueryRoutes(parts, watches).mount(router)
    QueryRoutes(parts, shelf).mount(router)
    return router
