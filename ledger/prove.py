"""Making the feed part of a bundle from what a store holds: open the runs of the span, prove, leave
out the rest.
"""

from bisect import bisect_right, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ledger.block import BlockHeader
from ledger.entry import (
    CONTROL_SLOT,
    PUBLIC_AUDIENCE,
    SALT_BYTES,
    audience_of,
    decode_entry,
)
from ledger.errors import UncheckableError
from ledger.feed_store import (
    FeedName,
    get_head,
    get_run_head,
    need_header,
    node_reader,
)
from ledger.hashing import leaf_hash
from ledger.merkle import NodeReader, merge_ranges, range_path, tree_root
from ledger.mirror import open_held_run, open_public_run
from ledger.opening import OpenedRun
from ledger.proof_bundle import FeedPart
from ledger.sealed import PUBLIC_KEY
from ledger.store import TREE_HEADERS, TREE_LEAVES, Transaction

KeyFor = Callable[[int, int], bytes | None]  # audience, key epoch -> audience key


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Heights of a proof: `base` is the anchored block before it (None: from the beginning)."""

    base: int | None
    last: int

    @property
    def heights(self) -> range:
        """Every height that the proof shows, the base included."""
        return range(0 if self.base is None else self.base, self.last + 1)


def choose_span(anchors: Sequence[tuple[int, int]], from_ms: int, to_ms: int) -> Span:
    """The narrowest bracketed span for an interval.

    anchors: (height, chain time in ms) ascending. Raises UncheckableError if nothing was anchored
    after it.
    """
    before = [height for height, time_ms in anchors if time_ms <= from_ms]
    after = [height for height, time_ms in anchors if time_ms >= to_ms]
    if not after:
        raise UncheckableError(
            "nothing of this feed was anchored after the interval ends; try later"
        )
    # Block 0 as a base would save nothing: from there on a span shows the feed from its beginning.
    return Span(base=max(before, default=0) or None, last=min(after))


def complete_span(
    txn: Transaction, feed: FeedName, span: Span, *, later: Sequence[int], to_ms: int
) -> Span:
    """The span, made longer while the gateway had not put all that came up to `to_ms` into blocks.

    later: anchored heights behind the span, ascending. Where even the last of them is behind, it is
    the end: the verdict will say so.
    """
    last = span.last
    for height in [span.last, *later]:
        last = height
        until_us = complete_until_us(txn, feed, height)
        if until_us is None or until_us >= to_ms * 1000:
            break
    return Span(base=span.base, last=last)


def complete_until_us(txn: Transaction, feed: FeedName, height: int) -> int | None:
    """Up to when everything that came stands in this block and those before; None without a clock.

    Wall time in microseconds, as the summary of the public control slot says it.
    """
    opened = open_public_run(txn, feed, height)
    summary = opened.leaves[opened.head.summary_index(CONTROL_SLOT) - opened.head.first]
    return decode_entry(summary[SALT_BYTES:]).time.wall_us


def feed_part(
    txn: Transaction, feed: FeedName, span: Span, *, slots: Sequence[int], key_for: KeyFor
) -> FeedPart:
    """The feed part for these slots (the control slot is added).

    Raises UncheckableError where something is not held, OpeningError where a run does not open.
    """
    head = get_head(txn, feed, span.last)
    if head is None:
        raise UncheckableError(f"no head for height {span.last} is held here")
    wanted = sorted({CONTROL_SLOT, *slots})
    headers = [need_header(txn, feed, height) for height in span.heights]
    runs = OpenedRuns(txn, feed, key_for)
    run_heads = []
    for header in headers:
        for audience in sorted({audience_of(slot) for slot in wanted}):
            run_head = get_run_head(txn, feed, height=header.height, audience=audience)
            if run_head is not None:
                run_heads.append((header.height, audience, run_head))
    indexes = _wanted_indexes(headers, span, wanted, runs)
    ranges = merge_ranges([(index, 1) for index in indexes])
    first_height = headers[0].height
    return FeedPart(
        head=head.encode(),
        first_height=first_height,
        headers=tuple(headers),
        header_path=tuple(
            range_path(
                node_reader(txn, feed, TREE_HEADERS),
                span.last + 1,
                [(first_height, len(headers))],
            )
        ),
        run_heads=tuple(run_heads),
        slots=tuple(wanted),
        ranges=tuple(ranges),
        leaves=tuple(runs.leaf(i) for first, count in ranges for i in range(first, first + count)),
        leaf_path=tuple(range_path(runs.read, head.claim.size, ranges)),
    )


def _wanted_indexes(
    headers: Sequence[BlockHeader], span: Span, slots: Sequence[int], runs: "OpenedRuns"
) -> set[int]:
    """Leaf indexes that prove the slots whole: the base's summaries, all parts, descriptors,
    genesis.
    """
    indexes = {0}
    runs.open(0, PUBLIC_AUDIENCE)
    for slot in slots:
        descriptor: int | None = None
        for header in headers:
            if header.run_digest(audience_of(slot)) is None:
                continue
            opened = runs.open(header.height, audience_of(slot))
            summary = opened.summaries.get(slot)
            if summary is None:
                continue
            indexes.add(opened.head.summary_index(slot))
            if header.height != span.base:
                indexes.update(range(summary.first_index, summary.first_index + summary.count))
            descriptor = summary.descriptor_index
        if descriptor is not None:
            indexes.add(descriptor)
            runs.open_at(descriptor, audience_of(slot))
    return indexes


class OpenedRuns:
    """Runs opened for one proof, and the feed's leaf tree read through them."""

    def __init__(self, txn: Transaction, feed: FeedName, key_for: KeyFor) -> None:
        self._txn, self._feed, self._key_for = txn, feed, key_for
        self._held = node_reader(txn, feed, TREE_LEAVES)
        self._opened: dict[tuple[int, int], OpenedRun] = {}
        self._hashes: dict[tuple[int, int], list[bytes]] = {}
        # Where each opened run starts, ascending: a long proof asks for every leaf and node.
        self._places: list[tuple[int, tuple[int, int]]] = []

    def open(self, height: int, audience: int) -> OpenedRun:
        """An audience's run in a block; raises UncheckableError without its key."""
        key = (height, audience)
        if key not in self._opened:
            opened = self._open(height, audience)
            self._opened[key] = opened
            self._hashes[key] = [leaf_hash(leaf) for leaf in opened.leaves]
            insort(self._places, (opened.head.first, key))
        return self._opened[key]

    def _open(self, height: int, audience: int) -> OpenedRun:
        if audience == PUBLIC_AUDIENCE:
            return open_public_run(self._txn, self._feed, height)
        head = get_run_head(self._txn, self._feed, height=height, audience=audience)
        key = self._key_for(audience, head.key_epoch) if head else None
        if key is None:
            raise UncheckableError(f"no key here for audience {audience} of block {height}")
        return open_held_run(self._txn, self._feed, height=height, audience=audience, key=key)

    def open_at(self, index: int, audience: int) -> None:
        """Opens the run that holds a leaf (a descriptor may stand before the span)."""
        if self._holding(index) is None:
            self.open(self._height_of(index), audience)

    def _holding(self, index: int) -> tuple[int, int] | None:
        """(height, audience) of the opened run that holds a leaf, None where none does."""
        at = bisect_right(self._places, index, key=lambda place: place[0]) - 1
        if at < 0:
            return None
        first, key = self._places[at]
        return key if index < first + self._opened[key].head.count else None

    def _height_of(self, index: int) -> int:
        low, high = 0, max(height for height, _ in self._opened)
        while low < high:
            middle = (low + high) // 2
            if need_header(self._txn, self._feed, middle).size <= index:
                low = middle + 1
            else:
                high = middle
        return low

    def leaf(self, index: int) -> bytes:
        """A leaf of an opened run; raises UncheckableError where none holds it."""
        key = self._holding(index)
        if key is None:
            raise UncheckableError(f"leaf {index} is in no opened run")
        opened = self._opened[key]
        return opened.leaves[index - opened.head.first]

    @property
    def read(self) -> NodeReader:
        """Reads the leaf tree, inside opened runs from their leaves."""
        return self._read

    def _read(self, level: int, index: int) -> bytes:
        first, end = index << level, (index + 1) << level
        key = self._holding(first)
        if key is not None:
            start = self._opened[key].head.first
            if end <= start + self._opened[key].head.count:
                return tree_root(self._hashes[key][first - start : end - start])
        return self._held(level, index)


def keys_from(held: dict[tuple[int, int], bytes]) -> KeyFor:
    """Looks keys up by (audience, key epoch); audience 0 is always readable."""

    def key_for(audience: int, key_epoch: int) -> bytes | None:
        return PUBLIC_KEY if audience == PUBLIC_AUDIENCE else held.get((audience, key_epoch))

    return key_for
