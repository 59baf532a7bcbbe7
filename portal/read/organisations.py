"""Who is on the chain: organisations with their roles and legal ids."""

from sqlalchemy import Column, Connection, Table, Text, select, update

from consortium.transaction import KIND_IDENTITY
from ledger.chain_genesis import Genesis
from ledger.chain_proof import RECORD_PARTY
from portal.read.inputs import AcceptedTransaction
from portal.read.tables import METADATA, Projection, big, put

ORGANISATIONS = Table(
    "organisations",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    big("role", nullable=False),
    big("since_ms", nullable=False),
    Column("legal_id", Text),
)


def _begin(db: Connection, genesis: Genesis) -> None:
    for party in genesis.parties:
        row = {
            "id": party.party_id.hex(),
            "name": party.name,
            "role": party.role,
            "since_ms": genesis.time_ms,
        }
        put(db, ORGANISATIONS, row)


def _apply(db: Connection, accepted: AcceptedTransaction) -> None:
    for kind, *record in accepted.records:
        if kind == RECORD_PARTY:
            party_id, name, _, _, role = record
            row = {"id": party_id.hex(), "name": name, "role": role, "since_ms": accepted.time_ms}
            put(db, ORGANISATIONS, row)
        elif kind == KIND_IDENTITY:
            party_id, scheme, number, _ = record
            said = ORGANISATIONS.c.id == party_id.hex()
            db.execute(update(ORGANISATIONS).where(said).values(legal_id=f"{scheme} {number}"))


def name_of(db: Connection, organisation: str) -> str | None:
    """An organisation's name; None where it is not on the chain."""
    found = db.execute(select(ORGANISATIONS.c.name).where(ORGANISATIONS.c.id == organisation))
    return found.scalar()


def id_of(db: Connection, name: str) -> str | None:
    """The id of the organisation of this name; None where there is none or more than one."""
    found = db.execute(select(ORGANISATIONS.c.id).where(ORGANISATIONS.c.name == name)).all()
    return found[0][0] if len(found) == 1 else None


PROJECTION = Projection(name="organisations", apply_genesis=_begin, apply_transaction=_apply)
