"""Signing in and out, one's own account, the organisation's people and tokens."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Form, Query, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from portal.access import Role, SignedIn, Viewer, find_viewer, only
from portal.accounts.passkeys import PasskeyDesk
from portal.errors import FieldError, ForbiddenError, MissingError
from portal.front import own_path
from portal.office.accounts import Opened
from portal.parts import Parts

SESSION_COOKIE = "wharf_session"
NAME_MAX = 80
TOKEN_DAYS_MAX = 730


def who_asks(parts: Parts, request: Request) -> Viewer | None:
    """The viewer by a bearer token, or else by the session cookie."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return parts.accounts.viewer_of_token(token.strip())
    secret = request.cookies.get(SESSION_COOKIE)
    return parts.accounts.viewer_of_session(secret) if secret else None


def signed_in(parts: Parts, opened: Opened, path: str) -> Response:
    """The way on for somebody whose session begins now."""
    return with_session(parts, opened, RedirectResponse(own_path(path), 303))


def with_session(parts: Parts, opened: Opened, response: Response) -> Response:
    """The answer, with the session's cookie."""
    response.set_cookie(
        SESSION_COOKIE, opened.secret, httponly=True, samesite="lax", secure=parts.secure
    )
    return response


def client_of(request: Request) -> str:
    """Who tries, for rate limits: the address at the other end."""
    return request.client.host if request.client else ""


def roles_of(words: list[str]) -> list[Role]:
    """The roles that a form names; raises FieldError."""
    try:
        return [Role(item) for item in words]
    except ValueError as error:
        raise FieldError("roles", "accounts.roles_wrong") from error


def name_of(name: str) -> str:
    """A name as it is kept; raises FieldError."""
    cut = name.strip()
    if not 0 < len(cut) <= NAME_MAX or not cut.isprintable():
        raise FieldError("name", "accounts.name_wrong", most=NAME_MAX)
    return cut


def routes(parts: Parts) -> APIRouter:
    """The room's routes."""
    router = APIRouter()
    router.include_router(_door(parts))
    router.include_router(_passkeys(parts))
    router.include_router(_own(parts))
    router.include_router(_people(parts))
    router.include_router(_tokens(parts))
    return router


def _door(parts: Parts) -> APIRouter:
    router, render = APIRouter(), parts.shell.render

    @router.get("/sign-in")
    def sign_in(request: Request, next_: Annotated[str, Query(alias="next")] = "/") -> Response:
        if find_viewer(request):
            return RedirectResponse(own_path(next_), 303)
        return render(request, "accounts/sign_in.html", next=own_path(next_))

    @router.get("/enrol")
    def enrol(request: Request, code: str = "") -> Response:
        return render(request, "accounts/enrol.html", code=code[:64], wrong=False)

    @router.post("/enrol")
    def use_code(
        request: Request,
        code: Annotated[str, Form()],
        next_: Annotated[str, Form(alias="next")] = "/",
    ) -> Response:
        parts.accounts.count_try(f"code {client_of(request)}")
        opened = parts.accounts.use_code(code)
        if opened is None:
            return render(request, "accounts/enrol.html", status=422, code="", wrong=True)
        return signed_in(parts, opened, next_)

    @router.post("/sign-out")
    def sign_out(request: Request) -> Response:
        parts.accounts.end_session(request.cookies.get(SESSION_COOKIE, ""))
        response = RedirectResponse("/sign-in", 303)
        response.delete_cookie(SESSION_COOKIE)
        return response

    return router


def _passkeys(parts: Parts) -> APIRouter:
    router = APIRouter()
    desk = PasskeyDesk(
        parts.office, parts.address, clock_ms=parts.clock_ms, random_bytes=parts.random_bytes
    )

    @router.post("/sign-in/options")
    def ask_who(request: Request) -> Response:
        parts.accounts.count_try(f"passkey {client_of(request)}", most=60)
        return JSONResponse(desk.ask_who())

    @router.post("/sign-in/passkey")
    def use_passkey(
        request: Request,
        ticket: Annotated[str, Body(max_length=64)],
        credential: Annotated[dict[str, Any], Body()],
    ) -> Response:
        parts.accounts.count_try(f"passkey {client_of(request)}", most=60)
        opened = parts.accounts.open_session(desk.who_is(ticket, credential))
        if opened is None:
            raise ForbiddenError("accounts.passkey_failed")
        response = JSONResponse({"ok": True})
        return with_session(parts, opened, response)

    @router.post("/account/passkey/options")
    def ask_for_new(viewer: SignedIn) -> Response:
        if viewer.via_token:
            raise ForbiddenError
        return JSONResponse(desk.ask_for_new(viewer))

    @router.post("/account/passkey")
    def add(
        viewer: SignedIn,
        ticket: Annotated[str, Body(max_length=64)],
        credential: Annotated[dict[str, Any], Body()],
    ) -> Response:
        desk.add(viewer, ticket, credential)
        return JSONResponse({"ok": True})

    return router


def _own(parts: Parts) -> APIRouter:
    router = APIRouter()

    @router.get("/account")
    def account(request: Request, viewer: SignedIn) -> Response:
        del viewer  # the template sees it
        return parts.shell.render(request, "accounts/account.html")

    return router


def _people_page(
    parts: Parts, request: Request, viewer: Viewer, *, code: str = "", token: str = ""
) -> Response:
    return parts.shell.render(
        request,
        "accounts/people.html",
        people=parts.accounts.people(viewer),
        tokens=parts.accounts.tokens(viewer),
        roles=list(Role),
        now=parts.clock_ms(),
        link=f"{parts.address}/enrol?code={code}",
        code=code,
        token=token,
    )


def _people(parts: Parts) -> APIRouter:
    router = APIRouter(dependencies=[Depends(only(Role.ADMIN))])
    desk = parts.accounts

    @router.get("/people")
    def people(request: Request, viewer: SignedIn) -> Response:
        return _people_page(parts, request, viewer)

    @router.post("/people")
    def add_person(
        *,
        request: Request,
        viewer: SignedIn,
        name: Annotated[str, Form()],
        roles: Annotated[list[str], Form()],
    ) -> Response:
        person = desk.add_person(viewer.organisation, name_of(name), roles_of(roles))
        return _people_page(parts, request, viewer, code=desk.new_code(person.id))

    @router.post("/people/{person_id}/code")
    def another_code(request: Request, viewer: SignedIn, person_id: str) -> Response:
        if person_id not in {row.id for row in desk.people(viewer) if row.ended_ms is None}:
            raise MissingError
        return _people_page(parts, request, viewer, code=desk.new_code(person_id))

    @router.post("/people/{person_id}/end")
    def end_person(viewer: SignedIn, person_id: str) -> Response:
        if not desk.end_person(viewer, person_id):
            raise MissingError
        return RedirectResponse("/people", 303)

    return router


def _tokens(parts: Parts) -> APIRouter:
    router = APIRouter(dependencies=[Depends(only(Role.ADMIN))])
    desk = parts.accounts

    @router.post("/tokens")
    def add_token(
        *,
        request: Request,
        viewer: SignedIn,
        name: Annotated[str, Form()],
        roles: Annotated[list[str], Form()],
        days: Annotated[int, Form(ge=1, le=TOKEN_DAYS_MAX)] = 90,
    ) -> Response:
        token = desk.new_token(viewer, name_of(name), roles_of(roles), days=days)
        return _people_page(parts, request, viewer, token=token)

    @router.post("/tokens/{token_id}/end")
    def end_token(viewer: SignedIn, token_id: str) -> Response:
        if not desk.end_token(viewer, token_id):
            raise MissingError
        return RedirectResponse("/people", 303)

    return router
