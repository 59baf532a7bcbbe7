"""What a start finds in the journal: entries that are in no block yet, marks, and damage. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from gateway.deliveries import is_mark
from gateway.slots import SlotBook
from ledger.entry import KIND_GAP, decode_entry, encode_entry
from ledger.errors import InputError
from ledger.journal import Recovered
from ledger.sealer import Pending
from ledger.summary import opens_slot
from logistics.reading import GapReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Pending entries with gap-free numbers, delivery marks, and frames that no slot can take."""

    pending: tuple[Pending, ...]
    marks: tuple[bytes, ...]
    renumbered: int
    quarantined: tuple[tuple[int, bytes], ...]
    missing: Mapping[int, int]  # entries that their slot's numbers show to be lost, by slot
    lost: int  # frames that were lost unsealed, whatever they held


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
    missing, behind = Counter[int](), dict[int, int]()
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
        missing[entry.slot] += max(0, entry.srcseq - behind.get(entry.slot, expected))
        behind[entry.slot] = entry.srcseq + 1
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
        missing=+missing,
        lost=_lost(recovered, jseq_end),
    )


def _lost(recovered: Recovered, jseq_end: int) -> int:
    """How many frames that no block holds were lost to damage; what is sealed is not lost."""
    numbers = [jseq for jseq, _ in recovered.entries]
    count = 0
    for damage in recovered.corruptions:
        following = next((jseq for jseq in numbers if jseq > damage.after_jseq), None)
        # With nothing behind it nobody knows; one at least was there.
        end = damage.after_jseq + 2 if following is None else following
        count += max(0, end - 1 - max(damage.after_jseq, jseq_end))
    return count


def losses(found: Found, slots: Iterable[int]) -> dict[int, int | None]:
    """What gap entries are to tell of damage: how many entries by slot, None where nobody knows.

    A loss is told once: damaged frames stay in the journal for some starts.
    """
    told: dict[int, int] = {}
    for item in found.pending:
        body = item.entry.body
        if item.entry.kind == KIND_GAP and body[1] == GapReason.JOURNAL_CORRUPTION:
            told[item.entry.slot] = told.get(item.entry.slot, 0) + (body[6] or 0)
    doubtful = found.lost > sum(found.missing.values())
    rows: dict[int, int | None] = {}
    for slot in slots:
        count = found.missing.get(slot, 0) - told.get(slot, 0)
        if count > 0:
            rows[slot] = count
        elif doubtful and slot not in told:
            rows[slot] = None
    return rows


def _renumbered(item: Pending, srcseq: int) -> Pending:
    moved = replace(item.entry, srcseq=srcseq)
    return Pending(item.jseq, moved, encode_entry(moved))
