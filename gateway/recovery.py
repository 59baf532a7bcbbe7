"""What a start finds in the journal: entries that are in no block yet, marks, and damage. Pure."""

from dataclasses import dataclass, replace

from gateway.deliveries import is_mark
from gateway.slots import SlotBook
from ledger.entry import decode_entry, encode_entry
from ledger.errors import InputError
from ledger.journal import Recovered
from ledger.sealer import Pending
from ledger.summary import opens_slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Pending entries with gap-free numbers, delivery marks, and frames that no slot can take."""

    pending: tuple[Pending, ...]
    marks: tuple[bytes, ...]
    renumbered: int
    quarantined: tuple[tuple[int, bytes], ...]


def sort_out(recovered: Recovered, jseq_end: int, book: SlotBook) -> Found:
    """Pending entries of a journal, applied to the book.

    Where a damaged frame took an entry away, later ones of its slot move up: their numbers are
    not sealed
    yet, and the loss is told by a gap entry and not by a hole. An entry whose descriptor was lost
    has no
    slot to go to and is kept aside.
    """
    pending: list[Pending] = []
    quarantined: list[tuple[int, bytes]] = []
    renumbered = 0
    for jseq, data in recovered.entries:
        if is_mark(data) or jseq <= jseq_end:
            continue
        try:
            entry = decode_entry(data)
        except InputError:
            quarantined.append((jseq, data))
            continue
        expected = book.next_srcseq(entry.slot)
        if expected == 0 and not opens_slot(entry):
            quarantined.append((jseq, data))
            continue
        item = Pending(jseq, entry, data)
        if entry.srcseq != expected:
            item = _renumbered(item, expected)
            renumbered += 1
        book.apply(item.entry)
        pending.append(item)
    marks = tuple(data for _, data in recovered.entries if is_mark(data))
    return Found(
        pending=tuple(pending),
        marks=marks,
        renumbered=renumbered,
        quarantined=tuple(quarantined),
    )


def _renumbered(item: Pending, srcseq: int) -> Pending:
    moved = replace(item.entry, srcseq=srcseq)
    return Pending(item.jseq, moved, encode_entry(moved))
