"""Whether two read models have the same rows."""

from typing import Any

from sqlalchemy import Connection, Engine, func, select

from portal.read.tables import METADATA


def rows_by_table(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of every table, in the order of the primary key; small models only."""
    with engine.connect() as db:
        return {
            table.name: [
                tuple(row) for row in db.execute(select(table).order_by(*table.primary_key))
            ]
            for table in METADATA.sorted_tables
        }


def counts(engine: Engine) -> dict[str, int]:
    """Rows of every table."""
    with engine.connect() as db:
        return {
            table.name: db.execute(select(func.count()).select_from(table)).scalar() or 0
            for table in METADATA.sorted_tables
        }


def differing_tables(one: Engine, other: Engine) -> list[str]:
    """Names of the tables whose rows differ; rows are read side by side, never all at once."""
    with one.connect() as left, other.connect() as right:
        return [
            table.name for table in METADATA.sorted_tables if not _same(left, right, table.name)
        ]


def _same(left: Connection, right: Connection, name: str) -> bool:
    table = METADATA.tables[name]
    query = select(table).order_by(*table.primary_key).execution_options(yield_per=1000)
    rows, others = iter(left.execute(query)), iter(right.execute(query))
    while True:
        row, other = next(rows, None), next(others, None)
        if row is None or other is None:
            return row is None and other is None
        if tuple(row) != tuple(other):
            return False
