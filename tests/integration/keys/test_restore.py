"""Old copies of a store under a TPM's key and counter: no height ever gets a second head.

The TPM is a software one, so its own state can be set back as well: then the counter is blind, and
it is what others hold that stops the signer.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from firmware_bridge.errors import SignerUnavailableError
from firmware_bridge.keys.registry import KeySigner, create_key, open_signer
from firmware_bridge.keys.tpm_counter import TpmCounter
from gateway.head_counter import HeadCounter
from gateway.uplink import Uplink
from ledger.feed_store import get_head
from ledger.signing import ES256
from tests.fakes.gateway_parts import Box, HandClock
from tests.fakes.soft_tpm import SoftTpm, TpmToken, make_tpm_token, use

INDEX = "0x01800010"
ROUNDS, NIGHTLY_ROUNDS = 12, 200


@pytest.fixture(scope="module")
def own_tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftTpm]:
    """A TPM of this file's own: its state is set back, which others would notice."""
    made = SoftTpm(tmp_path_factory.mktemp("own-tpm"))
    made.run("tpm2_nvdefine", "-C", "o", "-s", "8", "-a", "nt=counter|authread|authwrite", INDEX)
    made.run("tpm2_nvincrement", "-C", INDEX, INDEX)
    yield made
    made.close()


@dataclass(slots=True)
class Site:
    """One gateway's disk, and every head that ever left it."""

    tpm: SoftTpm
    folder: Path
    uri: str
    clock: HandClock = field(default_factory=HandClock)
    heads: dict[int, set[bytes]] = field(default_factory=dict)

    @property
    def disk(self) -> Path:
        """What is copied and put back."""
        return self.folder / "disk"

    def box(self) -> Box:
        """The gateway as a start finds it."""
        counter = HeadCounter(TpmCounter(f"tpm:{INDEX}"), every_s=0, mono_s=lambda: 0.0)
        return Box(self.disk, clock=self.clock, counter=counter)

    async def open_key(self) -> KeySigner:
        """The key in the TPM."""
        return await open_signer(self.uri, development=False)

    async def run(self, blocks: int, *, witnessed: int = 0) -> str | None:
        """Signs so many blocks more; what stopped it, if something did.

        witnessed: blocks that a chain machine says it holds.
        """
        box = self.box()
        try:
            uplink = Uplink(
                None,  # type: ignore[arg-type]  # nothing is carried
                box.store,
                box.feed,
                genesis_sha256=bytes(32),
                blocks_here=lambda: box.cutter.state.height,
                behind=box.signer.hold,
            )
            uplink._judge_peer(witnessed)
            for _ in range(blocks):
                self.clock.advance(1)
                await box.block()
                await self._signed(box)
            return box.signer.stopped
        finally:
            for height in range(box.cutter.state.height):
                head = box.store.read(lambda txn, h=height: get_head(txn, box.feed, h))  # type: ignore[misc]  # bound now
                if head is not None:
                    self.heads.setdefault(height, set()).add(head.claim.digest)
            box.close()

    async def _signed(self, box: Box) -> None:
        """Until the newest block has its head, or the signer has stopped."""
        box.signer.signed.clear()
        running = asyncio.create_task(box.signer.run(self.open_key))
        signed = asyncio.create_task(box.signer.signed.wait())
        async with asyncio.timeout(30):
            await asyncio.wait({running, signed}, return_when=asyncio.FIRST_COMPLETED)
        for task in (running, signed):
            task.cancel()
        await asyncio.gather(running, signed, return_exceptions=True)

    def blocks(self) -> int:
        """How many blocks were ever signed."""
        return max(self.heads, default=-1) + 1


def put_back(source: Path, target: Path) -> None:
    """The folder as it was."""
    shutil.rmtree(target)
    shutil.copytree(source, target)


@pytest.fixture(scope="module")
def own_token(own_tpm: SoftTpm, tmp_path_factory: pytest.TempPathFactory) -> TpmToken:
    return make_tpm_token(own_tpm, tmp_path_factory.mktemp("own-token"), label="wharf", pin="1234")


@pytest.fixture
async def site(own_token: TpmToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    own_tpm = own_token.tpm
    own_tpm.ensure_on()
    token = own_token.copy(tmp_path / "token")
    use(token.environment, monkeypatch)
    await create_key(token.uri("ledger"), alg=ES256, development=False)
    made = Site(tpm=own_tpm, folder=tmp_path / "site", uri=token.uri("ledger"))
    made.disk.mkdir(parents=True)
    return made


async def test_no_restored_store_gives_a_height_a_second_head(
    site: Site, tmp_path: Path, nightly: bool
) -> None:
    choose = random.Random(4)
    old, newest, chip = tmp_path / "old", tmp_path / "newest", tmp_path / "chip"
    stopped = {"store": 0, "store and chip": 0}
    assert await site.run(1) is None
    for number in range(NIGHTLY_ROUNDS if nightly else ROUNDS):
        shutil.copytree(site.disk, old)
        shutil.copytree(site.tpm.state, chip)
        chip_too = number % 4 == 3
        since = choose.randint(1, 2) if chip_too else choose.randint(0, 2)
        assert await site.run(since) is None, "an honest gateway is never stopped"
        shutil.copytree(site.disk, newest)
        put_back(old, site.disk)
        if chip_too:
            site.tpm.off()
            put_back(chip, site.tpm.state)
            site.tpm.on()
            # Each loss of power counts as a wrong PIN; 32 of them would lock the chip.
            site.tpm.run("tpm2_dictionarylockout", "-c")
        # Against the chip alone, or, where that was set back too, against what others hold.
        said = await site.run(1, witnessed=site.blocks() if chip_too else 0)
        assert (said is not None) == bool(since), (chip_too, since, said)
        if said is not None:
            assert ("a peer holds" if chip_too else "hardware counter") in said
            stopped["store and chip" if chip_too else "store"] += 1
            put_back(newest, site.disk)
        if chip_too:
            # The chip has forgotten what the store knows: outside a test a new box goes on.
            assert "exchanged or reset" in (await site.run(1) or "")
            await _count_up(site)
        for folder in (old, newest, chip):
            shutil.rmtree(folder)
    assert {1} == {len(found) for found in site.heads.values()}
    assert all(stopped.values()), stopped


async def _count_up(site: Site) -> None:
    """Brings the forgetful chip to where the store is, so that the test can go on."""
    box, counter = site.box(), TpmCounter(f"tpm:{INDEX}")
    head = box.head()
    box.close()
    assert head is not None
    while (await counter.read()) < (head.claim.counter or 0):
        await counter.advance()


async def test_by_the_count_alone_an_old_store_is_stopped(site: Site, tmp_path: Path) -> None:
    await site.run(1)
    shutil.copytree(site.disk, tmp_path / "old")
    await site.run(1)
    put_back(tmp_path / "old", site.disk)
    said = await site.run(1)
    assert said is not None
    assert "old copy" in said
    assert "revoke this gateway" in said
    assert {1} == {len(found) for found in site.heads.values()}


async def test_a_counter_that_is_not_there_is_waited_for(site: Site) -> None:
    assert await site.run(1) is None
    site.tpm.off()
    with pytest.raises(SignerUnavailableError):
        await TpmCounter(f"tpm:{INDEX}").read()
    site.tpm.on()
    assert await site.run(1) is None
