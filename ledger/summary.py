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
    if entry.kind != KIND_SUMMARY or not isinstance(body, list) or len(body) != 6:
        raise FormatError("summary", "not a summary entry of six elements")
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
    if summary.slot != slot or summary.height != header.height:
        raise ProofError(f"height {header.height}: the summary is of another slot or height")
    end = summary.first_index + summary.count
    if summary.first_index < run_head.first or end > run_head.summaries_first:
        raise ProofError(f"height {header.height}: the summary's part lies outside the run")
    return summary


def check_part(entries: Sequence[Entry], summary: Summary, previous: Summary | None) -> None:
    """Raises ProofError unless the entries are a slot's whole part of a block, in order.

    entries: those at [first_index, first_index + count). previous: the slot's summary of the block
    before, None only where the slot begins in this block.
    """
    where = f"height {summary.height}, slot {summary.slot}"
    if len(entries) != summary.count:
        raise ProofError(f"{where}: {len(entries)} entries, the summary counts {summary.count}")
    base = previous.total if previous else 0
    if previous is None and not (entries and opens_slot(entries[0])):
        raise ProofError(f"{where}: begins without a descriptor")
    if previous and previous.retired:
        raise ProofError(f"{where}: goes on after its retirement")
    if summary.total != base + summary.count:
        raise ProofError(f"{where}: counts {summary.total} entries after {base}")
    for offset, entry in enumerate(entries):
        if entry.slot != summary.slot or entry.kind == KIND_SUMMARY:
            raise ProofError(f"{where}: a foreign entry inside the part")
        if entry.srcseq != base + offset:
            raise ProofError(f"{where}: srcseq {entry.srcseq}, not {base + offset}")
    _check_order(entries, where)
    _check_retirement(entries, summary, where)
    _check_descriptor(entries, summary, previous, where)


def _check_order(entries: Sequence[Entry], where: str) -> None:
    for earlier, later in pairwise(entries):
        if later.order < earlier.order:
            raise ProofError(f"{where}: time inside the gateway runs backwards")


def _check_retirement(entries: Sequence[Entry], summary: Summary, where: str) -> None:
    ends = [entry.kind == KIND_RETIREMENT for entry in entries]
    if any(ends[:-1]) or (bool(ends) and ends[-1]) != summary.retired:
        raise ProofError(f"{where}: retirement is not the slot's last entry, or not flagged")


def _check_descriptor(
    entries: Sequence[Entry], summary: Summary, previous: Summary | None, where: str
) -> None:
    last = [offset for offset, entry in enumerate(entries) if opens_slot(entry)]
    if last:
        expected = summary.first_index + last[-1]
    else:
        expected = previous.descriptor_index if previous else -1
    if summary.descriptor_index != expected:
        raise ProofError(f"{where}: the summary names another descriptor")
