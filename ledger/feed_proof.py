"""One feed's part of a bundle: is it under the signed head, and is each slot whole? (LEDGER list 1
to 10)

Checks bytes against bytes; what the chain says of the feed is `verify.py`'s matter.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from ledger.block import BlockHeader, RunHead
from ledger.entry import CONTROL_SLOT, SALT_BYTES, Entry, audience_of, decode_entry
from ledger.errors import ConflictError, FormatError, InputError, ProofError
from ledger.feed import check_follows, feed_id_of_leaf
from ledger.hashing import leaf_hash
from ledger.head import HeadClaim, decode_head
from ledger.merkle import merge_ranges, root_from_ranges
from ledger.proof_bundle import FeedPart
from ledger.signing import PublicKey
from ledger.summary import Summary, check_part, check_summary_place


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotProof:
    """A slot's whole part of the span: entries with leaf index and height, and its last summary."""

    slot: int
    entries: tuple[tuple[int, int, Entry], ...]
    descriptor: Entry
    descriptor_index: int
    last: Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedProof:
    """A feed part that holds. `base` is the header before the span, None where the span begins the
    feed.
    """

    claim: HeadClaim
    base: BlockHeader | None
    headers: tuple[BlockHeader, ...]
    genesis_leaf: bytes
    slots: dict[int, SlotProof]


def check_feed_part(part: FeedPart, key: PublicKey) -> FeedProof:
    """The part, proven under its head; raises RefutedError or InputError subclasses."""
    head = decode_head(part.head)
    head.verify(key)
    claim = head.claim
    _check_headers(part, claim)
    leaves = _Leaves(part, claim)
    runs = _run_heads(part)
    slots = {}
    for slot in part.slots:
        slots[slot] = _check_slot(part, slot, runs, leaves)
    if CONTROL_SLOT not in slots:
        raise ProofError("the feed's public control slot is missing")
    genesis = leaves.raw(0)
    if feed_id_of_leaf(genesis) != claim.feed_id:
        raise ProofError("leaf 0 is not this feed's genesis")
    leaves.check_all_used()
    _check_runs_used(part, runs)
    base = part.headers[0] if part.first_height else None
    return FeedProof(
        claim=claim,
        base=base,
        headers=part.headers if base is None else part.headers[1:],
        genesis_leaf=genesis,
        slots=slots,
    )


def _check_headers(part: FeedPart, claim: HeadClaim) -> None:
    """Heights consecutive up to the signed one, linked, and under the signed header root."""
    headers = part.headers
    if part.first_height + len(headers) != claim.height + 1:
        raise ProofError("headers do not reach the signed height")
    if part.first_height == 0:
        check_follows(None, headers[0])
    for height, header in enumerate(headers, part.first_height):
        named = (header.feed_id, header.epoch, header.height)
        if named != (claim.feed_id, claim.epoch, height):
            raise ProofError(f"header {height} is of another feed, epoch or height")
    for earlier, later in pairwise(headers):
        check_follows(earlier, later)
    root = root_from_ranges(
        size=claim.height + 1,
        ranges=[(part.first_height, len(headers))],
        leaf_hashes=[header.digest for header in headers],
        path=part.header_path,
    )
    if root != claim.block_root:
        raise ProofError("headers are not under the signed header root")
    if (headers[-1].size, headers[-1].root) != (claim.size, claim.root):
        raise ConflictError("the last header and the head name other trees")


class _Leaves:
    """The supplied leaves, proven under the head's root; knows which were used."""

    def __init__(self, part: FeedPart, claim: HeadClaim) -> None:
        root = root_from_ranges(
            size=claim.size,
            ranges=part.ranges,
            leaf_hashes=[leaf_hash(leaf) for leaf in part.leaves],
            path=part.leaf_path,
        )
        if root != claim.root:
            raise ProofError("leaves are not under the signed root")
        indexes = (i for first, count in part.ranges for i in range(first, first + count))
        self._leaves = dict(zip(indexes, part.leaves, strict=True))
        self._ranges = list(part.ranges)
        self._used: set[int] = set()

    def raw(self, index: int) -> bytes:
        if index not in self._leaves:
            raise ProofError(f"leaf {index} is missing")
        self._used.add(index)
        return self._leaves[index]

    def entry(self, index: int) -> Entry:
        try:
            return decode_entry(self.raw(index)[SALT_BYTES:])
        except InputError as error:
            raise ProofError(f"leaf {index} is not an entry: {error}") from error

    def check_all_used(self) -> None:
        if merge_ranges([(index, 1) for index in self._used]) != self._ranges:
            raise FormatError("leaf proof", "leaves that nobody asked for")


RunHeads = dict[tuple[int, int], RunHead]


def _run_heads(part: FeedPart) -> RunHeads:
    """The run heads by (height, audience), each bound by its header."""
    headers = {header.height: header for header in part.headers}
    runs: RunHeads = {}
    for height, audience, head in part.run_heads:
        header = headers.get(height)
        if header is None or (height, audience) in runs:
            raise FormatError("run head", "outside the span, or given twice")
        if header.run_digest(audience) != head.digest:
            raise ProofError(f"run head {audience} of height {height} is not the header's")
        end = head.first + head.count
        if not header.start <= head.first < end <= header.size:
            raise ProofError(f"run {audience} of height {height} lies outside its block")
        if audience_of(head.slots[0]) != audience:
            raise ProofError(f"run {audience} of height {height} holds another audience's slots")
        runs[height, audience] = head
    if [key[:2] for key in part.run_heads] != sorted(runs):
        raise FormatError("run head", "not in ascending order")
    return runs


def _check_runs_used(part: FeedPart, runs: RunHeads) -> None:
    wanted = {audience_of(slot) for slot in part.slots}
    if any(audience not in wanted for _, audience in runs):
        raise FormatError("run head", "of an audience that nobody asked for")


def _check_slot(part: FeedPart, slot: int, runs: RunHeads, leaves: _Leaves) -> SlotProof:
    """A slot over the whole span: each summary at its one legal index, each part whole and in
    order.
    """
    previous: Summary | None = None
    entries: list[tuple[int, int, Entry]] = []
    for header, run_head in _slot_runs(part, slot, runs):
        if run_head is None or slot not in run_head.slots:
            if previous is not None and not previous.retired:
                raise ProofError(f"height {header.height}: slot {slot} is missing")
            continue
        entry = leaves.entry(run_head.summary_index(slot))
        summary = check_summary_place(entry, header=header, run_head=run_head, slot=slot)
        if header.height > part.first_height or part.first_height == 0:
            span = range(summary.first_index, summary.first_index + summary.count)
            found = [(index, header.height, leaves.entry(index)) for index in span]
            check_part([item[2] for item in found], summary, previous)
            entries += found
        previous = summary
    if previous is None:
        raise ProofError(f"slot {slot} stands in no block of the span")
    descriptor = leaves.entry(previous.descriptor_index)
    if descriptor.slot != slot:
        raise ProofError(f"slot {slot}: the descriptor is of another slot")
    return SlotProof(
        slot=slot,
        entries=tuple(entries),
        descriptor=descriptor,
        descriptor_index=previous.descriptor_index,
        last=previous,
    )


def _slot_runs(
    part: FeedPart, slot: int, runs: RunHeads
) -> Iterator[tuple[BlockHeader, RunHead | None]]:
    """Each header with the run of the slot's audience; a run that it lists must be shown."""
    audience = audience_of(slot)
    for header in part.headers:
        run_head = runs.get((header.height, audience))
        if run_head is None and header.run_digest(audience) is not None:
            raise ProofError(f"height {header.height}: the run of audience {audience} is not shown")
        yield header, run_head
