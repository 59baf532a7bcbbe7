"""What the box may let go of, and when: readings that others hold, oldest first.

A block's readings go only where the chain proves that it is anchored, mirrored by enough parties
and opened; headers, run heads, trees, heads and anchor receipts stay for ever. That a block may go
does not mean that it does: first it has to be old enough, or room to be short.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from consortium.errors import ConsortiumError
from ledger.block import BlockHeader
from ledger.chain_proof import decode_chain_part, verify_chain_part
from ledger.entry import PUBLIC_AUDIENCE
from ledger.errors import LedgerError
from ledger.feed_store import (
    FeedName,
    feed_prefix,
    get_value,
    head_at_or_above,
    need_header,
    newest_head,
    pruned_below,
    put_value,
)
from ledger.proven_records import BlockStatement, block_statement, check_record
from ledger.pruning import Pruned, prune
from ledger.store import Store, StoreFullError, Transaction

CHECK_S: Final = 2.0
ASK_AGAIN_S: Final = 60.0  # readers may open a block long after its anchor
ASK_BLOCKS: Final = 64  # of which one answer of the chain speaks
STEP_BLOCKS: Final = 64  # let go in one transaction, which no reading may wait for long
DAY_S: Final = 86_400
PERCENT: Final = 100
RELEASED: Final = "released"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """When readings may leave the box. That they are anchored is no choice: they always have to be.

    keep_days: days for which they stay while there is room. used_percent_max: share of the room for
    the store above which they go earlier. mirrors: parties that must hold them. opened: whether a
    reader must have opened every run and found it good.
    """

    keep_days: int = 400
    used_percent_max: int = 80
    mirrors: int = 2
    opened: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Bytes: held in the store, the store's file, the most it may grow to, free on its disk."""

    used: int
    file: int
    limit: int
    disk_free: int

    @property
    def used_percent(self) -> int:
        """What is held, of all that could be; freed pages of the file count as free."""
        could_be = max(1, min(self.limit, self.file + self.disk_free))
        return self.used * PERCENT // could_be


def released(
    headers: Sequence[BlockHeader], statements: Sequence[BlockStatement], policy: RetentionPolicy
) -> int:
    """How many of these blocks, from the first one on, others have said enough about."""
    for count, header in enumerate(headers):
        about = [s for s in statements if s.block_digest == header.digest]
        if not _is_released(header, about, policy):
            return count
    return len(headers)


def _is_released(
    header: BlockHeader, about: Sequence[BlockStatement], policy: RetentionPolicy
) -> bool:
    if len({s.party for s in about if s.ok is None}) < policy.mirrors:
        return False
    if any(s.ok is False for s in about):
        return False  # somebody disputes it: the readings are needed here
    opened = {s.audience for s in about if s.ok}
    # Nobody states the public run: whoever mirrors it can read it.
    private = {audience for audience, _ in header.runs if audience != PUBLIC_AUDIENCE}
    return not policy.opened or private <= opened


def signed_before(txn: Transaction, feed: FeedName, wall_s: int) -> int:
    """The height below which every block was signed before a time, by the heads' own dates."""
    newest = newest_head(txn, feed)
    low, high = 0, newest.claim.height + 1 if newest else 0
    while low < high:
        middle = (low + high) // 2
        head = head_at_or_above(txn, feed, middle)
        dated_s = head.claim.issued_at_s if head else None
        if head is not None and dated_s is not None and dated_s < wall_s:
            low = head.claim.height + 1
        else:
            high = middle
    return low


class Witness(Protocol):
    """A chain machine that proves what was said about blocks."""

    async def statements(self, feed_id: bytes, epoch: int, *, first: int, last: int) -> bytes:
        """Encoded chain part with every mirror and opened statement about these heights."""


class Keeper:
    """Lets go of what may go, for as long as the gateway runs.

    witnesses: chain machines with the genesis digest each is trusted by. now_s: the time, None
    where it is not known well enough to judge an age by. room: asked before each look.
    """

    def __init__(
        self,
        store: Store,
        feed: FeedName,
        policy: RetentionPolicy,
        *,
        witnesses: Sequence[tuple[Witness, bytes]],
        now_s: Callable[[], int | None],
        room: Callable[[], Room],
    ) -> None:
        self._store, self._feed, self._policy = store, feed, policy
        self._witnesses, self._now_s, self._room = witnesses, now_s, room
        self._word = f"{RELEASED}-{feed[0].hex()}-{feed[1]}"
        self.released_below, self.pruned_below = store.read(self._held)
        self.used_percent, self.used_percent_max = 0, policy.used_percent_max
        self._asked_about = -1  # the newest anchored height when the chain was asked last
        store.make_room = self._make_room

    def _held(self, txn: Transaction) -> tuple[int, int]:
        below = pruned_below(txn, self._feed)
        held = get_value(txn, self._word)
        terms = [self._policy.mirrors, self._policy.opened]
        # What was released under other terms has to be asked again.
        return (max(below, held[0]) if held and held[1:] == terms else below), below

    async def run(self) -> None:
        """Looks again and again until cancelled."""
        loop, ask_at_s = asyncio.get_running_loop(), 0.0
        while True:
            try:
                anchored = await asyncio.to_thread(self._store.read, self._anchored)
                if anchored > self._asked_about or loop.time() >= ask_at_s:
                    ask_at_s = loop.time() + ASK_AGAIN_S
                    self._asked_about = anchored
                    await self.ask()
                await self.let_go()
            except (ConsortiumError, LedgerError) as error:
                _log.warning("not_pruned error=%s", error)
            await asyncio.sleep(CHECK_S)

    async def ask(self) -> None:
        """Asks the chain machines what may go."""
        for witness, genesis_sha256 in self._witnesses:
            try:
                while await self._ask(witness, genesis_sha256):
                    pass
            except (ConsortiumError, LedgerError) as error:
                _log.info("not_released error=%s", error)  # what is known already may still go

    async def _ask(self, witness: Witness, genesis_sha256: bytes) -> bool:
        """Asks about the next blocks; True where all of them may go and more wait."""
        first = self.released_below
        headers = await asyncio.to_thread(self._store.read, lambda txn: self._next(txn, first))
        if not headers:
            return False
        data = await witness.statements(*self._feed, first=first, last=headers[-1].height)
        count = await asyncio.to_thread(self._released, data, genesis_sha256, headers)
        if count:
            self.released_below = first + count
            value = [self.released_below, self._policy.mirrors, self._policy.opened]
            await asyncio.wrap_future(
                self._store.write_later(lambda txn: put_value(txn, self._word, value))
            )
        return count == ASK_BLOCKS

    def _next(self, txn: Transaction, first: int) -> list[BlockHeader]:
        """Headers of the next anchored blocks."""
        heights = range(first, min(first + ASK_BLOCKS, self._anchored(txn) + 1))
        return [need_header(txn, self._feed, height) for height in heights]

    def _anchored(self, txn: Transaction) -> int:
        """The newest height with an anchor receipt: one is kept once it is verified."""
        prefix = feed_prefix(self._feed)
        found = txn.last("anchors", prefix)
        return -1 if found is None else int.from_bytes(found[0][len(prefix) :], "big")

    def _released(self, data: bytes, genesis: bytes, headers: Sequence[BlockHeader]) -> int:
        chain = verify_chain_part(decode_chain_part(data), trusted_genesis_sha256=genesis)
        for leaf in chain.leaves:
            check_record(leaf)
        return released(headers, [block_statement(leaf) for leaf in chain.leaves], self._policy)

    def due_below(self, now_s: int | None) -> int:
        """The height below which readings should go now: old ones, or all that may where room is
        short. now_s: None where the time is not known.
        """
        self.used_percent = self._room().used_percent
        if self.used_percent >= self._policy.used_percent_max or not self._policy.keep_days:
            return self.released_below
        if now_s is None:
            return 0
        before_s = now_s - self._policy.keep_days * DAY_S
        old = self._store.read(lambda txn: signed_before(txn, self._feed, before_s))
        return min(old, self.released_below)

    async def let_go(self) -> None:
        """Lets go of what should go, in steps."""
        while True:
            below = await asyncio.to_thread(self.due_below, self._now_s())
            if below <= self.pruned_below:
                return
            try:
                done = await asyncio.wrap_future(
                    self._store.write_later(lambda txn, b=below: self._prune(txn, b))  # type: ignore[misc]  # bound now
                )
            except StoreFullError:
                return
            if not done.blocks:
                return
            self.pruned_below = done.below
            _log.info(
                "pruned blocks=%d bytes=%d below=%d", done.blocks, done.size_bytes, done.below
            )

    def _prune(self, txn: Transaction, below: int) -> Pruned:
        return prune(txn, self._feed, below=below, blocks_max=STEP_BLOCKS)

    def _make_room(self, txn: Transaction) -> int:
        """On the store's thread, where a block waits for room."""
        return self._prune(txn, self.released_below).blocks
