"""The consumer's page, what its browser checks it by, and labels."""

import hashlib
import ipaddress
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from sqlalchemy import insert
from starlette.responses import JSONResponse, Response

from consortium.errors import ConsortiumError
from ledger.canonical import encode
from logistics.epcis.event_view import EventView
from logistics.errors import IdentifierError
from logistics.trace.item_key import ItemKey, KeyKind
from logistics.trace.key_of_link import key_of_link, read_link
from portal.access import Role, SignedIn, only
from portal.errors import FieldError, MissingError
from portal.office.event_tables import SCANS
from portal.parts import Parts
from portal.read.tables import writing
from portal.trace.labels import as_pdf, as_zpl, make_label
from portal.trace.resolver import DESCRIPTION_PATH, description
from portal.trace.shelf import EventShelf
from portal.trace.story import tell
from portal.words import tables

CACHED_S: Final = 5
KEYS_MAX: Final = 1_000
DAY_MS: Final = 86_400_000


def asked_key(request: Request, start: str) -> ItemKey:
    """The key in a request's own path behind a start; raises MissingError, FieldError."""
    path = request.scope.get("raw_path", b"").decode("latin-1").partition("?")[0]
    try:
        return key_of_link(read_link("https://id.gs1.org" + path.removeprefix(start)))
    except IdentifierError as error:
        raise FieldError("code", "trace.code_wrong", reason=str(error)) from error


def step_word(event: EventView) -> str:
    """The words' key for what an event did."""
    key = f"trace.step_{event.step}"
    return key if key in tables()["en"] else "trace.step_other"


def network_of(host: str) -> str:
    """The network of a visitor's address: coarse enough to be no person."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host[:40]
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))


class Looks:
    """Notes who looks at a code, as digests under a salt that is thrown away each day."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._day, self._salt = -1, b""

    def note(self, request: Request, key: ItemKey) -> None:
        """Writes down one look."""
        now_ms = self._parts.clock_ms()
        if now_ms // DAY_MS != self._day:
            self._day, self._salt = now_ms // DAY_MS, self._parts.random_bytes(16)
        host = request.client.host if request.client else ""
        agent = request.headers.get("user-agent", "")[:300]
        row = {
            "thing": key.chain_id.hex(),
            "time_ms": now_ms,
            "visitor": self._digest(f"{host} {agent}"),
            "place": self._digest(network_of(host)),
        }
        with writing(self._parts.office) as db:
            db.execute(insert(SCANS).values(**row))

    def _digest(self, text: str) -> str:
        return hashlib.sha256(self._salt + text.encode()).hexdigest()[:16]


def routes(parts: Parts) -> APIRouter:
    """The room's routes."""
    router = APIRouter()
    shelf = EventShelf(parts.office, parts.clock_ms, parts.random_bytes)
    looks = Looks(parts)

    @router.get(DESCRIPTION_PATH)
    def gs1_resolver() -> Response:
        return JSONResponse(
            description(parts.address), headers={"access-control-allow-origin": "*"}
        )

    @router.get("/item/{code:path}")
    def item_page(code: str, request: Request) -> Response:
        del code  # decoded; the raw path tells a slash from %2F
        key = asked_key(request, "/item")
        story = tell(parts, shelf, key)
        if story is None:
            raise MissingError("trace.unknown")
        if key.kind is KeyKind.SGTIN:
            looks.note(request, key)
        return parts.shell.render(request, "trace/item.html", story=story, step_word=step_word)

    @router.get("/item-proof/{code:path}")
    async def item_proof(code: str, request: Request) -> Response:
        del code
        return await proof_of(parts, shelf, asked_key(request, "/item-proof"))

    labels = APIRouter(
        prefix="/labels",
        dependencies=[Depends(only(Role.WAREHOUSE, Role.MANAGER))],
    )
    labels.add_api_route("/{form}", partial(label_file, parts), methods=["GET"])
    router.include_router(labels)
    return router


async def proof_of(parts: Parts, shelf: EventShelf, key: ItemKey) -> Response:
    """The events' texts and salts, and the chain part with their rows, for the browser to check."""
    story = tell(parts, shelf, key)
    if story is None:
        raise MissingError("trace.unknown")
    rows = [encode(["validators"])] + [
        encode(["event", bytes.fromhex(row["commitment"]), bytes.fromhex(row["organisation"])])
        for row in story.proof
    ]
    try:
        part = await parts.door.chain_part(rows)
    except ConsortiumError as error:
        return JSONResponse({"error": str(error)[:200]}, 503)
    return JSONResponse({"events": list(story.proof), "chain": part.hex()})


def label_file(
    parts: Parts,
    viewer: SignedIn,
    *,
    form: str,
    code: Annotated[list[str], Query()],
    title: Annotated[str, Query(max_length=60)] = "",
) -> Response:
    """Labels of up to KEYS_MAX links, as PDF or ZPL; raises FieldError, MissingError."""
    del viewer  # any label may be printed; who owns a key is said on its page
    if form not in ("pdf", "zpl"):
        raise MissingError
    if len(code) > KEYS_MAX:
        raise FieldError("code", "trace.too_many", count=KEYS_MAX)
    try:
        keys = [key_of_link(read_link(text)) for text in code]
    except IdentifierError as error:
        raise FieldError("code", "trace.code_wrong", reason=str(error)) from error
    made = [make_label(key, parts.address, title=title) for key in keys]
    if form == "zpl":
        return Response("".join(as_zpl(label) for label in made), media_type="text/plain")
    return Response(as_pdf(made), media_type="application/pdf")
