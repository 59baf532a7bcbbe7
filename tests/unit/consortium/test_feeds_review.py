import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from consortium.feeds import FeedRoom
from consortium.node import ChainNode
from ledger.feed_store import get_value
from ledger.mirror import accept_grant
from ledger.opening import OpenedRun
from ledger.sealed import Grant, reader_public, seal_grant
from ledger.store import Store
from tests.unit.ledger.feed_builder import FeedBuilder, grown, seed
from tests.unit.ledger.held_feed import MAP_BYTES, READER, granted, hold_mirrored

FEED = grown(FeedBuilder())
ID = FEED.feed[0]
BLOCKS = len(FEED.blocks)
HEIGHTS = [n for n, block in enumerate(FEED.blocks) if 1 in {run.audience for run in block.runs}]


class Room(FeedRoom):
    """A room over a real store that holds the feed whole; what it opened is in `opened`."""

    opened: list[OpenedRun]

    def give(self, sealed: bytes) -> None:
        self.store.write(
            lambda txn: accept_grant(txn, FEED.feed, audience=1, key_epoch=0, sealed=sealed)
        )

    async def open_all(self) -> None:
        """Opens until there is nothing more to open."""
        while await asyncio.to_thread(self._open_some):
            pass


def room_of(store: Store) -> Room:
    opened: list[OpenedRun] = []
    room = Room(store, cast("ChainNode", None), reader_secret=READER, on_opened=opened.append)
    room.opened = opened
    return room


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    made = room_of(Store(tmp_path, map_bytes=MAP_BYTES))
    made.store.write(lambda txn: hold_mirrored(txn, FEED))
    yield made
    made.store.close()


def lie(number: int) -> bytes:
    """A key that nobody sealed with, for this reader: anybody can make it."""
    grant = Grant(feed_id=ID, audience=1, key_epoch=0, key=seed(f"lie {number}"))
    return seal_grant(grant, reader_public(READER))


async def test_a_strangers_grant_neither_blinds_the_machine_nor_ends_it_at_the_next_start(
    room: Room,
) -> None:
    for number in range(9):
        room.give(lie(number))
    room.give(granted(FEED, 1))
    await room.open_all()
    assert HEIGHTS == [run.header.height for run in room.opened if run.audience == 1]
    again = room_of(room.store)
    await asyncio.to_thread(again.feed_again, {})
    assert HEIGHTS == [run.header.height for run in again.opened if run.audience == 1]


async def test_blocks_that_this_machine_cannot_open_are_looked_at_once(room: Room) -> None:
    await room.open_all()
    assert [] == list(await room.opened_statements(9))
    name = f"stated-{ID.hex()}-0"
    assert BLOCKS == room.store.read(lambda txn: get_value(txn, name))


async def test_a_block_with_more_runs_than_the_limit_is_stated_all_the_same(room: Room) -> None:
    room.give(granted(FEED, 1))
    await room.open_all()
    assert HEIGHTS[:1] == [row[2] for row in await room.opened_statements(1)]


async def test_a_key_that_comes_late_states_what_it_opens(room: Room) -> None:
    await room.open_all()
    room.give(granted(FEED, 1))
    await room.open_all()
    assert HEIGHTS == [row[2] for row in await room.opened_statements(99)]
