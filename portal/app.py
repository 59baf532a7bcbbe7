"""The web application: every room mounted by one line, one guard before them all."""

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from portal import front
from portal.access import Role, guard
from portal.accounts import pages as accounts
from portal.alerts import pages as alerts
from portal.api import routes as api
from portal.consignments import pages as consignments
from portal.errors import FieldError, MissingError, TooManyError, VisitorError
from portal.journey import pages as journey
from portal.parts import Parts
from portal.shell import HERE, SecureHeaders, language_of
from portal.trace import epcis_api, owner, resolver
from portal.trace import pages as trace
from portal.warehouse import pages as warehouse
from portal.words import word

log = logging.getLogger(__name__)
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

ROOMS: Final[tuple[Callable[[Parts], APIRouter], ...]] = (
    front.routes,
    accounts.routes,
    warehouse.routes,
    consignments.routes,
    alerts.routes,
    journey.routes,
    epcis_api.routes,
    trace.routes,
    owner.routes,
    api.routes,
)
# Rooms that have templates of their own below portal/<room>/templates.
TEMPLATE_ROOMS: Final = ("accounts", "warehouse", "consignments", "alerts", "journey", "trace")
# What stands at the top of every page, for whom.
MENU: Final = (
    ("shell.warehouse", "/warehouse", (Role.WAREHOUSE, Role.MANAGER, Role.AUDITOR)),
    ("consignments.title", "/consignments", (Role.WAREHOUSE, Role.MANAGER, Role.AUDITOR)),
    ("alerts.title", "/alerts", (Role.WAREHOUSE, Role.MANAGER, Role.AUDITOR)),
    ("journey.sensors", "/sensors", (Role.WAREHOUSE, Role.MANAGER, Role.AUDITOR)),
    ("shell.people", "/people", (Role.ADMIN,)),
)


def make_portal(parts: Parts, lifespan: Lifespan | None = None) -> FastAPI:
    """The application over these parts."""
    app = FastAPI(
        title="Wharfinger",
        lifespan=lifespan,
        dependencies=[Depends(guard)],
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.parts = parts
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    for path, application in resolver.mounts(parts):
        app.mount(path, application)
    for routes in ROOMS:
        app.include_router(routes(parts))
    app.add_middleware(SecureHeaders)
    app.add_exception_handler(VisitorError, _on_visitor_error)
    app.add_exception_handler(RequestValidationError, _on_bad_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_fault)
    return app


def wants_json(request: Request) -> bool:
    """Whether a program asks: by its address, its token, or what it accepts."""
    is_api = request.url.path.startswith("/api/") or "authorization" in request.headers
    return is_api or "text/html" not in request.headers.get("accept", "")


async def _on_visitor_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, VisitorError)
    if error.status == 401 and request.method == "GET" and not wants_json(request):
        path = request.url.path
        return RedirectResponse(f"/sign-in?next={path}", 303)
    headers = {"retry-after": str(error.retry_s)} if isinstance(error, TooManyError) else {}
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    reason = word(language_of(request), error.key, **error.values)
    return _answer(request, error.status, reason, headers=headers, field=_field_of(error))


def _field_of(error: VisitorError) -> str | None:
    return error.field if isinstance(error, FieldError) else None


def _answer(
    request: Request,
    status: int,
    reason: str,
    *,
    headers: dict[str, str] | None = None,
    field: str | None = None,
) -> Response:
    if wants_json(request):
        about = {"field": field} if field else {}
        response: Response = JSONResponse({"error": reason, **about}, status)
    else:
        parts: Parts = request.app.state.parts
        response = parts.shell.render(request, "shell/error.html", status=status, reason=reason)
    response.headers.update(headers or {})
    return response


async def _on_bad_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = ".".join(str(item) for item in first["loc"][1:]) or str(first["loc"][0])
    language = language_of(request)
    reason = word(language, "error.field", field=field, reason=first["msg"])
    return _answer(request, 422, reason, field=field)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    key = MissingError.key if error.status_code in (404, 405) else VisitorError.key
    return _answer(request, error.status_code, word(language_of(request), key))


async def _on_fault(request: Request, error: Exception) -> Response:
    log.error("page_failed path=%s", request.url.path, exc_info=error)
    return _answer(request, 500, word(language_of(request), "error.fault"))
