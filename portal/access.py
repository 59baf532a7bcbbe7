"""The one place of tenancy: who looks, what is public, what an organisation may see.

Every route but those of PUBLIC_ROUTES wants a signed-in viewer; a new route is closed until it
stands there. Every query takes the viewer and filters by what `Viewer` and `visible_feeds` say.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from hmac import compare_digest
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import Depends, Request
from sqlalchemy import ColumnElement, Select, select
from starlette.concurrency import run_in_threadpool

from portal.errors import ForbiddenError, SignInNeededError
from portal.read.consignments import CONSIGNMENTS, GRANTS, LEGS
from portal.read.gateways import GATEWAYS


class Role(StrEnum):
    """What a person may do for the organisation."""

    ADMIN = "admin"  # people, tokens, settings, and all that follows
    MANAGER = "manager"
    WAREHOUSE = "warehouse"
    DRIVER = "driver"
    AUDITOR = "auditor"  # looks at everything of the organisation, changes nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who looks: a person, or a program with a token, of one organisation.

    organisation_id: its party id on the chain, 16 bytes. session: what its requests carry; empty
    for a token.
    """

    organisation_id: bytes
    person_id: str
    name: str
    roles: frozenset[Role]
    csrf: str = ""
    via_token: bool = False
    language: str = ""
    scopes: frozenset[str] = field(default_factory=frozenset)

    @property
    def organisation(self) -> str:
        """The organisation's id as the tables hold it."""
        return self.organisation_id.hex()

    def may(self, *roles: Role) -> bool:
        """Whether the person has one of these roles; an admin has them all."""
        return Role.ADMIN in self.roles or bool(self.roles & set(roles))


SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# Path templates that anybody may ask for, by whose room they are. Nothing else is public.
PUBLIC_ROUTES: Final[frozenset[str]] = frozenset(
    {
        # the shell
        "/static",
        "/healthz",
        "/language/{code}",
        "/install",
        "/install/authority.crt",
        "/sign-in",
        "/sign-in/options",
        "/sign-in/passkey",
        "/enrol",
        # trace codes
        "/01",
        "/00",
        "/414",
        "/t",
        "/.well-known/gs1resolver",
        "/item/{code:path}",
        "/item-proof/{code:path}",
    }
)


def route_of(request: Request) -> str:
    """The template of the route that answers this request."""
    route = request.scope.get("route")
    return getattr(route, "path", "") or ""


def find_viewer(request: Request) -> Viewer | None:
    """The viewer of a request, if it is signed in: what `guard` found."""
    viewer: Viewer | None = getattr(request.state, "viewer", None)
    return viewer


async def guard(request: Request) -> None:
    """Lets only signed-in viewers past, but for PUBLIC_ROUTES, and no foreign page's form.

    Raises SignInNeededError, ForbiddenError.
    """
    request.state.viewer = await run_in_threadpool(request.app.state.parts.who, request)
    viewer = find_viewer(request)
    if viewer is None and route_of(request) not in PUBLIC_ROUTES:
        raise SignInNeededError
    if request.method not in SAFE_METHODS and not (viewer and viewer.via_token):
        await _require_own_form(request, viewer)


async def _require_own_form(request: Request, viewer: Viewer | None) -> None:
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise ForbiddenError("error.form_old")
    if viewer is None:
        return
    token = request.headers.get("x-csrf")
    if token is None:
        token = str((await request.form()).get("csrf", ""))
    if not compare_digest(token.encode(), viewer.csrf.encode()):
        raise ForbiddenError("error.form_old")


def need_viewer(request: Request) -> Viewer:
    """The signed-in viewer; raises SignInNeededError."""
    viewer = find_viewer(request)
    if viewer is None:
        raise SignInNeededError
    return viewer


SignedIn = Annotated[Viewer, Depends(need_viewer)]


def only(*roles: Role) -> Callable[[Request], None]:
    """A dependency for a router: its routes are for these roles; raises ForbiddenError."""

    def check(request: Request) -> None:
        if not need_viewer(request).may(*roles):
            raise ForbiddenError

    return check


def visible_feeds(viewer: Viewer) -> Select[tuple[str]]:
    """The feeds whose entries this viewer may see: those of the organisation's own gateways.

    What a grant opens is decided by the granting room, for its interval, and never through here.
    """
    return select(GATEWAYS.c.feed).where(GATEWAYS.c.organisation == viewer.organisation)


def owned(viewer: Viewer, columns: Iterable[ColumnElement[str]]) -> ColumnElement[bool]:
    """True in rows where one of these columns names the viewer's organisation."""
    first, *rest = columns
    condition = first == viewer.organisation
    for column in rest:
        condition |= column == viewer.organisation
    return condition


def visible_consignments(viewer: Viewer, now_ms: int) -> ColumnElement[bool]:
    """True for consignments in which the viewer's organisation takes part, as owner, consignee or
    carrier that accepted its leg, or that a grant shows to it now.
    """
    own, leg, grant = CONSIGNMENTS.c, LEGS.c, GRANTS.c
    carried = select(leg.consignment).where(leg.carrier == viewer.organisation, leg.accepted == 1)
    shown = select(grant.consignment).where(
        grant.organisation == viewer.organisation,
        grant.from_ms <= now_ms,
        grant.to_ms.is_(None) | (grant.to_ms > now_ms),
    )
    return owned(viewer, [own.owner, own.consignee]) | own.id.in_(carried) | own.id.in_(shown)
