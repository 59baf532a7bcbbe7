"""The consortium of a simulation: one chain, and machines of three organisations that use it."""

import asyncio
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from consortium.anchorer import Anchorer, PartyIdentity
from consortium.engine import EmbeddedEngine
from consortium.errors import ChainUnavailableError
from consortium.feeds import FeedRoom, FeedSession
from consortium.file_keys import ValidatorKey, make_key
from consortium.node import ChainNode
from consortium.peers import Channel, PeerDesk
from consortium.plugs import standing
from consortium.state_store import BlockStore, StateStore
from consortium.wire import Submitted
from ledger.chain_genesis import GenesisParty
from ledger.comet import Validator
from ledger.hashing import sha256
from ledger.opening import OpenedRun
from ledger.peer import PeerName
from tests.fakes.small_chain import genesis, party_id, signer
from tests.simulator.disk import Disk, SimStore
from tests.simulator.line import flipped

PARTIES = ("north", "south", "port")


class Chain:
    """The one chain; a machine reaches it or not."""

    def __init__(self, home: Path, clock_ns: Any) -> None:
        key = make_key(home / "validator")
        parties = tuple(
            GenesisParty(name, signer(name).alg, signer(name).public_key_der(), 1)
            for name in PARTIES
        )
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.genesis = replace(
            genesis(),
            parties=parties,
            validators=((Validator(public, 10), parties[0].party_id),),
        )
        self.node = ChainNode(genesis=self.genesis, clock_ns=clock_ns, waiting_max=10_000)
        self._home, self._clock_ns = home, clock_ns
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Opens the engine and makes blocks."""

        def make() -> tuple[EmbeddedEngine, StateStore]:
            state = StateStore(self._home, self.genesis.digest)
            engine = EmbeddedEngine(
                genesis=self.genesis,
                blocks=BlockStore(self._home, self.genesis.digest),
                state=state,
                key=ValidatorKey(self._home / "validator", self._home / "validator-state"),
                clock_ns=self._clock_ns,
            )
            return engine, state

        await self.node.open(make)
        self._tasks.append(asyncio.create_task(self.node.make_blocks()))

    async def stop(self) -> None:
        """Closes the stores."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.node.aclose()


class Reached:
    """The chain from one machine: while it is cut off, nothing goes there."""

    def __init__(self, node: ChainNode) -> None:
        self._node, self.is_up = node, True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)

    async def submit_signed(self, *arguments: Any, **named: Any) -> Submitted:
        """A transaction of this machine's own."""
        if not self.is_up:
            raise ChainUnavailableError("this machine does not reach the others")
        return await self._node.submit_signed(*arguments, **named)


class Machine:
    """One organisation's machine: mirror, opening, anchoring, door."""

    def __init__(
        self, name: str, disk: Disk, chain: Chain, wall_s: Any, chance: random.Random
    ) -> None:
        self.name, self.disk, self._chain, self._wall_s = name, disk, chain, wall_s
        self._chance, self._lying_left = chance, 0
        self.node: Any = Reached(chain.node)
        self.certificate_digest = sha256(name.encode())
        self.reader_secret = sha256(f"reader {name}".encode())
        self.is_on = False
        self.opened: set[tuple[bytes, int, int]] = set()  # feed, height, audience: truly opened
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Power comes on."""
        self.store = SimStore(self.disk, "feeds")
        self.room = FeedRoom(
            self.store, self.node, reader_secret=self.reader_secret, on_opened=self._note
        )
        self.room.notice_poll_s = 1e9
        anchorer = Anchorer(
            self.node,
            PartyIdentity(party_id=party_id(self.name), signer=signer(self.name)),
            heads=self.room,
            statements=self.room,
            new_nonce=lambda: self._chance.randbytes(16),
            interval_s=3600,
            batch_max=256,
        )
        self.room.on_change(anchorer.poke)
        channel = Channel(
            certificate_digest=self.certificate_digest,
            standing=lambda role, peer: standing(self.node, role, peer),
            credential=bytes,
            wall_s=self._wall_s,
            mono_s=asyncio.get_running_loop().time,
            new_nonce=self._chance.randbytes,
        )
        self.desk = PeerDesk(channel, self._open_exchange, waiting_max=50)
        self._tasks = [
            asyncio.create_task(anchorer.run()),
            asyncio.create_task(self.room.open_runs()),
        ]
        self.is_on = True

    async def _open_exchange(self, _: PeerName) -> FeedSession:
        return await self.room.open_session()

    def _note(self, opened: OpenedRun) -> None:
        self.opened.add((opened.header.feed_id, opened.header.height, opened.audience))

    async def stop(self) -> None:
        """Power goes."""
        self.is_on = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.store.close()

    def lie(self, answers: int) -> None:
        """So many of its next proofs are not the chain's."""
        self._lying_left = answers

    def told(self, part: bytes) -> bytes:
        """The chain part, or what a lying validator makes of it."""
        if not self._lying_left:
            return part
        self._lying_left -= 1
        return flipped(part, self._chance)
