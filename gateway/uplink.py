"""Carries the feed to a chain machine and fetches the chain's proof of it, until that proof is
held.

Nothing is handed over and forgotten: the store stays the queue, so what a peer loses is sent again.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, Protocol

from consortium.errors import ChainUnavailableError, ConsortiumError, NotYetProvenError
from ledger.chain_proof import (
    RECORD_ANCHOR,
    RECORD_MIRROR,
    RECORD_OPENED,
    LogLeaf,
    decode_chain_part,
    verify_chain_part,
)
from ledger.errors import InputError, LedgerError
from ledger.feed_store import FeedName, feed_prefix, newest_head
from ledger.gossip import NO_NOT_ENROLLED, FeedSender
from ledger.peer import PEER_UNKNOWN
from ledger.store import Store
from ledger.store_exchange import StoreSource

_HOLDS_NOTHING: Final = (NO_NOT_ENROLLED, PEER_UNKNOWN)
_log = logging.getLogger(__name__)


class Conversation(Protocol):
    """Messages to and from one peer."""

    async def send(self, message: bytes) -> None:
        """Sends one message; raises ChainUnavailableError when the peer is gone."""

    async def receive(self) -> bytes | None:
        """The next message, None when the peer ended; raises ChainUnavailableError."""


class ChainDoor(Protocol):
    """The calls of `consortium.client` that the uplink makes."""

    def gossip(self) -> AbstractAsyncContextManager[Conversation]:
        """A conversation with the machine's mirror."""

    async def feed_part(self, feed_id: bytes, epoch: int, height: int) -> bytes:
        """Encoded chain part: first anchor at this height or above, statements up to it."""


def _spread() -> float:
    return random.uniform(0.5, 1.0)  # noqa: S311  # spreads retries, no secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a chain machine is asked, in seconds. `spread`: the share of a wait that is waited,
    so that many gateways do not come back at once.
    """

    retry_s_min: float = 0.5
    retry_s_max: float = 8.0
    anchor_poll_s: float = 1.0
    opened_poll_s: float = 3.0
    spread: Callable[[], float] = _spread


@dataclass(slots=True)
class Progress:
    """What others have said of this feed; heights, -1 where nothing yet."""

    connected: bool = False
    mirrored_height: int = -1
    anchored_height: int = -1
    anchored_chain_height: int = -1
    opened_height: int = -1
    parties_mirrored: set[bytes] = field(default_factory=set)
    refusals: list[str] = field(default_factory=list)
    bytes_sent: int = 0
    pruned_wanted: int | None = None  # height that the peer asks for and that was let go here


PACE: Final = Pace()


class Uplink:
    """One chain machine's connection, renewed for ever."""

    def __init__(
        self,
        door: ChainDoor,
        store: Store,
        feed: FeedName,
        *,
        genesis_sha256: bytes,
        blocks_here: Callable[[], int],
        behind: Callable[[str], None],
        on_notice: Callable[[int, bytes], None] = lambda *_: None,
        pace: Pace = PACE,
    ) -> None:
        self._door, self._store, self._feed = door, store, feed
        self._genesis_sha256, self._blocks_here, self._behind = genesis_sha256, blocks_here, behind
        self._on_notice, self.pace = on_notice, pace
        # Feeds of neighbours that are carried behind the own one, and what the peer holds of them.
        self.others: Callable[[], Sequence[FeedName]] = tuple
        self.on_others: Callable[[FeedName, int], None] = lambda *_: None
        self.progress = Progress()
        self.changed = asyncio.Event()
        self.first_word = asyncio.Event()
        self._anchored = asyncio.Event()

    async def run(self) -> None:
        """Carries until cancelled."""
        await asyncio.to_thread(self._go_on_from_store)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._for_ever("carry", self._carry))
            group.create_task(self._for_ever("anchor", self._fetch_anchor))

    async def anchored_up_to(self, height: int) -> None:
        """Returns once the anchor receipt of a height is held."""
        while self.progress.anchored_height < height:
            self._anchored.clear()
            await self._anchored.wait()

    async def _for_ever(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        pace = self.pace
        delay_s = pace.retry_s_min
        while True:
            try:
                await work()
                delay_s = pace.retry_s_min
            except (ConsortiumError, LedgerError) as error:
                _log.warning("uplink_lost work=%s retry_s=%.1f error=%s", name, delay_s, error)
                delay_s = min(delay_s * 2, pace.retry_s_max)
            await asyncio.sleep(delay_s * pace.spread())

    async def _carry(self) -> None:
        sender = FeedSender(StoreSource(self._store, [self._feed, *self.others()]))
        async with self._door.gossip() as peer:
            self.progress.connected = True
            _log.info("uplink_connected")
            # Not a task group: one that fails in the moment of its cancelling loses the cancelling,
            # and a gateway that is told to stop would go on for ever.
            tasks = [
                asyncio.create_task(self._listen(peer, sender)),
                asyncio.create_task(self._speak(peer, sender)),
            ]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            except InputError as error:
                raise ChainUnavailableError(f"peer sent {error}") from error
            finally:
                self.progress.connected = False
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _speak(self, peer: Conversation, sender: FeedSender) -> None:
        while True:
            self.changed.clear()
            for message in await asyncio.to_thread(sender.outgoing):
                await peer.send(message)
                self.progress.bytes_sent += len(message)
            self.progress.pruned_wanted = sender.not_held.get(self._feed)
            await self.changed.wait()

    async def _listen(self, peer: Conversation, sender: FeedSender) -> None:
        while (data := await peer.receive()) is not None:
            sender.receive(data)
            while sender.notices:
                (_, topic), notice = sender.notices.popitem()
                self._on_notice(topic, notice)
            held = sender.held_by_peer.get(self._feed)
            if held is not None:
                self._judge_peer(held[0])
            self._look_at_others(sender)
            for _, _, text in sender.refusals:
                self.progress.refusals = [*self.progress.refusals[-9:], text]
                _log.warning("uplink_refused text=%s", text)
            if sender.refusals:
                if any(code in _HOLDS_NOTHING for _, code, _ in sender.refusals):
                    self.first_word.set()
                # Not enrolled yet, most often: the connection is made anew after a while.
                raise ChainUnavailableError(sender.refusals[-1][2])
            self.changed.set()

    def _look_at_others(self, sender: FeedSender) -> None:
        """What a peer says of a neighbour's feed never breaks off the own one."""
        own = self._feed[0]
        for feed_id, _, text in sender.refusals:
            if feed_id not in (own, b""):
                _log.warning("neighbour_refused feed=%s text=%s", feed_id.hex()[:8], text)
        sender.refusals[:] = [row for row in sender.refusals if row[0] in (own, b"")]
        for feed, (blocks, _) in sender.held_by_peer.items():
            if feed[0] != own:
                self.on_others(feed, blocks)

    def _judge_peer(self, blocks_there: int) -> None:
        """A peer that holds more of our feed than we do: this store is an old copy of itself."""
        self.first_word.set()
        self._compare("a peer holds", blocks_there)

    def _compare(self, who: str, blocks_there: int) -> None:
        blocks_here = self._blocks_here()
        if blocks_there > blocks_here:
            self._behind(
                f"{who} {blocks_there} blocks of this feed, this store {blocks_here}: "
                "an old copy, or a disk that lost what it had promised. Readings stay in the "
                "journal; bring the newest copy of data_dir back, or enrol this box anew"
            )

    async def _fetch_anchor(self) -> None:
        """Asks for the anchor receipt of the newest head until it is held, then of the next."""
        await self._look_ahead()
        while True:
            head = await asyncio.to_thread(
                self._store.read, lambda txn: newest_head(txn, self._feed)
            )
            opened_all = self.progress.opened_height >= self.progress.anchored_height
            wanted = self.progress.anchored_height + 1
            if head is not None and (head.claim.height >= wanted or not opened_all):
                await self._ask(min(wanted, head.claim.height))
            settled = head is None or head.claim.height < self.progress.anchored_height + 1
            pace = self.pace
            await asyncio.sleep(pace.opened_poll_s if settled else pace.anchor_poll_s)

    async def _look_ahead(self) -> None:
        """Boot guard: a chain that anchored what this store does not hold, though no mirror kept
        it.
        """
        feed_id, epoch = self._feed
        try:
            data = await self._door.feed_part(feed_id, epoch, self._blocks_here())
        except NotYetProvenError:
            return
        part = decode_chain_part(data)
        chain = verify_chain_part(part, trusted_genesis_sha256=self._genesis_sha256)
        anchored = [leaf.record[3] for leaf in chain.leaves if self._is_ours(leaf, RECORD_ANCHOR)]
        self._compare("the chain anchored", max(anchored, default=-1) + 1)

    def _go_on_from_store(self) -> None:
        """Begins behind the newest anchor receipt that is held: a year of them is not fetched anew.

        What does not prove itself by this machine's chain is another machine's, or bit rot.
        """
        try:
            found = self._store.read(lambda txn: txn.last("anchors", feed_prefix(self._feed)))
            if found is not None:
                self._take(found[1])
        except LedgerError as error:
            _log.warning("anchor_receipt_not_used error=%s", error)

    async def _ask(self, height: int) -> None:
        feed_id, epoch = self._feed
        try:
            data = await self._door.feed_part(feed_id, epoch, height)
        except NotYetProvenError:
            return
        if not self._take(data):
            return
        place = feed_prefix(self._feed) + self.progress.anchored_height.to_bytes(8, "big")
        await asyncio.wrap_future(
            self._store.write_later(lambda txn: txn.put("anchors", place, data))
        )

    def _take(self, data: bytes) -> bool:
        """Verifies a chain part and notes what it says; True where an anchor of ours is in it."""
        part = decode_chain_part(data)
        chain = verify_chain_part(part, trusted_genesis_sha256=self._genesis_sha256)
        anchored = [leaf for leaf in chain.leaves if self._is_ours(leaf, RECORD_ANCHOR)]
        if anchored:
            self._note(chain.leaves, anchored[-1], chain.height)
        return bool(anchored)

    def _is_ours(self, leaf: LogLeaf, kind: int) -> bool:
        return leaf.record[0] == kind and leaf.record[1:3] == self._feed

    def _note(self, leaves: tuple[LogLeaf, ...], anchor: LogLeaf, chain_height: int) -> None:
        progress = self.progress
        if anchor.record[3] > progress.anchored_height:
            progress.anchored_height = anchor.record[3]
            progress.anchored_chain_height = chain_height
            self._anchored.set()
            _log.info("anchored height=%d chain_height=%d", anchor.record[3], chain_height)
        for leaf in leaves:
            if self._is_ours(leaf, RECORD_MIRROR):
                progress.mirrored_height = max(progress.mirrored_height, leaf.record[3])
                progress.parties_mirrored.add(leaf.record[5])
            elif self._is_ours(leaf, RECORD_OPENED) and leaf.record[6] is True:
                progress.opened_height = max(progress.opened_height, leaf.record[3])
