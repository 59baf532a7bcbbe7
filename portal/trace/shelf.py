"""The shelf of events: what organisations captured, kept as said, found by what it names."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    Select,
    and_,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)

from logistics.epcis.document import CapturedEvent, Document
from logistics.epcis.event_hash import hash_bytes
from logistics.epcis.event_view import EventView, time_text, view
from logistics.epcis.query import EventQuery
from logistics.epcis.vocabulary import CONTEXT, SOURCES
from logistics.trace.commitment import SALT_BYTES, commitment_of
from portal.access import Viewer
from portal.office.event_tables import EDGES, EVENTS, GRANTS, TERMS
from portal.office.tables import OFFICE
from portal.read.tables import add_new, writing

LOOK_UP_AT_ONCE: Final = 500
EVENTS_OF_THING_MAX: Final = 4_000
HOLDERS_MAX: Final = 64
_HANDED: Final = tuple(f"destination:{word}" for word in sorted(SOURCES))


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a capture: how many events are new, how many were there."""

    new: int
    known: int


@dataclass(frozen=True, slots=True)
class Page:
    """Events of a page, ready as JSON objects, and the token of the next page."""

    events: tuple[dict[str, Any], ...]
    next_token: str | None


class EventShelf:
    """Events in the office database. clock_ms: UTC since 1970; random_bytes: of a number."""

    def __init__(
        self, engine: Engine, clock_ms: Callable[[], int], random_bytes: Callable[[int], bytes]
    ) -> None:
        self._engine, self._clock_ms, self._random_bytes = engine, clock_ms, random_bytes
        OFFICE.create_all(engine)

    def take(self, organisation: str, document: Document, *, for_consumers: bool) -> Taken:
        """Keeps what is new by hash and by event id, all of a document or nothing."""
        rows = self._rows(organisation, document, for_consumers=for_consumers)
        with writing(self._engine) as db:
            known = _known(db, organisation, rows)
            fresh = [pair for pair in rows if not known & _names(pair[0])]
            seqs = _insert(db, [row for row, _ in fresh])
            terms: list[dict[str, Any]] = []
            edges: list[dict[str, Any]] = []
            for seq, (_, said) in zip(seqs, fresh, strict=True):
                terms += [{"seq": seq, "kind": k, "value": v} for k, v in event_terms(said)]
                edges += _edges(organisation, seq, said)
                if said.is_error:
                    _forget_edges(db, organisation, said.event_id)
            if terms:
                db.execute(insert(TERMS), terms)
            add_new(db, EDGES, edges)
        return Taken(len(fresh), len(rows) - len(fresh))

    def _rows(
        self, organisation: str, document: Document, *, for_consumers: bool
    ) -> list[tuple[dict[str, Any], EventView]]:
        now_ms, spaces = self._clock_ms(), json.dumps(dict(document.namespaces))
        seen: set[tuple[str, int]] = set()
        rows = []
        salts = self._random_bytes(SALT_BYTES * len(document.events))
        for index, item in enumerate(document.events):
            said = view(item.event, item.event_id)
            salt = salts[index * SALT_BYTES : (index + 1) * SALT_BYTES]
            row = _row(item, said, salt=salt)
            key = (row["hash"], row["is_error"])
            if key in seen:
                continue  # the same event twice in one document is one event
            seen.add(key)
            row |= {"organisation": organisation, "record_ms": now_ms, "context": spaces}
            rows.append((row | {"for_consumers": int(for_consumers)}, said))
        return rows

    def find(self, viewer: Viewer, query: EventQuery) -> Page:
        """The page of events that this viewer may see."""
        order = EVENTS.c[query.order_by]
        chosen = select(EVENTS).where(_visible(viewer), *_conditions(query))
        if query.after is not None:
            here, place = (
                tuple_(order, EVENTS.c.seq),
                tuple_(literal(query.after[0]), literal(query.after[1])),
            )
            chosen = chosen.where(here < place if query.descending else here > place)
        sorting = (order.desc(), EVENTS.c.seq.desc()) if query.descending else (order, EVENTS.c.seq)
        limit = min(query.per_page, query.count_max or query.per_page)
        with self._engine.connect() as db:
            rows = db.execute(chosen.order_by(*sorting).limit(limit + 1)).all()
        page, more = rows[:limit], len(rows) > limit and query.count_max is None
        last = page[-1] if page else None
        token = query.token(getattr(last, query.order_by), last.seq) if more and last else None
        return Page(tuple(as_json(row) for row in page), token)

    @staticmethod
    def matching(
        organisation: str, query: EventQuery, *, after_seq: int, limit: int
    ) -> Select[Any]:
        """The organisation's own events behind a row that a query finds, in rows' order."""
        own = (EVENTS.c.organisation == organisation, EVENTS.c.seq > after_seq)
        chosen = select(EVENTS).where(*own, *_conditions(query))
        return chosen.order_by(EVENTS.c.seq).limit(limit)

    def one(self, viewer: Viewer, event_id: str) -> dict[str, Any] | None:
        """The event of this id as JSON; None where there is none for this viewer."""
        with self._engine.connect() as db:
            row = db.execute(
                select(EVENTS)
                .where(_visible(viewer), EVENTS.c.event_id == event_id)
                .order_by(EVENTS.c.seq.desc())
            ).first()
        return as_json(row) if row is not None else None

    def about(self, thing: str) -> list[Row[Any]]:
        """Events for consumers that name a thing or what it was inside of, bounded."""
        found: dict[int, Row[Any]] = {}
        holders, waiting = {thing}, [thing]
        with self._engine.connect() as db:
            while waiting and len(holders) <= HOLDERS_MAX:
                rows = db.execute(_naming(waiting)).all()
                waiting = []
                for row in rows:
                    if row.seq in found:
                        continue
                    found[row.seq] = row
                    parent = _parent_of(row)
                    if parent and parent not in holders and _holds(row, holders):
                        holders.add(parent)
                        waiting.append(parent)
        return list(found.values())

    def reach(self, viewer: Viewer, things: Sequence[str], *, forward: bool) -> set[str]:
        """All that came of these things, or what they came of, among the viewer's own events."""
        start, end = (EDGES.c.source, EDGES.c.target)
        if not forward:
            start, end = end, start
        walk = select(end.label("thing")).where(
            EDGES.c.organisation == viewer.organisation, start.in_(list(things))
        )
        graph = walk.cte("reached", recursive=True)
        more = select(end).where(
            EDGES.c.organisation == viewer.organisation, start == graph.c.thing
        )
        with self._engine.connect() as db:
            rows = db.execute(select(graph.union(more).c.thing))
            return {row[0] for row in rows if not row[0].startswith("event:")}

    def receivers(self, viewer: Viewer, things: set[str]) -> set[str]:
        """Who was handed any of these things: parties and places of destinations."""
        named, handed = TERMS.alias("named"), TERMS.alias("handed")
        chosen = (
            select(handed.c.value, named.c.value)
            .join(EVENTS, EVENTS.c.seq == handed.c.seq)
            .join(named, named.c.seq == handed.c.seq)
            .where(
                EVENTS.c.organisation == viewer.organisation,
                EVENTS.c.is_error == 0,
                handed.c.kind.in_(_HANDED),
                named.c.kind.in_(("epc", "class", "output", "output_class", "parent")),
            )
        )
        # Events that hand something over are few beside the things that a recall may reach.
        with self._engine.connect() as db:
            return {row[0] for row in db.execute(chosen) if row[1] in things}

    def waiting(self, organisation: str, limit: int) -> list[tuple[int, bytes]]:
        """(row, commitment) of events that are not on the chain yet."""
        with self._engine.connect() as db:
            rows = db.execute(
                select(EVENTS.c.seq, EVENTS.c.commitment)
                .where(EVENTS.c.organisation == organisation, EVENTS.c.sent_ms.is_(None))
                .order_by(EVENTS.c.seq)
                .limit(limit)
            )
            return [(row.seq, bytes.fromhex(row.commitment)) for row in rows]

    def sent(self, seqs: Iterable[int]) -> None:
        """Notes that these events are on the chain."""
        with writing(self._engine) as db:
            chosen = EVENTS.c.seq.in_(list(seqs))
            db.execute(update(EVENTS).where(chosen).values(sent_ms=self._clock_ms()))

    def grant(self, viewer: Viewer, reader: str, thing: str) -> None:
        """Lets another organisation read the viewer's events that name a thing; "": all."""
        row = {
            "owner": viewer.organisation,
            "reader": reader,
            "thing": thing,
            "since_ms": self._clock_ms(),
        }
        with writing(self._engine) as db:
            add_new(db, GRANTS, [row])


def event_terms(said: EventView) -> set[tuple[str, str]]:
    """(kind, value) of everything that an event may be found by (`logistics.epcis.query`)."""
    epcs = (*said.things, *said.children)
    found = {("epc", uri) for uri in epcs}
    found |= {("input", uri) for uri in said.inputs} | {("output", uri) for uri in said.outputs}
    found |= {("class", row.uri) for row in said.quantities}
    found |= {("input_class", row.uri) for row in said.input_quantities}
    found |= {("output_class", row.uri) for row in said.output_quantities}
    found |= {(f"bizTransaction:{kind}", uri) for kind, uri in said.transactions}
    found |= {(f"source:{kind}", uri) for kind, uri in said.sources}
    found |= {(f"destination:{kind}", uri) for kind, uri in said.destinations}
    if said.parent:
        found.add(("parent", said.parent))
    if said.transformation_id:
        found.add(("transformation", said.transformation_id))
    return found


def as_json(row: Row[Any]) -> dict[str, Any]:
    """The event as its owner said it, with record time, hash, and what proves it."""
    event: dict[str, Any] = json.loads(row.text)
    event.setdefault("eventID", row.event_id)
    event["recordTime"] = time_text(row.record_ms)
    return event


def context_of(rows: Iterable[Row[Any]]) -> list[Any]:
    """The JSON-LD context of a document made of these rows."""
    spaces: dict[str, str] = {}
    for row in rows:
        spaces |= json.loads(row.context)
    return [CONTEXT, *({key: value} for key, value in sorted(spaces.items()))]


def _row(item: CapturedEvent, said: EventView, *, salt: bytes) -> dict[str, Any]:
    text = json.dumps(item.event, ensure_ascii=False, separators=(",", ":"))
    digest = hash_bytes(item.hash_name)
    return {
        "event_id": item.event_id,
        "hash": digest.hex(),
        "is_error": int(said.is_error),
        "kind": said.kind,
        "action": said.action,
        "step": said.step,
        "disposition": said.disposition,
        "read_point": said.read_point,
        "location": said.location,
        "time_ms": said.time_ms,
        "text": text,
        "salt": salt.hex(),
        "commitment": commitment_of(salt, digest, text.encode()).hex(),
        "sent_ms": None,
    }


def _names(row: dict[str, Any]) -> set[str]:
    error = row["is_error"]
    return {f"{row['hash']}/{error}", f"{row['event_id']}/{error}"}


def _known(
    db: Connection, organisation: str, rows: Sequence[tuple[dict[str, Any], EventView]]
) -> set[str]:
    """Names (`_names`) of those of these events that the organisation has already."""
    found: set[str] = set()
    for first in range(0, len(rows), LOOK_UP_AT_ONCE):
        part = [row for row, _ in rows[first : first + LOOK_UP_AT_ONCE]]
        same = or_(
            EVENTS.c.hash.in_([row["hash"] for row in part]),
            EVENTS.c.event_id.in_([row["event_id"] for row in part]),
        )
        columns = (EVENTS.c.hash, EVENTS.c.event_id, EVENTS.c.is_error)
        chosen = select(*columns).where(EVENTS.c.organisation == organisation, same)
        for row in db.execute(chosen):
            found |= _names({"hash": row.hash, "event_id": row.event_id, "is_error": row.is_error})
    return found


def _insert(db: Connection, rows: list[dict[str, Any]]) -> list[int]:
    if not rows:
        return []
    # One statement for all: SQLAlchemy batches it, and gives the numbers in the rows' order.
    statement = insert(EVENTS).returning(EVENTS.c.seq, sort_by_parameter_order=True)
    return [row[0] for row in db.execute(statement, rows)]


def _edges(organisation: str, seq: int, said: EventView) -> list[dict[str, Any]]:
    """What this event makes of what: through a node of its own, so that n and m give n + m."""
    if said.is_error:
        return []
    inputs: Iterable[str] = ()
    outputs: Iterable[str] = ()
    if said.kind == "TransformationEvent":
        inputs = {*said.inputs, *(row.uri for row in said.input_quantities)}
        outputs = {*said.outputs, *(row.uri for row in said.output_quantities)}
    elif said.parent and said.action == "ADD":
        inputs = {said.parent}
        outputs = {*said.children, *(row.uri for row in said.quantities)}
    elif said.kind == "ObjectEvent" and said.action == "ADD" and said.quantities:
        inputs, outputs = {row.uri for row in said.quantities}, set(said.things)
    name = said.transformation_id or str(seq)
    node = f"event:{name}"
    rows = [(uri, node) for uri in inputs] + [(node, uri) for uri in outputs]
    return [
        {"organisation": organisation, "source": source, "target": target, "seq": seq}
        for source, target in rows
    ]


def _forget_edges(db: Connection, organisation: str, event_id: str) -> None:
    """An event that was declared an error makes nothing of anything; it stays readable."""
    chosen = select(EVENTS.c.seq).where(
        EVENTS.c.organisation == organisation, EVENTS.c.event_id == event_id
    )
    db.execute(EDGES.delete().where(EDGES.c.seq.in_(chosen)))


def _visible(viewer: Viewer) -> Any:
    granted = select(GRANTS.c.owner).where(
        GRANTS.c.reader == viewer.organisation, GRANTS.c.thing == ""
    )
    by_thing = (
        select(TERMS.c.seq)
        .join(GRANTS, GRANTS.c.thing == TERMS.c.value)
        .where(GRANTS.c.reader == viewer.organisation, GRANTS.c.owner == EVENTS.c.organisation)
    )
    return or_(
        EVENTS.c.organisation == viewer.organisation,
        EVENTS.c.organisation.in_(granted),
        EVENTS.c.seq.in_(by_thing.correlate(EVENTS)),
    )


def _conditions(query: EventQuery) -> list[Any]:
    found: list[Any] = [EVENTS.c[name].in_(values) for name, values in query.columns.items()]
    for name, is_from, moment in query.times:
        found.append(EVENTS.c[name] >= moment if is_from else EVENTS.c[name] < moment)
    for match in query.terms:
        named = or_(
            TERMS.c.value.in_(match.exact),
            *(TERMS.c.value.startswith(uri + "/", autoescape=True) for uri in match.below),
        )
        found.append(
            EVENTS.c.seq.in_(select(TERMS.c.seq).where(TERMS.c.kind.in_(match.kinds), named))
        )
    if query.is_error is not None:
        found.append(EVENTS.c.is_error == int(query.is_error))
    return found


def _naming(things: Sequence[str]) -> Select[Any]:
    named = select(TERMS.c.seq).where(TERMS.c.value.in_(list(things)))
    chosen = and_(EVENTS.c.for_consumers == 1, EVENTS.c.seq.in_(named))
    return select(EVENTS).where(chosen).order_by(EVENTS.c.time_ms).limit(EVENTS_OF_THING_MAX)


def _parent_of(row: Row[Any]) -> str | None:
    if row.kind not in ("AggregationEvent", "AssociationEvent") or row.action != "ADD":
        return None
    return view(json.loads(row.text), row.event_id).parent


def _holds(row: Row[Any], things: set[str]) -> bool:
    said = view(json.loads(row.text), row.event_id)
    return bool(things & {*said.children, *(item.uri for item in said.quantities)})
