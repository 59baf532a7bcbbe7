import asyncio
from pathlib import Path
from typing import Any

import pytest

from consortium.errors import ChainUnavailableError, RefusedError
from gateway.device_records import DeviceRecords, row_of
from gateway.slots import SlotBook
from ledger.canonical import encode
from ledger.entry import slot_number
from ledger.feed_store import get_value
from ledger.hashing import sha256
from ledger.signing import Signer
from ledger.store import Store
from tests.fakes.gateway_parts import (
    MAP_BYTES,
    START_US,
    HandClock,
    MemorySigner,
    arrival,
    celsius,
    maker_of,
)
from tests.fakes.virtual_time import settled, virtual_time

FEED = (b"f" * 16, 0)
SLOT = slot_number(1, 1)


class Door:
    """A chain that takes device records, or raises what `fails` holds first."""

    def __init__(self, *fails: Exception) -> None:
        self.fails, self.rows, self.asked = list(fails), list[list[Any]](), 0
        self.nonces = set[bytes]()

    async def record_devices(
        self, signer: Signer, *, feed_id: bytes, rows: list[list[Any]], nonce: bytes
    ) -> None:
        self.asked += 1
        self.nonces.add(nonce)
        assert feed_id == FEED[0]
        if self.fails:
            raise self.fails.pop(0)
        self.rows += rows


class Room:
    """Records over a real store; `see` makes a channel known."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "store", map_bytes=MAP_BYTES)
        self.book = SlotBook()
        self.maker = maker_of(HandClock(), self.book)
        self.signer: Signer | None = MemorySigner()
        self.records = self.again()

    def again(self) -> DeviceRecords:
        self.records = DeviceRecords(self.store, self.book, FEED, signer=lambda: self.signer)
        return self.records

    def see(self, channel: str = "temperature") -> None:
        self.maker.from_arrival(arrival(celsius(4000, channel)))

    async def run(self, door: Door, seconds: float = 5) -> None:
        task = asyncio.create_task(self.records.run(door))
        await asyncio.sleep(seconds)
        task.cancel()


@virtual_time
async def test_each_new_slot_is_recorded_once_with_its_descriptors_hash(tmp_path: Path) -> None:
    room, door = Room(tmp_path), Door()
    room.see()
    await room.run(door)
    line = room.book.find(("probe", "temperature"))
    assert line
    assert line.descriptor
    digest = sha256(encode(line.descriptor))
    assert [["probe", SLOT, digest, START_US // 1000, None]] == door.rows
    assert row_of(line.descriptor, SLOT, START_US // 1000) == door.rows[0]
    room.see("humidity")
    await room.run(door)
    assert ([SLOT, SLOT + 1], 2) == ([row[1] for row in door.rows], door.asked)
    room.store.close()


@pytest.mark.parametrize("error", [ChainUnavailableError("away"), RefusedError(5, "not enrolled")])
@virtual_time
async def test_what_was_not_taken_is_sent_again_under_a_nonce_of_its_own(
    tmp_path: Path, error: Exception
) -> None:
    room, door = Room(tmp_path), Door(error, error, error)
    room.see()
    await room.run(door)
    assert (4, 1, 4) == (door.asked, len(door.rows), len(door.nonces))
    room.store.close()


@virtual_time
async def test_while_the_token_is_away_nothing_is_asked(tmp_path: Path) -> None:
    room, door = Room(tmp_path), Door()
    room.see()
    signer, room.signer = room.signer, None
    await room.run(door)
    assert door.asked == 0
    room.signer = signer
    await room.run(door)
    assert 1 == len(door.rows)
    room.store.close()


@virtual_time
async def test_after_a_restart_recorded_slots_are_known(tmp_path: Path) -> None:
    room, door = Room(tmp_path), Door()
    room.see()
    await room.run(door)
    await settled()
    assert [SLOT] == room.store.read(lambda txn: get_value(txn, "recorded-slots"))
    room.again()
    await room.run(door)
    assert 1 == door.asked
    room.store.close()
