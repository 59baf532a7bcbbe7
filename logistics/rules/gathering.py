"""Making evidence from what a party may open: no more readings than the contract asks for.

The mirror image of `evidence`: that module decides what is needed; this one gives a little more
where it cannot know, which changes no verdict.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from ledger.block import BlockHeader, RunHead
from ledger.canonical import encode
from ledger.entry import SALT_BYTES, GTime, audience_of, decode_entry
from ledger.head import Head
from ledger.merkle import NodeReader, merge_ranges, range_path
from ledger.proof_bundle import FeedPart
from ledger.summary import Summary
from logistics.reading import Descriptor
from logistics.records import record_of
from logistics.rules.errors import EvidenceError
from logistics.rules.evidence import Band, numbers_of

PART_BYTES_MAX: Final = 200 << 10  # a transaction has 256 KiB, of which a part is nearly all
BLOCKS_AT_ONCE: Final = 512


class Source(Protocol):
    """A feed whose runs are open here."""

    def header(self, height: int) -> BlockHeader:
        """A block's header."""

    def run_head(self, height: int, audience: int) -> RunHead | None:
        """A run's head, None where the block has none of the audience."""

    def summary(self, height: int, slot: int) -> tuple[Summary, GTime] | None:
        """A slot's summary in a block and its time, None where the slot is not in it."""

    def leaf(self, index: int) -> bytes:
        """A leaf."""

    @property
    def leaf_node(self) -> NodeReader:
        """Reads the leaf tree."""

    @property
    def header_node(self) -> NodeReader:
        """Reads the header tree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is gathered: blocks up to the head's, from the base on (None: from the beginning)."""

    head: Head
    base: int | None
    slots: tuple[int, ...]
    band: Band | None
    gap_ms: int
    from_ms: int
    to_ms: int

    def concerns(self, begin: GTime, end: GTime) -> bool:
        """False for a block that is certain to lie outside the interval."""
        if begin.wall_us is None or end.wall_us is None:
            return True
        begin_ms, end_ms = begin.wall_us // 1000, end.wall_us // 1000
        return end_ms > self.from_ms - self.gap_ms and begin_ms < self.to_ms


def gather(source: Source, wanted: Wanted) -> Iterator[FeedPart]:
    """The evidence in parts that fit into a transaction each, in order."""
    begin, last, count = wanted.base or 0, wanted.head.claim.height, BLOCKS_AT_ONCE
    is_first = wanted.base is None
    while begin < last or is_first:
        end = min(begin + count, last)
        part = gathered(source, wanted, range(begin, end + 1), is_whole=is_first)
        if len(encode(part.to_value())) > PART_BYTES_MAX:
            if end - begin <= 1:
                raise EvidenceError(f"block {end} alone is too large for a transaction")
            count = max(1, (end - begin) // 2)
            continue
        yield part
        begin, is_first = end, False


def gathered(source: Source, wanted: Wanted, heights: range, *, is_whole: bool = False) -> FeedPart:
    """One part: `heights` with its base first, unless it is whole from the first height on."""
    headers = [source.header(height) for height in heights]
    audiences = sorted({audience_of(slot) for slot in wanted.slots})
    heads = [
        (height, audience, head)
        for height in heights
        for audience in audiences
        if (head := source.run_head(height, audience)) is not None
    ]
    new = heights if is_whole else heights[1:]
    indexes = set[int]()
    for slot in wanted.slots:
        indexes |= _indexes(source, wanted, slot, heights=heights, new=new)
    ranges = merge_ranges([(index, 1) for index in indexes])
    claim = wanted.head.claim
    return FeedPart(
        head=wanted.head.encode(),
        first_height=heights[0],
        headers=tuple(headers),
        header_path=tuple(
            range_path(source.header_node, claim.height + 1, [(heights[0], len(headers))])
        ),
        run_heads=tuple(heads),
        slots=wanted.slots,
        ranges=tuple(ranges),
        leaves=tuple(source.leaf(i) for first, n in ranges for i in range(first, first + n)),
        leaf_path=tuple(range_path(source.leaf_node, claim.size, ranges)),
    )


def _indexes(source: Source, wanted: Wanted, slot: int, *, heights: range, new: range) -> set[int]:
    """Leaf indexes of a slot: summaries, descriptors, and the parts whose readings are needed."""
    found, before = set[int](), None
    is_described, is_calm = False, False
    for height in heights:
        head, known = source.run_head(height, audience_of(slot)), source.summary(height, slot)
        if head is None or known is None:
            continue
        summary, time = known
        found.add(head.summary_index(slot))
        calm = _is_calm(summary, wanted.band)
        if height in new:
            is_same = before is not None and (
                before[0].descriptor_index == summary.descriptor_index
            )
            if not is_described or not is_same:
                found.add(summary.descriptor_index)
                is_described = True
            alone = calm and is_calm and before is not None and not summary.retired
            full = before is not None and _is_full(source, wanted, summary, time, before=before)
            if before is not None and not summary.retired and is_same:
                alone = alone or not wanted.concerns(before[1], time)
                full = full or not wanted.concerns(before[1], time)
            if not (alone and full):
                first = summary.first_index
                found.update(range(first, first + summary.count))
        if summary.count or before is None:
            is_calm = calm
        before = known
    return found


def _is_calm(summary: Summary, band: Band | None) -> bool:
    """Whether every value of the part is where no excursion can begin, go on or end."""
    numbers = numbers_of(summary)
    if band is None or numbers is None:
        return band is not None and not summary.count
    low, high, _ = numbers
    return band.holds(low, high) and band.settled(low) and band.settled(high)


def _is_full(
    source: Source,
    wanted: Wanted,
    summary: Summary,
    time: GTime,
    *,
    before: tuple[Summary, GTime],
) -> bool:
    """Whether as many readings as were due are in it, less a gap; empty parts need no readings."""
    leaf = source.leaf(summary.descriptor_index)
    entry = decode_entry(leaf[SALT_BYTES:])
    record = record_of(entry.kind, entry.body)
    interval_ms = record.interval_ms if isinstance(record, Descriptor) else None
    if interval_ms is None or time.wall_us is None or before[1].wall_us is None:
        return False
    period_ms = time.wall_us // 1000 - before[1].wall_us // 1000
    return summary.count * interval_ms >= period_ms - wanted.gap_ms
