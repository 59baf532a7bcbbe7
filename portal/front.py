"""The way in: which page is whose first, the stream of changes, language, health."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from portal.access import Role, SignedIn
from portal.errors import MissingError
from portal.parts import Parts
from portal.shell import LANGUAGE_COOKIE
from portal.tls import fingerprint
from portal.words import LANGUAGES

YEAR_S = 365 * 24 * 3600
FIRST_PAGES = (
    (Role.WAREHOUSE, "/warehouse"),
    (Role.ADMIN, "/warehouse"),
    (Role.MANAGER, "/consignments"),
    (Role.DRIVER, "/driver"),
    (Role.AUDITOR, "/warehouse"),
)


def own_path(path: str) -> str:
    """A path of ours that a link may lead back to; the first page for anything else."""
    parts = urlsplit(path)
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\"))
    return parts.path if is_ours and not parts.netloc and "\\" not in path else "/"


def routes(parts: Parts) -> APIRouter:
    """The shell's own routes."""
    router = APIRouter()

    @router.get("/")
    def first_page(viewer: SignedIn) -> Response:
        for role, path in FIRST_PAGES:
            if role in viewer.roles:
                return RedirectResponse(path, 303)
        return RedirectResponse("/account", 303)

    @router.get("/events")
    async def events(viewer: SignedIn) -> Response:
        del viewer  # what changed is asked for page by page, as the viewer
        headers = {"x-accel-buffering": "no"}
        return StreamingResponse(
            parts.live.watch(), media_type="text/event-stream", headers=headers
        )

    @router.get("/language/{code}")
    def choose_language(code: str, next_: Annotated[str, Query(alias="next")] = "/") -> Response:
        if code not in LANGUAGES:
            raise MissingError
        response = RedirectResponse(own_path(next_), 303)
        response.set_cookie(
            LANGUAGE_COOKIE,
            code,
            max_age=YEAR_S,
            httponly=True,
            samesite="lax",
            secure=parts.secure,
        )
        return response

    @router.get("/healthz")
    def health() -> Response:
        trouble = parts.trouble()
        return PlainTextResponse("ok\n" if trouble is None else "behind\n")

    router.include_router(_install(parts))
    return router


def _install(parts: Parts) -> APIRouter:
    router = APIRouter()

    @router.get("/install")
    def install(request: Request) -> Response:
        if parts.authority is None:
            raise MissingError
        shown = fingerprint(parts.authority)
        return parts.shell.render(request, "shell/install.html", fingerprint=shown)

    @router.get("/install/authority.crt")
    def authority() -> Response:
        if parts.authority is None:
            raise MissingError
        kind = "application/x-x509-ca-cert"
        headers = {"content-disposition": 'attachment; filename="wharfinger.crt"'}
        return Response(parts.authority.read_bytes(), media_type=kind, headers=headers)

    return router
