"""Opening a run: decrypt, check everything that its head and summaries promise, name what is bad.

The reasons are the closed list of docs/formats/block.md; a reason stands only on evidence that
anyone can check again with the run key (`evidence.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.block import BLOCK_LEAVES_MAX, BlockHeader, RunBody, RunHead
from ledger.canonical import decode_sequence
from ledger.entry import (
    ENTRY_BYTES_MAX,
    KIND_BOOT,
    KIND_GENESIS,
    KIND_SUMMARY,
    PUBLIC_AUDIENCE,
    SALT_BYTES,
    Entry,
    entry_from_value,
)
from ledger.errors import FormatError, NotCanonicalError, OpeningError, ProofError
from ledger.hashing import leaf_hash
from ledger.merkle import NodeReader, dyadic_parts, tree_root
from ledger.sealed import RunKey, salted_leaves
from ledger.summary import Summary, check_part, check_summary_place

REASON_CBOR: Final = 4
REASON_LEAF_COUNT: Final = 5
REASON_SUBTREE: Final = 6
REASON_ORDER: Final = 7
REASON_SRCSEQ: Final = 8
REASON_SUMMARY: Final = 9
REASON_OUTSIDE: Final = 10
REASON_RESERVED: Final = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRun:
    """A run in clear: its leaves in order from `first`, their entries and each slot's summary."""

    header: BlockHeader
    audience: int
    head: RunHead
    leaves: tuple[bytes, ...]
    entries: tuple[Entry, ...]
    summaries: dict[int, Summary]

    def part(self, slot: int) -> Sequence[Entry]:
        """The entries of a slot in this block, without its summary."""
        summary = self.summaries[slot]
        begin = summary.first_index - self.head.first
        return self.entries[begin : begin + summary.count]

    def reader(self, outside: NodeReader) -> NodeReader:
        """Reads tree nodes inside the run from its leaves, all others from `outside`."""
        hashes = [leaf_hash(leaf) for leaf in self.leaves]
        first, end = self.head.first, self.head.first + self.head.count

        def read(level: int, index: int) -> bytes:
            begin = index << level
            if first <= begin and begin + (1 << level) <= end:
                return tree_root(hashes[begin - first : begin - first + (1 << level)])
            return outside(level, index)

        return read


def open_run(
    *,
    header: BlockHeader,
    audience: int,
    head: RunHead,
    body: RunBody,
    ciphertext: bytes,
    key: RunKey,
) -> OpenedRun:
    """The run in clear, everything checked that one block can show; raises OpeningError.

    The caller has checked that head and body are the header's (feed.check_structure).
    """
    plain = key.decrypt(ciphertext, body)
    entries, raw = _entries(plain)
    if len(entries) != head.count or head.count > BLOCK_LEAVES_MAX:
        raise OpeningError(f"{len(entries)} leaves, not {head.count}", REASON_LEAF_COUNT)
    salts = key.salts(head.count)
    if head.first == 0 and audience == PUBLIC_AUDIENCE:
        salts = bytes(SALT_BYTES) + salts[SALT_BYTES:]
    leaves = salted_leaves(raw, salts)
    _check_subtrees(leaves, head, body)
    summaries = _check_entries(entries, header, head)
    return OpenedRun(
        header=header,
        audience=audience,
        head=head,
        leaves=tuple(leaves),
        entries=tuple(entries),
        summaries=summaries,
    )


def _entries(plain: bytes) -> tuple[list[Entry], list[bytes]]:
    try:
        items = decode_sequence(plain)
        if any(len(raw) > ENTRY_BYTES_MAX for _, raw in items):
            raise OpeningError("an entry of more than 65,535 bytes", REASON_CBOR)
        return [entry_from_value(value) for value, _ in items], [raw for _, raw in items]
    except (NotCanonicalError, FormatError) as error:
        raise OpeningError(f"not a row of entries: {error}", REASON_CBOR) from error


def _check_subtrees(leaves: Sequence[bytes], head: RunHead, body: RunBody) -> None:
    hashes = [leaf_hash(leaf) for leaf in leaves]
    roots = []
    for level, index in dyadic_parts(head.first, head.first + head.count):
        begin = (index << level) - head.first
        roots.append(tree_root(hashes[begin : begin + (1 << level)]))
    if tuple(roots) != body.subtrees:
        raise OpeningError("salted leaves are not those of the subtrees", REASON_SUBTREE)


def _check_entries(
    entries: Sequence[Entry], header: BlockHeader, head: RunHead
) -> dict[int, Summary]:
    summaries_at = head.count - len(head.slots)
    _check_order(entries[:summaries_at], head, header)
    summaries, at = {}, head.first
    for slot, entry in zip(head.slots, entries[summaries_at:], strict=True):
        summary = _summary(entry, header, head, slot)
        if summary.first_index != at:
            raise OpeningError(f"slot {slot}: a leaf outside every part", REASON_OUTSIDE)
        at += summary.count
        begin = summary.first_index - head.first
        _check_srcseq(entries[begin : begin + summary.count], summary)
        summaries[slot] = summary
    if at != head.summaries_first:
        raise OpeningError("leaves behind the last part", REASON_OUTSIDE)
    return summaries


def _check_order(entries: Sequence[Entry], head: RunHead, header: BlockHeader) -> None:
    last = (-1, -1)
    for index, entry in enumerate(entries):
        if entry.slot not in head.slots or (entry.slot, entry.srcseq) <= last:
            raise OpeningError("foreign slot, or leaves out of order", REASON_ORDER)
        last = (entry.slot, entry.srcseq)
        if entry.kind == KIND_SUMMARY:
            raise OpeningError("a summary outside its place", REASON_SUMMARY)
        if entry.kind in (KIND_GENESIS, KIND_BOOT) and entry.slot != 0:
            raise OpeningError("a reserved kind outside the control slot", REASON_RESERVED)
        if entry.kind == KIND_GENESIS and (header.height, index) != (0, 0):
            raise OpeningError("a second genesis", REASON_RESERVED)


def _summary(entry: Entry, header: BlockHeader, head: RunHead, slot: int) -> Summary:
    try:
        return check_summary_place(entry, header=header, run_head=head, slot=slot)
    except ProofError as error:
        raise OpeningError(str(error), REASON_SUMMARY) from error


def _check_srcseq(entries: Sequence[Entry], summary: Summary) -> None:
    base = summary.total - summary.count
    expected = [(summary.slot, base + offset) for offset in range(summary.count)]
    if [(entry.slot, entry.srcseq) for entry in entries] != expected:
        raise OpeningError(f"slot {summary.slot}: srcseq is not consecutive", REASON_SRCSEQ)


def check_continues(opened: OpenedRun, previous: OpenedRun | None) -> None:
    """Raises ProofError unless every slot goes on from the block before, no hole, no doubling."""
    for slot, summary in opened.summaries.items():
        before = previous.summaries.get(slot) if previous else None
        check_part(opened.part(slot), summary, before)
    if previous:
        for slot, before in previous.summaries.items():
            if slot not in opened.summaries and not before.retired:
                raise ProofError(f"height {opened.header.height}: slot {slot} vanished")
