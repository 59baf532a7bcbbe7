"""The hardware's count in every head: what is legal after a crash, what betrays an old store."""

import asyncio
import random
from pathlib import Path

import pytest

from firmware_bridge.errors import SignerUnavailableError
from gateway.errors import RollbackError
from gateway.head_counter import HeadCounter, check_count
from gateway.sealing import FeedIdentity, HeadSigner
from ledger.feed_store import get_value
from tests.fakes.gateway_parts import Box, MemorySigner
from tests.fakes.virtual_time import virtual_time

HONEST_CRASHES, NIGHTLY_CRASHES = 100, 1_000


class CrashError(Exception):
    """The process ends here."""


class MemoryCounter:
    """A hardware counter, which crashes its user when told to."""

    def __init__(self, value: int = 7) -> None:
        self.value, self.crash = value, ""

    async def read(self) -> int:
        return self.value

    async def advance(self) -> int:
        if self.crash == "before count":
            raise CrashError
        self.value += 1
        if self.crash == "after count":
            raise CrashError
        return self.value


class CrashingSigner(MemorySigner):
    """A key that crashes its user before or after it has signed."""

    crash = ""

    async def sign(self, tbs: bytes) -> bytes:
        if self.crash == "before signature":
            raise CrashError
        signature = await super().sign(tbs)
        if self.crash == "after signature":
            raise CrashError
        return signature


def started(box: Box, counter: MemoryCounter, *, every_s: int = 600) -> HeadSigner:
    """The signing part as a fresh start makes it: what it knows it has from the store."""
    return HeadSigner(
        box.store,
        box.cutter,
        FeedIdentity(party="party", gateway="gateway"),
        wall_s=lambda: box.clock.wall_us // 1_000_000,
        counter=HeadCounter(counter, every_s=every_s, mono_s=lambda: box.clock.mono_us / 1e6),
    )


async def sign_newest(head_signer: HeadSigner, key: MemorySigner) -> None:
    claim = await head_signer._next_claim(key)
    assert claim is not None
    await head_signer.sign(key, claim)


async def _signed(box: Box, counter: MemoryCounter, key: MemorySigner) -> bool:
    try:
        await sign_newest(started(box, counter), key)
    except CrashError:
        return False
    return True


@virtual_time
async def test_honest_crashes_between_intent_and_head_end_in_the_head_that_was_intended(
    tmp_path: Path, nightly: bool
) -> None:
    box, counter, key = Box(tmp_path), MemoryCounter(), CrashingSigner()
    choose = random.Random(11)
    points = ["before count", "after count", "before signature", "after signature"]
    crashes = 0
    while crashes < (NIGHTLY_CRASHES if nightly else HONEST_CRASHES):
        await box.block()
        key.signed.clear()
        intents = []
        for _ in range(choose.randint(1, 4)):
            box.clock.advance(5)  # another date: a claim made anew would be another head
            counter.crash = key.crash = choose.choice(points)
            signed = await _signed(box, counter, key)
            intents.append(box.store.read(lambda txn: get_value(txn, "sign-intent")))
            if signed:  # the point lay behind: it had counted before
                break
            crashes += 1
            if choose.random() < 0.5:
                await box.block()  # what is cut meanwhile waits for the next head
        else:
            counter.crash = key.crash = ""
            await sign_newest(started(box, counter), key)
        head = box.head()
        assert head is not None
        assert all(intent == intents[0] for intent in intents)
        assert intents[0] == [head.claim.protected(), head.claim.root]
        assert {head.claim.tbs()} == set(key.signed), "nothing else was ever signed"
        assert head.claim.counter == counter.value
    box.close()


@virtual_time
async def test_each_start_counts_once_and_then_only_after_its_time(tmp_path: Path) -> None:
    box, counter, key = Box(tmp_path), MemoryCounter(7), MemorySigner()
    signer, counts = started(box, counter, every_s=600), []
    for seconds in (1, 1, 598, 1, 1):
        await box.block()
        box.clock.advance(seconds)
        await sign_newest(signer, key)
        head = box.head()
        assert head is not None
        counts.append(head.claim.counter)
    assert [8, 8, 9, 9, 9] == counts
    await box.block()
    await sign_newest(started(box, counter), key)
    assert counter.value == 10
    box.close()


@virtual_time
async def test_a_store_behind_the_count_signs_nothing_and_says_so(tmp_path: Path) -> None:
    box, counter, key = Box(tmp_path), MemoryCounter(), MemorySigner()
    await box.block()
    await sign_newest(started(box, counter), key)
    counter.value += 1  # another copy of this store went on
    await box.block()
    signer = started(box, counter)
    asked = len(key.signed)
    await signer.run(key.open)
    assert signer.stopped is not None
    assert "old copy" in signer.stopped
    assert len(key.signed) == asked
    box.close()


@virtual_time
async def test_a_count_that_another_store_used_up_stops_an_open_intent(tmp_path: Path) -> None:
    box, counter, key = Box(tmp_path), MemoryCounter(), CrashingSigner()
    await box.block()
    key.crash = "before signature"
    with pytest.raises(CrashError):
        await sign_newest(started(box, counter), key)
    counter.value += 1
    key.crash = ""
    with pytest.raises(RollbackError):
        await sign_newest(started(box, counter), key)
    assert key.signed == []
    box.close()


@virtual_time
async def test_a_counter_that_is_away_is_asked_again_like_a_token(tmp_path: Path) -> None:
    box, key = Box(tmp_path), MemorySigner()
    counter = MemoryCounter()
    answers = [SignerUnavailableError("TPM away")]

    async def read() -> int:
        if answers:
            raise answers.pop()
        return counter.value

    counter.read = read  # type: ignore[method-assign]  # once away
    await box.block()
    signer = started(box, counter)
    running = asyncio.create_task(signer.run(key.open))
    await signer.signed.wait()
    running.cancel()
    assert (False, 2) == (signer.away, key.opened)
    box.close()


@pytest.mark.parametrize(("value", "legal"), [(4, False), (5, True), (6, True), (7, False)])
def test_a_count_is_legal_from_the_last_head_to_the_last_intent(value: int, legal: bool) -> None:
    if legal:
        check_count(value, low=5, high=6)
        return
    with pytest.raises(RollbackError, match="old copy" if value > 6 else "exchanged or reset"):
        check_count(value, low=5, high=6)
