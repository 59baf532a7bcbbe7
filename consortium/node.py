"""The running chain machine: transactions wait here, blocks are made, reads are answered.

One thread owns engine and stores; the event loop only hands work to it. An answer to a sender
means that the transaction's block is durable and signed, so nothing that was answered can be lost
by a crash. What was not answered the sender sends again.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Self, TypeVar

from consortium.app.anchors import anchored_state
from consortium.app.state import ChainState, Draft
from consortium.chain_engine import Engine, Fate, Proven, Tell
from consortium.errors import ChainUnavailableError
from consortium.queries import (
    Place,
    anchor_from,
    anchor_places,
    anchor_to,
    build_chain_part,
    checked_keys,
    select,
    statements,
)
from consortium.state_store import StateStore
from consortium.transaction import (
    TX_BYTES_MAX,
    Sender,
    fields,
    new_transaction,
    sign_transaction,
)
from consortium.wire import ChainStatus, Submitted
from ledger.canonical import decode, encode
from ledger.chain_genesis import Genesis
from ledger.chain_proof import (
    RECORD_MIRROR,
    RECORD_OPENED,
    ChainPart,
    LogLeaf,
    decode_log_leaf,
    encode_chain_part,
)
from ledger.feed import AnchorState
from ledger.hashing import sha256
from ledger.signing import Signer

logger = logging.getLogger(__name__)
T = TypeVar("T")

BLOCK_TXS_MAX: Final = 512
TIME_MS_MAX: Final = (1 << 63) - 1
NOT_AFTER_AHEAD: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Waiting:
    data: bytes
    done: "asyncio.Future[Submitted]"


class ChainNode:
    """A chain machine without its network."""

    def __init__(self, *, genesis: Genesis, clock_ns: Callable[[], int], waiting_max: int) -> None:
        self.genesis = genesis
        self._genesis_bytes = genesis.encode()
        self._clock_ns = clock_ns
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue(waiting_max)
        self._thread = ThreadPoolExecutor(1, "chain")
        self._engine: Engine | None = None
        self._log: StateStore | None = None

    async def open(self, make_engine: Callable[[], tuple[Engine, StateStore]]) -> Self:
        """Opens stores and engine on their own thread; raises LocalError subclasses."""
        engine, self._log = await self.on_thread(make_engine)
        self._engine, height = engine, engine.application.height
        logger.info("chain_opened chain_id=%s height=%d", self.genesis.chain_id, height)
        return self

    @property
    def engine(self) -> Engine:
        """The engine, once open."""
        if self._engine is None:
            raise ChainUnavailableError("the chain is not open")
        return self._engine

    @property
    def state(self) -> ChainState:
        """The newest committed state (immutable, so it may be read from any thread)."""
        return self.engine.application.state

    async def on_thread(self, call: Callable[[], T]) -> T:
        """The call's result, from the thread that owns engine and stores."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def aclose(self) -> None:
        """Closes the stores on their thread."""
        if self._engine is not None:
            await self.on_thread(self._engine.close)
        self._thread.shutdown()

    async def submit(self, data: bytes) -> Submitted:
        """Fate of a transaction, once its block is durable; raises ChainUnavailableError when
        full.
        """
        waiting = _Waiting(data, asyncio.get_running_loop().create_future())
        try:
            self._waiting.put_nowait(waiting)
        except asyncio.QueueFull as error:
            raise ChainUnavailableError(
                "too many transactions wait; send it again later"
            ) from error
        return await waiting.done

    async def make_blocks(self) -> None:
        """Takes what waits into blocks until cancelled. A store that fails ends it: nothing goes
        on.
        """
        while True:
            batch = [await self._waiting.get()]
            size_bytes = len(batch[0].data)
            # A little room is left for the block's own fields below the engine's bound.
            bound = self.genesis.block_bytes_max - TX_BYTES_MAX - (64 << 10)
            while len(batch) < BLOCK_TXS_MAX and size_bytes < bound and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
                size_bytes += len(batch[-1].data)
            tell = _teller(asyncio.get_running_loop(), batch)
            try:
                await self.on_thread(partial(self.engine.take, [item.data for item in batch], tell))
            except BaseException:  # their senders must not wait for ever; the error goes on up
                for waiting in batch:
                    waiting.done.cancel()
                raise

    async def submit_signed(
        self, signer: Signer, *, kind: int, sender: Sender, body: object, nonce: bytes
    ) -> Submitted:
        """Signs a transaction of this machine's own and waits for its fate."""
        transaction = new_transaction(
            signer,
            chain_id=self.genesis.chain_id,
            kind=kind,
            sender=sender,
            nonce=nonce,
            not_after=self.engine.application.height + NOT_AFTER_AHEAD,
            body=body,
        )
        return await self.submit(await sign_transaction(transaction, signer))

    async def chain_part(self, selectors: object, keys: object) -> bytes:
        """The encoded chain part for selected leaves and keys (`consortium.wire`)."""

        proven = await self.engine.until_proven()

        def part() -> bytes:
            indexes = select(self._open_log, selectors)
            return encode_chain_part(self._part(proven, indexes, checked_keys(keys)))

        return await self.on_thread(part)

    async def chain_part_of(self, indexes: Sequence[int], keys: Sequence[bytes]) -> bytes:
        """The encoded chain part for leaves and keys that this machine itself asks for, however
        many they are; both ascending.
        """
        proven = await self.engine.until_proven()
        return await self.on_thread(lambda: encode_chain_part(self._part(proven, indexes, keys)))

    async def statements(
        self, feed_id: bytes, epoch: int, *, first: int, last: int
    ) -> list[tuple[int, LogLeaf]]:
        """(log index, leaf) of the mirror and opened statements about a feed's heights."""

        def found() -> list[tuple[int, LogLeaf]]:
            log, rows = self._open_log, []
            for record in (RECORD_MIRROR, RECORD_OPENED):
                for index in statements(log, record, feed_id, epoch=epoch, first=first, last=last):
                    leaf = log.leaf(index)
                    if leaf is not None:
                        rows.append((index, decode_log_leaf(leaf)))
            return rows

        return await self.on_thread(found)

    @property
    def _open_log(self) -> StateStore:
        if self._log is None:
            raise ChainUnavailableError("the chain is not open")
        return self._log

    def _part(self, proven: Proven, indexes: Sequence[int], keys: Sequence[bytes]) -> ChainPart:
        return build_chain_part(
            genesis=self._genesis_bytes,
            changes=proven.changes,
            signed_header=proven.signed_header,
            state=proven.state,
            log=self._open_log,
            indexes=indexes,
            keys=keys,
        )

    async def anchors(
        self, feed_id: bytes, epoch: int, *, first_height: int, limit: int
    ) -> list[list[int]]:
        """[height, log index, chain time ms] of a feed's anchors from a height on."""
        log = self._open_log
        places = await self.on_thread(
            lambda: anchor_places(log, feed_id, epoch, first_height=first_height, limit=limit)
        )
        return [list(place) for place in places]

    async def anchors_around(
        self, feed_id: bytes, epoch: int, *, from_ms: int, to_ms: int
    ) -> tuple[Place | None, Place | None, Place | None]:
        """(last anchor dated up to `from_ms`, first one from `to_ms` on, the newest) of a feed."""
        log = self._open_log
        return await self.on_thread(
            lambda: (
                anchor_to(log, feed_id, epoch, time_ms=from_ms),
                anchor_from(log, feed_id, epoch, time_ms=to_ms),
                anchor_to(log, feed_id, epoch, time_ms=TIME_MS_MAX),
            )
        )

    async def accepted(self, first: int, limit: int) -> list[list[Any]]:
        """[height, index in the block, chain time ms, bytes, log records] of accepted transactions
        from a number on, in chain order.
        """
        log = self._open_log
        return await self.on_thread(lambda: log.accepted(first, limit))

    def status(self) -> ChainStatus:
        """How the chain stands."""
        proven = self.engine.proven
        header = proven.signed_header.header if proven else None
        return ChainStatus(
            chain_id=self.genesis.chain_id,
            genesis_sha256=sha256(self._genesis_bytes),
            height=header.height if header else 0,
            time_ms=header.time_ns // 1_000_000 if header else self.genesis.time_ms,
            app_hash=header.app_hash if header else self.state.roots.app_hash,
            log_size=self.state.log.size,
            waiting=self._waiting.qsize() + self.engine.pending,
        )

    def genesis_bytes(self) -> bytes:
        """The genesis document."""
        return self._genesis_bytes

    def get(self, *key: object) -> list[Any] | None:
        """The decoded value of a state key without its version, e.g. get("gateway", feed_id)."""
        value = self.state.map.get(encode(key))
        return decode(value)[1:] if value is not None else None

    async def rows(self, name: str) -> list[tuple[bytes, bytes]]:
        """(key, value) of every state entry whose key begins with this name, encoded."""

        def found() -> list[tuple[bytes, bytes]]:
            map_ = self.state.map
            keys = [encode(key) for key in self._open_log.keys(name)]
            return [(key, value) for key in keys if (value := map_.get(key)) is not None]

        return await self.on_thread(found)

    def anchored(self, feed_id: bytes, epoch: int) -> AnchorState | None:
        """What is anchored of a feed's epoch."""
        return anchored_state(Draft(self.state.map, frozenset()), feed_id, epoch)

    def is_enrolled(self, feed_id: bytes) -> bool:
        """Whether a feed's gateway is enrolled and its key not revoked."""
        gateway = self.get("gateway", feed_id)
        return gateway is not None and gateway[6] is None

    def enrolled_feeds(self) -> list[bytes]:
        """Feeds of all enrolled gateways whose keys are not revoked."""
        named = (fields(key, str, bytes)[1] for key in self._open_log.keys("gateway"))
        return sorted(feed_id for feed_id in named if self.is_enrolled(feed_id))


def _teller(loop: asyncio.AbstractEventLoop, batch: Sequence[_Waiting]) -> Tell:
    """Tells each sender of a batch its transaction's fate, from whichever thread it comes."""

    def settle(waiting: _Waiting, fate: Fate) -> None:
        if waiting.done.done():
            return
        if isinstance(fate, ChainUnavailableError):
            waiting.done.set_exception(fate)
        else:
            waiting.done.set_result(fate)

    def tell(index: int, fate: Fate) -> None:
        with suppress(RuntimeError):  # the loop is closed: no sender is left
            loop.call_soon_threadsafe(settle, batch[index], fate)

    return tell
