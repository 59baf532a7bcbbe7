from gateway.slots import SlotBook, book_from_value
from ledger.canonical import decode, encode
from ledger.entry import (
    KIND_DESCRIPTOR,
    KIND_GAP,
    KIND_TELEMETRY,
    Entry,
    GTime,
    slot_number,
)
from logistics.reading import Descriptor
from tests.fakes.gateway_parts import START_US

FIRST = slot_number(1, 1)


def at(mono_us: int, boot: int = 1) -> GTime:
    return GTime(boot, mono_us, START_US + mono_us, 2, 10)


def described(slot: int, channel: str = "temperature", srcseq: int = 0) -> Entry:
    record = Descriptor(
        device_id="probe", channel=channel, quantity="temperature", unit="CEL", driver="ds18b20"
    )
    return Entry(KIND_DESCRIPTOR, slot, at(1_000), srcseq, record.to_body())


def reading(slot: int, srcseq: int, time: GTime) -> Entry:
    return Entry(KIND_TELEMETRY, slot, time, srcseq, [1, 4, 0, "CEL", 0, None, None])


def test_slots_are_consecutive_in_each_audience_and_begin_behind_its_control_slot() -> None:
    book = SlotBook()
    for channel in ("a", "b"):
        book.apply(described(book.new_slot(1), channel))
    book.apply(described(book.new_slot(7), "c"))
    book.apply(described(book.new_slot(1), "d"))
    expected = [slot_number(1, 1), slot_number(1, 2), slot_number(7, 1), slot_number(1, 3)]
    assert expected == [line.slot for line in book.lines()]


def test_a_channel_is_found_by_device_and_name_once_it_is_described() -> None:
    book = SlotBook()
    assert book.find(("probe", "temperature")) is None
    book.apply(described(FIRST))
    line = book.find(("probe", "temperature"))
    assert line
    assert (FIRST, 1, ("probe", "temperature")) == (line.slot, line.next_srcseq, book.channel(line))
    assert line.since_ms == at(1_000).wall_us // 1000  # type: ignore[operator]  # at() gives one


def test_readings_are_counted_and_gaps_and_descriptors_are_not() -> None:
    book = SlotBook()
    book.apply(described(FIRST))
    book.apply(reading(FIRST, 1, at(2_000)))
    book.apply(Entry(KIND_GAP, FIRST, at(9_000), 2, [1, 1, None, None, None, None, None]))
    line = book.find(("probe", "temperature"))
    assert line
    assert (1, START_US + 2_000, 3) == (line.readings, line.last_wall_us, line.next_srcseq)
    assert line.last_order == (1, 9_000)


def test_a_control_slot_has_no_channel() -> None:
    book = SlotBook()
    book.apply(Entry(13, 0, at(1), 0, [1]))
    assert [None] == [book.channel(line) for line in book.lines()]


def test_order_inside_a_slot_never_runs_backwards() -> None:
    book = SlotBook()
    book.apply(described(FIRST))
    book.apply(reading(FIRST, 1, at(5_000, boot=2)))
    late, earlier_boot, later = at(4_000, boot=2), at(9_000, boot=1), at(6_000, boot=2)
    assert GTime(2, 5_000, late.wall_us, 2, 10) == book.next_time(FIRST, late)
    assert GTime(2, 5_000, earlier_boot.wall_us, 2, 10) == book.next_time(FIRST, earlier_boot)
    assert later == book.next_time(FIRST, later)
    assert late == book.next_time(slot_number(1, 9), late)


def test_a_saved_book_comes_back_whole() -> None:
    book = SlotBook()
    book.apply(Entry(13, 0, at(1), 0, [1]))
    book.apply(described(FIRST))
    book.apply(reading(FIRST, 1, at(5_000)))
    back = book_from_value(decode(encode(book.to_value())))
    assert book.to_value() == back.to_value()
    assert list(book.lines()) == list(back.lines())
    assert back.find(("probe", "temperature")) == book.find(("probe", "temperature"))
    assert back.next_srcseq(FIRST) == 2


def test_no_saved_book_is_an_empty_one() -> None:
    assert [] == list(book_from_value(None).lines())
    assert book_from_value(None).next_srcseq(FIRST) == 0
