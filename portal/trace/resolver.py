"""The resolver behind every trace code: where a key's links lead.

An application of its own that is mounted beside the pages, because a code is scanned by anybody,
often, and needs neither session nor form. Source: GS1-Conformant Resolver Standard 1.2.
"""

import json
from typing import Any, Final

from sqlalchemy import bindparam, insert, select
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from logistics.errors import IdentifierError
from logistics.trace.digital_link import DigitalLink
from logistics.trace.item_key import ItemKey, KeyKind, lot
from logistics.trace.key_of_link import key_of_link, read_link
from logistics.trace.resolving import (
    LINKSET,
    Kind,
    Target,
    choose,
    linkset,
    parents,
    with_query,
)
from portal.office.event_tables import EVENTS, LINKS, TERMS
from portal.office.tables import OFFICE
from portal.parts import Parts
from portal.read.brands import brand_of
from portal.read.tables import writing
from portal.read.traces import THINGS

PATHS: Final = ("/01", "/00", "/414", "/t")  # /t: links with a stem, such as compressed ones
DESCRIPTION_PATH: Final = "/.well-known/gs1resolver"
_CORS: Final = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, HEAD, OPTIONS"),
    (b"access-control-expose-headers", b"Link, Location"),
    (b"vary", b"Accept, Accept-Language"),
)
_JSON: Final = b"application/json"

# Made once: a resolver asks the same three things of every code that is scanned.
_LINKS_OF: Final = select(LINKS).where(LINKS.c.thing == bindparam("thing"))
_SHOWN: Final = (
    select(TERMS.c.seq)
    .join(EVENTS, EVENTS.c.seq == TERMS.c.seq)
    .where(TERMS.c.value == bindparam("thing"), EVENTS.c.for_consumers == 1)
    .limit(1)
)
_CLAIMED: Final = select(THINGS.c.chain_id).where(THINGS.c.chain_id == bindparam("chain_id"))


class LinkDesk:
    """The links of keys: what their owners set, and the pages that this portal has."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        OFFICE.create_all(parts.office)

    def add(self, organisation: str, key: ItemKey, target: Target) -> None:
        """Sets a link of a key. Raises IdentifierError for a key under somebody else's prefix."""
        with self._parts.read.connect() as db:
            brand = brand_of(db, key)
        if brand is None or brand.organisation != organisation:
            raise IdentifierError("the key begins with no company prefix of yours")
        row = {
            "thing": key.uri,
            "link_type": target.link_type,
            "href": target.href,
            "title": target.title,
            "media_type": target.media_type,
            "language": target.language,
            "organisation": organisation,
        }
        with writing(self._parts.office) as db:
            db.execute(insert(LINKS).values(**row))

    def targets(self, link: DigitalLink) -> tuple[ItemKey, list[Target]] | None:
        """(the finest key that is known, its links) up from the one asked for; None: none is."""
        key = key_of_link(link)
        name = link.value("10")
        batch = lot(key.number, name) if key.kind is KeyKind.SGTIN and name else None
        for candidate in parents(key, batch):
            found = self._links(candidate)
            if found:
                return candidate, found
        return None

    def _links(self, key: ItemKey) -> list[Target]:
        with self._parts.office.connect() as db:
            rows = db.execute(_LINKS_OF, {"thing": key.uri}).all()
            is_known = db.execute(_SHOWN, {"thing": key.uri}).first() is not None
        own = [
            Target(
                link_type=row.link_type,
                href=row.href,
                title=row.title,
                media_type=row.media_type,
                language=row.language,
            )
            for row in rows
        ]
        if not is_known and not own:
            with self._parts.read.connect() as db:
                is_known = (
                    db.execute(_CLAIMED, {"chain_id": key.chain_id.hex()}).first() is not None
                )
        return [*self._pages(key), *own] if is_known or own else []

    def _pages(self, key: ItemKey) -> list[Target]:
        page = f"{self._parts.address}/item{key.path}"
        events = f"{self._parts.address}/epcis/epcs/{key.uri}/events"
        return [
            Target(link_type="pip", href=page, title="Where it has been"),
            Target(link_type="traceability", href=page, title="Where it has been"),
            Target(link_type="recallStatus", href=f"{page}#recall", title="Recalls"),
            Target(
                link_type="epcis", href=events, title="Events", media_type="application/ld+json"
            ),
        ]


class Resolver:
    """An ASGI application over the links of a desk."""

    def __init__(self, parts: Parts, desk: LinkDesk) -> None:
        self._address, self._desk = parts.address, desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; see the module's standard for what is asked."""
        del receive  # nothing that is sent along is read
        if scope["type"] != "http":
            return
        if scope["method"] == "OPTIONS":
            await _answer(send, 204, b"", ())
        elif scope["method"] not in ("GET", "HEAD"):
            await _problem(send, 405, "only GET, HEAD and OPTIONS")
        else:
            await self._resolve(scope, send)

    async def _resolve(self, scope: Scope, send: Send) -> None:
        path = scope.get("raw_path", b"").partition(b"?")[0].decode("latin-1")
        query = scope.get("query_string", b"").decode("latin-1")
        try:
            link = read_link(self._address + path + (f"?{query}" if query else ""))
            found = await run_in_threadpool(self._desk.targets, link)
        except IdentifierError as error:
            await _problem(send, 400, str(error))
            return
        if found is None:
            await _problem(send, 404, "nothing is known of this code")
            return
        await self._choose(scope, send, query, *found)

    async def _choose(
        self, scope: Scope, send: Send, query: str, key: ItemKey, targets: list[Target]
    ) -> None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        asked = dict(part.partition("=")[::2] for part in query.split("&"))
        choice = choose(
            targets,
            link_type=asked.get("linkType"),
            accept=headers.get(b"accept", ""),
            accept_language=headers.get(b"accept-language", ""),
        )
        own = f"{self._address}{key.path}?linkType=all"
        links = f'<{own}>; rel="linkset"; type="{LINKSET}"'
        more = ((b"link", links.encode("latin-1", "replace")),)
        if choice.kind is Kind.LINKSET:
            body = json.dumps(linkset(key.uri, targets), ensure_ascii=False).encode()
            await _answer(send, 200, body, more, media_type=LINKSET.encode())
        elif choice.target is None:
            await _problem(send, 404, "the code has no link of this type")
        else:
            where = with_query(choice.target.href, query).encode("latin-1", "replace")
            await _answer(send, 307, b"", (*more, (b"location", where)))


def mounts(parts: Parts) -> list[tuple[str, ASGIApp]]:
    """(path, application) of everything here that a portal mounts."""
    application = Resolver(parts, LinkDesk(parts))
    return [(path, application) for path in PATHS]


def description(address: str) -> dict[str, Any]:
    """What this resolver is, by GS1's resolver description file schema."""
    return {
        "name": "Wharfinger resolver",
        "resolverRoot": address,
        "supportedPrimaryKeys": ["00", "01", "414"],
        "linkTypeDefaultCanBeLinkset": False,
        "supportedLinkType": [
            {"namespace": "https://gs1.org/voc/", "prefix": "gs1:"},
        ],
        "contact": {"fn": "Wharfinger"},
    }


async def _problem(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"error": reason[:300], "status": status}).encode()
    await _answer(send, status, body, (), media_type=_JSON)


async def _answer(
    send: Send,
    status: int,
    body: bytes,
    more: tuple[tuple[bytes, bytes], ...],
    *,
    media_type: bytes = _JSON,
) -> None:
    headers = [*_CORS, *more, (b"content-length", str(len(body)).encode())]
    if body:
        headers.append((b"content-type", media_type))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
