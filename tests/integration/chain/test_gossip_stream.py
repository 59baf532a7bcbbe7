"""A gossip stream over real TLS: both directions, a limit on sessions, an end that reaches the
session.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consortium.client import ChainClient
from consortium.errors import ChainUnavailableError
from consortium.gossip_server import GossipSession
from consortium.node import ChainNode
from consortium.server import make_server
from consortium.tls import make_certificate
from tests.fakes.small_chain import genesis


class Session:
    """Answers in capitals; says hello by itself."""

    def __init__(self, ended: asyncio.Event) -> None:
        self._ended = ended

    async def receive(self, message: bytes) -> list[bytes]:
        return [message.upper()]

    async def outgoing(self) -> AsyncIterator[bytes]:
        yield b"hello"

    @property
    def patience_s(self) -> float:
        return 60.0

    async def aclose(self) -> None:
        self._ended.set()


class Port:
    """Opens sessions and tells when one ended."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def open_session(self) -> GossipSession:
        return Session(self.ended)


async def test_messages_flow_both_ways_until_the_gateway_ends_the_stream(tmp_path: Path) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    digest = make_certificate(certificate, key, datetime.now(UTC))
    port = Port()
    node = ChainNode(genesis=genesis(), clock_ns=lambda: 0, waiting_max=1)
    server, number = make_server(
        methods={},
        node=node,
        gossip=port,
        sessions_max=1,
        listen="127.0.0.1:0",
        certificate_pem=certificate.read_bytes(),
        tls_key_pem=key.read_bytes(),
    )
    await server.start()
    outgoing: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def messages() -> AsyncIterator[bytes]:
        while (message := await outgoing.get()) is not None:
            yield message

    async def silence() -> AsyncIterator[bytes]:
        await port.ended.wait()
        yield b""

    try:
        async with ChainClient(
            f"127.0.0.1:{number}",
            certificate_pem=certificate.read_bytes(),
            certificate_sha256=digest,
        ) as client:
            stream = client.gossip(messages())
            await outgoing.put(b"first")
            assert {b"hello", b"FIRST"} == {await anext(stream), await anext(stream)}
            with pytest.raises(ChainUnavailableError, match="RESOURCE_EXHAUSTED"):
                await anext(client.gossip(silence()))
            await outgoing.put(b"second")
            assert await anext(stream) == b"SECOND"
            await outgoing.put(None)
            with pytest.raises(StopAsyncIteration):
                await anext(stream)
            await asyncio.wait_for(port.ended.wait(), 10)
    finally:
        await server.stop(None)
        await node.aclose()
