"""Where the portal's parts meet: databases, chain door, follower, web server."""

import asyncio
import contextlib
import fcntl
import logging
import os
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine

from consortium.client import PagesClient
from consortium.config import PAGES_SOCKET_NAME
from portal.access import Role
from portal.accounts.pages import who_asks
from portal.alerts.delivery import Deliverer, MailServer
from portal.alerts.pages import desk_of
from portal.app import MENU, TEMPLATE_ROOMS, make_portal
from portal.errors import HomeError
from portal.live_feed import LiveFeed
from portal.office.accounts import AccountDesk
from portal.parts import Parts
from portal.read.compare import differing_tables
from portal.read.database import open_database, sqlite_url
from portal.read.follower import Follower, clear_tables, make_tables
from portal.read.organisations import id_of
from portal.shell import make_shell
from portal.tls import TlsFiles
from portal.trace.sightings import WRITE_S, Sightings

log = logging.getLogger(__name__)
LOOK_S: Final = 2.0
SEND_S: Final = 5.0
READ_NAME: Final = "read.sqlite"
OFFICE_NAME: Final = "office.sqlite"
LOCK_NAME: Final = "portal.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalConfig:
    """home: the portal's own folder. node: the chain machine's. database: the URL for everything,
    or None for SQLite files in `home`. address: how people reach the pages. mail, tls: None for
    none.
    """

    home: Path
    node: Path
    database: str | None = None
    address: str = "http://localhost"
    mail: MailServer | None = None
    tls: TlsFiles | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Databases and the way to the chain machine."""

    read: Engine
    office: Engine
    door: PagesClient
    lock: int


def open_home(config: PortalConfig) -> Opened:
    """Opens folder and databases for this process alone; raises HomeError."""
    config.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(config.home / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise HomeError(f"{config.home}: a portal runs there already; stop it first") from error
    read, office = open_engines(config)
    make_tables(read)
    return Opened(
        read=read, office=office, door=PagesClient(config.node / PAGES_SOCKET_NAME), lock=lock
    )


def open_engines(config: PortalConfig) -> tuple[Engine, Engine]:
    """(read model, office) by the configuration's URL, or as files in its folder."""
    if config.database:
        engine = open_database(config.database)
        return engine, engine
    return (
        open_database(sqlite_url(config.home / READ_NAME)),
        open_database(sqlite_url(config.home / OFFICE_NAME)),
    )


def make_accounts(office: Engine) -> AccountDesk:
    """The accounts of this machine's clock and randomness."""
    return AccountDesk(office, now_ms, os.urandom)


def now_ms() -> int:
    """UTC, ms since 1970."""
    return time.time_ns() // 1_000_000


def make_parts(config: PortalConfig, opened: Opened) -> tuple[Parts, Follower]:
    """Everything that the rooms get, and what feeds the read model."""
    accounts, live = make_accounts(opened.office), LiveFeed()
    follower = Follower(opened.read, opened.door, live.tell)
    holder: list[Parts] = []
    parts = Parts(
        read=opened.read,
        office=opened.office,
        accounts=accounts,
        shell=make_shell(TEMPLATE_ROOMS, menu=MENU, trouble=lambda: follower.trouble),
        live=live,
        door=opened.door,
        clock_ms=now_ms,
        random_bytes=os.urandom,
        who=lambda request: who_asks(holder[0], request),
        trouble=lambda: follower.trouble,
        files=config.home / "files",
        secure=config.tls is not None,
        authority=config.tls.authority if config.tls else None,
        address=config.address,
    )
    holder.append(parts)
    return parts, follower


Task = Callable[[], Coroutine[None, None, None]]


def make_app(parts: Parts, follower: Follower, *more: Task) -> FastAPI:
    """The application with its follower, and more tasks, beside it."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(run()) for run in (follower.run, *more)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    return make_portal(parts, lifespan)


async def every(seconds: float, call: Callable[[], object]) -> None:
    """Calls it in a thread again and again until cancelled; a failure is logged and tried again."""
    while True:
        try:
            await asyncio.to_thread(call)
        except Exception:  # the outer edge of a task that must not end
            log.exception("task_failed")
        await asyncio.sleep(seconds)


def serve(config: PortalConfig, listener: socket.socket) -> None:
    """Serves the pages until SIGINT or SIGTERM; raises HomeError."""
    opened = open_home(config)
    try:
        parts, follower = make_parts(config, opened)
        deliverer = Deliverer(opened.office, now_ms, config.mail)
        app = make_app(
            parts,
            follower,
            lambda: every(LOOK_S, desk_of(parts).look),
            lambda: every(SEND_S, deliverer.send_due),
            lambda: every(WRITE_S, Sightings(parts).write),
        )
        settings = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,  # a stream never ends by itself
            ssl_certfile=config.tls.certificate if config.tls else None,
            ssl_keyfile=config.tls.key if config.tls else None,
        )
        uvicorn.Server(settings).run(sockets=[listener])
    finally:
        os.close(opened.lock)


async def rebuild(config: PortalConfig) -> int:
    """Empties the read model and follows everything again; the number of items.

    Raises HomeError while a portal runs there, ConsortiumError where the machine does not answer.
    """
    opened = open_home(config)
    try:
        async with opened.door as door:
            await door.status()  # nothing is emptied before the machine has answered
            await asyncio.to_thread(clear_tables, opened.read)
            return await Follower(opened.read, door, lambda _: None).catch_up()
    finally:
        os.close(opened.lock)


async def check(config: PortalConfig) -> tuple[int, list[str]]:
    """(number of items, tables that differ) between the kept read model and one that is made anew
    beside it; the kept one is first brought up to date. Raises as `rebuild`.
    """
    opened = open_home(config)
    try:
        with tempfile.TemporaryDirectory(dir=config.home) as folder:
            anew = open_database(sqlite_url(Path(folder) / READ_NAME))
            make_tables(anew)
            async with opened.door as door:
                number = await Follower(anew, door, lambda _: None).catch_up()
                await Follower(opened.read, door, lambda _: None).catch_up()
                # What came in between is in both, or in the second only.
                number = await Follower(anew, door, lambda _: None).catch_up()
            return number, await asyncio.to_thread(differing_tables, opened.read, anew)
    finally:
        os.close(opened.lock)


async def invite(
    config: PortalConfig, *, organisation: str | None, name: str, roles: list[Role]
) -> str:
    """A one-time code for a new person. organisation: a name on the chain, or None for the chain
    machine's own. Raises HomeError, ConsortiumError.
    """
    read, office = open_engines(config)
    config.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with PagesClient(config.node / PAGES_SOCKET_NAME) as door:
        if organisation is None:
            found: str | None = (await door.party_id()).hex()
        else:
            make_tables(read)
            await Follower(read, door, lambda _: None).catch_up()
            with read.connect() as db:
                found = id_of(db, organisation)
    if found is None:
        raise HomeError(f"no organisation {organisation!r} on the chain, or more than one")
    accounts = make_accounts(office)
    person = await asyncio.to_thread(partial(accounts.add_person, found, name, roles))
    return accounts.new_code(person.id)
