"""What the chain says of goods: brands, things, commitments to events, recalls."""

from sqlalchemy import Column, Connection, Table, Text, update

from consortium.transaction import (
    KIND_BRAND,
    KIND_BRAND_SEEN,
    KIND_EVENTS,
    KIND_RECALL,
    KIND_THINGS,
)
from portal.read.inputs import AcceptedTransaction
from portal.read.tables import METADATA, Projection, big, put

BRANDS = Table(
    "brands",
    METADATA,
    Column("prefix", Text, primary_key=True),
    Column("organisation", Text, nullable=False),
    Column("verifier", Text),
    big("since_ms", nullable=False),
)
THINGS = Table(
    "things",
    METADATA,
    Column("chain_id", Text, primary_key=True),
    Column("organisation", Text, primary_key=True),
    big("since_ms", nullable=False),
)
SAID = Table(
    "said_events",
    METADATA,
    Column("commitment", Text, primary_key=True),
    Column("organisation", Text, primary_key=True),
    big("time_ms", nullable=False),
    big("height", nullable=False),
)
RECALLS = Table(
    "recalls",
    METADATA,
    Column("chain_id", Text, primary_key=True),
    Column("organisation", Text, primary_key=True),
    big("is_open", nullable=False),
    Column("notice", Text, nullable=False),
    big("since_ms", nullable=False),
)


def _apply(db: Connection, accepted: AcceptedTransaction) -> None:
    for kind, *record in accepted.records:
        if kind == KIND_BRAND:
            prefix, owner = record
            row = {
                "prefix": prefix,
                "organisation": owner.hex(),
                "since_ms": accepted.time_ms,
            }
            put(db, BRANDS, row)
        elif kind == KIND_BRAND_SEEN:
            prefix, _, verifier = record
            chosen = update(BRANDS).where(BRANDS.c.prefix == prefix)
            db.execute(chosen.values(verifier=verifier.hex()))
        elif kind == KIND_THINGS:
            _put_thing(db, accepted, record)
        elif kind == KIND_EVENTS:
            commitment, party = record
            row = {
                "commitment": commitment.hex(),
                "organisation": party.hex(),
                "time_ms": accepted.time_ms,
                "height": accepted.height,
            }
            put(db, SAID, row)
        elif kind == KIND_RECALL:
            _put_recall(db, accepted, record)


def _put_thing(db: Connection, accepted: AcceptedTransaction, record: list[bytes]) -> None:
    chain_id, party = record
    row = {
        "chain_id": chain_id.hex(),
        "organisation": party.hex(),
        "since_ms": accepted.time_ms,
    }
    put(db, THINGS, row)


def _put_recall(db: Connection, accepted: AcceptedTransaction, record: list[bytes]) -> None:
    chain_id, party, is_open, notice = record
    row = {
        "chain_id": chain_id.hex(),
        "organisation": party.hex(),
        "is_open": int(is_open),
        "notice": notice.hex(),
        "since_ms": accepted.time_ms,
    }
    put(db, RECALLS, row)


PROJECTION = Projection(name="traces", apply_transaction=_apply)
