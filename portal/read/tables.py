"""What every part of the read model shares: one MetaData, the cursor, what a projection is.

Rows depend on the followed items alone, so a rebuilt database has equal rows. Times are integers
with their unit in the name, ids are lower-case hex.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Engine, MetaData, Table, Text
from sqlalchemy.dialects import postgresql, sqlite

from ledger.chain_genesis import Genesis
from portal.read.inputs import AcceptedTransaction, Entry, OpenedRun

METADATA = MetaData()
CURSOR = Table(
    "cursor",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
UNREAD = Table(
    "unread",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("projection", Text, primary_key=True),
    Column("reason", Text, nullable=False),
)


def big(name: str, **options: Any) -> Column[int]:
    """A column of 64-bit integers that counts nothing by itself."""
    return Column(name, BigInteger, autoincrement=False, **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """How one subject's tables follow from the items: functions of their input and the tables.

    A function raises PortalError for what it cannot read; nothing of that item is then kept by this
    projection, and the reason is. apply_run is for what takes a whole run of entries at once.
    """

    name: str
    apply_genesis: Callable[[Connection, Genesis], None] | None = None
    apply_transaction: Callable[[Connection, AcceptedTransaction], None] | None = None
    apply_entry: Callable[[Connection, Entry], None] | None = None
    apply_run: Callable[[Connection, OpenedRun, Sequence[Entry]], None] | None = None


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that will write: on SQLite it takes its turn at once, not half-way."""
    with engine.connect().execution_options(writes=True) as db, db.begin():
        yield db


def insert_into(db: Connection, table: Table) -> Any:
    """An insert of this database's dialect, which knows ON CONFLICT."""
    if db.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def put(db: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Inserts a row, or gives the row with the same primary key these values."""
    keys = [column.name for column in table.primary_key]
    statement = insert_into(db, table).values(**row)
    values = {name: statement.excluded[name] for name in row if name not in keys}
    if values:
        statement = statement.on_conflict_do_update(index_elements=keys, set_=values)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=keys)
    db.execute(statement)


def add_new(db: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts rows; those whose primary key is there already stay as they are."""
    if rows:
        keys = [column.name for column in table.primary_key]
        statement = insert_into(db, table).on_conflict_do_nothing(index_elements=keys)
        db.execute(statement, [dict(row) for row in rows])
