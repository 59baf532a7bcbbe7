"""A backlog from a gateway's store into a mirror, over TLS, every block checked and durable, beside
a plain stream of the same bytes through the same library.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import grpc

from consortium.client import ChainClient
from consortium.feeds import FeedSession
from consortium.gossip_server import gossip_service
from consortium.tls import make_certificate
from consortium.wire import REQUEST_BYTES_MAX
from ledger.gossip import FeedReceiver, FeedSender
from ledger.mirror import signed_height
from ledger.store import Store
from ledger.store_exchange import StoreSink, StoreSource
from tools.bench.figure import Figure, at_most, ratio_at_least
from tools.bench.sealed_feed import SealedFeed, sealed_feed
from tools.bench.session import Session

READINGS = 1_000_000
BLOCK_READINGS = 8_192
PATIENCE_S = 60.0


class Mirrored:
    """A session that takes a feed into a store by the real rules, whoever sends it."""

    patience_s = PATIENCE_S

    def __init__(self, receiver: FeedReceiver) -> None:
        self._inner = FeedSession(receiver, lambda _: None, PATIENCE_S)

    async def receive(self, message: bytes) -> list[bytes]:
        """Takes one message."""
        return await self._inner.receive(message)

    def outgoing(self) -> AsyncIterator[bytes]:
        """What this side says by itself."""
        return self._inner.outgoing()

    async def aclose(self) -> None:
        """The stream has ended."""
        self._inner.close()


class Counted(Mirrored):
    """A session that takes bytes and does nothing with them but count."""

    def __init__(self, wanted: int) -> None:
        super().__init__(FeedReceiver(_Nothing()))
        self._left = wanted

    async def receive(self, message: bytes) -> list[bytes]:
        """Answers once all has come."""
        del message
        self._left -= 1
        return [] if self._left else [b"all"]


class _Nothing(StoreSink):
    def __init__(self) -> None:
        """No store: nothing is asked of it."""


class Door:
    """A server that gives every stream the session of the moment."""

    def __init__(self) -> None:
        self.session: Mirrored

    async def open_session(self) -> Mirrored:
        """The session."""
        return self.session


def measure(session: Session) -> list[Figure]:
    """Ratio of the two streams, and bytes of messages for a reading."""
    folder = session.fresh_folder("sync")
    blocks = READINGS // BLOCK_READINGS
    feed = sealed_feed(folder / "own", blocks=blocks, block_readings=BLOCK_READINGS)
    try:
        ours, plain, sizes = asyncio.run(_both(folder, feed, session.repeats))
    finally:
        feed.close()
    readings = blocks * BLOCK_READINGS
    return [
        Figure(
            name=f"backlog of {readings:,} readings into a mirror", unit="readings/s",
            ours=tuple(readings / s for s in ours), peer="plain gRPC stream of the same bytes",
            theirs=tuple(readings / s for s in plain), goal=ratio_at_least(0.3),
            note="TLS on loopback, both ends in one process; every block checked and synced",
        ),
        Figure(
            name="messages of that backlog", unit="bytes a reading",
            ours=(sum(sizes) / readings,), peer="ciphertexts alone",
            theirs=(_ciphertext_bytes(feed) / readings,), goal=at_most(14),
            note="headers, proofs and head with it",
        ),
    ]  # fmt: skip  # a figure a block


def _ciphertext_bytes(feed: SealedFeed) -> int:
    return sum(len(run.ciphertext) for made in feed.path.cuts for run in made.block.runs)


async def _both(
    folder: Path, feed: SealedFeed, repeats: int
) -> tuple[list[float], list[float], list[int]]:
    certificate, key = folder / "c.pem", folder / "k.pem"
    digest = make_certificate(certificate, key, datetime.now(UTC))
    door = Door()
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", REQUEST_BYTES_MAX)])
    server.add_generic_rpc_handlers((gossip_service(door, 4),))
    pair = (key.read_bytes(), certificate.read_bytes())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    await server.start()
    client = ChainClient(f"127.0.0.1:{port}", certificate_pem=pair[1], certificate_sha256=digest)
    ours, plain, sent = list[float](), list[float](), list[bytes]()
    try:
        for number in range(repeats):
            store = Store(folder / f"mirror-{number}")
            key_of = feed.path.key.public
            door.session = Mirrored(
                FeedReceiver(StoreSink(store, lambda _, k=key_of: k, lambda _: None))  # type: ignore[misc]  # bound now
            )
            sent.clear()
            ours.append(await _carried(client, feed, sent))
            assert feed.head.claim.height == store.read(lambda txn: signed_height(txn, feed.name))
            store.close()
            door.session = Counted(len(sent))
            plain.append(await _poured(client, sent))
    finally:
        await client.aclose()
        await server.stop(None)
    return ours, plain, [len(item) for item in sent]


async def _carried(client: ChainClient, feed: SealedFeed, sent: list[bytes]) -> float:
    sender = FeedSender(StoreSource(feed.durable.store, [feed.name]))
    outgoing: asyncio.Queue[bytes] = asyncio.Queue()

    async def words() -> AsyncIterator[bytes]:
        while True:
            yield await outgoing.get()

    def speak() -> None:
        for item in sender.outgoing():
            sent.append(item)
            outgoing.put_nowait(item)

    begun = time.perf_counter()
    speak()
    async for answer in client.gossip(words()):
        sender.receive(answer)
        if sender.held_by_peer.get(feed.name, (0, -1))[1] == feed.head.claim.height:
            return time.perf_counter() - begun
        speak()
    raise AssertionError


async def _poured(client: ChainClient, messages: Sequence[bytes]) -> float:
    async def words() -> AsyncIterator[bytes]:
        for item in messages:
            yield item
        await asyncio.Event().wait()

    begun = time.perf_counter()
    async for _ in client.gossip(words()):
        return time.perf_counter() - begun
    raise AssertionError
