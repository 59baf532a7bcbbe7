"""A disk without room: nothing is accepted, this is said, nothing acknowledged is lost, and work
goes on by itself once there is room.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from consortium.errors import ChainStoreError
from consortium.state_store import BlockStore
from gateway import intake as intake_module
from gateway import service as service_module
from gateway.compose import open_gateway
from ledger.errors import JournalError, LocalError, StoreError
from ledger.store import Store
from logistics.reading import GapReason
from tests.fakes.gateway_parts import arrival, celsius
from tests.integration.disk.box import UNKEPT, Session, differences, held, make_box, session
from tests.integration.disk.small_disk import SmallDisk

MANY = 3000  # readings whose block needs new room in the store
# Values in a row would take next to no room: a run is held by columns, of differences.
SCATTERED = random.Random(7).sample(range(1_000, 1_000_000_000), 2 * MANY)
SLACK_US = 50_000
LIMIT_S = 20.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with SmallDisk(tmp_path).ready() as made:
        yield made


async def until(condition: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"{what}: not in {LIMIT_S} s"
        await asyncio.sleep(0.005)


def faults(running: Session) -> str:
    return "; ".join(running.opened.gateway.report()["faults"])


class Line:
    """A device that nobody keeps readings for: what it says while nobody listens is lost."""

    def __init__(self, running: Session, numbers: Iterator[int]) -> None:
        self._running, self._numbers = running, numbers
        self.taken: list[int] = []
        self.lost: list[int] = []  # when, in microseconds
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        parts = self._running.parts
        while True:
            value = next(self._numbers)
            said = arrival(celsius(value), device=UNKEPT, mono_us=parts.clock.mono_us())
            put = asyncio.create_task(parts.intake.put(said))
            while not (await asyncio.wait([put], timeout=0.002))[0]:
                self.lost.append(parts.clock.mono_us())
            self.taken.append(value)
            await asyncio.sleep(0.002)


async def test_a_full_disk_stops_acceptance_says_so_and_is_left_without_help(
    disk: SmallDisk,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(intake_module, "QUEUE_MAX", 30)
    config = await make_box(tmp_path, disk.folder / "data")
    acknowledged: list[int] = []
    numbers = count()
    async with session(
        config, lambda word, *rest: acknowledged.extend(rest[:1] * (word == "ack"))
    ) as box:
        await box.take(*(next(numbers) for _ in range(20)))
        line = Line(box, numbers)
        await until(lambda: len(line.taken) > 5, "the line is heard")
        disk.fill()
        sent: list[int] = []

        async def broker() -> None:
            while True:
                sent.append(next(numbers))
                await box.parts.intake.put(box.message(sent[-1]))
                await asyncio.sleep(0.001)

        publishing = asyncio.create_task(broker())
        await until(lambda: "disk full" in faults(box), "the fault")
        before = len(acknowledged)
        await until(lambda: len(line.lost) > 50, "a line that is not heard")
        assert before == len(acknowledged)
        assert "disk full: nothing is accepted" in faults(box)
        disk.make_room()
        await until(lambda: "disk full" not in faults(box), "acceptance by itself")
        heard = len(line.taken)
        await until(lambda: len(line.taken) > heard + 20, "the line is heard again")
        for task in (publishing, line.task):
            task.cancel()
        await asyncio.wait([publishing, line.task])
        await box.drained()
        assert not box.intake.done()
        assert len(acknowledged) > before
    assert "disk_full stop=accepting" in caplog.text
    assert "disk_has_room accepting=again" in caplog.text
    async with session(config) as box:
        await box.block()
        there = held(box.parts)
        # A cancelled put may have been taken or not: the last message of each is open.
        assert set(acknowledged) | set(line.taken[:-1]) | set(sent[:-1]) <= there.values.keys()
        assert max(there.values.values()) == 1
        told = [body for _, body in there.gaps if body[1] == GapReason.DISK_FULL]
        uncovered = [
            at_us
            for at_us in line.lost
            if not any(gap[4] - SLACK_US <= at_us <= gap[5] + SLACK_US for gap in told)
        ]
        print(f"acknowledged={len(acknowledged)} lost={len(line.lost)} gaps={len(told)}")
        assert told
        assert uncovered == []
    assert differences(config.data_dir) == []


async def test_a_block_that_the_store_has_no_room_for_is_cut_when_there_is(
    disk: SmallDisk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = await make_box(tmp_path, disk.folder / "data")
    async with session(config) as box:
        await box.take(*range(20))
        await box.block()
        await box.take(*range(20, MANY))
        disk.fill()
        cutting = asyncio.create_task(box.block())
        await until(lambda: "store full" in faults(box), "the fault")
        assert 1 == box.parts.cutter.state.height
        assert len(box.parts.intake.pending) > MANY - 30
        disk.make_room()
        await asyncio.wait_for(cutting, LIMIT_S)
        assert "store full" not in faults(box)
        assert (2, 0) == (box.parts.cutter.state.height, len(box.parts.intake.pending))
        assert set(range(MANY)) == held(box.parts).values.keys()
    assert "store_full stop=writing" in caplog.text
    assert "store_has_room writing=again" in caplog.text
    assert differences(config.data_dir) == []


async def test_starts_on_a_full_disk_lose_nothing(disk: SmallDisk, tmp_path: Path) -> None:
    config = await make_box(tmp_path, disk.folder / "data")
    async with session(config) as box:
        await box.take(*range(20))
        await box.block()
        await box.take(*range(20, MANY))
    disk.fill()
    ends = []
    for _ in range(40):
        try:
            async with session(config) as box:
                assert set(range(MANY)) == held(box.parts).values.keys()
                cutting = asyncio.create_task(box.block())
                await until(lambda b=box: "store full" in faults(b), "the fault")  # type: ignore[misc]  # bound now
                cutting.cancel()
                ends.append("stopped")
        except LocalError as error:
            ends.append(type(error).__name__)
    assert "stopped" in ends
    print({end: ends.count(end) for end in ends})
    disk.make_room()
    async with session(config) as box:
        await box.block()
        assert dict.fromkeys(range(MANY), 1) == dict(held(box.parts).values)
    assert differences(config.data_dir) == []


async def test_a_gateway_told_to_stop_on_a_full_disk_stops(
    disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FLUSH_S", "CUT_S"):
        monkeypatch.setattr(service_module, name, 0.2)
    config = await make_box(tmp_path, disk.folder / "data")
    async with session(config) as box:
        await box.take(*range(MANY))
    disk.fill()
    opened = open_gateway(config, [])
    try:
        stop = asyncio.Event()
        running = asyncio.create_task(opened.gateway.run(stop))
        opened.gateway.seal_now()
        await until(lambda: "store full" in str(opened.gateway.report()["faults"]), "the fault")
        stop.set()
        await asyncio.wait_for(running, LIMIT_S)
    finally:
        opened.close()
    disk.make_room()
    async with session(config) as box:
        assert set(range(MANY)) == held(box.parts).values.keys()


async def test_a_full_map_stops_blocks_and_keeps_every_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = await make_box(tmp_path, tmp_path / "data")
    options = Store.__init__.__kwdefaults__ or {}
    with monkeypatch.context() as small:
        small.setitem(options, "map_bytes", 96 << 10)
        async with session(config) as box:
            await box.take(*SCATTERED)
            cutting = asyncio.create_task(box.block())
            await until(lambda: "store full" in faults(box), "the fault")
            await box.take(*range(20))
            cutting.cancel()
    async with session(config) as box:
        assert {*SCATTERED, *range(20)} == held(box.parts).values.keys()
        await box.block()
        assert 0 == len(box.parts.intake.pending)
    assert differences(config.data_dir) == []


async def test_a_disk_that_turns_read_only_ends_the_gateway_and_nothing_is_acknowledged(
    tmp_path: Path,
) -> None:
    acknowledged: list[int] = []
    with SmallDisk(tmp_path, memory=False).ready() as disk:
        config = await make_box(tmp_path, disk.folder / "data")
        note = lambda word, *rest: acknowledged.extend(rest[:1] * (word == "ack"))  # noqa: E731  # one line
        async with session(config, note) as box:
            await box.take(*range(20))
            await box.block()
            await box.take(*range(20, 40))
            disk.refuse_writes()
            with pytest.raises(JournalError):
                await box.take(*range(40, 60))
            with pytest.raises(StoreError):
                await box.parts.cutter.cut_all()
        assert list(range(40)) == acknowledged
        if "loop" in disk.vehicle:
            for _ in range(3):
                with pytest.raises(LocalError):
                    open_gateway(config, [])
        disk.mend()
        async with session(config) as box:
            assert set(range(40)) <= held(box.parts).values.keys()
            await box.take(60)
            await box.block()
        assert differences(config.data_dir) == []


def test_a_chain_machine_without_room_takes_no_block_and_signs_none_twice(disk: SmallDisk) -> None:
    store = BlockStore(disk.folder / "chain", bytes(32))
    size_bytes = 256 << 10
    store.propose(1, bytes(size_bytes))
    store.sign(1, bytes(size_bytes))
    disk.fill()
    for _ in range(3):
        with pytest.raises(ChainStoreError):
            store.propose(2, bytes(size_bytes))
    assert 1 == store.height
    disk.make_room()
    store.propose(2, b"another")
    store.sign(2, b"another")
    store.close()
    again = BlockStore(disk.folder / "chain", bytes(32))
    assert ((True, bytes(size_bytes)), (True, b"another")) == (again.block(1), again.block(2))
    again.close()
