import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import cast

import pytest

from firmware_bridge.devices import Arrival, Reason, rejected
from gateway.deliveries import DIGEST_BYTES, Deliveries, is_mark
from gateway.intake import FULL_RETRY_S, GROUP_MAX, QUEUE_MAX, Intake
from ledger.entry import KIND_BOOT, Entry, GTime, decode_entry
from ledger.errors import JournalError
from ledger.journal import Journal, JournalFullError
from tests.fakes.gateway_parts import HandClock, arrival, celsius, maker_of
from tests.fakes.virtual_time import now_s, settled, virtual_time


class ListJournal:
    """Groups in memory; fails in turn with what `fails` holds, waits while `may_sync` is unset."""

    def __init__(self) -> None:
        self.groups: list[list[bytes]] = []
        self.fails: list[JournalError] = []
        self.forgotten: list[int] = []
        self.closed, self.readings = False, 0

    def append(self, data: Sequence[bytes]) -> int:
        if self.fails:
            raise self.fails.pop(0)
        first = 1 + sum(len(group) for group in self.groups)
        self.groups.append(list(data))
        self.readings = len(self.values())
        return first

    def forget(self, jseq_end: int) -> None:
        self.forgotten.append(jseq_end)

    def close(self) -> None:
        self.closed = True

    def values(self) -> list[int]:
        """Readings that are durable."""
        entries = [decode_entry(d) for group in self.groups for d in group if not is_mark(d)]
        return [entry.body[1] for entry in entries if entry.kind == 1]


class Room:
    """An intake over a journal in memory, and what it acknowledged."""

    def __init__(self, deliveries: Deliveries | None = None) -> None:
        self.journal = ListJournal()
        self.maker = maker_of(HandClock())
        self.intake = Intake(
            cast("Journal", self.journal),
            self.maker,
            deque(),
            deliveries=deliveries or Deliveries(),
        )
        self.acknowledged: list[tuple[int, int]] = []  # value, readings durable by then

    def message(self, value: int = 4000, *, packet: int = 1, again: bool = False) -> Arrival:
        def acknowledge() -> None:
            self.acknowledged.append((value, self.journal.readings))

        return arrival(
            celsius(value),
            qos=1,
            redelivered=again,
            payload_digest=(packet << 32 | value).to_bytes(DIGEST_BYTES, "big"),
            acknowledge=acknowledge,
        )

    def full(self) -> bool:
        return self.intake.counts.full_since_mono_us is not None

    @asynccontextmanager
    async def running(self) -> AsyncIterator["asyncio.Task[None]"]:
        task = asyncio.create_task(self.intake.run())
        yield task
        task.cancel()


@virtual_time
async def test_a_message_is_acknowledged_only_once_the_sync_that_holds_it_is_done() -> None:
    room = Room()
    async with room.running():
        await room.intake.put(room.message())
        assert room.acknowledged == []
        await room.intake.drain()
    assert [(4000, 1)] == room.acknowledged
    assert (1, 1, 2) == (
        room.intake.counts.acknowledged,
        room.intake.counts.groups,
        room.intake.counts.journaled,
    )


@virtual_time
async def test_when_the_sync_fails_nothing_is_acknowledged_and_the_error_ends_the_intake() -> None:
    room = Room()
    room.journal.fails = [JournalError("fdatasync: input/output error")]
    async with room.running() as task:
        await room.intake.put(room.message())
        with pytest.raises(JournalError, match="input/output"):
            await task
    assert ([], 0, 0) == (room.acknowledged, len(room.intake.pending), len(room.journal.groups))


@virtual_time
async def test_what_came_during_a_sync_is_one_group_with_one_sync() -> None:
    room = Room()
    for number in range(50):
        await room.intake.put(room.message(4000 + number, packet=number))
    async with room.running():
        await room.intake.drain()
    assert (1, 50) == (len(room.journal.groups), len(room.acknowledged))
    assert {50} == {durable for _, durable in room.acknowledged}


@virtual_time
async def test_a_lone_message_waits_for_no_second_one() -> None:
    room = Room()
    async with room.running():
        await room.intake.put(room.message())
        await room.intake.drain()
        assert now_s() == 0
    assert GROUP_MAX > 1


@virtual_time
async def test_what_was_taken_and_is_not_durable_is_counted_as_waiting() -> None:
    room = Room()
    for number in range(QUEUE_MAX):
        await room.intake.put(room.message(number, packet=number))
    one_more = asyncio.create_task(room.intake.put(room.message(9, packet=9_999)))
    await settled()
    assert QUEUE_MAX + 1 == room.intake.waiting
    one_more.cancel()
    await settled()
    assert QUEUE_MAX == room.intake.waiting
    async with room.running():
        await room.intake.drain()
    assert (0, QUEUE_MAX) == (room.intake.waiting, len(room.journal.values()))


@virtual_time
async def test_entries_are_pending_in_the_journals_order_with_its_numbers() -> None:
    room = Room()
    async with room.running():
        for number in range(3):
            await room.intake.put(room.message(4000 + number, packet=number))
            await room.intake.drain()
    pending = list(room.intake.pending)
    assert [0, 1, 2, 3] == [item.entry.srcseq for item in pending]
    frames = [frame for group in room.journal.groups for frame in group]
    assert [item.data for item in pending] == [frames[item.jseq - 1] for item in pending]
    assert all(earlier.jseq < later.jseq for earlier, later in pairwise(pending))


@virtual_time
async def test_while_the_disk_is_full_nothing_is_acknowledged_and_then_all_of_it() -> None:
    room, told = Room(), list[tuple[GTime, GTime, list[int]]]()

    def after_full(since: GTime, until: GTime) -> list[Entry]:
        told.append((since, until, room.journal.values()))
        return []

    room.intake.after_full = after_full
    room.journal.fails = [JournalFullError("no room") for _ in range(5)]
    async with room.running():
        await room.intake.put(room.message(4000, packet=1))
        await settled()
        assert room.full()
        await room.intake.put(room.message(4001, packet=2))
        assert (room.acknowledged, told) == ([], [])
        await room.intake.drain()
        await settled()
    assert [(4000, 1), (4001, 2)] == room.acknowledged
    assert not room.full()
    assert [4000, 4001] == room.journal.values()
    ((since, until, _),) = told
    assert since.mono_us <= until.mono_us


@virtual_time
async def test_a_full_disk_is_asked_again_once_a_second_and_not_more_often() -> None:
    room = Room()
    room.journal.fails = [JournalFullError("no room") for _ in range(10)]
    async with room.running():
        await room.intake.put(room.message())
        await room.intake.drain()
        assert now_s() == pytest.approx(10 * FULL_RETRY_S)


@virtual_time
async def test_a_journal_that_is_behind_holds_the_input_back() -> None:
    room = Room()
    for number in range(QUEUE_MAX):
        await room.intake.put(room.message(number, packet=number))
    one_more = asyncio.create_task(room.intake.put(room.message(9, packet=9_999)))
    await settled()
    assert not one_more.done()
    async with room.running():
        await one_more
        await room.intake.drain()
    assert QUEUE_MAX + 1 == len(room.journal.values())


@virtual_time
async def test_a_repeated_delivery_that_is_durable_is_acknowledged_and_is_no_second_reading() -> (
    None
):
    room = Room()
    async with room.running():
        await room.intake.put(room.message())
        await room.intake.drain()
        await room.intake.put(room.message(again=True))
        await room.intake.drain()
    assert ([4000], [(4000, 1), (4000, 1)]) == (room.journal.values(), room.acknowledged)


@virtual_time
async def test_a_delivery_repeated_within_one_group_is_no_second_reading() -> None:
    room = Room()
    for again in (False, True):  # the connection broke while the first one waited for its sync
        await room.intake.put(room.message(again=again))
    async with room.running():
        await room.intake.drain()
    assert [4000] == room.journal.values()
    assert 2 == len(room.acknowledged)


@virtual_time
async def test_marks_in_the_journal_know_a_repeated_delivery_after_a_restart() -> None:
    before = Room()
    async with before.running():
        await before.intake.put(before.message())
        await before.intake.drain()
    marks = [frame for group in before.journal.groups for frame in group if is_mark(frame)]
    after = Room(Deliveries(marks))
    async with after.running():
        await after.intake.put(after.message(again=True))
        await after.intake.put(after.message(4001, packet=2, again=True))
        await after.intake.drain()
    assert ([4001], 2) == (after.journal.values(), len(after.acknowledged))


@virtual_time
async def test_a_message_without_promise_is_counted_as_unacknowledgeable() -> None:
    room = Room()
    async with room.running():
        await room.intake.put(arrival(celsius(), qos=0))
        await room.intake.put(arrival(celsius()))  # a serial line: nobody waits there
        await room.intake.drain()
    assert (1, 0) == (room.intake.counts.unacknowledgeable, room.intake.counts.acknowledged)
    assert not any(is_mark(frame) for group in room.journal.groups for frame in group)


@virtual_time
async def test_what_gave_no_reading_costs_no_sync() -> None:
    room = Room()
    async with room.running():
        await room.intake.put(arrival(rejected=(rejected(b"?", Reason.JSON),)))
        await room.intake.drain()
    assert [] == room.journal.groups
    assert {("probe", "json"): 1} == room.maker.rejected


@virtual_time
async def test_the_gateways_own_entries_take_their_turn() -> None:
    room = Room()
    await room.intake.put(room.message())
    await room.intake.put_made(lambda: [room.maker.control(KIND_BOOT, [1])])
    async with room.running():
        await room.intake.drain()
    assert [6, 1, KIND_BOOT] == [item.entry.kind for item in room.intake.pending]


@virtual_time
async def test_sealed_entries_are_forgotten_on_the_journals_own_thread_and_it_is_closed_last() -> (
    None
):
    room = Room()
    await room.intake.forget(7)
    room.intake.close()
    assert ([7], True) == (room.journal.forgotten, room.journal.closed)
