"""Feeds that gateways sent: mirrored whole, opened where this machine holds a key, offered for
anchoring.

This is what is plugged into the bare chain machine (`consortium.compose`). It holds `ledger.store`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Final

from consortium.anchorer import Anchored, ConflictRow, MirrorRow, OpenedRow
from consortium.node import ChainNode
from consortium.reader_keys import ReaderKeys
from ledger.entry import PUBLIC_AUDIENCE
from ledger.errors import OpeningError, ProofError, UncheckableError
from ledger.feed import AnchorItem, AnchorState
from ledger.feed_store import (
    FeedName,
    feed_prefix,
    feeds,
    get_header,
    get_run_head,
    get_value,
    need_header,
    put_value,
)
from ledger.gossip import FeedReceiver
from ledger.mirror import anchor_item, conflicts_of, contradiction, open_held_run, signed_height
from ledger.opening import OpenedRun, check_continues
from ledger.signing import PublicKey
from ledger.store import Store, Transaction
from ledger.store_exchange import StoreSink
from logistics.summary_claims import slot_with_wrong_claim

_log = logging.getLogger(__name__)
OPEN_BATCH: Final = 64
NOTICE_POLL_S: Final = 1.0
OPENED_OK, OPENED_BAD, NOT_OPENED = b"\x01", b"\x00", b"\x02"

OnOpened = Callable[[OpenedRun], None]


class FeedRoom:
    """Everything that this machine holds of others' feeds."""

    def __init__(
        self, store: Store, node: ChainNode, *, reader_secret: bytes, on_opened: OnOpened
    ) -> None:
        self.store, self._node = store, node
        self._keys, self._on_opened = ReaderKeys(store, reader_secret), on_opened
        self.key_for = self._keys.key_for
        self._public_keys: dict[bytes, PublicKey] = {}
        self._last: dict[tuple[FeedName, int], OpenedRun] = {}
        self._poke: Callable[[], None] = lambda: None
        self.notice_for: Callable[[bytes], bytes | None] = lambda _: None
        self.notice_poll_s = NOTICE_POLL_S
        self._agreed: dict[FeedName, bytes] = {}  # digest of the anchored head that was compared
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def on_change(self, poke: Callable[[], None]) -> None:
        """`poke` is called whenever something new may be anchored or stated."""
        self._poke = poke

    # Gossip ---------------------------------------------------------------------------------

    async def open_session(self) -> "FeedSession":
        """A session for a new stream."""
        return FeedSession(self.receiver(), self.notice_for, self.notice_poll_s)

    def receiver(self) -> FeedReceiver:
        """What takes one peer's messages, or one file's, into the store."""
        return FeedReceiver(StoreSink(self.store, self.key_of, self._note_change))

    def key_of(self, feed_id: bytes) -> PublicKey | None:
        """The present key of a feed, None where it is not enrolled, or no longer."""
        gateway = self._node.get("gateway", feed_id)
        if gateway is None or gateway[6] is not None:
            return None
        key = self._public_keys.get(feed_id)
        if key is None or key.spki != gateway[2]:  # another may have followed
            key = self._public_keys[feed_id] = PublicKey(gateway[1], gateway[2])
        return key

    def _note_change(self, feed: FeedName) -> None:
        del feed  # every task looks at all feeds
        self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._changed.set()
        self._poke()

    # Heads and statements for the anchorer --------------------------------------------------

    async def anchor_items(self, anchored: Anchored, limit: int) -> Sequence[AnchorItem]:
        """For each feed whose newest head is newer than anchored: that head with its paths."""
        return await asyncio.to_thread(self._anchor_items, anchored, limit)

    def _anchor_items(self, anchored: Anchored, limit: int) -> list[AnchorItem]:
        items: list[AnchorItem] = []
        for feed in self.store.read(feeds):
            if self._is_frozen(feed):
                continue
            item = self._anchor_item(feed, anchored(*feed))
            if item is not None:
                items.append(item)
            if len(items) == limit:
                break
        return items

    def _is_frozen(self, feed: FeedName) -> bool:
        """Whether the chain has a conflict of this epoch, or of one after it."""
        frozen = self._node.get("frozen", feed[0])
        return frozen is not None and bool(frozen[4] >= feed[1])

    async def conflicts(self, limit: int) -> Sequence[ConflictRow]:
        """Evidence of conflicts that the chain does not have yet, one of each feed."""
        return await asyncio.to_thread(self._conflicts, limit)

    def _conflicts(self, limit: int) -> list[ConflictRow]:
        held = [
            (feed[0], evidence)
            for feed in self.store.read(feeds)
            if not self._is_frozen(feed)
            for evidence in self.store.read(lambda txn, feed=feed: conflicts_of(txn, feed))[:1]  # type: ignore[misc]  # bound now
        ]
        return held[:limit]

    async def contradictions(self, anchored: Anchored, limit: int) -> Sequence[ConflictRow]:
        """Evidence that a feed's history held here is not the one that is anchored."""
        return await asyncio.to_thread(self._contradictions, anchored, limit)

    def _contradictions(self, anchored: Anchored, limit: int) -> list[ConflictRow]:
        rows: list[ConflictRow] = []
        for feed in self.store.read(feeds):
            state = anchored(*feed)
            # Once both agree at a height they agree below; only a new anchor can say otherwise.
            if state is None or self._agreed.get(feed) == state.head_digest:
                continue
            if self._is_frozen(feed):
                continue
            evidence = self.store.read(partial(contradiction, feed=feed, anchored=state))
            if evidence:
                rows.append((feed[0], evidence))
            elif evidence is not None:
                self._agreed[feed] = state.head_digest
            if len(rows) == limit:
                break
        return rows

    def _anchor_item(self, feed: FeedName, previous: AnchorState | None) -> AnchorItem | None:
        """What anchors a feed's newest head; one that cannot be offered holds up no other."""
        try:
            return self.store.read(lambda txn: anchor_item(txn, feed, previous))
        except (UncheckableError, OpeningError) as error:
            _log.warning("feed_not_offered feed=%s error=%s", feed[0].hex()[:8], error)
            return None

    async def mirror_statements(self, limit: int) -> Sequence[MirrorRow]:
        """Signed blocks held durably and not yet recorded as mirrored."""
        return await asyncio.to_thread(self.store.read, lambda txn: _mirror_rows(txn, limit))

    async def opened_statements(self, limit: int) -> Sequence[OpenedRow]:
        """Runs opened and checked and not yet recorded as opened."""
        return await asyncio.to_thread(self.store.read, lambda txn: _opened_rows(txn, limit))

    async def mirror_recorded(self, rows: Sequence[MirrorRow]) -> None:
        """Moves each feed's mark behind what is recorded."""
        await self._advance("mirror", [(row[0], row[1], row[2]) for row in rows])

    async def opened_recorded(self, rows: Sequence[OpenedRow]) -> None:
        """Moves each feed's mark behind what is recorded."""
        await self._advance("stated", [(row[0], row[1], row[2]) for row in rows])

    async def _advance(self, name: str, rows: Sequence[tuple[bytes, int, int]]) -> None:
        tops: dict[FeedName, int] = {}
        for feed_id, epoch, height in rows:
            tops[feed_id, epoch] = max(tops.get((feed_id, epoch), 0), height + 1)

        def work(txn: Transaction) -> None:
            for feed, top in tops.items():
                put_value(txn, _mark(name, feed), top)

        await asyncio.wrap_future(self.store.write_later(work))

    # Opening --------------------------------------------------------------------------------

    def feed_again(self, held: Mapping[tuple[bytes, int, int], int]) -> None:
        """Gives opened runs that a reader of `on_opened` does not hold to it once more.

        held: newest height by (feed id, epoch, audience).
        """
        for feed in self.store.read(feeds):
            self._learn_keys(feed)
            done = self.store.read(lambda txn, f=feed: get_value(txn, _mark("opened", f))) or 0  # type: ignore[misc]  # bound now
            for height in range(done):
                self._give_again(feed, height, held)

    def _give_again(
        self, feed: FeedName, height: int, held: Mapping[tuple[bytes, int, int], int]
    ) -> None:
        header = self.store.read(lambda txn: need_header(txn, feed, height))
        for audience, _ in header.runs:
            if height <= held.get((*feed, audience), -1):
                continue
            opened = self.store.read(partial(self._good_run, feed=feed, at=(height, audience)))
            if opened is not None:
                self._on_opened(opened)

    def _good_run(self, txn: Transaction, feed: FeedName, at: tuple[int, int]) -> OpenedRun | None:
        """A run that was found good and is still held, in clear. at: height and audience."""
        height, audience = at
        if txn.get("statements", _result_key(feed, height, audience)) != OPENED_OK:
            return None
        head = get_run_head(txn, feed, height=height, audience=audience)
        key = self.key_for(feed[0], audience, head.key_epoch) if head else None
        if key is None:
            return None
        try:
            return open_held_run(txn, feed, height=height, audience=audience, key=key)
        except UncheckableError:  # pruned since
            return None

    async def open_runs(self) -> None:
        """Opens what this machine's key may open, block by block, until cancelled."""
        while True:
            self._changed.clear()
            more = await asyncio.to_thread(self._open_some)
            if more:
                self._poke()
            else:
                await self._changed.wait()

    def _open_some(self) -> bool:
        opened = [self._open_feed(feed) for feed in self.store.read(feeds)]
        return any(opened)

    def _open_feed(self, feed: FeedName) -> bool:
        self._learn_keys(feed)
        done = self.store.read(lambda txn: get_value(txn, _mark("opened", feed))) or 0
        top = self.store.read(lambda txn: signed_height(txn, feed))
        heights = range(done, min(top + 1, done + OPEN_BATCH))
        for height in heights:
            results = self.store.read(lambda txn, h=height: self._open_block(txn, feed, h))  # type: ignore[misc]  # bound now
            self.store.write(lambda txn, h=height, r=results: _save_results(txn, feed, h, r))  # type: ignore[misc]  # bound now
        return bool(heights)

    def _learn_keys(self, feed: FeedName) -> None:
        """Opens new grants. With a key more, earlier blocks are gone through again for its runs."""
        self._keys.learn(feed, lambda txn: _begin_again(txn, feed))

    def _open_block(self, txn: Transaction, feed: FeedName, height: int) -> dict[int, bytes]:
        header, results = need_header(txn, feed, height), {}
        for audience, _ in header.runs:
            held = txn.get("statements", _result_key(feed, height, audience))
            known = held in (OPENED_OK, OPENED_BAD)
            results[audience] = (
                held if held and known else self._open_run(txn, feed, height, audience)
            )
        return results

    def _open_run(self, txn: Transaction, feed: FeedName, height: int, audience: int) -> bytes:
        head = get_run_head(txn, feed, height=height, audience=audience)
        key = self.key_for(feed[0], audience, head.key_epoch) if head else None
        if key is None:
            return NOT_OPENED
        try:
            opened = open_held_run(txn, feed, height=height, audience=audience, key=key)
            check_continues(opened, self._previous(txn, feed, height, audience))
        except UncheckableError:
            return NOT_OPENED
        except OpeningError as error:
            _log.error("run_not_opened height=%d audience=%d error=%s", height, audience, error)
            return OPENED_BAD if error.reason is not None else NOT_OPENED
        except ProofError as error:
            _log.error("run_bad height=%d audience=%d error=%s", height, audience, error)
            return OPENED_BAD
        self._last[feed, audience] = opened
        wrong = slot_with_wrong_claim(opened)
        if wrong is not None:
            _log.error("summary_wrong height=%d audience=%d slot=%d", height, audience, wrong)
            return OPENED_BAD
        self._on_opened(opened)
        return OPENED_OK

    def _previous(
        self, txn: Transaction, feed: FeedName, height: int, audience: int
    ) -> OpenedRun | None:
        """The audience's run of the block before, opened again after a restart; None where it had
        none. Raises UncheckableError where it does not open: this one is not to blame for that.
        """
        held = self._last.get((feed, audience))
        if held is not None and held.header.height == height - 1:
            return held
        head = get_run_head(txn, feed, height=height - 1, audience=audience) if height else None
        if head is None:
            return None
        key = self.key_for(feed[0], audience, head.key_epoch)
        if key is None:
            raise UncheckableError(f"no key here for the run before, of block {height - 1}")
        try:
            return open_held_run(txn, feed, height=height - 1, audience=audience, key=key)
        except OpeningError as error:
            raise UncheckableError(f"the run before does not open: {error}") from error


class FeedSession:
    """One peer's stream."""

    def __init__(
        self,
        receiver: FeedReceiver,
        notice_for: Callable[[bytes], bytes | None],
        notice_poll_s: float = NOTICE_POLL_S,
    ) -> None:
        self._receiver, self._notice_for = receiver, notice_for
        self._notice_poll_s = notice_poll_s
        self._told: dict[bytes, bytes] = {}  # the notice that each feed's owner was sent last
        self._ended = asyncio.Event()

    async def receive(self, message: bytes) -> list[bytes]:
        """Takes one message; returns what to send at once."""
        return await asyncio.to_thread(self._receiver.receive, message)

    async def outgoing(self) -> AsyncIterator[bytes]:
        """What this side says by itself: each new notice for a feed that the peer offers."""
        while not self._ended.is_set():
            for feed_id in self._receiver.taken_feeds():
                notice = self._notice_for(feed_id)
                if notice is not None and self._told.get(feed_id) != notice:
                    self._told[feed_id] = notice
                    yield notice
            try:
                await asyncio.wait_for(self._ended.wait(), self._notice_poll_s)
            except TimeoutError:
                continue

    def close(self) -> None:
        """The stream has ended, or is to end."""
        self._ended.set()


def _mark(name: str, feed: FeedName) -> str:
    return f"{name}-{feed[0].hex()}-{feed[1]}"


def _result_key(feed: FeedName, height: int, audience: int) -> bytes:
    return feed_prefix(feed) + height.to_bytes(8, "big") + audience.to_bytes(2, "big")


def _save_results(txn: Transaction, feed: FeedName, height: int, results: dict[int, bytes]) -> None:
    for audience, result in results.items():
        txn.put("statements", _result_key(feed, height, audience), result)
    put_value(txn, _mark("opened", feed), height + 1)
    # Blocks with nothing to state are passed here, or each round would look at all of them again.
    stated = get_value(txn, _mark("stated", feed)) or 0
    if stated == height and not any(_is_statement(*item) for item in results.items()):
        put_value(txn, _mark("stated", feed), height + 1)


def _is_statement(audience: int, result: bytes | None) -> bool:
    return audience != PUBLIC_AUDIENCE and result in (OPENED_OK, OPENED_BAD)


def _begin_again(txn: Transaction, feed: FeedName) -> None:
    put_value(txn, _mark("opened", feed), 0)
    put_value(txn, _mark("stated", feed), 0)


def _mirror_rows(txn: Transaction, limit: int) -> list[MirrorRow]:
    rows: list[MirrorRow] = []
    for feed in feeds(txn):
        start = get_value(txn, _mark("mirror", feed)) or 0
        for height in range(start, signed_height(txn, feed) + 1):
            header = get_header(txn, feed, height)
            if header is None or len(rows) == limit:
                break
            rows.append((*feed, height, header.digest))
    return rows


def _opened_rows(txn: Transaction, limit: int) -> list[OpenedRow]:
    rows: list[OpenedRow] = []
    for feed in feeds(txn):
        start = get_value(txn, _mark("stated", feed)) or 0
        end = get_value(txn, _mark("opened", feed)) or 0
        for height in range(start, end):
            header = get_header(txn, feed, height)
            if header is None or (rows and len(rows) + len(header.runs) > limit):
                break
            for audience, _ in header.runs:
                result = txn.get("statements", _result_key(feed, height, audience))
                if _is_statement(audience, result):
                    ok = result == OPENED_OK
                    rows.append((*feed, height, audience, header.digest, ok))
    return rows
