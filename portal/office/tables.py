"""What a portal holds itself and cannot rebuild: who may look. Secrets are held as digests only."""

from typing import Final

from sqlalchemy import Column, LargeBinary, MetaData, Table, Text

from portal.read.tables import big

OFFICE: Final = MetaData()
PEOPLE: Final = Table(
    "people",
    OFFICE,
    Column("id", Text, primary_key=True),
    Column("organisation", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("roles", Text, nullable=False),  # words with a blank between them
    big("since_ms", nullable=False),
    big("ended_ms"),
)
PASSKEYS: Final = Table(
    "passkeys",
    OFFICE,
    Column("id", LargeBinary, primary_key=True),
    Column("person", Text, nullable=False, index=True),
    Column("public_key", LargeBinary, nullable=False),
    big("sign_count", nullable=False),
    big("since_ms", nullable=False),
)
CODES: Final = Table(
    "codes",
    OFFICE,
    Column("digest", Text, primary_key=True),
    Column("person", Text, nullable=False),
    big("until_ms", nullable=False),
    big("used_ms"),
)
SESSIONS: Final = Table(
    "sessions",
    OFFICE,
    Column("digest", Text, primary_key=True),
    Column("person", Text, nullable=False, index=True),
    Column("csrf", Text, nullable=False),
    big("since_ms", nullable=False),
    big("seen_ms", nullable=False),
    big("until_ms", nullable=False),
)
TOKENS: Final = Table(
    "tokens",
    OFFICE,
    Column("digest", Text, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("organisation", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("roles", Text, nullable=False),
    big("since_ms", nullable=False),
    big("until_ms", nullable=False),
    big("ended_ms"),
)
TRIES: Final = Table(
    "tries",
    OFFICE,
    Column("key", Text, primary_key=True),
    big("window", nullable=False),
    big("count", nullable=False),
)
WATCHES: Final = Table(
    "watches",
    OFFICE,
    Column("organisation", Text, primary_key=True),
    Column("feed", Text, primary_key=True),
    big("slot", primary_key=True),
    big("low_milli"),
    big("high_milli"),
    big("for_s", nullable=False),
    big("severity", nullable=False),
)
ALERTS: Final = Table(
    "alerts",
    OFFICE,
    Column("id", Text, primary_key=True),
    Column("organisation", Text, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("about", Text, nullable=False),  # JSON: what the words of its kind name
    big("severity", nullable=False),
    big("since_ms", nullable=False),
    big("opened_ms", nullable=False),
    big("ended_ms"),
    big("acked_ms"),
    Column("acked_by", Text),
    Column("reason", Text),
    big("escalated_ms"),
)
SETTINGS: Final = Table(
    "settings",
    OFFICE,
    Column("organisation", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
# Messages that somebody outside shall get; kept until they were taken, or given up after a day.
DELIVERIES: Final = Table(
    "deliveries",
    OFFICE,
    Column("id", Text, primary_key=True),
    Column("organisation", Text, nullable=False),
    Column("way", Text, nullable=False),
    Column("content", Text, nullable=False),
    big("since_ms", nullable=False),
    big("due_ms", nullable=False),
    big("tries", nullable=False),
    big("done_ms"),
    Column("trouble", Text),
)
ZONES: Final = Table(
    "zones",
    OFFICE,
    Column("id", Text, primary_key=True),
    Column("organisation", Text, nullable=False, index=True),
    Column("site", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    big("left_percent", nullable=False),
    big("top_percent", nullable=False),
    big("width_percent", nullable=False),
    big("height_percent", nullable=False),
    Column("feed", Text),
    Column("device", Text),
)
# Why a consignment was released or rejected: the chain has the salted digest.
REASONS: Final = Table(
    "reasons",
    OFFICE,
    Column("consignment", Text, primary_key=True),
    Column("salt", Text, primary_key=True),
    Column("person", Text, nullable=False),
    Column("reason", Text, nullable=False),
    big("decision", nullable=False),
    big("at_ms", nullable=False),
)
