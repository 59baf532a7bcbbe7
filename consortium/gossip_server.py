"""The gRPC service of gossip: streams of messages that belong to whoever is plugged in as
`GossipPort`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, Final, Protocol

import grpc

from consortium.wire import GOSSIP_SERVICE
from ledger.errors import LedgerError, PeerRefusedError
from ledger.gossip import NO, TEXT_MAX
from ledger.gossip import message as gossip_message

logger = logging.getLogger(__name__)
READY_MAX: Final = 64  # gossip messages that wait for a slow peer
CHANNEL_OPTIONS: Final = (
    ("grpc.max_concurrent_streams", 64),  # of one connection
    ("grpc.keepalive_time_ms", 120_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)


class GossipSession(Protocol):
    """One peer's exchange of messages, for the life of its stream."""

    async def receive(self, message: bytes) -> list[bytes]:
        """Takes one message; returns what to send at once. A `ledger.errors.LedgerError` ends the
        session.
        """

    def outgoing(self) -> AsyncIterator[bytes]:
        """Messages that this side sends by itself, until it is closed."""

    @property
    def patience_s(self) -> float:
        """Seconds for which the next message is waited for."""

    async def aclose(self) -> None:
        """The stream has ended."""


class GossipPort(Protocol):
    """Where gossip streams lead."""

    async def open_session(self) -> GossipSession:
        """A session for a new stream."""


def gossip_service(port: GossipPort, sessions_max: int) -> grpc.GenericRpcHandler:
    """The service for at most so many streams at a time."""
    sessions = asyncio.Semaphore(sessions_max)

    async def session(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        if sessions.locked():
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many gossip sessions")
        async with sessions:
            opened = await port.open_session()
            try:
                async for message in pump(opened, requests):
                    yield message
            finally:
                await opened.aclose()

    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(session)
    return grpc.method_handlers_generic_handler(GOSSIP_SERVICE, {"Session": handler})


async def pump(session: GossipSession, requests: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """All that a session has to say, answers and own messages, until the peer ends its stream."""
    # Bounded, so that a peer that does not read stops being served instead of filling memory.
    ready: asyncio.Queue[bytes | None] = asyncio.Queue(READY_MAX)

    tasks = [
        asyncio.create_task(_answer(session, requests, ready)),
        asyncio.create_task(_speak(session, ready)),
    ]
    try:
        while (message := await ready.get()) is not None:
            yield message
    finally:
        for task in tasks:
            task.cancel()
        # Not a task group: this generator may be closed from outside, which a group turns into an
        # error.
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                logger.error("gossip_session_failed", exc_info=outcome)


async def _answer(
    session: GossipSession, requests: AsyncIterator[bytes], ready: "asyncio.Queue[bytes | None]"
) -> None:
    try:
        while True:
            async with asyncio.timeout(session.patience_s):
                message = await anext(requests)
            for reply in await session.receive(message):
                await ready.put(reply)
    except StopAsyncIteration:
        pass
    except TimeoutError:
        logger.warning("gossip_session_idle patience_s=%.0f", session.patience_s)
    except PeerRefusedError as error:
        await ready.put(_refusal(error))
    except LedgerError as error:
        logger.warning("gossip_session_refused reason=%s", error)
    except Exception:  # the outer edge of a session: it ends, the others go on
        logger.exception("gossip_session_failed")
    # Not in a finally: when cancelled nobody reads any more, and a full queue would hold us for
    # ever.
    await ready.put(None)


async def _speak(session: GossipSession, ready: "asyncio.Queue[bytes | None]") -> None:
    try:
        async for message in session.outgoing():
            await ready.put(message)
    except PeerRefusedError as error:
        await ready.put(_refusal(error))
        await ready.put(None)


def _refusal(error: PeerRefusedError) -> bytes:
    return gossip_message(NO, error.peer_id, error.code, str(error)[:TEXT_MAX])
