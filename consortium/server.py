"""The two doors of a chain machine: TLS for gateways and parties, a unix socket for its operator.

Messages are raw bytes of canonical CBOR (`consortium.wire`); gossip is a stream of messages that
belong to whoever is plugged in as `GossipPort`.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import grpc

from consortium.config import UNIX_PATH_BYTES_MAX
from consortium.errors import (
    ChainUnavailableError,
    ConfigError,
    ConsortiumError,
    LocalError,
)
from consortium.node import ChainNode
from consortium.transaction import fields
from consortium.wire import (
    ANSWER_BYTES_MAX,
    CHAIN_SERVICE,
    GOSSIP_SERVICE,
    OPERATOR_SERVICE,
    REQUEST_BYTES_MAX,
    SELECT_ANCHOR_FROM_HEIGHT,
    decode_request,
    encode_fault,
    encode_result,
)
from ledger.errors import LedgerError

logger = logging.getLogger(__name__)

Method = Callable[[list[Any]], Awaitable[object]]
ANCHORS_MAX: Final = 10_000
STOP_GRACE_S: Final = 1.0
READY_MAX: Final = 64  # gossip messages that wait for a slow peer


class GossipSession(Protocol):
    """One peer's exchange of messages, for the life of its stream."""

    async def receive(self, message: bytes) -> list[bytes]:
        """Takes one message; returns what to send at once. A `ledger.errors.LedgerError` ends the
        session.
        """

    def outgoing(self) -> AsyncIterator[bytes]:
        """Messages that this side sends by itself, until it is closed."""

    async def aclose(self) -> None:
        """The stream has ended."""


class GossipPort(Protocol):
    """Where gossip streams lead."""

    async def open_session(self) -> GossipSession:
        """A session for a new stream."""


def chain_methods(node: ChainNode) -> dict[str, Method]:
    """What everybody may ask a chain machine."""

    async def submit(request: list[Any]) -> object:
        (data,) = fields(request, bytes)
        return (await node.submit(data)).to_value()

    async def status(request: list[Any]) -> object:
        fields(request)
        return node.status().to_value()

    async def genesis(request: list[Any]) -> object:
        fields(request)
        return node.genesis_bytes()

    async def anchor_proof(request: list[Any]) -> object:
        feed_id, epoch, height = fields(request, bytes, int, int)
        return await node.chain_part([[SELECT_ANCHOR_FROM_HEIGHT, feed_id, epoch, height]], [])

    async def chain_part(request: list[Any]) -> object:
        return await node.chain_part(*fields(request, list, list))

    async def anchors(request: list[Any]) -> object:
        feed_id, epoch, first_height = fields(request, bytes, int, int)
        return await node.anchors(feed_id, epoch, first_height=first_height, limit=ANCHORS_MAX)

    return {
        "Submit": submit,
        "Status": status,
        "Genesis": genesis,
        "AnchorProof": anchor_proof,
        "ChainPart": chain_part,
        "Anchors": anchors,
    }


def _unary(method: Method) -> "grpc.RpcMethodHandler[bytes, bytes]":
    async def answer(request: bytes, context: object) -> bytes:
        del context  # everything that matters is in the request
        try:
            return encode_result(await method(decode_request(request)))
        except ConsortiumError as error:
            return encode_fault(error)
        except asyncio.CancelledError:
            return encode_fault(ChainUnavailableError("the chain machine is stopping"))

    return grpc.unary_unary_rpc_method_handler(answer)


def _service(name: str, methods: Mapping[str, Method]) -> grpc.GenericRpcHandler:
    handlers = {method: _unary(call) for method, call in methods.items()}
    return grpc.method_handlers_generic_handler(name, handlers)


def _gossip_service(port: GossipPort, sessions_max: int) -> grpc.GenericRpcHandler:
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
        async for message in requests:
            for reply in await session.receive(message):
                await ready.put(reply)
    except LedgerError as error:
        logger.warning("gossip_session_refused reason=%s", error)
    except Exception:  # the outer edge of a session: it ends, the others go on
        logger.exception("gossip_session_failed")
    # Not in a finally: when cancelled nobody reads any more, and a full queue would hold us for
    # ever.
    await ready.put(None)


async def _speak(session: GossipSession, ready: "asyncio.Queue[bytes | None]") -> None:
    async for message in session.outgoing():
        await ready.put(message)


def make_server(
    *,
    node: ChainNode,
    methods: Mapping[str, Method],
    gossip: GossipPort | None,
    sessions_max: int,
    listen: str,
    certificate_pem: bytes,
    tls_key_pem: bytes,
) -> tuple[grpc.aio.Server, int]:
    """(server, port) of the TLS endpoint, not yet started; raises ConfigError for a taken
    address. methods: what everybody may ask besides the chain's own.
    """
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", REQUEST_BYTES_MAX),
            ("grpc.max_send_message_length", ANSWER_BYTES_MAX),
            ("grpc.so_reuseport", 0),
        ]
    )
    handlers = [_service(CHAIN_SERVICE, {**chain_methods(node), **methods})]
    if gossip is not None:
        handlers.append(_gossip_service(gossip, sessions_max))
    server.add_generic_rpc_handlers(tuple(handlers))
    credentials = grpc.ssl_server_credentials([(tls_key_pem, certificate_pem)])
    try:
        port = server.add_secure_port(listen, credentials)
    except RuntimeError as error:
        raise ConfigError(f"cannot listen on {listen}: {error}") from error
    return server, port


async def start_operator_server(
    socket_path: Path, methods: Mapping[str, Method]
) -> grpc.aio.Server:
    """A started server on a unix socket that only this user may open."""
    if len(os.fsencode(socket_path)) > UNIX_PATH_BYTES_MAX:
        raise ConfigError(
            f"{socket_path}: longer than {UNIX_PATH_BYTES_MAX} bytes; choose a shorter home"
        )
    _remove_stale(socket_path)
    server = grpc.aio.server(options=[("grpc.max_send_message_length", ANSWER_BYTES_MAX)])
    server.add_generic_rpc_handlers((_service(OPERATOR_SERVICE, methods),))
    # The folder is 0700 already; the mask makes the socket itself 0600.
    mask = os.umask(0o177)
    try:
        server.add_insecure_port(f"unix:{socket_path}")
        await server.start()
    except RuntimeError as error:
        raise LocalError(f"{socket_path}: {error}") from error
    finally:
        os.umask(mask)
    return server


def _remove_stale(socket_path: Path) -> None:
    """A killed machine leaves its socket behind; a second one on the same folder fails at its
    stores.
    """
    socket_path.unlink(missing_ok=True)
