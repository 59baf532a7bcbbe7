"""Links between boxes and machines: slow, lossy, cut for days, or in the hands of a liar."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from consortium.errors import ChainUnavailableError, NotYetProvenError
from consortium.gossip_server import pump
from consortium.wire import SELECT_ANCHOR_FROM_HEIGHT, SELECT_MIRRORED, SELECT_OPENED
from gateway.chain_door import Introduce, introduced
from ledger.gossip import CHALLENGE, HELLO, decode_message

if TYPE_CHECKING:
    from tests.simulator.machine import Machine

HELLO_BYTES: Final = 1100  # certificates differ by a byte or two from run to run


@dataclass(slots=True)
class Link:
    """The way from one gateway to one machine. Times in seconds."""

    chance: random.Random
    bytes_per_s: float
    latency_s: float
    cut_every_s: float  # a stream lives so long on average
    is_up: bool = True
    lies: float = 0.0  # share of messages that the carrier alters
    sent_bytes: int = 0
    streams: "list[Stream]" = field(default_factory=list)

    def cut(self) -> None:
        """Whatever is under way is lost."""
        for stream in list(self.streams):
            stream.cut()

    def altered(self, message: bytes) -> bytes:
        """The message, or what a lying carrier makes of it."""
        if not self.lies or self.chance.random() >= self.lies:
            return message
        at = self.chance.randrange(len(message))
        return (
            message[:at]
            + bytes([message[at] ^ (1 + self.chance.randrange(255))])
            + message[at + 1 :]
        )


def flipped(data: bytes, chance: random.Random) -> bytes:
    """The bytes with one of them another."""
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 + chance.randrange(255))]) + data[at + 1 :]


class Stream:
    """One gossip stream over a link, from the client's side."""

    def __init__(self, link: Link, machine: "Machine") -> None:
        self._link, self._machine = link, machine
        self._loop = asyncio.get_running_loop()
        self._up: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._down: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._free_s = [0.0, 0.0]
        self._is_cut = False
        self._server = asyncio.create_task(self._serve())
        self._ending = self._loop.call_later(
            link.chance.expovariate(1 / link.cut_every_s), self.cut
        )
        link.streams.append(self)

    async def _requests(self) -> AsyncIterator[bytes]:
        while (message := await self._up.get()) is not None:
            yield message

    async def _serve(self) -> None:
        session = await self._machine.desk.open_session()
        try:
            async for message in pump(session, self._requests()):
                self._deliver(1, message)
        finally:
            await session.aclose()
            self._down.put_nowait(None)

    def _deliver(self, way: int, message: bytes) -> None:
        size = len(message)
        if decode_message(message)[0] in (CHALLENGE, HELLO):
            size = HELLO_BYTES
        now_s = self._loop.time()
        self._free_s[way] = max(now_s, self._free_s[way]) + size / self._link.bytes_per_s
        self._link.sent_bytes += size if way == 0 else 0
        queue = (self._up, self._down)[way]
        at_s = self._free_s[way] + self._link.latency_s
        self._loop.call_at(at_s, self._arrive, queue, self._link.altered(message))

    def _arrive(self, queue: "asyncio.Queue[bytes | None]", message: bytes) -> None:
        if not self._is_cut:
            queue.put_nowait(message)

    async def send(self, message: bytes) -> None:
        """Waits while the line is slower than the sender."""
        if self._is_cut:
            raise ChainUnavailableError("the line is cut")
        self._deliver(0, message)
        ahead_s = self._free_s[0] - self._loop.time()
        if ahead_s > 1:
            await asyncio.sleep(ahead_s - 1)

    async def receive(self) -> bytes | None:
        """The next message; None at the end."""
        message = await self._down.get()
        if message is None and self._is_cut:
            raise ChainUnavailableError("the line is cut")
        return message

    def cut(self) -> None:
        """Both ends hear of it at once; what was under way is lost."""
        if not self._is_cut:
            self._is_cut = True
            self._ending.cancel()
            self._up.put_nowait(None)
            self._down.put_nowait(None)
            if self in self._link.streams:
                self._link.streams.remove(self)

    async def aclose(self) -> None:
        """The client ends it."""
        self.cut()
        self._server.cancel()
        await asyncio.gather(self._server, return_exceptions=True)


class Door:
    """A chain machine over a link, as `gateway.chain_door.ClientDoor` is one over TLS."""

    def __init__(self, link: Link, machine: "Machine", introduce: Introduce) -> None:
        self._link, self._machine, self._introduce = link, machine, introduce

    def _reach(self) -> "Machine":
        if not (self._link.is_up and self._machine.is_on):
            raise ChainUnavailableError("no way there")
        return self._machine

    @asynccontextmanager
    async def gossip(self) -> AsyncIterator[Stream]:
        """A stream on which this side said who it is."""
        stream = Stream(self._link, self._reach())
        try:
            await introduced(stream, self._introduce, self._machine.certificate_digest)
            yield stream
        finally:
            await stream.aclose()

    async def feed_part(self, feed_id: bytes, epoch: int, height: int) -> bytes:
        """First anchor at this height or above, with the statements at its height."""
        node = self._reach().node
        await asyncio.sleep(self._link.latency_s * 2)
        rows = await self._reach().node.anchors(feed_id, epoch, first_height=height, limit=10_000)
        if not rows:
            raise NotYetProvenError(f"height {height} is not anchored yet")
        top = rows[-1][0]
        selectors = [
            [SELECT_ANCHOR_FROM_HEIGHT, feed_id, epoch, top],
            [SELECT_MIRRORED, feed_id, epoch, top, top],
            [SELECT_OPENED, feed_id, epoch, top, top],
        ]
        part = await node.chain_part(selectors, [])
        return self._machine.told(part)
