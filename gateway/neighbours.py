"""Gateways that carry each other's feeds: one takes what its neighbours hand over and passes it on
behind its own; the other hands its feed to whoever is written down.

Only feeds on the list are taken, each up to a quota; what the consortium holds is let go of. Nobody
reads what he carries: runs are encrypted, and every block is checked as any mirror does.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import Any, Final, Never, Self

import grpc

from consortium.errors import NotYetProvenError
from consortium.feeds import FeedSession
from consortium.gossip_server import CHANNEL_OPTIONS, gossip_service
from consortium.peers import Channel, PeerDesk
from consortium.wire import REQUEST_BYTES_MAX
from gateway.chain_door import ClientDoor, open_door
from gateway.config import GatewayConfig, PeerConfig
from gateway.errors import ConfigError
from gateway.passport import CERTIFICATE_NAME, KEY_NAME
from gateway.service import Parts
from gateway.uplink import PACE, Uplink
from ledger.block import BlockParts, decode_header
from ledger.errors import PeerRefusedError
from ledger.feed_store import FeedName, delete_run_body, get_run, get_value, need_header, put_value
from ledger.gossip import FeedReceiver
from ledger.hashing import sha256
from ledger.peer import ROLE_GATEWAY, SLOW_DOWN, PeerName, Standing
from ledger.store import Store, Transaction
from ledger.store_exchange import StoreSink

STREAMS_MAX: Final = 32
WAITING_MAX: Final = 8
LET_GO_BLOCKS: Final = 64
STOP_GRACE_S: Final = 1.0
_log = logging.getLogger(__name__)


class RelaySink(StoreSink):
    """A store that takes a neighbour's feed up to a quota."""

    def __init__(
        self, store: Store, key_of: Any, changed: Callable[[FeedName], None], quota_bytes: int
    ) -> None:
        super().__init__(store, key_of, changed)
        self._shelf, self._quota_bytes = store, quota_bytes

    def accept_block(self, parts: BlockParts) -> None:
        """Checks and stores a whole block; raises PeerRefusedError where there is no room."""
        header = decode_header(parts.header)
        feed = (header.feed_id, header.epoch)
        held = self._shelf.read(partial(carried_bytes, feed=feed))
        size = sum(len(ciphertext) for *_, ciphertext in parts.runs)
        if held + size > self._quota_bytes:
            text = f"{held} bytes of this feed wait here for the consortium; no more are carried"
            raise PeerRefusedError(feed[0], SLOW_DOWN, text)
        super().accept_block(parts)
        self._shelf.write(partial(_carry_more, feed=feed, size=size))


def _mark(name: str, feed: FeedName) -> str:
    return f"{name}-{feed[0].hex()}-{feed[1]}"


def carried_bytes(txn: Transaction, feed: FeedName) -> int:
    """Bytes of a neighbour's runs that wait here."""
    size: int = get_value(txn, _mark("carried", feed)) or 0
    return size


def _carry_more(txn: Transaction, feed: FeedName, size: int) -> None:
    put_value(txn, _mark("carried", feed), carried_bytes(txn, feed) + size)


def let_go(txn: Transaction, feed: FeedName, below: int) -> int:
    """Lets go of a neighbour's oldest runs that the consortium holds, some at a time; the height
    below which none is left.
    """
    start: int = get_value(txn, _mark("let-go", feed)) or 0
    end, size = min(below, start + LET_GO_BLOCKS), 0
    for height in range(start, end):
        for audience, _ in need_header(txn, feed, height).runs:
            run = get_run(txn, feed, height=height, audience=audience)
            size += run.body.ct_bytes if run else 0
            delete_run_body(txn, feed, height=height, audience=audience)
    if end > start:
        put_value(txn, _mark("let-go", feed), end)
        put_value(txn, _mark("carried", feed), max(0, carried_bytes(txn, feed) - size))
    return max(start, end)


class NeighbourDoor(ClientDoor):
    """A neighbour: it carries, and has no chain to ask."""

    async def feed_part(self, *_: object, **__: object) -> Never:
        """Raises NotYetProvenError: proofs come from the chain machines."""
        raise NotYetProvenError("a neighbour anchors nothing")


class Neighbourhood:
    """What a gateway does for its neighbours, and they for it, while it runs."""

    def __init__(self, config: GatewayConfig, parts: Parts) -> None:
        self._config, self._parts = config, parts
        self._known = {item.feed_id: item for item in config.neighbours}
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._loop = asyncio.get_running_loop()
        self.links: list[Uplink] = []
        self.port: int | None = None

    async def __aenter__(self) -> Self:
        for link in self._parts.uplinks:
            link.others = self._carried
            link.on_others = self._held_there
        if self._config.relay.listen:
            await self._listen()
        for neighbour in self._config.neighbours:
            if neighbour.certificate is not None:
                self._tasks.append(asyncio.create_task(self._hand_over(neighbour)))
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    # Carrying for others --------------------------------------------------------------------

    def _carried(self) -> Sequence[FeedName]:
        return [(feed_id, 0) for feed_id in sorted(self._known)]

    def _held_there(self, feed: FeedName, blocks: int) -> None:
        """A chain machine holds so many blocks of a neighbour's feed."""
        if feed[0] in self._known and blocks > 1:
            self._parts.store.write_later(partial(let_go, feed=feed, below=blocks - 1))

    def _standing(self, role: int, peer_id: bytes) -> Standing:
        neighbour = self._known.get(peer_id) if role == ROLE_GATEWAY else None
        return Standing(neighbour.key if neighbour else None)

    async def _open_exchange(self, peer: PeerName) -> FeedSession:
        def key_of(feed_id: bytes) -> Any:
            neighbour = self._known.get(feed_id)
            return neighbour.key if neighbour else None

        def changed(_: FeedName) -> None:
            self._loop.call_soon_threadsafe(self._wake)

        quota = self._config.relay.quota_mb * 1_000_000
        sink = RelaySink(self._parts.store, key_of, changed, quota)
        _log.info("neighbour_here name=%s", self._known[peer[1]].name)
        return FeedSession(FeedReceiver(sink), lambda _: None)

    def _wake(self) -> None:
        for link in self._parts.uplinks:
            link.changed.set()

    async def _listen(self) -> None:
        passport, folder = self._parts.passport, self._config.data_dir
        channel = Channel(
            certificate_digest=sha256(passport.certificate),
            standing=self._standing,
            credential=bytes,
            wall_s=lambda: int(time.time()),
            mono_s=time.monotonic,
            new_nonce=os.urandom,
        )
        desk = PeerDesk(channel, self._open_exchange, waiting_max=WAITING_MAX)
        options = [("grpc.max_receive_message_length", REQUEST_BYTES_MAX), *CHANNEL_OPTIONS]
        server = grpc.aio.server(options=[*options, ("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((gossip_service(desk, STREAMS_MAX),))
        pair = ((folder / KEY_NAME).read_bytes(), (folder / CERTIFICATE_NAME).read_bytes())
        try:
            listen = self._config.relay.listen
            self.port = server.add_secure_port(listen, grpc.ssl_server_credentials([pair]))
        except RuntimeError as error:
            raise ConfigError(self._config.path, None, "listen", str(error)) from error
        await server.start()
        self._stack.push_async_callback(server.stop, STOP_GRACE_S)

    # Handing over ---------------------------------------------------------------------------

    async def _hand_over(self, neighbour: Any) -> None:
        """Keeps this box's own feed at a neighbour, for as long as both run."""
        peer = PeerConfig(
            address=neighbour.address, certificate=neighbour.certificate, genesis_sha256=bytes(32)
        )
        door = open_door(peer, NeighbourDoor)
        self._stack.push_async_callback(door.aclose)
        door.introduce_by(self._parts.passport.answer)
        link = Uplink(
            door,
            self._parts.store,
            (self._parts.feed_id, 0),
            genesis_sha256=bytes(32),
            blocks_here=lambda: self._parts.cutter.state.height,
            behind=self._behind,
            pace=replace(PACE, retry_s_max=60.0),
        )
        self.links.append(link)
        async with asyncio.TaskGroup() as group:
            group.create_task(link.run())
            group.create_task(self._announce(link))

    def _behind(self, reason: str) -> None:
        self._parts.cutter.hold()
        self._parts.signer.hold(reason)

    async def _announce(self, link: Uplink) -> None:
        while True:
            await self._parts.signer.signed.wait()
            self._parts.signer.signed.clear()
            link.changed.set()
