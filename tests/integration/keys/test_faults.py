"""A token that is slow, wrong, silent or gone: what leaves the signer, and what is said of it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from firmware_bridge.errors import (
    KeyHolderError,
    KeyMissingError,
    MechanismError,
    PinLockedError,
    PinRejectedError,
    SignerFaultError,
    SignerUnavailableError,
)
from firmware_bridge.keys.registry import KeySigner, create_key, open_signer
from gateway.config import SealConfig
from ledger.feed_store import get_head
from ledger.signing import ES256, PublicKey
from tests.fakes.faulty_module import FaultyToken
from tests.fakes.gateway_parts import Box, arrival, celsius

TBS = b"a Sig_structure"
TIMEOUT_S = 0.5


async def opened(faulty: FaultyToken, timeout_s: float = 5.0) -> KeySigner:
    await create_key(faulty.uri(), alg=ES256, development=False)
    return await open_signer(faulty.uri(), development=False, timeout_s=timeout_s)


async def sign_when_back(signer: KeySigner) -> bytes:
    async with asyncio.timeout(20):
        while True:
            try:
                return await signer.sign(TBS)
            except SignerUnavailableError:
                await asyncio.sleep(0.02)


def check(signer: KeySigner, signature: bytes) -> None:
    PublicKey(signer.alg, signer.public_key_der()).verify(TBS, signature)


@pytest.mark.parametrize(
    ("function", "code", "words"),
    [
        ("C_Sign", 0x30, "device error"),
        ("C_Sign", 0x32, "removed"),
        ("C_SignInit", 0xB3, "session"),
        ("C_SignInit", 0x82, "object"),
        ("C_SignInit", 0x101, "not logged in"),
        ("C_Sign", 0xE0, "not present"),
        ("C_Sign", 0x5, "0x5"),
    ],
)
async def test_what_may_pass_is_tried_again_and_then_signs(
    faulty: FaultyToken, function: str, code: int, words: str
) -> None:
    signer = await opened(faulty)
    failing = faulty.failing(f"{function} error {code}")
    with failing, pytest.raises(SignerUnavailableError, match=words):
        await signer.sign(TBS)
    check(signer, await sign_when_back(signer))
    await signer.aclose()


@pytest.mark.parametrize("code", [0x70, 0x63, 0x68])
async def test_a_token_that_cannot_sign_so_is_not_asked_for_ever(
    faulty: FaultyToken, code: int
) -> None:
    signer = await opened(faulty)
    with faulty.failing(f"C_SignInit error {code}"), pytest.raises(MechanismError, match="P-256"):
        await signer.sign(TBS)
    await signer.aclose()


async def test_a_session_that_is_stale_once_is_not_even_noticed(faulty: FaultyToken) -> None:
    signer = await opened(faulty)
    token_open = len(faulty.asked("C_OpenSession"))
    faulty.fail("C_SignInit error 179")
    asking = asyncio.create_task(signer.sign(TBS))
    async with asyncio.timeout(5):
        while 179 not in faulty.asked("C_SignInit"):  # noqa: ASYNC110  # another process's file
            await asyncio.sleep(0)
    faulty.fail()
    try:
        check(signer, await asking)
    except SignerUnavailableError:  # it met the fault a second time: we were too slow
        check(signer, await sign_when_back(signer))
    assert len(faulty.asked("C_OpenSession")) > token_open
    await signer.aclose()


@pytest.mark.parametrize(
    ("function", "code", "kind", "words"),
    [
        ("C_Login", 0xA0, PinRejectedError, "right one into"),
        ("C_Login", 0xA4, PinLockedError, "unlock"),
        ("C_GetSlotList", 0xE0, SignerUnavailableError, "not present"),
        ("C_Initialize", 0x5, SignerUnavailableError, "does not open"),
        ("C_FindObjectsInit", 0x30, SignerUnavailableError, "device error"),
    ],
)
async def test_a_token_that_does_not_open_says_which_and_what_to_do(
    faulty: FaultyToken, function: str, code: int, kind: type[KeyHolderError], words: str
) -> None:
    await (await opened(faulty)).aclose()
    with faulty.failing(f"{function} error {code}"), pytest.raises(kind, match=words) as caught:
        await open_signer(faulty.uri(), development=False)
    assert type(caught.value) is kind


async def test_a_name_that_leads_to_no_key_or_no_module_says_what_to_look_at(
    faulty: FaultyToken,
) -> None:
    await (await opened(faulty)).aclose()
    with pytest.raises(KeyMissingError, match="object="):
        await open_signer(faulty.uri("other"), development=False)
    gone = faulty.uri().replace("faulty_pkcs11", "gone")
    with pytest.raises(SignerUnavailableError, match="module-path"):
        await open_signer(gone, development=False)


async def test_a_slow_token_signs_correctly_and_in_turn(faulty: FaultyToken) -> None:
    signer = await opened(faulty)
    faulty.fail("C_Sign delay 70 700")
    started = time.monotonic()
    for signature in await asyncio.gather(*(signer.sign(TBS) for _ in range(3))):
        check(signer, signature)
    assert time.monotonic() - started >= 3 * 0.07
    await signer.aclose()


async def test_a_signature_that_does_not_verify_never_leaves(faulty: FaultyToken) -> None:
    signer = await opened(faulty)
    with faulty.failing("C_Sign flip"), pytest.raises(SignerFaultError):
        await signer.sign(TBS)
    check(signer, await sign_when_back(signer))
    await signer.aclose()


@pytest.mark.parametrize("how", ["hang", "crash"])
async def test_a_module_that_hangs_or_crashes_takes_only_its_process_along(
    faulty: FaultyToken, how: str
) -> None:
    signer = await opened(faulty, TIMEOUT_S)
    with faulty.failing(f"C_Sign {how}"), pytest.raises(SignerUnavailableError):
        await signer.sign(TBS)
    check(signer, await sign_when_back(signer))
    await signer.aclose()


async def test_a_wrong_pin_reaches_the_token_exactly_once_however_many_blocks_wait(
    faulty: FaultyToken, tmp_path: Path
) -> None:
    await (await opened(faulty)).aclose()
    faulty.pin_path.write_text("9999")
    before = len(faulty.asked("C_Login"))
    box = Box(tmp_path / "box")

    async def open_key() -> KeySigner:
        return await open_signer(faulty.uri(), development=False)

    signing = asyncio.create_task(box.signer.run(open_key))
    for _ in range(5):
        await box.block()
    await asyncio.wait_for(signing, 10)
    assert [0xA0] == faulty.asked("C_Login")[before:]
    assert box.signer.stopped is not None
    assert "right one into" in box.signer.stopped
    # The operator's next action is one more try.
    faulty.pin_path.write_text("1234")
    await (await open_key()).aclose()
    assert [0xA0, 0] == faulty.asked("C_Login")[before:]
    box.close()


@pytest.mark.parametrize("how", ["hang", "crash"])
async def test_a_signer_that_is_gone_under_load_harms_no_reading_and_one_head_clears_the_backlog(
    faulty: FaultyToken, tmp_path: Path, how: str, nightly: bool
) -> None:
    away_s, rate_hz = (60, 1000) if nightly else (2, 1000)
    await (await opened(faulty)).aclose()
    box = Box(tmp_path / "box", SealConfig(count=250, interval_s=1, idle_s=1))
    await box.block()

    async def open_key() -> KeySigner:
        return await open_signer(faulty.uri(), development=False, timeout_s=TIMEOUT_S)

    work = [box.intake.run(), box.cutter.run(), box.signer.run(open_key)]
    tasks = [asyncio.create_task(item) for item in work]
    await box.signer.signed.wait()
    box.signer.signed.clear()
    faulty.fail(f"C_Sign {how}")
    late_s = await _feed(box, seconds=away_s, rate_hz=rate_hz)
    signed, sealed = box.signer.signed_height, box.cutter.state.height - 1
    assert sealed - signed >= away_s * rate_hz // 250 - 2, "blocks went on, heads did not"
    assert late_s < 1, "a reading had to wait for the signer"
    faulty.fail()
    async with asyncio.timeout(20):
        while box.signer.signed_height < sealed:
            await box.signer.signed.wait()
            box.signer.signed.clear()
    heads = [h for h in range(signed + 1, sealed) if _has_head(box, h)]
    # What was decided on when the token went is signed as it stands; the next covers all.
    assert len(heads) <= 1
    assert box.intake.counts.journaled >= away_s * rate_hz
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    box.close()


def _has_head(box: Box, height: int) -> bool:
    return box.store.read(lambda txn: get_head(txn, box.feed, height)) is not None


async def _feed(box: Box, *, seconds: float, rate_hz: int) -> float:
    """The longest that a reading was late, in seconds, at this rate."""
    loop = asyncio.get_running_loop()
    begun, late_s = loop.time(), 0.0
    for number in range(round(seconds * rate_hz)):
        due = begun + number / rate_hz
        if (ahead := due - loop.time()) > 0:
            await asyncio.sleep(ahead)
        box.clock.mono_us += 1_000_000 // rate_hz
        await box.intake.put(arrival(celsius(number), mono_us=box.clock.mono_us))
        late_s = max(late_s, loop.time() - due)
    await box.intake.drain()
    return late_s
