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
