"""EPCIS events as their owners keep them. The chain has commitments only."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, UniqueConstraint

from portal.office.tables import OFFICE
from portal.read.tables import big

_SERIAL = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself
EVENTS: Final = Table(
    "epcis_events",
    OFFICE,
    Column("seq", _SERIAL, primary_key=True, autoincrement=True),
    Column("organisation", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("hash", Text, nullable=False),  # 64 hexadecimal digits
    big("is_error", nullable=False),
    Column("kind", Text, nullable=False),
    Column("action", Text),
    Column("step", Text),
    Column("disposition", Text),
    Column("read_point", Text),
    Column("location", Text),
    big("time_ms", nullable=False),
    big("record_ms", nullable=False),
    Column("text", Text, nullable=False),
    Column("context", Text, nullable=False),
    Column("salt", Text, nullable=False),
    Column("commitment", Text, nullable=False, index=True),
    big("for_consumers", nullable=False),
    big("sent_ms"),  # on the chain since, as the machine answered
    UniqueConstraint("organisation", "hash", "is_error"),
    Index("epcis_events_by_id", "organisation", "event_id"),
    Index("epcis_events_by_time", "organisation", "time_ms", "seq"),
)
TERMS: Final = Table(
    "epcis_terms",
    OFFICE,
    big("seq", primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Index("epcis_terms_by_value", "value", "kind", "seq"),
    Index("epcis_terms_by_kind", "kind", "seq"),
)
EDGES: Final = Table(
    "epcis_edges",
    OFFICE,
    Column("organisation", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    big("seq", primary_key=True),
    Index("epcis_edges_back", "organisation", "target", "source"),
    Index("epcis_edges_by_event", "seq"),
)
GRANTS: Final = Table(
    "epcis_grants",
    OFFICE,
    Column("owner", Text, primary_key=True),
    Column("reader", Text, primary_key=True),
    Column("thing", Text, primary_key=True),  # a canonical URI, or empty: everything
    big("since_ms", nullable=False),
)
JOBS: Final = Table(
    "epcis_jobs",
    OFFICE,
    Column("id", Text, primary_key=True),
    Column("organisation", Text, nullable=False, index=True),
    big("created_ms", nullable=False),
    big("finished_ms"),
    big("success", nullable=False),
    Column("errors", Text, nullable=False),
    big("known", nullable=False),  # events that were there before
    big("taken", nullable=False),
)
QUERIES: Final = Table(
    "epcis_queries",
    OFFICE,
    Column("organisation", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("query", Text, nullable=False),
    big("created_ms", nullable=False),
)
SUBSCRIPTIONS: Final = Table(
    "epcis_subscriptions",
    OFFICE,
    Column("id", Text, primary_key=True),
    Column("organisation", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("token", Text, nullable=False),
    big("created_ms", nullable=False),
    big("seen_seq", nullable=False),
    big("failures", nullable=False),
)
SCANS: Final = Table(
    "trace_scans",
    OFFICE,
    Column("seq", _SERIAL, primary_key=True, autoincrement=True),
    Column("thing", Text, nullable=False),
    big("time_ms", nullable=False),
    Column("visitor", Text, nullable=False),  # a salted digest that changes each day
    Column("place", Text, nullable=False),
    Index("trace_scans_by_thing", "thing", "time_ms"),
)
LINKS: Final = Table(
    "trace_links",
    OFFICE,
    Column("seq", _SERIAL, primary_key=True, autoincrement=True),
    Column("thing", Text, nullable=False, index=True),
    Column("link_type", Text, nullable=False),
    Column("href", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("language", Text),
    Column("organisation", Text, nullable=False),
)
SIGHTED: Final = Table("trace_sighted", OFFICE, Column("place", Text, primary_key=True))
