"""The gateway whole, but for devices and chain machine: real key file, journal and store."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge.conversation import Sink
from firmware_bridge.devices import DeviceSpec
from firmware_bridge.errors import SignerUnavailableError, TransportError
from firmware_bridge.keys.registry import create_key
from gateway import compose
from gateway.clock import boottime_us
from gateway.compose import Opened, open_gateway
from gateway.config import GatewayConfig, parse_config
from gateway.entry_maker import EntryMaker
from gateway.errors import NotInitialisedError
from gateway.identity import get_identity
from gateway.init import Wish, initialise
from gateway.service import WITNESS_WAIT_S, Gateway, Parts
from gateway.uplink import Uplink
from ledger.entry import KIND_BOOT, KIND_DESCRIPTOR, KIND_GAP, KIND_GENESIS, KIND_TELEMETRY, Entry
from ledger.errors import JournalError
from ledger.feed_store import get_state, newest_head
from ledger.head import TYP_HEAD
from ledger.journal import JournalFullError
from logistics.reading import Gap, GapReason
from tests.fakes.gateway_parts import MemorySigner, arrival, celsius
from tests.fakes.virtual_time import now_s, settled, virtual_time

TOML = """\
[gateway]
name = "cold-room"
party = "Cold Store Ltd"
data_dir = "data"
development = true
[key]
uri = "file:{folder}/key.pem"
[[audience]]
id = 1
name = "goods"
readers = []
[[device]]
id = "probe"
driver = "ds18b20"
source = "w1:{folder}/probe"
interval_s = 10
audience = 1
[[device]]
id = "fridge"
driver = "zigbee2mqtt"
source = "mqtt:zigbee2mqtt/fridge"
audience = 1
"""


class Probe:
    """A device that says what the test puts; `lost` breaks its port."""

    def __init__(self) -> None:
        self.words: asyncio.Queue[int | None] = asyncio.Queue()

    async def run(self, spec: DeviceSpec, sink: Sink) -> None:
        while (value := await self.words.get()) is not None:
            await sink(arrival(celsius(value), device=spec.id, mono_us=boottime_us()))
        raise TransportError("unplugged")


class Room:
    """A gateway that can be started, stopped and killed again and again over one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: Opened | None = None
        path = folder / "gateway.toml"
        text = TOML.format(folder=folder)
        path.write_text(text, encoding="utf-8")
        self.config: GatewayConfig = parse_config(text, path)
        self.probe = Probe()

    async def init(self) -> None:
        made = Wish(
            config_path=self.config.path,
            name="",
            party="",
            data_dir=self.folder / "data",
            key_uri=None,
            development=True,
            address=None,
            certificate=None,
            genesis_sha256=None,
            readers=(),
        )
        await initialise(made)

    def open(self, **changes: Any) -> Gateway:
        """As `wharf gateway run` opens it, the probe in its hand and no broker."""
        self.opened = open_gateway(self.config, [])
        parts = self.opened.gateway._parts
        specs = [spec for spec in parts.serial_specs if spec.id == "probe"]
        self.parts: Parts = replace(
            parts, mqtt=None, serial_specs=specs, run_device=self.probe.run, **changes
        )
        self.opened.gateway = Gateway(self.parts)
        return self.opened.gateway

    def close(self) -> None:
        if self.opened is not None:
            self.opened.close()
            self.opened = None

    @asynccontextmanager
    async def running(self, **changes: Any) -> AsyncIterator[Gateway]:
        """From start to an orderly stop."""
        if self.opened is None:
            self.open(**changes)
        assert self.opened
        stop = asyncio.Event()
        task = asyncio.create_task(self.opened.gateway.run(stop))
        yield self.opened.gateway
        stop.set()
        await task

    async def say(self, *values: int) -> None:
        for value in values:
            self.probe.words.put_nowait(value)
        await settled()

    def waiting(self) -> list[Entry]:
        return [item.entry for item in self.parts.intake.pending]


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


def kinds(entries: list[Entry]) -> list[int]:
    return [entry.kind for entry in entries]


@virtual_time
async def test_a_folder_without_a_gateway_is_refused_with_the_command_that_makes_one(
    rooms: Make,
) -> None:
    with pytest.raises(NotInitialisedError, match="wharf gateway init"):
        rooms().open()


@virtual_time
async def test_the_first_start_begins_the_feed_and_every_start_is_an_entry(rooms: Make) -> None:
    room = rooms()
    await room.init()
    room.open()
    genesis, boot = room.waiting()
    digest = hashlib.sha256(room.config.path.read_bytes()).digest()
    assert (KIND_GENESIS, KIND_BOOT) == (genesis.kind, boot.kind)
    assert [2, compose.SOFTWARE, digest, 0, 0, ""] == boot.body
    room.close()
    room.open()  # killed before a block was cut: all of it is there again
    assert [KIND_GENESIS, KIND_BOOT, KIND_BOOT] == kinds(room.waiting())
    assert [0, 1, 2] == [entry.srcseq for entry in room.waiting()]


@virtual_time
async def test_a_stop_leaves_nothing_unsealed_and_nothing_unsigned(rooms: Make) -> None:
    room = rooms()
    await room.init()
    async with room.running() as gateway:
        await room.say(4000, 4100)
        assert (2, 4) == (
            gateway.report()["channels"][0]["readings"],
            gateway.report()["pending"] - 1,
        )
    report = gateway.report()
    assert (0, report["sealed_height"]) == (report["pending"], report["signed_height"])
    feed = (room.parts.feed_id, 0)
    head = room.parts.store.read(lambda txn: newest_head(txn, feed))
    state = room.parts.store.read(lambda txn: get_state(txn, feed))
    assert head
    assert state
    assert (head.claim.size, "cold-room") == (state.leaves.size, head.claim.subject)


@virtual_time
async def test_what_was_journaled_before_a_kill_is_pending_after_it_with_a_gap_for_the_time_down(
    rooms: Make,
) -> None:
    room = rooms()
    await room.init()
    gateway = room.open()
    running = asyncio.create_task(gateway.run(asyncio.Event()))
    await room.say(4000, 4100)
    running.cancel()  # no word to anybody, as a kill; only the files are let go of
    await asyncio.gather(running, return_exceptions=True)
    room.close()

    async with room.running():
        await room.say(4200)
        entries = [entry for entry in room.waiting() if entry.slot]
    assert [KIND_DESCRIPTOR, *[KIND_TELEMETRY] * 2, KIND_GAP, KIND_TELEMETRY] == kinds(entries)
    assert [0, 1, 2, 3, 4] == [entry.srcseq for entry in entries]
    gap = Gap.from_body(entries[3].body)
    assert (GapReason.GATEWAY_DOWN, entries[2].time.wall_us) == (gap.reason, gap.from_wall_us)


@virtual_time
async def test_a_port_that_goes_away_right_behind_a_reading_leaves_its_gap_behind_that_reading(
    rooms: Make,
) -> None:
    room = rooms()
    await room.init()
    async with room.running():
        room.probe.words.put_nowait(4000)
        room.probe.words.put_nowait(None)
        await room.say(4100)
        entries = [entry for entry in room.waiting() if entry.slot]
    assert [KIND_DESCRIPTOR, KIND_TELEMETRY, KIND_GAP, KIND_TELEMETRY] == kinds(entries)
    gap = Gap.from_body(entries[2].body)
    assert (GapReason.UNPLUGGED, entries[1].time.wall_us) == (gap.reason, gap.from_wall_us)


@virtual_time
async def test_a_block_may_be_asked_for_at_any_time(rooms: Make) -> None:
    room = rooms()
    await room.init()
    async with room.running() as gateway:
        await settled()
        assert -1 == gateway.report()["sealed_height"]
        gateway.seal_now()
        await settled()
        assert 0 == gateway.report()["sealed_height"]


@virtual_time
async def test_a_gateway_that_breathes_says_so_and_one_with_a_full_disk_is_not_hung(
    rooms: Make,
) -> None:
    room = rooms()
    await room.init()
    async with room.running() as gateway:
        await gateway.breathe()
        room.parts.intake.counts.full_since_mono_us = 1
        await gateway.breathe()
        room.parts.intake.counts.full_since_mono_us = None


@virtual_time
async def test_a_journal_that_fails_ends_the_gateway_with_its_own_error(
    rooms: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = rooms()
    await room.init()
    gateway = room.open()

    def broken(_: object) -> int:
        raise JournalError("fdatasync: input/output error")

    monkeypatch.setattr(room.parts.intake._journal, "append", broken)
    running = asyncio.create_task(gateway.run(asyncio.Event()))
    await room.say(4000)
    with pytest.raises(ExceptionGroup) as caught:
        await running
    assert caught.group_contains(JournalError, match="input/output error")


@virtual_time
async def test_a_stop_while_the_disk_is_full_still_ends(
    rooms: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = rooms()
    await room.init()

    def full(_: object) -> int:
        raise JournalFullError("no room")

    async with room.running() as gateway:
        monkeypatch.setattr(room.parts.intake._journal, "append", full)
        await room.say(4000)
        assert "disk full: nothing is accepted until there is room" in gateway.report()["faults"]
        asked_s = now_s()
    assert now_s() - asked_s < 30


@virtual_time
async def test_a_key_that_is_not_the_feeds_signs_nothing_and_is_a_fault(rooms: Make) -> None:
    room = rooms()
    await room.init()
    (room.folder / "key.pem").unlink()
    await create_key(room.config.key_uri, alg=-7, development=True)
    async with room.running() as gateway:
        await room.say(4000)
        assert any("not this feed's" in fault for fault in gateway.report()["faults"])
        gateway.seal_now()
        await settled()
        assert (0, -1) == (gateway.report()["sealed_height"], gateway.report()["signed_height"])


@virtual_time
async def test_a_token_that_is_away_is_a_fault_until_it_is_back(rooms: Make) -> None:
    room = rooms()
    await room.init()
    away = asyncio.Event()

    async def open_signer() -> Any:
        if not away.is_set():
            raise SignerUnavailableError("unplugged")
        return await compose._open_signer(room.config, identity)

    room.open()
    identity = room.parts.store.read(get_identity)
    room.close()
    async with room.running(open_signer=open_signer) as gateway:
        await settled()
        assert ["key holder away: journaling goes on, nothing is signed"] == gateway.report()[
            "faults"
        ]
        away.set()
        await asyncio.sleep(5)
        assert [] == gateway.report()["faults"]


class DeafDoor:
    """A chain machine that takes the call and never says anything."""

    @asynccontextmanager
    async def gossip(self) -> AsyncIterator["DeafDoor"]:
        yield self

    async def send(self, message: bytes) -> None:
        """Nothing comes of it."""

    async def receive(self) -> bytes | None:
        await asyncio.Event().wait()
        return None

    async def feed_part(self, feed_id: bytes, epoch: int, height: int) -> bytes:
        await asyncio.Event().wait()
        return b""


@virtual_time
async def test_a_witness_is_given_five_seconds_to_speak_before_anything_is_signed(
    rooms: Make,
) -> None:
    room = rooms()
    await room.init()
    signed_at_s, key = list[tuple[bool, float]](), MemorySigner()
    sign = key.sign

    async def noted(tbs: bytes) -> bytes:
        signed_at_s.append((TYP_HEAD.encode() in tbs, now_s()))
        return await sign(tbs)

    key.sign = noted  # type: ignore[method-assign]  # only to see when
    room.open()
    link = Uplink(
        DeafDoor(),
        room.parts.store,
        (room.parts.feed_id, 0),
        genesis_sha256=bytes(32),
        blocks_here=lambda: 0,
        behind=lambda _: None,
    )
    room.parts = replace(room.parts, uplinks=[link], open_signer=key.open)
    assert room.opened
    room.opened.gateway = Gateway(room.parts)
    begun_s = now_s()
    async with room.running():
        room.opened.gateway.seal_now()
        await settled()
        # Who it is, it can say at once: without that no witness tells what it holds.
        assert 1 == key.opened
        await asyncio.sleep(WITNESS_WAIT_S)
    heads = [at_s - begun_s for is_head, at_s in signed_at_s if is_head]
    assert pytest.approx(WITNESS_WAIT_S, abs=0.5) == heads[0]


@virtual_time
async def test_every_witness_is_heard_before_anything_is_cut_or_signed(rooms: Make) -> None:
    room = rooms()
    await room.init()
    room.open()
    links = [
        Uplink(
            DeafDoor(),
            room.parts.store,
            (room.parts.feed_id, 0),
            genesis_sha256=bytes(32),
            blocks_here=lambda: 0,
            behind=lambda _: None,
        )
        for _ in range(2)
    ]
    links[0].first_word.set()
    room.parts = replace(room.parts, uplinks=links)
    assert room.opened
    room.opened.gateway = Gateway(room.parts)
    async with room.running() as gateway:
        gateway.seal_now()
        await asyncio.sleep(WITNESS_WAIT_S - 1)
        assert (0, -1) == (room.parts.cutter.state.height, room.parts.signer.signed_height)
        links[1].first_word.set()
        await settled()
        assert 1 == room.parts.cutter.state.height


@virtual_time
async def test_a_stop_before_the_witnesses_spoke_leaves_the_rest_in_the_journal(
    rooms: Make,
) -> None:
    room = rooms()
    await room.init()
    room.open()
    link = Uplink(
        DeafDoor(),
        room.parts.store,
        (room.parts.feed_id, 0),
        genesis_sha256=bytes(32),
        blocks_here=lambda: 0,
        behind=lambda _: None,
    )
    room.parts = replace(room.parts, uplinks=[link])
    assert room.opened
    room.opened.gateway = Gateway(room.parts)
    async with room.running():
        await room.say(4000)
    assert 0 == room.parts.cutter.state.height
    room.close()
    room.open()
    assert KIND_TELEMETRY in kinds(room.waiting())


@virtual_time
async def test_a_store_found_behind_makes_no_block_and_no_head_over_restarts(rooms: Make) -> None:
    room = rooms()
    await room.init()
    async with room.running():
        await room.say(4000)
    room.close()
    room.open()
    height = room.parts.cutter.state.height
    disk = (room.parts.store, room.parts.cutter, room.parts.signer)
    compose._hold(*disk, "a peer holds 9 blocks")
    for value in (4100, 4200):
        async with room.running() as gateway:
            await room.say(value)
            gateway.seal_now()
            await asyncio.sleep(60)
            assert ["signing stopped: a peer holds 9 blocks"] == gateway.report()["faults"]
            assert height == room.parts.cutter.state.height
        room.close()
        room.open()
    assert [4100, 4200] == [e.body[1] for e in room.waiting() if e.kind == KIND_TELEMETRY]


@pytest.mark.parametrize(
    ("persistent", "marked"), [(True, {"probe"}), (False, {"probe", "fridge"})]
)
@virtual_time
async def test_only_what_nobody_keeps_for_us_is_missing_after_a_restart(
    rooms: Make, persistent: bool, marked: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = rooms()
    await room.init()
    room.config = replace(room.config, broker=replace(room.config.broker, persistent=persistent))
    told = set[str]()
    real = EntryMaker.mark_absent

    def mark(maker: Any, device_id: str, reason: GapReason) -> None:
        assert reason == GapReason.GATEWAY_DOWN
        told.add(device_id)
        real(maker, device_id, reason)

    monkeypatch.setattr(EntryMaker, "mark_absent", mark)
    room.open()
    assert marked == told


@virtual_time
async def test_a_damaged_journal_frame_costs_that_entry_only_and_is_told_in_its_slots(
    rooms: Make,
) -> None:
    room = rooms()
    await room.init()
    gateway = room.open()
    running = asyncio.create_task(gateway.run(asyncio.Event()))
    await room.say(4000, 4100, 4200)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    victim = next(i for i in room.parts.intake.pending if i.entry.body[1:2] == [4100])
    room.close()
    (segment,) = (room.folder / "data" / "journal").glob("*.seg")
    data = bytearray(segment.read_bytes())
    data[data.index(victim.data) + 3] ^= 1
    segment.write_bytes(data)

    room.open()
    entries = [entry for entry in room.waiting() if entry.slot]
    assert [4000, 4200] == [e.body[1] for e in entries if e.kind == KIND_TELEMETRY]
    reasons = [Gap.from_body(e.body).reason for e in entries if e.kind == KIND_GAP]
    assert [GapReason.JOURNAL_CORRUPTION] == reasons
    assert list(range(len(entries))) == [entry.srcseq for entry in entries]


@virtual_time
async def test_entries_that_lost_their_slot_are_kept_in_quarantine_files(rooms: Make) -> None:
    room = rooms()
    await room.init()
    gateway = room.open()
    running = asyncio.create_task(gateway.run(asyncio.Event()))
    await room.say(4000, 4100)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    victim, *lost = [item for item in room.parts.intake.pending if item.entry.slot]
    room.close()
    (segment,) = (room.folder / "data" / "journal").glob("*.seg")
    data = bytearray(segment.read_bytes())
    data[data.index(victim.data) + 3] ^= 1
    segment.write_bytes(data)

    room.open()
    files = sorted((room.folder / "data" / "quarantine").iterdir())
    assert [item.data for item in lost] == [path.read_bytes() for path in files]
    assert [f"{item.jseq}.entry" for item in lost] == [path.name for path in files]
