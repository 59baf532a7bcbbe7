"""CometBFT as the chain machine's engine: what becomes of transactions, and which state is proven.

A state is proven by the header after it, under > 2/3 of the validators' power. The header comes
from our own node, is verified against the set that follows from genesis and every change since, and
is compared with our own state: a machine whose state is not what the others signed stops at once.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from consortium.app.application import Application
from consortium.app.apply import TxResult
from consortium.app.state import ChainState, genesis_state
from consortium.chain_engine import Change, Proven, Tell, submitted
from consortium.comet.abci_application import AbciApplication
from consortium.comet.rpc import NodeRpc
from consortium.errors import (
    ChainStoreError,
    ChainUnavailableError,
    LocalError,
    MalformedError,
    NotYetProvenError,
)
from consortium.state_store import StateStore
from ledger.chain_genesis import Genesis, validator_from_value
from ledger.chain_proof import (
    SignedHeader,
    signed_header_from_value,
    signed_header_value,
    verify_commit,
)
from ledger.comet import Validator
from ledger.errors import LedgerError
from ledger.hashing import sha256
from ledger.merkle import EMPTY_ROOT

logger = logging.getLogger(__name__)

STATES_KEPT: Final = 32
PENDING_MAX: Final = 20_000
FATE_TIMEOUT_S: Final = 15.0  # below the client's own, so that it hears a reason
PROOF_TIMEOUT_S: Final = 5.0
LOOK_S: Final = 0.5
IN_MEMPOOL: Final = "tx already exists in cache"


OnThread = Callable[[Callable[[], None]], Coroutine[None, None, None]]


@dataclass(frozen=True, slots=True)
class _Pending:
    data: bytes
    index: int
    tell: Tell
    since_s: float


@dataclass(frozen=True, slots=True)
class _Doubted:
    """A transaction that was refused by the state after this height."""

    data: bytes
    index: int
    tell: Tell
    result: TxResult
    height: int


class CometEngine:
    """One per chain machine; made on the thread that owns the state store."""

    def __init__(
        self,
        *,
        genesis: Genesis,
        store: StateStore,
        rpc: NodeRpc,
        clock_ns: Callable[[], int],
        mono_s: Callable[[], float],
        keep_blocks: int = 0,
    ) -> None:
        """Loads the state; raises LocalError subclasses where it is not what was committed."""
        if store.load() is None:
            store.start(genesis_state(genesis), EMPTY_ROOT)
        loaded = store.load()
        if loaded is None:
            raise ChainStoreError("the state store does not keep what is written")
        self._genesis, self._store, self._rpc = genesis, store, rpc
        self._clock_ns, self._mono_s = clock_ns, mono_s
        self._doubted: list[_Doubted] = []
        self._application = Application(genesis, height=loaded[0], state=loaded[1], marks=store)
        self.abci = AbciApplication(
            self._application, store, clock_ns=clock_ns, watcher=self, keep_blocks=keep_blocks
        )
        self._states = deque[tuple[int, ChainState]]([loaded], maxlen=STATES_KEPT)
        self._pending: dict[bytes, list[_Pending]] = {}
        self._proven: Proven | None = None
        self._sets, self._archive = _read_changes(store, genesis)
        self._sender = ThreadPoolExecutor(1, "broadcast")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._moved, self._proved = asyncio.Event(), asyncio.Event()

    @property
    def application(self) -> Application:
        """The application with the newest committed state."""
        return self._application

    @property
    def proven(self) -> Proven | None:
        """The newest state under a signed header; None before the first."""
        return self._proven

    @property
    def pending(self) -> int:
        """Transactions handed to the node and not yet in a block."""
        return len(self._pending)

    def take(self, batch: Sequence[bytes], tell: Tell) -> None:
        """Tells at once what changes nothing, and soon what is refused; hands on the rest."""
        self._take(list(enumerate(batch)), tell, is_sure=False)

    def _take(self, batch: Sequence[tuple[int, bytes]], tell: Tell, *, is_sure: bool) -> None:
        now_ns = self._clock_ns()
        checks = [self._application.check_tx(tx, time_ms=now_ns // 1_000_000) for _, tx in batch]
        good = [tx for (_, tx), check in zip(batch, checks, strict=True) if not check.code]
        expected = iter(self._application.prepare_proposal(time_ns=now_ns, txs=good))
        handed: list[bytes] = []
        for (index, tx), check in zip(batch, checks, strict=True):
            result = check if check.code else next(expected)
            if result.code and not is_sure and len(self._doubted) < PENDING_MAX:
                self._doubted.append(_Doubted(tx, index, tell, result, self._application.height))
            elif not result.records:
                tell(index, submitted(tx, result, None))
            elif len(self._pending) >= PENDING_MAX:
                tell(
                    index, ChainUnavailableError("too many transactions wait; send it again later")
                )
            else:
                waiting = _Pending(tx, index, tell, self._mono_s())
                self._pending.setdefault(sha256(tx), []).append(waiting)
                handed.append(tx)
        if handed:
            self._sender.submit(self._broadcast, handed)
        if self._doubted and self._loop is not None:
            self._loop.call_soon_threadsafe(self._moved.set)

    async def _settle(self, run: OnThread) -> None:
        """Tells what was refused, unless another machine has a block that this one had not: what it
        did not know then it must not refuse. What has come since is looked at again.
        """
        doubted: list[_Doubted] = []

        def collect() -> None:
            doubted.extend(self._doubted)
            self._doubted.clear()

        await run(collect)
        if not doubted:
            return
        try:
            highest = await asyncio.to_thread(self._rpc.highest_block)
        except (ChainUnavailableError, MalformedError):
            highest = None
        for item in doubted:
            if highest is None or highest > self._application.height:
                words = "this machine has not all blocks yet; send it again later"
                item.tell(item.index, ChainUnavailableError(words))
            elif highest > item.height:
                again = [(item.index, item.data)]
                await run(partial(self._take, again, item.tell, is_sure=True))
            else:
                item.tell(item.index, submitted(item.data, item.result, None))

    def _broadcast(self, txs: Sequence[bytes]) -> None:
        """On the sender's thread: what the node does not take is told to its sender."""
        try:
            words = self._rpc.broadcast(txs)
        except ChainUnavailableError as error:
            words = [str(error)] * len(txs)
        for tx, word in zip(txs, words, strict=True):
            if word is not None and IN_MEMPOOL not in word:
                self._give_up(sha256(tx), f"{word}; send it again later")

    def _give_up(self, digest: bytes, reason: str) -> None:
        for waiting in self._pending.pop(digest, ()):
            waiting.tell(waiting.index, ChainUnavailableError(reason))

    def on_committed(
        self,
        height: int,
        fates: Sequence[tuple[bytes, TxResult]],
        next_set: tuple[Validator, ...] | None,
    ) -> None:
        """A block is durable: its senders are told, and its state waits for its header."""
        if next_set is not None:
            self._sets.append((height + 1, next_set))
        for tx, result in fates:
            for waiting in self._pending.pop(sha256(tx), ()):
                waiting.tell(waiting.index, submitted(tx, result, height))
        self._states.append((height, self._application.state))
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closing: nobody follows any more
                self._loop.call_soon_threadsafe(self._moved.set)

    def on_dropped(self, tx: bytes, result: TxResult) -> None:
        """The mempool let go of a transaction: its senders are told why."""
        for waiting in self._pending.pop(sha256(tx), ()):
            waiting.tell(waiting.index, submitted(tx, result, None))

    async def follow(self, run: OnThread) -> None:
        """Until cancelled: proves every new state. `run` calls on the thread of the store.

        Raises LocalError when the validators signed another state than ours.
        """
        self._loop = asyncio.get_running_loop()
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), LOOK_S)
            self._moved.clear()
            await run(self._expire)
            await self._settle(run)
            try:
                await self._prove(run)
            except ChainUnavailableError as error:
                logger.debug("header_not_read reason=%s", error)

    def _expire(self) -> None:
        oldest = self._mono_s() - FATE_TIMEOUT_S
        late = [key for key, items in self._pending.items() if items[0].since_s < oldest]
        for key in late:
            self._give_up(key, "not in a block yet; send it again")

    async def _prove(self, run: OnThread) -> None:
        height = self._application.height
        for place in [h for h, _ in tuple(self._sets) if h not in self._archive and h <= height]:
            signed = await self._verified_header(place)
            await run(lambda place=place, signed=signed: self._keep(place, signed))  # type: ignore[misc]  # bound now
        last = self._proven.signed_header.header.height if self._proven else 0
        if height > last:
            self._compare(await self._verified_header(height))

    async def _verified_header(self, height: int) -> SignedHeader:
        signed = await asyncio.to_thread(self._rpc.signed_header, height)
        try:
            verify_commit(signed, self.validators_at(height))
        except LedgerError as error:
            raise LocalError(f"our own node's header {height} does not verify: {error}") from error
        return signed

    def _keep(self, height: int, signed: SignedHeader) -> None:
        self._store.archive_change(height, signed_header_value(signed))
        self._archive[height] = signed

    def _compare(self, signed: SignedHeader) -> None:
        header = signed.header
        known = dict(tuple(self._states))
        for _, state in sorted(known.items(), reverse=True):
            if state.roots.app_hash == header.app_hash:
                self._proven = Proven(state, signed, self._changes_before(header.height))
                self._proved.set()  # wakes all who wait now; who comes later waits anew
                self._proved = asyncio.Event()
                return
        if header.height - 1 in known:
            raise LocalError(
                f"our state after block {header.height - 1} is not what the validators signed: "
                "stop, keep this folder, and start anew from another member (docs/howto)"
            )

    def validators_at(self, height: int) -> tuple[Validator, ...]:
        """The set that votes at a height, by genesis and the changes since."""
        earlier = [following for place, following in self._sets if place < height]
        return earlier[-1] if earlier else self._genesis.validator_set

    def _changes_before(self, height: int) -> tuple[Change, ...]:
        return tuple(
            (self._archive[place], following) for place, following in self._sets if place < height
        )

    async def until_proven(self) -> Proven:
        """The newest state of now, once it is proven, or after a while what is proven by then."""
        wanted, deadline = self._application.height, self._mono_s() + PROOF_TIMEOUT_S
        while not self._covers(wanted) and (left := deadline - self._mono_s()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._proved.wait(), left)
        if self._proven is None:
            raise NotYetProvenError("no signed header carries a state of this machine yet")
        return self._proven

    def _covers(self, height: int) -> bool:
        proven = self._proven
        if proven is None:
            return False
        if proven.signed_header.header.height > height:
            return True
        return proven.state.roots.app_hash == self._application.app_hash

    def close(self) -> None:
        """Closes the store; whoever still waits is told to send again."""
        self._sender.shutdown(cancel_futures=True)
        for digest in list(self._pending):
            self._give_up(digest, "the chain machine is stopping")
        for item in self._doubted:
            item.tell(item.index, ChainUnavailableError("the chain machine is stopping"))
        self._store.close()


def _read_changes(
    store: StateStore, genesis: Genesis
) -> tuple[list[tuple[int, tuple[Validator, ...]]], dict[int, SignedHeader]]:
    sets, archive = [], {}
    for height, rows, value in store.changes():
        sets.append((height, tuple(validator_from_value(row) for row in rows)))
        if value is not None:
            archive[height] = signed_header_from_value(value, genesis.chain_id)
    return sets, archive
