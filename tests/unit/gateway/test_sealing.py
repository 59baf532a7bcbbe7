import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge.errors import (
    KeyMissingError,
    PinRejectedError,
    SignerFaultError,
    SignerUnavailableError,
)
from gateway.config import SealConfig
from gateway.errors import IdentityError
from gateway.sealing import RETRY_S_MAX, OpenSigner, stats_of
from gateway.slots import book_from_value
from ledger import prove
from ledger.entry import KIND_TELEMETRY, Entry, GTime
from ledger.errors import StoreError
from ledger.feed_store import get_header, get_state, get_value
from ledger.head import NO_HEAD
from ledger.mirror import open_held_run, open_public_run
from ledger.prove import Span, complete_span
from logistics.reading import Gap, GapReason, Telemetry, stats
from tests.fakes.gateway_parts import Box, MemorySigner, arrival, celsius
from tests.fakes.virtual_time import now_s, settled, virtual_time


def seal(count: int = 100, interval_s: int = 30, idle_s: int = 300) -> SealConfig:
    return SealConfig(count=count, interval_s=interval_s, idle_s=idle_s)


@asynccontextmanager
async def running(*work: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(item) for item in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def first_block_at_s(box: Box, after_start: Callable[[], Any] = lambda: None) -> float:
    """When the cutter makes its first block, on the loop's own clock."""
    async with running(box.cutter.run()):
        await asyncio.sleep(0)
        after_start()
        await box.cutter.cut_made.wait()
        return now_s()


# Cutting ------------------------------------------------------------------------------------


@virtual_time
async def test_a_block_is_cut_at_once_when_enough_entries_wait(tmp_path: Path) -> None:
    box = Box(tmp_path, seal(count=5))
    await box.read(5)
    assert await first_block_at_s(box) < 1
    assert (0, 1) == (len(box.intake.pending), box.cutter.state.height)
    box.close()


@virtual_time
async def test_a_waiting_entry_waits_no_longer_than_the_interval(tmp_path: Path) -> None:
    box = Box(tmp_path, seal(interval_s=30))
    await box.read(1)
    assert 30 <= await first_block_at_s(box) < 32
    box.close()


@virtual_time
async def test_a_block_is_cut_even_if_nothing_comes_so_that_nothing_is_proven_too(
    tmp_path: Path,
) -> None:
    box = Box(tmp_path, seal(idle_s=300))
    await box.block()
    box.cutter.cut_made.clear()
    begun_s = now_s()
    assert 300 <= await first_block_at_s(box) - begun_s < 302
    header = box.store.read(lambda txn: get_header(txn, box.feed, 1))
    assert header
    assert header.size - header.start == 2  # the summaries of two slots, count 0
    box.close()


@virtual_time
async def test_a_block_is_cut_on_demand(tmp_path: Path) -> None:
    box = Box(tmp_path, seal())
    await box.read(1)
    assert await first_block_at_s(box, box.cutter.demand) < 1
    box.close()


@virtual_time
async def test_blocks_follow_each_other_and_leave_nothing_pending(tmp_path: Path) -> None:
    box = Box(tmp_path)
    for readings in (3, 0, 2):
        await box.block(readings)
    headers = [
        box.store.read(lambda txn, h=height: get_header(txn, box.feed, h))  # type: ignore[misc]  # bound now
        for height in range(3)
    ]
    assert headers[0]
    assert headers[1]
    assert headers[2]
    assert [headers[0].size, headers[1].size] == [headers[1].start, headers[2].start]
    assert headers[2].prev_digest == headers[1].digest
    state = box.store.read(lambda txn: get_state(txn, box.feed))
    assert state == box.cutter.state
    assert headers[2].jseq_end == box.journal.next_jseq - 1
    box.close()


@virtual_time
async def test_a_block_says_up_to_when_everything_that_came_is_in_it_or_before(
    tmp_path: Path,
) -> None:
    box = Box(tmp_path)
    await box.block(1)
    assert box.clock.wall_us == complete_until_us(box, 0)
    # One entry is left outside: the block is complete up to that one.
    await box.read(3)
    left = box.intake.pending[-1]
    box.clock.advance(5)
    await box.cutter._cut_one(len(box.intake.pending) - 1)
    assert left.entry.time.wall_us == complete_until_us(box, 1)
    # What was taken and is not durable yet counts as outside, too.
    await box.cutter.cut_all()
    taken_us = box.clock.wall_us
    await box.intake.put(arrival(celsius(), mono_us=box.clock.mono_us))
    box.clock.advance(5)
    await box.cutter.cut_all()
    assert taken_us == complete_until_us(box, 3)
    box.close()


@virtual_time
async def test_a_proof_reaches_so_far_that_the_asked_interval_is_in_blocks(tmp_path: Path) -> None:
    box = Box(tmp_path)
    await box.block(1)
    asked_ms = box.clock.wall_us // 1000
    await box.intake.put(arrival(celsius(), mono_us=box.clock.mono_us - 1_000_000))
    await box.cutter.cut_all()  # anchored behind the interval, and still without that reading
    await box.block(0)
    await box.block(0)

    def span(first: int, later: list[int], to_ms: int = asked_ms) -> int:
        return box.store.read(
            lambda txn: complete_span(
                txn, box.feed, Span(base=None, last=first), later=later, to_ms=to_ms
            )
        ).last

    assert [0, 2, 2] == [span(0, [1, 2, 3]), span(1, [2, 3]), span(1, [2])]
    assert 3 == span(1, [2, 3], asked_ms + 60_000)  # behind even there: the verdict says so
    box.close()


def complete_until_us(box: Box, height: int) -> int | None:
    return box.store.read(lambda txn: prove.complete_until_us(txn, box.feed, height))


@virtual_time
async def test_the_audiences_key_opens_its_run_and_the_readings_are_there(tmp_path: Path) -> None:
    box = Box(tmp_path)
    await box.block(3)
    opened = box.store.read(
        lambda txn: open_held_run(txn, box.feed, height=0, audience=1, key=box.audience_key)
    )
    assert [6, 1, 1, 1, 12] == [entry.kind for entry in opened.entries]
    public = box.store.read(lambda txn: open_public_run(txn, box.feed, 0))
    assert [0, 12] == [entry.kind for entry in public.entries]
    box.close()


@virtual_time
async def test_the_saved_slot_book_knows_what_is_in_blocks_and_not_more(tmp_path: Path) -> None:
    box = Box(tmp_path)
    await box.block(3)
    await box.read(4)
    saved = book_from_value(box.store.read(lambda txn: get_value(txn, "slot-book")))
    line, live = saved.find(("probe", "temperature")), box.book.find(("probe", "temperature"))
    assert line
    assert live
    assert (3, 7) == (line.readings, live.readings)
    box.close()


def test_a_summarys_claim_counts_readings_only() -> None:
    time = GTime(1, 1, None, 0, 0)
    record = Telemetry(value=4, exponent=0, unit="CEL")
    entries = [
        Entry(7, 1, time, 1, Gap(reason=GapReason.SILENT).to_body()),
        Entry(KIND_TELEMETRY, 1, time, 2, record.to_body()),
    ]
    assert stats([record]) == stats_of(entries)


# Signing ------------------------------------------------------------------------------------


async def signed_once(box: Box, open_signer: OpenSigner) -> None:
    async with running(box.signer.run(open_signer)):
        await box.signer.signed.wait()


@virtual_time
async def test_a_block_gets_its_head_and_each_head_names_the_one_before(tmp_path: Path) -> None:
    box, key = Box(tmp_path), MemorySigner()
    await box.block()
    async with running(box.signer.run(key.open)):
        await box.signer.signed.wait()
        first = box.head()
        box.signer.signed.clear()
        await box.block()
        await box.signer.signed.wait()
    second = box.head()
    assert first
    assert second
    for head in (first, second):
        head.verify(key.public)
    assert (NO_HEAD, first.claim.digest) == (
        first.claim.prev_head_digest,
        second.claim.prev_head_digest,
    )
    assert [0, 1] == [first.claim.height, second.claim.height]
    assert (1, 1, 1) == (box.signer.signed_height, key.opened, key.closed)
    box.close()


@virtual_time
async def test_while_the_token_is_away_blocks_are_cut_and_one_head_then_covers_them_all(
    tmp_path: Path,
) -> None:
    box, key = Box(tmp_path), MemorySigner()
    key.fails = [SignerUnavailableError("unplugged") for _ in range(3)]
    async with running(box.signer.run(key.open)):
        for _ in range(3):
            await box.block()
            assert box.signer.away
        await box.signer.signed.wait()
    head = box.head()
    assert head
    assert (2, False, 1) == (head.claim.height, box.signer.away, len(key.signed))
    box.close()


@virtual_time
async def test_a_token_that_is_away_is_asked_again_without_end_but_less_and_less_often(
    tmp_path: Path,
) -> None:
    box, key = Box(tmp_path), MemorySigner()
    await box.block()
    key.fails = [SignerUnavailableError("unplugged") for _ in range(10)]
    begun_s = now_s()
    await signed_once(box, key.open)
    # 0.5 + 1 + 2 + 4 + 8 + 16, then the longest wait each time
    assert now_s() - begun_s == pytest.approx(31.5 + 4 * RETRY_S_MAX, abs=3)
    box.close()


@pytest.mark.parametrize(
    "error",
    [
        PinRejectedError("wrong PIN"),
        KeyMissingError("no such key"),
        SignerFaultError("not a signature"),
        IdentityError("the key in the token is not this feed's"),
    ],
)
@virtual_time
async def test_a_key_holder_that_refuses_is_asked_once_and_for_good_while_cutting_goes_on(
    tmp_path: Path, error: Exception
) -> None:
    box, key = Box(tmp_path, seal(interval_s=5)), MemorySigner()
    key.fails = [error]
    await box.block()
    async with running(box.cutter.run()):
        await box.signer.run(key.open)  # ends by itself
        await box.read(2)
        box.cutter.cut_made.clear()
        await box.cutter.cut_made.wait()
    assert (str(error), 1, []) == (box.signer.stopped, key.opened, key.signed)
    assert box.cutter.state.height == 2
    assert box.head() is None
    box.close()


@virtual_time
async def test_behind_a_witness_the_signer_holds_and_the_first_reason_stays(
    tmp_path: Path,
) -> None:
    box, key = Box(tmp_path), MemorySigner()
    await box.block()
    box.signer.hold("a peer holds 9 blocks of this feed")
    box.signer.hold("another reason")
    await box.signer.run(key.open)
    assert ("a peer holds 9 blocks of this feed", 0) == (box.signer.stopped, key.opened)
    box.close()


@virtual_time
async def test_a_hold_while_it_runs_stops_the_next_signature(tmp_path: Path) -> None:
    box, key = Box(tmp_path), MemorySigner()
    await box.block()
    async with running(box.signer.run(key.open)):
        await box.signer.signed.wait()
        box.signer.hold("a peer holds more")
        await box.block()
        await settled()
    assert 1 == len(key.signed)
    box.close()


class CrashError(Exception):
    """The power goes."""


class CrashingSigner(MemorySigner):
    """Signs and dies with the answer, or before it."""

    async def sign(self, tbs: bytes) -> bytes:
        await super().sign(tbs)
        raise CrashError


@virtual_time
async def test_a_crash_between_intent_and_head_ends_in_the_same_head_whatever_came_meanwhile(
    tmp_path: Path,
) -> None:
    crashing = CrashingSigner()
    box = Box(tmp_path)
    await box.block(3)
    with pytest.raises(CrashError):
        await box.signer.run(crashing.open)
    assert box.head() is None
    box.close()

    again = Box(tmp_path)
    await again.cutter.cut_all()  # a block more, another time of day: the intent stays what it was
    again.clock.advance(3600)
    key, heads = MemorySigner(), list[bytes]()
    async with running(again.signer.run(key.open)):
        while len(heads) < 2:
            await again.signer.signed.wait()
            again.signer.signed.clear()
            head = again.head()
            heads += [head.claim.digest] if head else []
    assert crashing.signed == key.signed[:1]
    assert len(set(key.signed)) == 2
    again.close()


@virtual_time
async def test_an_intent_of_another_key_is_not_signed_with_this_one(tmp_path: Path) -> None:
    crashing = CrashingSigner("old token")
    box = Box(tmp_path)
    await box.block()
    with pytest.raises(CrashError):
        await box.signer.run(crashing.open)
    key = MemorySigner("new token")
    await signed_once(box, key.open)
    head = box.head()
    assert head
    assert key.kid == head.claim.kid
    box.close()


@virtual_time
async def test_the_intent_is_durable_before_the_key_sees_anything(tmp_path: Path) -> None:
    box, key = Box(tmp_path), MemorySigner()
    await box.block()

    class FullStore:
        read = box.store.read

        def write_later(self, work: object) -> object:
            raise StoreError("no room")

    box.signer._store = FullStore()  # type: ignore[assignment]  # as far as the signer uses it
    with pytest.raises(StoreError):
        await box.signer.run(key.open)
    assert ([], 1) == (key.signed, key.closed)
    box.close()


@virtual_time
async def test_before_the_first_block_nothing_is_signed(tmp_path: Path) -> None:
    box, key = Box(tmp_path), MemorySigner()
    async with running(box.signer.run(key.open)):
        await settled()
        assert ([], -1, key) == (key.signed, box.signer.signed_height, box.signer.signer)
    assert box.signer.signer is None
    box.close()


@virtual_time
async def test_a_head_is_dated_by_the_wall_clock_and_undated_without_one(tmp_path: Path) -> None:
    box, key = Box(tmp_path), MemorySigner()
    await box.block()
    box.signer._wall_s = lambda: None
    await signed_once(box, key.open)
    head = box.head()
    assert head
    assert (None, "party", "gateway") == (
        head.claim.issued_at_s,
        head.claim.issuer,
        head.claim.subject,
    )
    box.close()
