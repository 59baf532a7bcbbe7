"""Cutting pending entries into a block. Pure: entries, keys, salts and time in; block and new state
out.

No signature is made here: a head signs the newest block header and with it everything before, so an
absent token stops nothing but signing.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ledger.block import (
    BLOCK_LEAVES_MAX,
    NO_PREVIOUS,
    Block,
    BlockHeader,
    Run,
    RunBody,
    RunHead,
)
from ledger.entry import (
    CONTROL_SLOT,
    KIND_RETIREMENT,
    PUBLIC_AUDIENCE,
    SALT_BYTES,
    Entry,
    GTime,
    audience_of,
    encode_entry,
)
from ledger.errors import SealRefusedError
from ledger.frontier import Frontier, TreeNode
from ledger.hashing import leaf_hash, sha256
from ledger.head import NO_HEAD, HeadClaim
from ledger.merkle import dyadic_parts, tree_root
from ledger.sealed import PUBLIC_KEY, RunPlace, content_of, run_key, salted_leaves
from ledger.summary import Summary, opens_slot

PLAIN_BYTES_CUT: Final = 8 << 20
NO_TREE: Final = Frontier()

StatsOf = Callable[[int, Sequence[Entry]], Any]  # of a slot and its entries


@dataclass(frozen=True, slots=True)
class Pending:
    """A journaled entry that is in no block yet."""

    jseq: int
    entry: Entry
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotState:
    """What is sealed of a slot: entries ever, leaf index of its last descriptor, retired or not."""

    total: int
    descriptor_index: int
    retired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceKey:
    """The key under which an audience's runs are encrypted now."""

    key_epoch: int
    key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedState:
    """All that cutting the next block depends on. `height` is the next block's."""

    feed_id: bytes
    epoch: int = 0
    height: int = 0
    jseq_end: int = 0
    prev_digest: bytes = NO_PREVIOUS
    leaves: Frontier = NO_TREE
    headers: Frontier = NO_TREE
    slots: Mapping[int, SlotState]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A block, the feed's state after it, and the tree nodes it completed."""

    block: Block
    state: FeedState
    leaf_nodes: list[TreeNode]
    header_nodes: list[TreeNode]


def take(pending: Sequence[Pending], slot_count: int) -> int:
    """How many of the pending entries fit into one block, at least one."""
    size_bytes, room = 0, BLOCK_LEAVES_MAX - slot_count
    for count, item in enumerate(pending):
        size_bytes += len(item.data)
        # A pending entry may open a slot, whose summary then takes a leaf as well.
        room -= 2 if opens_slot(item.entry) else 1
        if count and (size_bytes > PLAIN_BYTES_CUT or room < 0):
            return count
    return len(pending)


def cut(
    state: FeedState,
    pending: Sequence[Pending],
    *,
    time: GTime,
    keys: Mapping[int, AudienceKey],
    fresh_salt: Callable[[], bytes],
    stats_of: StatsOf,
) -> Cut:
    """The next block over all of `pending` (as `take` allows), one run per audience.

    fresh_salt: 32 random bytes at each call. Raises SealRefusedError without a key for an audience.
    """
    by_slot: dict[int, list[Pending]] = defaultdict(list)
    for item in pending:
        by_slot[item.entry.slot].append(item)
    slots = dict(state.slots)
    at, leaves, nodes = state.leaves.size, state.leaves, list[TreeNode]()
    runs = []
    for audience in _audiences(state, by_slot):
        part = _RunPart(audience, at, state.height, time, stats_of)
        part.fill(slots, by_slot)
        place = _place(state, audience, keys)
        run, leaves, grown = _seal_run(part, place, _key(audience, keys), fresh_salt(), leaves)
        at += run.head.count
        nodes += grown
        runs.append(run)
    header = BlockHeader(
        feed_id=state.feed_id,
        epoch=state.epoch,
        height=state.height,
        start=state.leaves.size,
        size=at,
        root=leaves.root(),
        jseq_end=pending[-1].jseq if pending else state.jseq_end,
        prev_digest=state.prev_digest,
        runs=tuple((run.audience, run.head.digest) for run in runs),
    )
    headers, header_nodes = state.headers.grow(0, header.digest)
    after = replace(
        state,
        height=state.height + 1,
        jseq_end=header.jseq_end,
        prev_digest=header.digest,
        leaves=leaves,
        headers=headers,
        slots=slots,
    )
    block = Block(header=header, runs=tuple(runs))
    return Cut(block=block, state=after, leaf_nodes=nodes, header_nodes=header_nodes)


def _audiences(state: FeedState, by_slot: Iterable[int]) -> list[int]:
    """Audiences of this block: public, every one with a living slot, every one with an entry."""
    living = {audience_of(slot) for slot, held in state.slots.items() if not held.retired}
    return sorted({PUBLIC_AUDIENCE, *living, *(audience_of(slot) for slot in by_slot)})


def _key(audience: int, keys: Mapping[int, AudienceKey]) -> AudienceKey:
    if audience == PUBLIC_AUDIENCE:
        return AudienceKey(key_epoch=0, key=PUBLIC_KEY)
    if audience not in keys:
        raise SealRefusedError(f"no key for audience {audience}")
    return keys[audience]


def _place(state: FeedState, audience: int, keys: Mapping[int, AudienceKey]) -> RunPlace:
    return RunPlace(
        feed_id=state.feed_id,
        epoch=state.epoch,
        height=state.height,
        audience=audience,
        key_epoch=_key(audience, keys).key_epoch,
    )


class _RunPart:
    """The entries of one run in leaf order, summaries last."""

    def __init__(
        self,
        audience: int,
        first: int,
        height: int,
        time: GTime,
        stats_of: StatsOf,
    ) -> None:
        self.audience, self.first, self._height = audience, first, height
        self._time, self._stats_of = time, stats_of
        self.entries: list[Entry] = []
        self.data: list[bytes] = []
        self.slots: list[int] = []

    def fill(self, slots: dict[int, SlotState], by_slot: Mapping[int, list[Pending]]) -> None:
        """Takes every slot of the audience; `slots` is brought up to date."""
        names = {slot for slot, held in slots.items() if not held.retired} | set(by_slot)
        summaries = []
        for slot in sorted(name for name in names if audience_of(name) == self.audience):
            summary = self._take_slot(slot, slots, by_slot.get(slot, []))
            summaries.append(summary.to_entry(self._time))
            self.slots.append(slot)
        self.entries += summaries
        self.data += [encode_entry(summary) for summary in summaries]

    def _take_slot(
        self, slot: int, slots: dict[int, SlotState], items: Sequence[Pending]
    ) -> Summary:
        items = sorted(items, key=lambda item: item.entry.srcseq)
        held = slots.get(slot)
        first_index = self.first + len(self.data)
        total = held.total if held else 0
        descriptor = held.descriptor_index if held else None
        for offset, item in enumerate(items):
            if item.entry.srcseq != total + offset:
                raise SealRefusedError(f"slot {slot}: srcseq {item.entry.srcseq} after {total}")
            if opens_slot(item.entry):
                descriptor = first_index + offset
        if descriptor is None:
            raise SealRefusedError(f"slot {slot} begins without a descriptor")
        retired = bool(items) and items[-1].entry.kind == KIND_RETIREMENT
        entries = [item.entry for item in items]
        self.entries += entries
        self.data += [item.data for item in items]
        slots[slot] = SlotState(
            total=total + len(items), descriptor_index=descriptor, retired=retired
        )
        return Summary(
            slot=slot,
            total=total + len(items),
            height=self._height,
            first_index=first_index,
            count=len(items),
            descriptor_index=descriptor,
            retired=retired,
            stats=self._stats_of(slot, entries),
        )


def _seal_run(
    part: _RunPart, place: RunPlace, audience_key: AudienceKey, run_salt: bytes, leaves: Frontier
) -> tuple[Run, Frontier, list[TreeNode]]:
    key = run_key(audience_key.key, run_salt, place)
    salts = key.salts(len(part.data))
    if part.first == 0 and part.audience == PUBLIC_AUDIENCE:
        salts = bytes(SALT_BYTES) + salts[SALT_BYTES:]
    hashes = [leaf_hash(leaf) for leaf in salted_leaves(part.data, salts)]
    subtrees, nodes = [], list[TreeNode]()
    for level, index in dyadic_parts(part.first, part.first + len(hashes)):
        begin = (index << level) - part.first
        root = tree_root(hashes[begin : begin + (1 << level)])
        subtrees.append(root)
        leaves, complete = leaves.grow(level, root)
        nodes += complete
    plain = b"".join(part.data)
    codec, content = content_of(part.entries, plain)
    ciphertext = key.encrypt(content)
    body = RunBody(
        subtrees=tuple(subtrees),
        codec=codec,
        run_salt=run_salt,
        key_commit=key.commitment,
        ct_digest=sha256(ciphertext),
        ct_bytes=len(ciphertext),
        plain_bytes=len(plain),
    )
    head = RunHead(
        key_epoch=audience_key.key_epoch,
        first=part.first,
        count=len(hashes),
        slots=tuple(part.slots),
        body_digest=body.digest,
    )
    return Run(audience=part.audience, head=head, body=body, ciphertext=ciphertext), leaves, nodes


def head_claim(
    state: FeedState,
    *,
    alg: int,
    kid: bytes,
    issuer: str,
    subject: str,
    issued_at_s: int | None,
    counter: int | None,
    prev_head_digest: bytes = NO_HEAD,
) -> HeadClaim:
    """The claim of a head over everything cut so far; raises SealRefusedError if nothing is."""
    if state.height == 0 or CONTROL_SLOT not in state.slots:
        raise SealRefusedError("no block to sign")
    return HeadClaim(
        alg=alg,
        kid=kid,
        issuer=issuer,
        subject=subject,
        issued_at_s=issued_at_s,
        feed_id=state.feed_id,
        epoch=state.epoch,
        height=state.height - 1,
        size=state.leaves.size,
        counter=counter,
        block_root=state.headers.root(),
        prev_head_digest=prev_head_digest,
        root=state.leaves.root(),
    )
