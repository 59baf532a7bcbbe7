import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from consortium.errors import ChainUnavailableError, NotYetProvenError
from gateway.uplink import Uplink
from ledger.canonical import encode
from ledger.feed_store import FeedName, feed_prefix, get_header
from ledger.gossip import STATE, FeedReceiver, message
from ledger.mirror import accept_grant, blocks_held, grants_of, signed_height
from ledger.pruning import prune
from ledger.signed_grant import GrantPlace, sign_grant
from ledger.signing import PublicKey
from ledger.store import Store
from ledger.store_exchange import StoreSink
from tests.fakes.gateway_parts import MAP_BYTES, Box, MemorySigner
from tests.fakes.virtual_time import virtual_time
from tests.unit.ledger.feed_builder import START_MS, ChainBuilder

KEY = MemorySigner()
PARTY = ChainBuilder.party_id("operator")


class Line:
    """One conversation with the machine, until it is cut."""

    def __init__(self, answer: Callable[[bytes], list[bytes]]) -> None:
        self._answer = answer
        self._words: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    async def send(self, data: bytes) -> None:
        for word in self._answer(data):
            self._words.put_nowait(word)

    async def receive(self) -> bytes | None:
        word = await self._words.get()
        if isinstance(word, Exception):
            raise word
        return word

    def say(self, word: bytes | Exception | None) -> None:
        self._words.put_nowait(word)


class Machine:
    """A chain machine: mirrors by the real rules, anchors what it is told to anchor."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "machine", map_bytes=MAP_BYTES)
        self.enrolled = True
        self.chain = ChainBuilder()
        self.lines: list[Line] = []
        self.heard: list[bytes] = []
        self.asked: list[int] = []
        self.shown: list[int] = []  # log leaves that a chain part shows
        self.not_yet: list[Exception] = []
        self._grown = asyncio.Event()

    def key_of(self, _: bytes) -> PublicKey | None:
        return KEY.public if self.enrolled else None

    @asynccontextmanager
    async def gossip(self) -> AsyncIterator[Line]:
        receiver = FeedReceiver(StoreSink(self.store, self.key_of, lambda _: None))

        def answer(data: bytes) -> list[bytes]:
            self.heard.append(data)
            answers = receiver.receive(data)
            self._grown.set()
            return answers

        self.lines.append(Line(answer))
        yield self.lines[-1]

    async def mirrored(self, feed: FeedName, height: int) -> None:
        """Returns once a head of this height is held."""
        while self.store.read(lambda txn: signed_height(txn, feed)) < height:
            self._grown.clear()
            await self._grown.wait()

    async def feed_part(self, feed_id: bytes, epoch: int, height: int) -> bytes:
        self.asked.append(height)
        if self.not_yet:
            raise self.not_yet.pop(0)
        if not self.shown:
            raise NotYetProvenError("nothing is anchored")
        return self.chain.part(self.shown, [encode(["validators"])])


class Room:
    """A gateway with blocks, a machine, and the uplink between them."""

    def __init__(self, folder: Path) -> None:
        self.box, self.machine = Box(folder), Machine(folder)
        self.behind: list[str] = []
        self.link = self.uplink()

    def uplink(self) -> Uplink:
        self.link = Uplink(
            self.machine,
            self.box.store,
            self.box.feed,
            genesis_sha256=self.machine.chain.trust,
            blocks_here=lambda: self.box.cutter.state.height,
            behind=self.behind.append,
        )
        return self.link

    async def grow(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            await self.box.block()
        await self.box.sign(KEY)
        self.link.changed.set()

    async def mirrored(self, height: int) -> None:
        """Returns once the machine holds this head."""
        await self.machine.mirrored(self.box.feed, height)

    def anchor(self, height: int) -> None:
        """The chain logs the head of this height and now shows it."""
        head = self.box.head()
        assert head
        assert head.claim.height == height
        self.machine.shown.append(self.machine.chain.anchor(head.claim, START_MS))

    def state(self, kind: int, height: int, *rest: object) -> None:
        """The chain logs a statement and now shows it."""
        record = [kind, *self.box.feed, height, *rest]
        self.machine.shown.append(self.machine.chain.log(record, START_MS))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.link.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def close(self) -> None:
        self.box.close()
        self.machine.store.close()


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[Callable[[], Room]]:
    made: list[Room] = []

    def make() -> Room:
        made.append(Room(tmp_path))
        return made[-1]

    yield make
    for room in made:
        room.close()


Make = Callable[[], Room]


@virtual_time
async def test_blocks_grants_and_head_arrive_at_the_machine(rooms: Make) -> None:
    room = rooms()
    place = GrantPlace(feed_id=room.box.feed[0], epoch=0, audience=1, key_epoch=0)
    signed = await sign_grant(b"sealed", place, KEY)
    for sealed in (signed, b"nobody signed this"):
        room.box.store.write(
            lambda txn, sealed=sealed: accept_grant(  # type: ignore[misc]  # bound now
                txn, room.box.feed, audience=1, key_epoch=0, sealed=sealed
            )
        )
    await room.grow(3)
    async with room.running():
        await room.mirrored(2)
    held = room.machine.store.read(lambda txn: blocks_held(txn, room.box.feed))
    assert (3, True) == (held, room.link.progress.bytes_sent > 0)
    assert [b"sealed"] == room.machine.store.read(lambda txn: grants_of(txn, room.box.feed))
    headers = [
        store.read(lambda txn: get_header(txn, room.box.feed, 2))
        for store in (room.box.store, room.machine.store)
    ]
    assert headers[0] == headers[1]


@virtual_time
async def test_a_cut_line_is_made_anew_and_goes_on_where_the_machine_stands(rooms: Make) -> None:
    room = rooms()
    await room.grow(2)
    async with room.running():
        await room.mirrored(1)
        assert room.link.progress.connected
        room.machine.heard.clear()
        room.machine.lines[0].say(ChainUnavailableError("line cut"))
        await asyncio.sleep(0)
        await room.grow()
        await room.mirrored(2)
    assert 2 == len(room.machine.lines)
    sent = [data for data in room.machine.heard if data[2] == 3]  # message type "block"
    assert 1 == len(sent)
    assert not room.link.progress.connected


@virtual_time
async def test_a_peer_that_ends_the_stream_is_connected_to_again(rooms: Make) -> None:
    room = rooms()
    await room.grow()
    async with room.running():
        await room.mirrored(0)
        room.machine.lines[0].say(None)
        await asyncio.sleep(20)
    assert 1 < len(room.machine.lines)


@virtual_time
async def test_a_peer_that_talks_nonsense_is_left_and_tried_again(rooms: Make) -> None:
    room = rooms()
    await room.grow()
    async with room.running():
        await room.mirrored(0)
        room.machine.lines[0].say(b"\xff nonsense")
        await asyncio.sleep(20)
    assert 1 < len(room.machine.lines)


@virtual_time
async def test_a_feed_that_is_not_enrolled_yet_is_offered_again_until_it_is(rooms: Make) -> None:
    room = rooms()
    room.machine.enrolled = False
    await room.grow()
    async with room.running():
        await asyncio.sleep(30)
        assert "not enrolled" in room.link.progress.refusals[-1]
        assert len(room.link.progress.refusals) <= 10
        room.machine.enrolled = True
        await room.mirrored(0)


@virtual_time
async def test_the_anchor_is_asked_for_until_its_proof_is_held_and_kept(rooms: Make) -> None:
    room = rooms()
    await room.grow(2)
    room.machine.not_yet = [
        NotYetProvenError("not anchored yet"),
        ChainUnavailableError("machine restarts"),
        NotYetProvenError("not anchored yet"),
    ]
    room.anchor(1)
    async with room.running():
        await room.link.anchored_up_to(1)
        await asyncio.sleep(1)
    assert 4 <= len(room.machine.asked)
    assert (1, 500) == (
        room.link.progress.anchored_height,
        room.link.progress.anchored_chain_height,
    )
    place = feed_prefix(room.box.feed) + (1).to_bytes(8, "big")
    assert room.box.store.read(lambda txn: txn.get("anchors", place))


@virtual_time
async def test_once_an_anchor_is_held_the_next_head_is_asked_for(rooms: Make) -> None:
    room = rooms()
    await room.grow()
    room.anchor(0)
    async with room.running():
        await room.link.anchored_up_to(0)
        await room.grow()
        room.anchor(1)
        await room.link.anchored_up_to(1)
    assert 1 == room.link.progress.anchored_height


@virtual_time
async def test_a_chain_part_from_another_genesis_is_not_believed(rooms: Make) -> None:
    room = rooms()
    await room.grow()
    room.machine.chain = ChainBuilder("wharf-test", owner="forger")
    room.anchor(0)
    async with room.running():
        await asyncio.sleep(30)
    assert len(room.machine.asked) > 1
    assert -1 == room.link.progress.anchored_height
    assert 0 == room.box.store.read(lambda txn: txn.count("anchors"))


@virtual_time
async def test_an_anchor_of_another_feed_is_not_ours(rooms: Make) -> None:
    room = rooms()
    await room.grow()
    record = [4, b"x" * 16, 0, 0, 9, b"r" * 32, b"b" * 32, b"h" * 32]
    room.machine.shown.append(room.machine.chain.log(record, START_MS))
    async with room.running():
        await asyncio.sleep(10)
    assert -1 == room.link.progress.anchored_height


@virtual_time
async def test_who_holds_and_who_opened_is_noted_and_a_bad_opening_is_none(rooms: Make) -> None:
    room = rooms()
    await room.grow(2)
    room.anchor(1)
    digest = b"d" * 32
    room.state(5, 1, digest, PARTY)
    room.state(6, 1, 1, digest, False, PARTY)
    async with room.running():
        await room.link.anchored_up_to(1)
        progress = room.link.progress
        assert (1, {PARTY}, -1) == (
            progress.mirrored_height,
            progress.parties_mirrored,
            progress.opened_height,
        )
        room.state(6, 1, 1, digest, True, PARTY)
        await asyncio.sleep(10)  # asked again although everything is anchored
    assert 1 == room.link.progress.opened_height


@virtual_time
async def test_a_peer_that_holds_more_of_our_feed_than_we_do_stops_the_signing(rooms: Make) -> None:
    room = rooms()
    await room.grow()
    async with room.running():
        await room.mirrored(0)
        await asyncio.sleep(1)
        assert (True, []) == (room.link.first_word.is_set(), room.behind)
        room.machine.lines[0].say(message(STATE, *room.box.feed, 9, 8))
        await asyncio.sleep(1)
    (reason,) = room.behind
    assert reason.startswith("a peer holds 9 blocks of this feed, this store 1: an old copy, or a")
    assert "bring the newest copy of data_dir back, or enrol this box anew" in reason


@virtual_time
async def test_a_chain_that_anchored_more_than_this_store_holds_stops_the_signing(
    rooms: Make,
) -> None:
    room = rooms()
    await room.grow(3)
    room.anchor(2)
    room.link._blocks_here = lambda: 2  # as an old copy of the store would say
    async with room.running():
        await asyncio.sleep(1)
    assert "the chain anchored 3 blocks of this feed, this store 2" in room.behind[0]


@virtual_time
async def test_a_machine_that_never_answers_never_gives_the_first_word(rooms: Make) -> None:
    room = rooms()

    def away() -> NoReturn:
        raise ChainUnavailableError("no route")

    room.machine.gossip = away  # type: ignore[method-assign]  # this machine is away
    await room.grow()
    async with room.running():
        await asyncio.sleep(20)
    assert not room.link.first_word.is_set()


@virtual_time
async def test_a_new_start_goes_on_behind_the_newest_anchor_receipt_that_is_held(
    rooms: Make,
) -> None:
    room = rooms()
    await room.grow(2)
    room.anchor(1)
    async with room.running():
        await room.link.anchored_up_to(1)
        await asyncio.sleep(1)
    room.machine.asked.clear()
    room.uplink()
    await room.grow()
    room.machine.not_yet = [NotYetProvenError("not anchored yet")] * 3
    async with room.running():
        await asyncio.sleep(1)
    assert 1 == room.link.progress.anchored_height
    # 3 is the boot guard's question: is anything anchored that is not here?
    assert {2, 3} == set(room.machine.asked)


@virtual_time
async def test_a_held_receipt_that_proves_nothing_is_fetched_anew(rooms: Make) -> None:
    room = rooms()
    await room.grow()
    place = feed_prefix(room.box.feed) + bytes(8)
    room.box.store.write(lambda txn: txn.put("anchors", place, b"\xff nonsense"))
    async with room.running():
        await asyncio.sleep(1)
        assert -1 == room.link.progress.anchored_height
        room.anchor(0)
        await room.link.anchored_up_to(0)


@virtual_time
async def test_a_machine_that_asks_for_readings_that_were_let_go_is_told_of(rooms: Make) -> None:
    room = rooms()
    await room.grow(4)
    room.box.store.write(lambda txn: prune(txn, room.box.feed, below=2, blocks_max=9))
    async with room.running():
        await asyncio.sleep(1)
    held = room.machine.store.read(lambda txn: blocks_held(txn, room.box.feed))
    # Block 0 holds the genesis and stays; the probe's descriptor stays with its block as well.
    assert (held, held) == (room.link.progress.pruned_wanted, 1)
