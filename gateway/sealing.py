"""When blocks are cut and heads are signed. What a block is, `ledger.sealer` knows.

Cutting needs no key holder. Signing follows on its own: while the token is away blocks are cut as
ever, and
one signature covers them all when it is back.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from firmware_bridge.errors import KeyHolderError, SignerUnavailableError
from gateway.clock import TimeModel
from gateway.config import SealConfig
from gateway.errors import IdentityError
from gateway.head_counter import HeadCounter
from gateway.intake import Intake
from gateway.slots import SlotBook
from ledger.cose import sign1_encode
from ledger.entry import CONTROL_SLOT, Entry, GTime
from ledger.feed_store import get_value, newest_head, put_cut, put_head, put_value
from ledger.head import NO_HEAD, SIZE_MIN, Head, HeadClaim, decode_head
from ledger.sealer import AudienceKey, Cut, FeedState, Pending, cut, head_claim, take
from ledger.signing import Signer
from ledger.store import Store, Transaction
from logistics.reading import stats
from logistics.records import READING_KINDS, record_of

SALT_BYTES: Final = 32  # of a run
RETRY_S_MIN: Final = 0.5
RETRY_S_MAX: Final = 30.0
_log = logging.getLogger(__name__)


def stats_of(entries: Sequence[Entry]) -> list[int]:
    """The summary's claim over a slot's readings of one block; recomputed by whoever opens them."""
    readings = [entry for entry in entries if entry.kind in READING_KINDS]
    return stats([record_of(entry.kind, entry.body) for entry in readings])


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedIdentity:
    """Whose feed it is, as heads say it."""

    party: str
    gateway: str


class Cutter:
    """Cuts blocks by count, by time and on demand."""

    def __init__(
        self,
        *,
        store: Store,
        intake: Intake,
        clock: TimeModel,
        sealed_book: SlotBook,
        state: FeedState,
        keys: Mapping[int, AudienceKey],
        config: SealConfig,
        config_digest: bytes = b"",
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._random_bytes = random_bytes
        self._store, self.intake, self._clock = store, intake, clock
        self._sealed_book, self._keys, self._config = sealed_book, keys, config
        self._config_digest = config_digest
        self.state = state
        self.cut_made = asyncio.Event()
        self._lock = asyncio.Lock()
        self._demand = asyncio.Event()
        self.is_held = False

    def hold(self) -> None:
        """Cuts no more: at the next height a witness holds a block that this store lost."""
        self.is_held = True

    def demand(self) -> None:
        """Asks for a block now."""
        self._demand.set()
        self.intake.grown.set()

    async def run(self) -> None:
        """Cuts until cancelled or held."""
        while not self.is_held:
            await self._due()
            await self.cut_all()

    async def _due(self) -> None:
        """Returns when a block is due: enough entries, the oldest old enough, idle long enough, or
        asked.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        waiting_since: float | None = None
        while not self._demand.is_set() and len(self.intake.pending) < self._config.count:
            now = loop.time()
            if self.intake.pending and waiting_since is None:
                waiting_since = now
            due = started + self._config.idle_s
            if waiting_since is not None:
                due = min(due, waiting_since + self._config.interval_s)
            if now >= due:
                break
            self.intake.grown.clear()
            try:
                await asyncio.wait_for(self.intake.grown.wait(), timeout=due - now)
            except TimeoutError:
                break
        self._demand.clear()

    async def cut_all(self) -> None:
        """Cuts everything that is pending now, at least one block; nothing while held."""
        async with self._lock:
            waiting = len(self.intake.pending)
            while not self.is_held:
                taken = await self._cut_one(waiting)
                waiting -= taken
                if waiting <= 0:
                    return

    async def _cut_one(self, waiting: int) -> int:
        pending = list(islice(self.intake.pending, waiting))
        count = take(pending, len(self.state.slots))
        made = await asyncio.to_thread(self._make, pending[:count], self._complete_until(count))
        book = self._book_upto(pending[:count])
        await asyncio.wrap_future(
            self._store.write_later(lambda txn: self._save(txn, made, book.to_value()))
        )
        self.state = made.state
        for _ in range(count):
            self.intake.pending.popleft()
        await self.intake.forget(made.state.jseq_end)
        header = made.block.header
        _log.info("block_cut height=%d entries=%d size=%d", header.height, count, header.size)
        self.cut_made.set()
        return count

    def _complete_until(self, count: int) -> GTime:
        """The instant before which nothing came that stays outside the next `count` entries."""
        if len(self.intake.pending) > count:
            return self.intake.pending[count].entry.time
        waiting_us = self.intake.waiting_since_us
        return self._clock.now() if waiting_us is None else self._clock.at(waiting_us)

    def _make(self, pending: list[Pending], time: GTime) -> Cut:
        return cut(
            self.state,
            pending,
            time=time,
            keys=self._keys,
            fresh_salt=lambda: self._random_bytes(SALT_BYTES),
            stats_of=self._stats_of,
        )

    def _stats_of(self, slot: int, entries: Sequence[Entry]) -> list[Any]:
        """A slot's claim; the control slot's is the configuration on which the block was made."""
        return [self._config_digest] if slot == CONTROL_SLOT else stats_of(entries)

    def _book_upto(self, pending: list[Pending]) -> SlotBook:
        """The saved book moves with the blocks: entries behind them are replayed from the
        journal.
        """
        for item in pending:
            self._sealed_book.apply(item.entry)
        return self._sealed_book

    @staticmethod
    def _save(txn: Transaction, made: Cut, book: list[Any]) -> None:
        put_cut(txn, made)
        put_value(txn, "slot-book", book)


OpenSigner = Callable[[], Awaitable[Signer]]


async def _nothing(_: Signer) -> None:
    """What a key is needed for when it is opened, where that is nothing."""


class HeadSigner:
    """Signs the newest block whenever it is not signed yet.

    may_sign: cleared, no head is made; `on_open` is run with the key all the same, since this box
    has to prove who it is before others tell what they hold of its feed.
    """

    def __init__(
        self,
        store: Store,
        cutter: Cutter,
        identity: FeedIdentity,
        *,
        wall_s: Callable[[], int | None],
        counter: HeadCounter | None = None,
    ) -> None:
        self._store, self._cutter, self._identity, self._wall_s = store, cutter, identity, wall_s
        self._counter = counter
        self.signed = asyncio.Event()
        self.stopped: str | None = None
        self.away = False
        self.signer: Signer | None = None  # while it is open
        self.signed_height = -1
        self.may_sign = asyncio.Event()
        self.may_sign.set()
        self.on_open: Callable[[Signer], Awaitable[None]] = _nothing
        self.on_close: Callable[[], None] = lambda: None

    def hold(self, reason: str) -> None:
        """Signs no more until an operator acts; cutting goes on."""
        if self.stopped is None:
            self.stopped = reason
            _log.critical("signing_stopped reason=%s", reason)

    async def run(self, open_signer: OpenSigner) -> None:
        """Signs until cancelled or held. While the token is away it asks again, without end."""
        delay_s = RETRY_S_MIN
        while self.stopped is None:
            try:
                signer = await open_signer()
                self.away, delay_s = False, RETRY_S_MIN
                await self._sign_all(signer)
            except SignerUnavailableError as error:
                self.away = True
                _log.warning("signer_away retry_s=%.1f error=%s", delay_s, error)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RETRY_S_MAX)
            except (KeyHolderError, IdentityError) as error:
                # A wrong PIN among them: another try could lock the token, so an operator has to
                # act. An exchanged token must not end the journaling either.
                self.hold(str(error))

    async def _sign_all(self, signer: Signer) -> None:
        self.signer = signer
        try:
            await self.on_open(signer)
            await self.may_sign.wait()
            while self.stopped is None:
                self._cutter.cut_made.clear()
                claim = await self._next_claim(signer)
                if claim is None:
                    await self._cutter.cut_made.wait()
                    continue
                await self.sign(signer, claim)
        finally:
            self.signer = None
            self.on_close()
            await signer.aclose()

    async def _next_claim(self, signer: Signer) -> HeadClaim | None:
        """What is to be signed: an intent that a crash left open, else the newest block."""
        head = self._store.read(lambda txn: newest_head(txn, self._feed))
        self.signed_height = head.claim.height if head else -1
        intent = self._store.read(lambda txn: get_value(txn, "sign-intent"))
        intended = _claim_of(intent) if intent is not None else None
        if intended and intended.height > self.signed_height and intended.kid == signer.kid:
            return intended
        state = self._cutter.state
        if state.height - 1 <= self.signed_height or state.leaves.size < SIZE_MIN:
            return None
        return head_claim(
            state,
            alg=signer.alg,
            kid=signer.kid,
            issuer=self._identity.party,
            subject=self._identity.gateway,
            issued_at_s=self._wall_s(),
            counter=await self._count(head, intended),
            prev_head_digest=head.claim.digest if head else NO_HEAD,
        )

    async def _count(self, head: Head | None, intended: HeadClaim | None) -> int | None:
        if self._counter is None:
            return None
        return await self._counter.next_value(
            signed=head.claim.counter if head else None,
            intended=intended.counter if intended else None,
        )

    @property
    def _feed(self) -> tuple[bytes, int]:
        return self._cutter.state.feed_id, self._cutter.state.epoch

    async def sign(self, signer: Signer, claim: HeadClaim) -> None:
        """Signs a claim: the intent is synced before counter and token see anything."""
        intent = [claim.protected(), claim.root]
        await asyncio.wrap_future(
            self._store.write_later(lambda txn: put_value(txn, "sign-intent", intent))
        )
        if self._counter is not None and claim.counter is not None:
            await self._counter.bring_to(claim.counter)
        head = Head(claim, await signer.sign(claim.tbs()))
        await asyncio.wrap_future(self._store.write_later(lambda txn: put_head(txn, head)))
        self.signed_height = claim.height
        self.signed.set()
        _log.info("head_signed height=%d size=%d", claim.height, claim.size)


def _claim_of(intent: list[bytes]) -> HeadClaim:
    """The claim of a saved intent, read back by the same strict rules as a foreign head."""
    unsigned = sign1_encode(protected=intent[0], payload=intent[1], signature=bytes(64))
    return decode_head(unsigned).claim
