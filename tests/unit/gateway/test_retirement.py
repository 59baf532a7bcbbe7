"""A channel that has retired says nothing more; should it speak again, that is another slot."""

from pathlib import Path

from gateway.slots import SlotBook, book_from_value
from ledger.entry import KIND_DESCRIPTOR, KIND_RETIREMENT, encode_entry
from ledger.feed_store import get_state
from ledger.sealer import Pending
from tests.fakes.gateway_parts import Box, HandClock, arrival, celsius, maker_of
from tests.fakes.virtual_time import virtual_time


def test_every_device_slot_gets_a_last_entry_and_none_after_it() -> None:
    clock, book = HandClock(), SlotBook()
    maker = maker_of(clock, book)
    maker.from_arrival(arrival(celsius(), mono_us=clock.mono_us))
    (last,) = maker.retirements()
    clock.advance(3_600)
    assert (KIND_RETIREMENT, [], []) == (last.kind, maker.silences(), maker.retirements())
    again = maker.from_arrival(arrival(celsius(), mono_us=clock.mono_us))
    assert (KIND_DESCRIPTOR, last.slot + 1) == (again[0].kind, again[0].slot)
    line = book_from_value(book.to_value()).find(("probe", "temperature"))
    assert line is not None
    assert line.slot == last.slot + 1


@virtual_time
async def test_a_retired_slot_is_flagged_in_its_last_block_and_stands_in_no_later_one(
    tmp_path: Path,
) -> None:
    box = Box(tmp_path)
    await box.block()
    box.intake.pending.clear()
    entries = box.maker.retirements()
    slot = entries[0].slot

    data = encode_entry(entries[0])
    box.intake.pending.append(Pending(box.journal.append([data]), entries[0], data))
    await box.cutter.cut_all()
    await box.block()
    state = box.store.read(lambda txn: get_state(txn, box.feed))
    assert state is not None
    assert state.slots[slot].retired
    assert not state.slots[slot + 1].retired
    box.close()
