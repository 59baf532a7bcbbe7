"""One feed's part of a bundle: is it under the signed head, and is each slot whole?

The ten checks of docs/formats/bundle.md, each a function of its own here or in `summary.py`. Checks
bytes against bytes; what the chain says of the feed is `verify.py`'s matter.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from ledger.block import BlockHeader, RunHead
from ledger.entry import CONTROL_SLOT, SALT_BYTES, Entry, GTime, audience_of, decode_entry
from ledger.errors import ConflictError, FormatError, InputError, ProofError
from ledger.feed import check_follows, feed_id_of_leaf
from ledger.hashing import leaf_hash
from ledger.head import Head, HeadClaim, decode_head
from ledger.merkle import merge_ranges, root_from_ranges
from ledger.proof_bundle import FeedPart
from ledger.signing import PublicKey
from ledger.summary import Summary, check_part, check_summary_place, opens_slot

RunHeads = dict[tuple[int, int], RunHead]  # by (height, audience)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotProof:
    """A slot's whole part of the span: entries with leaf index and height, and its last summary.

    `complete_until`: up to then, the feed says, everything that came stands in the span.
    """

    slot: int
    entries: tuple[tuple[int, int, Entry], ...]
    descriptor: Entry
    descriptor_index: int
    last: Summary
    complete_until: GTime


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedProof:
    """A feed part that holds. `base` is the header before the span, None where the feed begins.

    `slots`: a slot of the part that is not in here stands in no block of the span, which is proven.
    """

    claim: HeadClaim
    base: BlockHeader | None
    headers: tuple[BlockHeader, ...]
    genesis_leaf: bytes
    slots: dict[int, SlotProof]


def check_feed_part(part: FeedPart, key: PublicKey) -> FeedProof:
    """The part, proven under its head; raises RefutedError or InputError subclasses."""
    head = decode_head(part.head)
    check_head(head, key)
    claim = head.claim
    check_headers(part, claim)
    check_last_header(part, claim)
    leaves = Leaves(part, claim)
    runs = run_heads_of(part)
    slots = {}
    for slot in part.slots:
        proof = _check_slot(part, slot, runs, leaves)
        if proof is not None:
            slots[slot] = proof
    if CONTROL_SLOT not in slots:
        raise ProofError("the feed's public control slot is missing")
    genesis = leaves.raw(0)
    check_genesis(genesis, claim)
    leaves.check_all_used()
    check_runs_asked_for(part, runs)
    base = part.headers[0] if part.first_height else None
    return FeedProof(
        claim=claim,
        base=base,
        headers=part.headers if base is None else part.headers[1:],
        genesis_leaf=genesis,
        slots=slots,
    )


def check_head(head: Head, key: PublicKey) -> None:
    """Check 1: the head is signed by this key, in the one form of a signature."""
    head.verify(key)


def check_headers(part: FeedPart, claim: HeadClaim) -> None:
    """Check 2: heights consecutive up to the signed one, linked, and under the header root."""
    check_reaches_head(part, claim)
    check_header_names(part, claim)
    check_links(part)
    check_header_root(part, claim)


def check_reaches_head(part: FeedPart, claim: HeadClaim) -> None:
    """Check 2: the last header shown is the signed one."""
    if part.first_height + len(part.headers) != claim.height + 1:
        raise ProofError("headers do not reach the signed height")


def check_header_names(part: FeedPart, claim: HeadClaim) -> None:
    """Check 2: every header is of the head's feed and epoch, and of its own height."""
    for height, header in enumerate(part.headers, part.first_height):
        named = (header.feed_id, header.epoch, header.height)
        if named != (claim.feed_id, claim.epoch, height):
            raise ProofError(f"header {height} is of another feed, epoch or height")


def check_links(part: FeedPart) -> None:
    """Check 2: each header starts where the one before ends, and names it."""
    if part.first_height == 0:
        check_follows(None, part.headers[0])
    for earlier, later in pairwise(part.headers):
        check_follows(earlier, later)


def check_header_root(part: FeedPart, claim: HeadClaim) -> None:
    """Checks 2 and 10: the headers are those of the signed header tree of height + 1 headers."""
    root = root_from_ranges(
        size=claim.height + 1,
        ranges=[(part.first_height, len(part.headers))],
        leaf_hashes=[header.digest for header in part.headers],
        path=part.header_path,
    )
    if root != claim.block_root:
        raise ProofError("headers are not under the signed header root")


def check_last_header(part: FeedPart, claim: HeadClaim) -> None:
    """Check 2: the newest header and the head name one leaf tree."""
    last = part.headers[-1]
    if (last.size, last.root) != (claim.size, claim.root):
        raise ConflictError("the last header and the head name other trees")


def check_genesis(leaf: bytes, claim: HeadClaim) -> None:
    """Leaf 0 is the genesis entry that the feed is named after."""
    if feed_id_of_leaf(leaf) != claim.feed_id:
        raise ProofError("leaf 0 is not this feed's genesis")


class Leaves:
    """The supplied leaves, proven under the head's root; knows which were used."""

    def __init__(self, part: FeedPart, claim: HeadClaim) -> None:
        self.check_root(part, claim)
        indexes = (i for first, count in part.ranges for i in range(first, first + count))
        self._leaves = dict(zip(indexes, part.leaves, strict=True))
        self._ranges = list(part.ranges)
        self._used: set[int] = set()

    @staticmethod
    def check_root(part: FeedPart, claim: HeadClaim) -> None:
        """Checks 6 and 10: the leaves are those of the signed tree of the signed size."""
        root = root_from_ranges(
            size=claim.size,
            ranges=part.ranges,
            leaf_hashes=[leaf_hash(leaf) for leaf in part.leaves],
            path=part.leaf_path,
        )
        if root != claim.root:
            raise ProofError("leaves are not under the signed root")

    def raw(self, index: int) -> bytes:
        """Check 6: a leaf that is needed must be there."""
        if index not in self._leaves:
            raise ProofError(f"leaf {index} is missing")
        self._used.add(index)
        return self._leaves[index]

    def all_of(self, span: range) -> range:
        """Check 6: every leaf of a part must be there."""
        for index in span:
            self.raw(index)
        return span

    def entry(self, index: int) -> Entry:
        """The entry in a leaf."""
        try:
            return decode_entry(self.raw(index)[SALT_BYTES:])
        except InputError as error:
            raise ProofError(f"leaf {index} is not an entry: {error}") from error

    def check_all_used(self) -> None:
        """Check 10: every supplied leaf is one that a check asked for."""
        if merge_ranges([(index, 1) for index in self._used]) != self._ranges:
            raise FormatError("leaf proof", "leaves that nobody asked for")


def run_heads_of(part: FeedPart) -> RunHeads:
    """The run heads by (height, audience), each bound by its header."""
    headers = {header.height: header for header in part.headers}
    runs: RunHeads = {}
    for height, audience, head in part.run_heads:
        header = headers.get(height)
        if header is None or (height, audience) in runs:
            raise FormatError("run head", "outside the span, or given twice")
        check_run_digest(header, audience, head)
        check_run_place(header, audience, head)
        check_run_audience(header, audience, head)
        runs[height, audience] = head
    if [key[:2] for key in part.run_heads] != sorted(runs):
        raise FormatError("run head", "not in ascending order")
    return runs


def check_run_digest(header: BlockHeader, audience: int, head: RunHead) -> None:
    """Check 3: the run head is the one that the header lists for the audience."""
    if header.run_digest(audience) != head.digest:
        raise ProofError(f"run head {audience} of height {header.height} is not the header's")


def check_run_place(header: BlockHeader, audience: int, head: RunHead) -> None:
    """Check 3: the run lies inside its block."""
    end = head.first + head.count
    if not header.start <= head.first < end <= header.size:
        raise ProofError(f"run {audience} of height {header.height} lies outside its block")


def check_run_audience(header: BlockHeader, audience: int, head: RunHead) -> None:
    """Check 3: the run holds its audience's slots only."""
    if audience_of(head.slots[0]) != audience:
        raise ProofError(f"run {audience} of height {header.height} has another audience's slots")


def check_runs_asked_for(part: FeedPart, runs: RunHeads) -> None:
    """Check 10: every supplied run head is of an audience that a slot asked for."""
    wanted = {audience_of(slot) for slot in part.slots}
    if any(audience not in wanted for _, audience in runs):
        raise FormatError("run head", "of an audience that nobody asked for")


def _check_slot(part: FeedPart, slot: int, runs: RunHeads, leaves: Leaves) -> SlotProof | None:
    """A slot over the whole span: each summary at its one legal index, each part whole."""
    previous: Summary | None = None
    complete_until: GTime | None = None
    entries: list[tuple[int, int, Entry]] = []
    for header, run_head in slot_runs(part, slot, runs):
        if run_head is None or slot not in run_head.slots:
            check_may_be_absent(slot, header, previous)
            continue
        entry = leaves.entry(run_head.summary_index(slot))
        summary = check_summary_place(entry, header=header, run_head=run_head, slot=slot)
        if header.height > part.first_height or part.first_height == 0:
            span = range(summary.first_index, summary.first_index + summary.count)
            found = [(index, header.height, leaves.entry(index)) for index in leaves.all_of(span)]
            check_part([item[2] for item in found], summary, previous)
            entries += found
        previous, complete_until = summary, entry.time
    if previous is None or complete_until is None:
        return None
    descriptor = leaves.entry(previous.descriptor_index)
    check_is_descriptor(descriptor, slot)
    return SlotProof(
        slot=slot,
        entries=tuple(entries),
        descriptor=descriptor,
        descriptor_index=previous.descriptor_index,
        last=previous,
        complete_until=complete_until,
    )


def check_may_be_absent(slot: int, header: BlockHeader, previous: Summary | None) -> None:
    """Check 8: a slot is missing only before its descriptor or after its retirement."""
    if previous is not None and not previous.retired:
        raise ProofError(f"height {header.height}: slot {slot} is missing")


def check_is_descriptor(entry: Entry, slot: int) -> None:
    """Check 9: what the last summary names as descriptor is one, and the slot's own."""
    if entry.slot != slot or not opens_slot(entry):
        raise ProofError(f"slot {slot}: the named descriptor is none, or another slot's")


def slot_runs(
    part: FeedPart, slot: int, runs: RunHeads
) -> Iterator[tuple[BlockHeader, RunHead | None]]:
    """Each header with the run of the slot's audience, None where the header lists none."""
    audience = audience_of(slot)
    for header in part.headers:
        run_head = runs.get((header.height, audience))
        check_run_is_shown(header, audience, run_head)
        yield header, run_head


def check_run_is_shown(header: BlockHeader, audience: int, run_head: RunHead | None) -> None:
    """Check 3: a run that the header lists for the slot's audience must be shown."""
    if run_head is None and header.run_digest(audience) is not None:
        raise ProofError(f"height {header.height}: the run of audience {audience} is not shown")
