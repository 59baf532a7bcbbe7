"""The doors of a chain machine: TLS for gateways and parties, unix sockets for its operator and for
pages.

Messages are raw bytes of canonical CBOR (`consortium.wire`); gossip is a stream of messages that
belong to whoever is plugged in as `GossipPort`.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import grpc

from consortium.config import UNIX_PATH_BYTES_MAX
from consortium.errors import (
    ChainUnavailableError,
    ConfigError,
    ConsortiumError,
    LocalError,
)
from consortium.gossip_server import CHANNEL_OPTIONS, GossipPort, gossip_service
from consortium.node import ChainNode
from consortium.transaction import fields
from consortium.wire import (
    ANSWER_BYTES_MAX,
    CHAIN_SERVICE,
    REQUEST_BYTES_MAX,
    SELECT_ANCHOR_FROM_HEIGHT,
    decode_request,
    encode_fault,
    encode_result,
)

logger = logging.getLogger(__name__)

Method = Callable[[list[Any]], Awaitable[object]]
ANCHORS_MAX: Final = 10_000
STOP_GRACE_S: Final = 1.0


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
            *CHANNEL_OPTIONS,
        ]
    )
    handlers = [_service(CHAIN_SERVICE, {**chain_methods(node), **methods})]
    if gossip is not None:
        handlers.append(gossip_service(gossip, sessions_max))
    server.add_generic_rpc_handlers(tuple(handlers))
    credentials = grpc.ssl_server_credentials([(tls_key_pem, certificate_pem)])
    try:
        port = server.add_secure_port(listen, credentials)
    except RuntimeError as error:
        raise ConfigError(f"cannot listen on {listen}: {error}") from error
    return server, port


async def start_local_server(
    socket_path: Path, service: str, methods: Mapping[str, Method]
) -> grpc.aio.Server:
    """A started server on a unix socket that only this user may open; raises ConfigError or
    LocalError.
    """
    if len(os.fsencode(socket_path)) > UNIX_PATH_BYTES_MAX:
        raise ConfigError(
            f"{socket_path}: longer than {UNIX_PATH_BYTES_MAX} bytes; choose a shorter home"
        )
    _remove_stale(socket_path)
    server = grpc.aio.server(options=[("grpc.max_send_message_length", ANSWER_BYTES_MAX)])
    server.add_generic_rpc_handlers((_service(service, methods),))
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
