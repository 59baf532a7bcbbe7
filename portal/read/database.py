"""Opening a database by its URL: SQLite in a file, or PostgreSQL."""

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from portal.errors import HomeError


def open_database(url: str) -> Engine:
    """The engine for a URL such as sqlite:////srv/portal/read.sqlite or
    postgresql+pg8000://user@host/name. Raises HomeError.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise HomeError(f"database URL: {error}") from error
    if parsed.get_backend_name() == "postgresql":
        return create_engine(parsed.set(drivername="postgresql+pg8000"), pool_pre_ping=True)
    if parsed.get_backend_name() != "sqlite":
        raise HomeError(f"database {parsed.get_backend_name()}: only sqlite and postgresql")
    engine = create_engine(parsed, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def _on_connect(connection: Any, _record: object) -> None:
    # Transactions are ours to begin: the driver would begin none before a savepoint.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA busy_timeout=10000")
    connection.execute("PRAGMA foreign_keys=ON")


def _on_begin(db: Connection) -> None:
    writes = db.get_execution_options().get("writes")
    db.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
