"""Webhooks: new events that a named query finds are posted to an address of the subscriber's.

The address comes from a signed-in organisation; still, it is HTTPS, or on this machine where the
portal itself is, names no private network, and no redirect is followed.
"""

import http.client
import ipaddress
import json
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from sqlalchemy import delete, insert, select, update

from logistics.epcis.errors import QueryError
from logistics.epcis.query import flat, parse_query
from portal.access import Viewer
from portal.office.event_tables import EVENTS, QUERIES, SUBSCRIPTIONS
from portal.parts import Parts
from portal.read.tables import writing
from portal.trace.shelf import EventShelf, as_json

log = logging.getLogger(__name__)
SUBSCRIPTIONS_MAX: Final = 100
EVENTS_AT_ONCE: Final = 100
FAILURES_MAX: Final = 20
TIMEOUT_S: Final = 10.0
Post = Callable[[str, str, bytes], int]  # address, token, body -> HTTP status


def post(address: str, token: str, body: bytes) -> int:
    """HTTP status of a delivery; raises OSError. The address was judged and is judged again."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    where = require_address(parts)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(
            host, parts.port or 443, timeout=TIMEOUT_S, context=context
        )
    else:
        connection = http.client.HTTPConnection(where, parts.port or 80, timeout=TIMEOUT_S)
    headers = {"Content-Type": "application/ld+json", "GS1-Signature": token, "Host": parts.netloc}
    try:
        connection.request("POST", parts.path or "/", body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def require_address(parts: SplitResult) -> str:
    """The IP address to connect to; raises QueryError for one that is not the public internet."""
    host = parts.hostname or ""
    if parts.scheme not in ("https", "http") or not host or parts.username:
        raise QueryError("dest", "not an https address")
    try:
        rows = socket.getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM)
    except OSError as error:
        raise QueryError("dest", f"no such host: {host[:60]!r}") from error
    addresses = [ipaddress.ip_address(row[4][0]) for row in rows]
    if parts.scheme == "http" and not all(address.is_loopback for address in addresses):
        raise QueryError("dest", "http reaches this machine only; use https")
    if parts.scheme == "https" and not all(address.is_global for address in addresses):
        raise QueryError("dest", "an address of a private network")
    return str(addresses[0])


class Subscriptions:
    """Standing queries of organisations; `deliver` is how a body reaches an address."""

    def __init__(self, parts: Parts, shelf: EventShelf, deliver: Post = post) -> None:
        self._parts, self._shelf, self._deliver = parts, shelf, deliver

    def add(self, viewer: Viewer, name: str, value: Any) -> str:
        """Subscribes; the subscription's id. Raises QueryError."""
        if not isinstance(value, dict) or not isinstance(value.get("dest"), str):
            raise QueryError("dest", "no address")
        if "schedule" in value:
            raise QueryError("schedule", "only streams are sent; leave it out and set stream: true")
        require_address(urlsplit(value["dest"][:1_000]))
        token = value.get("signatureToken", "")
        if not isinstance(token, str) or len(token) > 200 or not token.isprintable():
            raise QueryError("signatureToken", "not up to 200 printable characters")
        if len(self.listed(viewer, name)) >= SUBSCRIPTIONS_MAX:
            raise QueryError("dest", f"more than {SUBSCRIPTIONS_MAX} subscriptions")
        with writing(self._parts.office) as db:
            own = (QUERIES.c.organisation == viewer.organisation, QUERIES.c.name == name)
            if db.execute(select(QUERIES.c.name).where(*own)).first() is None:
                raise QueryError("name", "no such query")
            newest = db.execute(select(EVENTS.c.seq).order_by(EVENTS.c.seq.desc())).scalar() or 0
            row = {
                "id": self._parts.random_bytes(16).hex(),
                "organisation": viewer.organisation,
                "name": name,
                "address": value["dest"],
                "token": token,
                "created_ms": self._parts.clock_ms(),
                "seen_seq": newest,
                "failures": 0,
            }
            db.execute(insert(SUBSCRIPTIONS).values(**row))
        return str(row["id"])

    def listed(self, viewer: Viewer, name: str) -> list[dict[str, Any]]:
        """The viewer's subscriptions of a query."""
        chosen = select(SUBSCRIPTIONS).where(
            SUBSCRIPTIONS.c.organisation == viewer.organisation, SUBSCRIPTIONS.c.name == name
        )
        with self._parts.office.connect() as db:
            rows = db.execute(chosen).all()
        return [{"subscriptionID": row.id, "dest": row.address, "stream": True} for row in rows]

    def end(self, viewer: Viewer, name: str, subscription: str | None = None) -> int:
        """Ends one subscription of a query, or all; how many there were."""
        chosen = delete(SUBSCRIPTIONS).where(
            SUBSCRIPTIONS.c.organisation == viewer.organisation, SUBSCRIPTIONS.c.name == name
        )
        if subscription is not None:
            chosen = chosen.where(SUBSCRIPTIONS.c.id == subscription)
        with writing(self._parts.office) as db:
            return db.execute(chosen).rowcount

    def tell(self, organisation: str) -> int:
        """Delivers what is new to the subscribers of an organisation; how many events went out."""
        with self._parts.office.connect() as db:
            alive = SUBSCRIPTIONS.c.failures < FAILURES_MAX
            own = SUBSCRIPTIONS.c.organisation == organisation
            rows = db.execute(select(SUBSCRIPTIONS).where(own, alive)).all()
        return sum(self._tell_one(row) for row in rows)

    def _tell_one(self, row: Any) -> int:
        found, newest = self._news(row)
        if not found:
            self._note(row, newest, 0)
            return 0
        body = {
            "@context": ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],
            "type": "EPCISQueryDocument",
            "schemaVersion": "2.0",
            "creationDate": found[-1]["recordTime"],
            "epcisBody": {
                "queryResults": {
                    "queryName": row.name,
                    "subscriptionID": row.id,
                    "resultsBody": {"eventList": found},
                }
            },
        }
        try:
            status = self._deliver(row.address, row.token, json.dumps(body).encode())
        except (OSError, http.client.HTTPException, QueryError) as error:
            log.warning("delivery_failed subscription=%s reason=%s", row.id, error)
            status = 0
        if 200 <= status < 300:
            self._note(row, newest, 0)
            return len(found)
        self._note(row, row.seen_seq, row.failures + 1)
        return 0

    def _news(self, row: Any) -> tuple[list[dict[str, Any]], int]:
        """(events that the query finds among the new ones, the last one looked at)."""
        with self._parts.office.connect() as db:
            own = (QUERIES.c.organisation == row.organisation, QUERIES.c.name == row.name)
            text = db.execute(select(QUERIES.c.query).where(*own)).scalar()
            if text is None:
                return [], row.seen_seq
            query = parse_query(flat(json.loads(text)))
            chosen = self._shelf.matching(
                row.organisation, query, after_seq=row.seen_seq, limit=EVENTS_AT_ONCE
            )
            rows = db.execute(chosen).all()
        newest = rows[-1].seq if rows else row.seen_seq
        return [as_json(item) for item in rows], newest

    def _note(self, row: Any, seen_seq: int, failures: int) -> None:
        if (seen_seq, failures) == (row.seen_seq, row.failures):
            return
        with writing(self._parts.office) as db:
            chosen = update(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.id == row.id)
            db.execute(chosen.values(seen_seq=seen_seq, failures=failures))
