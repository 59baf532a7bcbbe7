"""The program of the emulated machine: opens the gateway on /data, says what it holds, and takes
readings in until the power goes. Each line on the console is one thing that a test may rely on.

    held JSON     after the start, before anything new
    state JSON    the report, once a witness had its word (only with one)
    ack N         readings up to N are acknowledged
    head H DIGEST a head was signed
    mirrored N    the witness holds N blocks
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Never

import lmdb

from consortium.errors import ChainUnavailableError, NotYetProvenError
from gateway.compose import Opened, open_gateway
from gateway.config import GatewayConfig, PeerConfig, SealConfig, read_config
from gateway.identity import get_identity
from ledger.feed_store import FeedName, newest_head
from ledger.gossip import FeedReceiver
from ledger.hashing import sha256
from ledger.mirror import blocks_held
from ledger.signing import PublicKey
from ledger.store import Store
from ledger.store_exchange import StoreSink
from tests.fakes.gateway_parts import arrival, celsius
from tests.integration.disk.box import KEPT, Held, differences, held

DATA: Final = Path("/data")
WITNESS: Final = Path("/witness")
GROUP: Final = 20
SEAL: Final = 100


def say(word: str, what: object) -> None:
    sys.stdout.write(f"{word} {what}\n")
    sys.stdout.flush()


class Line:
    """A conversation with the witness."""

    def __init__(self, receiver: FeedReceiver) -> None:
        self._receiver, self._words = receiver, asyncio.Queue[bytes]()

    async def send(self, message: bytes) -> None:
        for word in self._receiver.receive(message):
            self._words.put_nowait(word)

    async def receive(self) -> bytes:
        return await self._words.get()


class Witness:
    """A mirror with a store on a disk of its own; nothing is anchored by it."""

    def __init__(self, folder: Path, key: PublicKey) -> None:
        self._store, self._key = Store(folder), key

    @asynccontextmanager
    async def gossip(self) -> AsyncIterator[Line]:
        yield Line(FeedReceiver(StoreSink(self._store, lambda _: self._key, lambda _: None)))

    def introduce_by(self, _: object) -> None:
        """Nobody has to say who they are to a store beside them."""

    def blocks(self, feed: FeedName) -> int:
        return self._store.read(lambda txn: blocks_held(txn, feed))

    async def feed_part(self, _feed_id: bytes, _epoch: int, _height: int) -> Never:
        raise NotYetProvenError("nothing is anchored")

    async def record_devices(self, *_: object, **__: object) -> Never:
        raise ChainUnavailableError("no chain")


class Taking:
    """Readings go in by groups; the next group follows when one is acknowledged."""

    def __init__(self, opened: Opened, held: Held, witness: Witness | None) -> None:
        self.parts, self._witness = opened.parts, witness
        self._first = max(held.values, default=-1) + 1
        self._signed = max(held.heads, default=-1)
        self._done = asyncio.Event()

    def _acknowledged(self, value: int, last: int) -> None:
        if value == last:
            say("ack", value)
            self._done.set()

    async def run(self) -> None:
        feed = (self.parts.feed_id, 0)
        start, signed = self._first, self._signed
        while True:
            self._done.clear()
            for value in range(start, start + GROUP):
                await self.parts.intake.put(self._message(value, start + GROUP - 1))
            await self._done.wait()
            start += GROUP
            head = self.parts.store.read(lambda txn: newest_head(txn, feed))
            if head is not None and head.claim.height > signed:
                signed = head.claim.height
                say("head", f"{signed} {head.claim.digest.hex()}")
            if self._witness is not None and self._witness.blocks(feed) > 1:
                say("mirrored", self._witness.blocks(feed))

    def _message(self, value: int, last: int) -> Any:
        return arrival(
            celsius(value),
            device=KEPT,
            mono_us=self.parts.clock.mono_us(),
            qos=1,
            payload_digest=sha256(b"%d" % value)[:16],
            acknowledge=lambda: self._acknowledged(value, last),
        )


def without_syncs() -> None:
    """The control: everything is said to be durable, and nothing was asked of the disk."""
    for name in ("fsync", "fdatasync"):
        setattr(os, name, lambda _: None)
    real, unsynced = lmdb.open, {"sync": False, "metasync": False}
    setattr(lmdb, "open", lambda path, **options: real(path, **(options | unsynced)))  # noqa: B010  # a module's name


def configuration() -> GatewayConfig:
    config = read_config(DATA / "gateway.toml")
    # No broker runs here: readings are handed to the intake.
    devices = tuple(item for item in config.devices if item.spec.id == KEPT)
    seal = SealConfig(count=SEAL, interval_s=1, idle_s=2)
    return replace(config, seal=seal, devices=devices)


async def live(*, witnessed: bool) -> None:
    config, doors = configuration(), list[Any]()
    if witnessed:
        store = Store(config.data_dir / "store")
        identity = store.read(get_identity)
        store.close()
        peer = PeerConfig(
            address="witness", certificate=DATA / "none.pem", genesis_sha256=bytes(32)
        )
        config = replace(config, peers=(peer,))
        doors = [Witness(WITNESS, PublicKey(identity.alg, identity.spki))]
    found = differences(config.data_dir)
    opened = open_gateway(config, doors)
    there = held(opened.parts)
    what = {
        "count": len(there.values),
        "twice": sum(1 for number in there.values.values() if number > 1),
        "heads": {height: digest.hex() for height, digest in there.heads.items()},
        "fsck": found,
        "report": opened.gateway.report(),
    }
    say("held", json.dumps(what))
    opened.parts = replace(opened.parts, mqtt=None)
    opened.gateway._parts = opened.parts
    async with asyncio.TaskGroup() as group:
        group.create_task(opened.gateway.run(asyncio.Event()))
        if witnessed:
            with suppress(TimeoutError):
                async with asyncio.timeout(10):
                    await opened.parts.uplinks[0].first_word.wait()
            say("state", json.dumps(opened.gateway.report()))
        group.create_task(Taking(opened, there, doors[0] if doors else None).run())


def main() -> None:
    words = Path("/proc/cmdline").read_text().split()
    if "wharf.syncs=no" in words:
        without_syncs()
    asyncio.run(live(witnessed="wharf.witness=yes" in words))


if __name__ == "__main__":
    main()
