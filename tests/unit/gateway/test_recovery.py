from dataclasses import replace

from gateway.deliveries import MARK
from gateway.recovery import Found, sort_out
from gateway.slots import SlotBook
from ledger.entry import Entry, decode_entry, encode_entry, slot_number
from ledger.journal import Recovered
from tests.fakes.gateway_parts import HandClock, arrival, celsius, genesis_entry, maker_of

SLOT = slot_number(1, 1)
ANOTHER = slot_number(1, 2)


def journaled(count: int = 4, channel: str = "temperature") -> list[Entry]:
    """Descriptor and readings, as a running gateway journals them."""
    maker = maker_of(HandClock())
    return [
        entry
        for number in range(count)
        for entry in maker.from_arrival(arrival(celsius(4000 + number, channel)))
    ]


def found(*frames: bytes | None, jseq_end: int = 0, book: SlotBook | None = None) -> Found:
    """What is found where these frames stand in the journal; None: a frame that is damaged."""
    rows = tuple((jseq, data) for jseq, data in enumerate(frames, 1) if data is not None)
    return sort_out(Recovered(rows, (), 0), jseq_end, book or SlotBook())


def values(result: Found) -> list[int]:
    return [item.entry.body[1] for item in result.pending if item.entry.kind == 1]


def test_whole_frames_are_pending_again_byte_for_byte() -> None:
    data = [encode_entry(entry) for entry in [genesis_entry(), *journaled()]]
    book = SlotBook()
    result = found(*data, book=book)
    assert data == [item.data for item in result.pending]
    assert [1, 2, 3, 4, 5, 6] == [item.jseq for item in result.pending]
    assert (0, ()) == (result.renumbered, result.quarantined)
    assert (5, 1) == (book.next_srcseq(SLOT), book.next_srcseq(0))


def test_what_is_in_a_block_already_is_not_pending() -> None:
    data = [encode_entry(entry) for entry in journaled()]
    book = SlotBook()
    for entry in journaled()[:3]:
        book.apply(entry)
    result = found(*data, jseq_end=3, book=book)
    assert [4, 5] == [item.jseq for item in result.pending]
    assert result.renumbered == 0


def test_behind_a_lost_frame_later_ones_of_its_slot_move_up() -> None:
    data: list[bytes | None] = [encode_entry(entry) for entry in journaled(5)]
    data[2] = None
    result = found(*data)
    assert ([4000, 4002, 4003, 4004], 3) == (values(result), result.renumbered)
    assert [0, 1, 2, 3, 4] == [item.entry.srcseq for item in result.pending]
    assert [item.entry for item in result.pending] == [
        decode_entry(item.data) for item in result.pending
    ]


def test_a_lost_frame_moves_nothing_in_other_slots() -> None:
    moved = [replace(entry, slot=ANOTHER) for entry in journaled(3, "other")]
    both = [entry for pair in zip(journaled(3), moved, strict=True) for entry in pair]
    data: list[bytes | None] = [encode_entry(entry) for entry in both]
    data[2] = None
    result = found(*data)
    assert [0, 1, 2, 3] == [e.entry.srcseq for e in result.pending if e.entry.slot == ANOTHER]
    assert [0, 1, 2] == [e.entry.srcseq for e in result.pending if e.entry.slot == SLOT]


def test_readings_whose_descriptor_was_lost_are_kept_aside() -> None:
    data: list[bytes | None] = [encode_entry(entry) for entry in journaled(3)]
    rest, data[0] = data[1:], None
    result = found(*data)
    assert () == result.pending
    assert rest == [frame for _, frame in result.quarantined]
    assert [2, 3, 4] == [jseq for jseq, _ in result.quarantined]


def test_a_frame_that_is_no_entry_is_kept_aside_and_stops_nothing() -> None:
    data = [encode_entry(entry) for entry in journaled(2)]
    result = found(data[0], b"\xffnonsense", *data[1:])
    assert ((2, b"\xffnonsense"),) == result.quarantined
    assert [4000, 4001] == values(result)


def test_marks_are_found_and_are_never_pending_even_behind_what_is_sealed() -> None:
    data = [encode_entry(entry) for entry in journaled(2)]
    old, new = MARK + b"a" * 16, MARK + b"b" * 16
    result = found(old, *data, new, jseq_end=1)
    assert (old, new) == result.marks
    assert [2, 3, 4] == [item.jseq for item in result.pending]
