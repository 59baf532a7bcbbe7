"""Completeness per slot: the summary that ends a slot's part of a block, and the rules that use it.

A slot's summary can stand at one leaf index only, so leaving it out, or leaving out a leaf before
it, shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from ledger.block import BlockHeader, RunHead
from ledger.entry import (
    KIND_DESCRIPTOR,
    KIND_GENESIS,
    KIND_RETIREMENT,
    KIND_SUMMARY,
    Entry,
    GTime,
)
from ledger.errors import FormatError, ProofError

FLAG_RETIRED: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a feed says of one slot at the end of one block. `total` counts entries ever in the
    slot.
    """

    slot: int
    total: int
    height: int
    first_index: int
    count: int
    descriptor_index: int
    retired: bool
    stats: Any

    def to_entry(self, time: GTime) -> Entry:
        """The summary as the entry that stands in the feed."""
        flags = FLAG_RETIRED if self.retired else 0
        body = [
            self.height, self.first_index, self.count, self.descriptor_index, flags, self.stats,
        ]  # fmt: skip  # one line reads as the format does
        return Entry(KIND_SUMMARY, self.slot, time, self.total, body)


def summary_of(entry: Entry) -> Summary:
    """The summary that an entry of kind 12 holds; raises FormatError."""
    body = entry.body
    check_is_summary(entry)
    if not isinstance(body, list) or len(body) != 6:
        raise FormatError("summary", "not six elements")
    if any(type(value) is not int or value < 0 for value in body[:5]) or body[4] > FLAG_RETIRED:
        raise FormatError("summary", "a number is out of range")
    return Summary(
        slot=entry.slot,
        total=entry.srcseq,
        height=body[0],
        first_index=body[1],
        count=body[2],
        descriptor_index=body[3],
        retired=bool(body[4]),
        stats=body[5],
    )


def check_is_summary(entry: Entry) -> None:
    """What stands at a summary's index is of kind 12."""
    if entry.kind != KIND_SUMMARY:
        raise FormatError("summary", f"an entry of kind {entry.kind} in its place")


def opens_slot(entry: Entry) -> bool:
    """True for the entry that a slot begins with: its descriptor, or the feed's genesis."""
    return entry.kind == KIND_DESCRIPTOR or (entry.kind == KIND_GENESIS and entry.slot == 0)


def check_summary_place(
    entry: Entry, *, header: BlockHeader, run_head: RunHead, slot: int
) -> Summary:
    """The slot's summary in this block; raises ProofError where it is not what must stand there."""
    try:
        summary = summary_of(entry)
    except FormatError as error:
        raise ProofError(f"height {header.height}: {error}") from error
    check_summary_names(summary, header, slot)
    check_summary_bounds(summary, run_head)
    return summary


def check_summary_names(summary: Summary, header: BlockHeader, slot: int) -> None:
    """Raises ProofError unless the summary is of this slot and height."""
    if summary.slot != slot or summary.height != header.height:
        raise ProofError(f"height {header.height}: the summary is of another slot or height")


def check_summary_bounds(summary: Summary, run_head: RunHead) -> None:
    """Raises ProofError unless the part lies inside the run and before its summaries."""
    end = summary.first_index + summary.count
    if summary.first_index < run_head.first or end > run_head.summaries_first:
        raise ProofError(f"height {summary.height}: the summary's part lies outside the run")


def check_part(entries: Sequence[Entry], summary: Summary, previous: Summary | None) -> None:
    """Raises ProofError unless the entries are a slot's whole part of a block, in order.

    entries: those at [first_index, first_index + count). previous: the slot's summary of the block
    before, None only where the slot begins in this block.
    """
    where = f"height {summary.height}, slot {summary.slot}"
    check_count(entries, summary, where)
    check_beginning(entries, previous, where)
    check_total(summary, previous, where)
    check_own(entries, summary, where)
    check_srcseq(entries, summary, where)
    check_order(entries, where)
    check_retirement(entries, summary, where)
    check_descriptor(entries, summary, previous, where=where)


def check_count(entries: Sequence[Entry], summary: Summary, where: str) -> None:
    """As many entries as the summary counts."""
    if len(entries) != summary.count:
        raise ProofError(f"{where}: {len(entries)} entries, the summary counts {summary.count}")


def check_beginning(entries: Sequence[Entry], previous: Summary | None, where: str) -> None:
    """A slot begins with its descriptor and does not go on after its retirement."""
    if previous is None and not (entries and opens_slot(entries[0])):
        raise ProofError(f"{where}: begins without a descriptor")
    if previous and previous.retired:
        raise ProofError(f"{where}: goes on after its retirement")


def check_total(summary: Summary, previous: Summary | None, where: str) -> None:
    """Entries ever in the slot: as many as before and those of this block."""
    base = previous.total if previous else 0
    if summary.total != base + summary.count:
        raise ProofError(f"{where}: counts {summary.total} entries after {base}")


def check_own(entries: Sequence[Entry], summary: Summary, where: str) -> None:
    """The part holds the slot's own entries only, and no summary."""
    if any(entry.slot != summary.slot or entry.kind == KIND_SUMMARY for entry in entries):
        raise ProofError(f"{where}: a foreign entry inside the part")


def check_srcseq(entries: Sequence[Entry], summary: Summary, where: str) -> None:
    """Numbers in the slot are consecutive and end where the summary's total says."""
    for expected, entry in enumerate(entries, summary.total - summary.count):
        if entry.srcseq != expected:
            raise ProofError(f"{where}: srcseq {entry.srcseq}, not {expected}")


def check_order(entries: Sequence[Entry], where: str) -> None:
    """(boot, mono) does not fall inside a part."""
    for earlier, later in pairwise(entries):
        if later.order < earlier.order:
            raise ProofError(f"{where}: time inside the gateway runs backwards")


def check_retirement(entries: Sequence[Entry], summary: Summary, where: str) -> None:
    """Kind 14 is the slot's last entry, and flagged; nothing else is."""
    ends = [entry.kind == KIND_RETIREMENT for entry in entries]
    if any(ends[:-1]) or (bool(ends) and ends[-1]) != summary.retired:
        raise ProofError(f"{where}: retirement is not the slot's last entry, or not flagged")


def check_descriptor(
    entries: Sequence[Entry], summary: Summary, previous: Summary | None, *, where: str
) -> None:
    """The summary names the slot's last descriptor."""
    last = [offset for offset, entry in enumerate(entries) if opens_slot(entry)]
    if last:
        expected = summary.first_index + last[-1]
    else:
        expected = previous.descriptor_index if previous else -1
    if summary.descriptor_index != expected:
        raise ProofError(f"{where}: the summary names another descriptor")
