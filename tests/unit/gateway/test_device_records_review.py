import asyncio
from pathlib import Path
from typing import Any

from consortium.app.refusal import Code
from consortium.errors import RefusedError
from gateway.device_records import ROWS_MAX, DeviceRecords
from gateway.slots import SlotBook
from ledger.signing import Signer
from ledger.store import Store
from tests.fakes.gateway_parts import HandClock, MemorySigner, arrival, celsius, maker_of
from tests.fakes.virtual_time import virtual_time

FEED = (b"f" * 16, 0)


class Chain:
    """Takes whole transactions, or refuses them whole where one row is another party's."""

    def __init__(self, refused: set[int]) -> None:
        self.refused, self.taken, self.largest = refused, set[int](), 0
        self.asked = 0

    async def record_devices(
        self, signer: Signer, *, feed_id: bytes, rows: list[list[Any]], nonce: bytes
    ) -> None:
        self.asked += 1
        assert (FEED[0], 16) == (feed_id, len(nonce))
        assert signer.kid
        slots = {row[1] for row in rows}
        self.largest = max(self.largest, len(rows))
        if slots & self.refused:
            raise RefusedError(Code.DEVICE_OF_OTHER_PARTY, "probe belongs to another party")
        self.taken |= slots


async def record(folder: Path, chain: Chain, channels: int) -> set[int]:
    """Has so many channels recorded; their slots."""
    store, book = Store(folder / "store", map_bytes=32 << 20), SlotBook()
    maker = maker_of(HandClock(), book)
    for number in range(channels):
        maker.from_arrival(arrival(celsius(4000, f"channel-{number}")))
    records = DeviceRecords(store, book, FEED, signer=MemorySigner)
    task = asyncio.create_task(records.run(chain))
    await asyncio.sleep(30)
    task.cancel()
    store.close()
    return {line.slot for line in book.lines() if line.descriptor is not None}


@virtual_time
async def test_a_device_that_is_another_partys_does_not_keep_the_others_off_the_chain(
    tmp_path: Path,
) -> None:
    chain = Chain(refused=set())
    slots = await record(tmp_path / "all", chain, 3)
    assert chain.taken == slots
    chain = Chain(refused={min(slots)})
    await record(tmp_path / "some", chain, 3)
    assert chain.taken == slots - {min(slots)}
    assert chain.asked == 1 + len(slots)  # and not again every second


@virtual_time
async def test_more_slots_than_a_transaction_may_hold_go_in_several(tmp_path: Path) -> None:
    chain = Chain(refused=set())
    slots = await record(tmp_path, chain, 600)
    assert chain.taken == slots
    assert chain.largest == ROWS_MAX
