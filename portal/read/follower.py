"""Follows a chain machine: each item goes through every projection, in one database transaction
with the cursor, so a crash or a kill leaves whole items only.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from sqlalchemy import Connection, Engine, select

from consortium.errors import ConsortiumError, MalformedError
from ledger.chain_genesis import Genesis
from ledger.entry import KIND_HEALTH
from ledger.errors import InputError
from logistics.errors import LogisticsError
from logistics.health import AlarmChange, BoxHealth
from logistics.reading import Descriptor
from logistics.records import record_of
from portal.errors import FollowError, PortalError
from portal.read.inputs import AcceptedTransaction, Entry, Item, OpenedRun, RawEntry, item_of
from portal.read.readings import CHANNELS
from portal.read.registry import PROJECTIONS
from portal.read.tables import CURSOR, METADATA, UNREAD, Projection, put, writing

log = logging.getLogger(__name__)
WAIT_MS: Final = 10_000
RETRY_S: Final = 1.0
BATCH: Final = 200
_NAME: Final = "items"
# What a projection meets in an item of a shape that it does not know.
UNREADABLE: Final = (
    *(PortalError, LogisticsError, MalformedError, InputError),
    *(ValueError, TypeError, LookupError),
)


class ItemSource(Protocol):
    """Where items come from (`consortium.client.PagesClient`)."""

    async def follow(
        self, after: int, *, limit: int = BATCH, wait_ms: int = 0
    ) -> tuple[int, list[tuple[int, list[Any]]]]:
        """(newest number, items behind a number)."""


def make_tables(engine: Engine) -> None:
    """Makes the tables that are not there yet."""
    METADATA.create_all(engine)


def clear_tables(engine: Engine) -> None:
    """Empties the read model: everything has to be followed again."""
    METADATA.drop_all(engine)
    METADATA.create_all(engine)


def cursor_of(db: Connection) -> int:
    """The number of the last item that is in the tables."""
    value = db.execute(select(CURSOR.c.value).where(CURSOR.c.name == _NAME)).scalar()
    return value or 0


def apply_items(
    engine: Engine,
    items: Sequence[tuple[int, Item]],
    projections: Sequence[Projection] = PROJECTIONS,
) -> None:
    """Applies numbered items in order; all of them or none."""
    with writing(engine) as db:
        for number, item in items:
            entries = _named(db, item) if isinstance(item, OpenedRun) else ()
            for projection in projections:
                _apply_one(db, number, projection, item, entries)
            put(db, CURSOR, {"name": _NAME, "value": number})


def _apply_one(
    db: Connection,
    number: int,
    projection: Projection,
    item: Item,
    entries: Sequence[Entry],
) -> None:
    try:
        with db.begin_nested():
            if isinstance(item, Genesis):
                if projection.apply_genesis:
                    projection.apply_genesis(db, item)
            elif isinstance(item, AcceptedTransaction):
                if projection.apply_transaction:
                    projection.apply_transaction(db, item)
            else:
                _apply_run(db, projection, item, entries)
    except UNREADABLE as error:
        log.warning("item_unread number=%d projection=%s", number, projection.name)
        row = {"seq": number, "projection": projection.name, "reason": str(error)}
        put(db, UNREAD, row)


def _apply_run(
    db: Connection, projection: Projection, run: OpenedRun, entries: Sequence[Entry]
) -> None:
    if projection.apply_run:
        projection.apply_run(db, run, entries)
    if projection.apply_entry:
        for entry in entries:
            projection.apply_entry(db, entry)


def _named(db: Connection, run: OpenedRun) -> list[Entry]:
    """The run's entries, each with device and channel of its slot's newest descriptor."""
    feed = run.feed.hex()
    rows = db.execute(
        select(CHANNELS.c.slot, CHANNELS.c.device, CHANNELS.c.channel).where(
            CHANNELS.c.feed == feed
        )
    )
    names: dict[int, tuple[str, str]] = {slot: (device, name) for slot, device, name in rows}
    made = []
    for raw in run.entries:
        record = _record(raw)
        if isinstance(record, Descriptor):
            names[raw.slot] = (record.device_id, record.channel)
        device, channel = names.get(raw.slot, (None, None))
        made.append(
            Entry(
                feed=run.feed,
                epoch=run.epoch,
                height=run.height,
                audience=run.audience,
                index=raw.index,
                kind=raw.kind,
                slot=raw.slot,
                time=raw.time,
                srcseq=raw.srcseq,
                device=device,
                channel=channel,
                record=record,
                body=raw.body,
            )
        )
    return made


def _record(raw: RawEntry) -> Any:
    if raw.kind != KIND_HEALTH:
        return record_of(raw.kind, raw.body)
    for form in (AlarmChange, BoxHealth):
        try:
            return form.from_body(raw.body)
        except LogisticsError:
            continue
    return None


class Follower:
    """Keeps the read model at the chain machine's newest item."""

    def __init__(self, engine: Engine, source: ItemSource, told: Callable[[int], None]) -> None:
        """told: called with the cursor after each batch, on the event loop."""
        self._engine, self._source, self._told = engine, source, told
        self.trouble: str | None = None  # why it does not get on, for people

    async def catch_up(self) -> int:
        """Follows until nothing is left; the cursor. Raises ConsortiumError, FollowError."""
        cursor = await asyncio.to_thread(self._cursor)
        while await self._step(cursor, 0):
            cursor = await asyncio.to_thread(self._cursor)
        return cursor

    async def run(self) -> None:
        """Until cancelled; a chain machine that is away is asked again."""
        cursor = await asyncio.to_thread(self._cursor)
        while True:
            try:
                if await self._step(cursor, WAIT_MS):
                    cursor = await asyncio.to_thread(self._cursor)
                    self._told(cursor)
                self.trouble = None
            except (ConsortiumError, FollowError) as error:
                self.trouble = str(error)
                log.warning("follow_failed reason=%s", error)
                await asyncio.sleep(RETRY_S)

    async def _step(self, cursor: int, wait_ms: int) -> bool:
        _, items = await self._source.follow(cursor, limit=BATCH, wait_ms=wait_ms)
        if items:
            read = [(number, item_of(value)) for number, value in items]
            await asyncio.to_thread(apply_items, self._engine, read)
        return bool(items)

    def _cursor(self) -> int:
        with self._engine.connect() as db:
            return cursor_of(db)
