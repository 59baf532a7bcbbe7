"""One gateway of a simulation: the real intake, journal, cutter, signer and uplinks on a simulated
disk. It is put together as `gateway.compose` does, without devices, pages and signals.
"""

import asyncio
import random
import shutil
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from firmware_bridge.errors import SignerUnavailableError
from gateway.clock import TimeModel, WallReading
from gateway.config import AudienceConfig, SealConfig
from gateway.deliveries import Deliveries
from gateway.identity import Identity, audience_keys, next_boot, put_identity
from gateway.intake import Intake
from gateway.passport import Passport
from gateway.recovery import Found, losses, sort_out
from gateway.sealing import Cutter, FeedIdentity, HeadSigner
from gateway.service import damage_entries
from gateway.slots import book_from_value
from gateway.uplink import Pace, Uplink
from ledger.entry import (
    CONTROL_SLOT,
    KIND_BOOT,
    KIND_GENESIS,
    KIND_TELEMETRY,
    QUALITY_NONE,
    Entry,
    GTime,
    decode_entry,
    encode_entry,
    genesis_leaf,
)
from ledger.errors import LocalError
from ledger.feed_store import get_state, get_value, need_header, put_value
from ledger.hashing import sha256
from ledger.journal import Journal
from ledger.mirror import blocks_held, open_held_run
from ledger.sealed import reader_public
from ledger.sealer import FeedState, Pending
from ledger.store import Transaction
from logistics.records import record_of
from tests.fakes.gateway_parts import MemorySigner, arrival, celsius, maker_of
from tests.simulator.clock import Clock
from tests.simulator.disk import Disk, PowerCutError, SimStore
from tests.simulator.line import Door, Link
from tests.simulator.machine import Machine

SEGMENT_BYTES: Final = 1 << 14
SEAL: Final = SealConfig(count=200, interval_s=3600, idle_s=86_400)
WITNESS_WAIT_S: Final = 5.0
BEHIND: Final = "behind"
AUDIENCE: Final = 1


class Box:
    """A gateway that is switched on and off, and what it promised."""

    def __init__(
        self,
        name: str,
        disk: Disk,
        clock: Clock,
        *,
        ways: Sequence[tuple[Link, Machine]],
        genesis_sha256: bytes,
        chance: random.Random,
    ) -> None:
        self.name, self.disk, self.clock, self.ways = name, disk, clock, ways
        self.genesis_sha256, self._chance = genesis_sha256, chance
        self.key = MemorySigner(name)
        body = [
            1,
            sha256(name.encode())[:16],
            self.key.alg,
            self.key.public_key_der(),
            "p",
            name,
            0,
        ]
        genesis = Entry(KIND_GENESIS, CONTROL_SLOT, GTime(0, 0, None, QUALITY_NONE, 0), 0, body)
        self.identity = Identity(
            genesis_entry=encode_entry(genesis),
            alg=self.key.alg,
            spki=self.key.public_key_der(),
            level=0,
        )
        self.feed_id = self.identity.feed_id
        self.feed = (self.feed_id, 0)
        self.genesis_leaf = genesis_leaf(self.identity.genesis_entry)
        self.boots = 0
        self.is_on = False
        self.token_away = False
        self.acknowledged: dict[int, float] = {}  # value -> when, by true time
        self.held: str | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self.links: list[Uplink] = []
        self.found: Found | None = None
        self.store: Any = None
        self.journal: Any = None
        self._power = asyncio.Lock()

    # Power ----------------------------------------------------------------------------------

    async def start(self) -> bool:
        """Power comes on; False where the start itself failed, as on a full disk."""
        async with self._power:
            if self.is_on:
                return True
            try:
                self._start()
            except (PowerCutError, LocalError):
                self._let_go()
            return self.is_on

    async def start_at_last(self) -> None:
        """As a supervisor does: tried again every ten minutes."""
        for _ in range(10_000):
            if await self.start():
                return
            await asyncio.sleep(600)

    def _let_go(self) -> None:
        if self.journal is not None:
            self.journal.close()
        if self.store is not None:
            self.store.close()
        self.journal = self.store = None
        self.disk.lose_unsynced()

    def _start(self) -> None:
        """What the disk holds is sorted out as a start does."""
        self.boots += 1
        self.clock.booted_us = self.clock.true_us()
        self.store = SimStore(self.disk)
        if self.store.read(lambda txn: get_value(txn, "identity")) is None:
            self.store.write(lambda txn: put_identity(txn, self.identity))
        readers = tuple(reader_public(machine.reader_secret) for _, machine in self.ways)
        audience = AudienceConfig(id=AUDIENCE, name="own", readers=readers)
        keys = self.store.write(lambda txn: audience_keys(txn, self.identity, {AUDIENCE: audience}))
        boot = self.store.write(lambda txn: next_boot(txn, f"{self.name}-{self.boots}"))
        state = self.store.read(lambda txn: get_state(txn, self.feed))
        state = state or FeedState(feed_id=self.feed_id, slots={})
        saved = self.store.read(lambda txn: get_value(txn, "slot-book"))
        book, sealed_book = book_from_value(saved), book_from_value(saved)
        self.journal, damage = Journal.open(
            self.disk.folder / "journal", next_jseq=state.jseq_end + 1, segment_bytes=SEGMENT_BYTES
        )
        self.found = sort_out(damage, state.jseq_end, book)
        model = TimeModel(boot, self.clock.mono_us, self._wall)
        self.maker = maker_of(model, book)
        pending = deque(self.found.pending)
        first = self._first_entries(book, damage.corruptions)
        data = [encode_entry(entry) for entry in first]
        jseq = self.journal.append(data)
        rows = zip(first, data, strict=True)
        pending.extend(Pending(jseq + at, entry, raw) for at, (entry, raw) in enumerate(rows))
        self.intake = Intake(
            self.journal, self.maker, pending, deliveries=Deliveries(self.found.marks)
        )
        self.cutter = Cutter(
            store=self.store,
            intake=self.intake,
            clock=model,
            sealed_book=sealed_book,
            state=state,
            keys=keys,
            config=SEAL,
            random_bytes=self._chance.randbytes,
        )
        self._start_gossip()

    def _wall(self) -> WallReading:
        return WallReading(self.clock.wall_us(), self.clock.synchronised, 20_000)

    def _first_entries(self, book: Any, corruptions: Sequence[object]) -> list[Entry]:
        entries: list[Entry] = []
        if book.next_srcseq(CONTROL_SLOT) == 0:
            genesis = decode_entry(self.identity.genesis_entry)
            book.apply(genesis)
            entries.append(genesis)
        entries.append(self.maker.control(KIND_BOOT, [2, "simulated", bytes(32), 0, 0, ""]))
        if corruptions and self.found is not None:
            slots = [line.slot for line in book.lines() if line.descriptor is not None]
            entries += damage_entries(self.maker, losses(self.found, slots))
        return entries

    def _start_gossip(self) -> None:
        self.signer = HeadSigner(
            self.store,
            self.cutter,
            FeedIdentity(party="party", gateway=self.name),
            wall_s=lambda: self.clock.wall_us() // 1_000_000,
        )
        passport = Passport(
            self.disk.folder,
            self.store,
            self.feed,
            kid=self.key.kid,
            known_s=lambda: self.clock.wall_us() // 1_000_000 if self.clock.synchronised else None,
        )
        self.signer.on_open, self.signer.on_close = passport.opened, passport.closed
        self.signer.may_sign.clear()
        self.held = self.store.read(lambda txn: get_value(txn, BEHIND))
        if self.held is not None:
            self.cutter.hold()
            self.signer.hold(self.held)
        pace = Pace(
            retry_s_min=30,
            retry_s_max=3600,
            anchor_poll_s=600,
            opened_poll_s=3600,
            spread=lambda: self._chance.uniform(0.5, 1.0),
        )
        self.links = [
            Uplink(
                Door(link, machine, passport.answer),
                self.store,
                self.feed,
                genesis_sha256=self.genesis_sha256,
                blocks_here=lambda: self.cutter.state.height,
                behind=self._hold,
                pace=pace,
            )
            for link, machine in self.ways
        ]
        self._tasks = [
            asyncio.create_task(work)
            for work in (
                self.intake.run(),
                self._cut_once_heard(),
                self.signer.run(self._open_signer),
                self._announce(),
                *(link.run() for link in self.links),
            )
        ]
        self.is_on = True

    def _hold(self, reason: str) -> None:
        if not self.cutter.is_held:
            self.held = reason
            self.cutter.hold()
            self.signer.hold(reason)
            self.store.write_later(lambda txn: put_value(txn, BEHIND, reason))

    async def _open_signer(self) -> MemorySigner:
        if self.token_away:
            raise SignerUnavailableError("the token is away")
        return self.key

    async def _cut_once_heard(self) -> None:
        waits = [asyncio.create_task(link.first_word.wait()) for link in self.links]
        await asyncio.wait(waits, timeout=WITNESS_WAIT_S)
        for task in waits:
            task.cancel()
        self.signer.may_sign.set()
        await self.cutter.run()

    async def _announce(self) -> None:
        """Wakes the uplinks at each new block and head."""
        while True:
            await self.signer.signed.wait()
            self.signer.signed.clear()
            for link in self.links:
                link.changed.set()

    async def stop(self) -> None:
        """Power goes: everything stops where it is, and the disk loses what it had not synced."""
        async with self._power:
            if not self.is_on:
                return
            self.is_on = False
            for link, _ in self.ways:
                link.cut()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._let_go()

    @property
    def has_died(self) -> bool:
        """Whether the power went in the middle of something, or the program ended."""
        return self.is_on and (self.disk.is_dead or self._tasks[0].done())

    # Work -----------------------------------------------------------------------------------

    async def read(self, value: int) -> None:
        """A device hands over a value and keeps it until it is acknowledged."""

        def acknowledge() -> None:
            self.acknowledged[value] = self.clock.true_us() / 1e6

        if self.is_on and not self.disk.is_dead:
            item = arrival(
                celsius(value),
                mono_us=self.clock.mono_us(),
                qos=1,
                payload_digest=sha256(b"%d" % value)[:16],
                acknowledge=acknowledge,
            )
            self._tasks.append(asyncio.create_task(self.intake.put(item)))

    def image(self) -> None:
        """Keeps a copy of the disk as it is now."""
        shutil.rmtree(self.disk.folder.with_suffix(".image"), ignore_errors=True)
        shutil.copytree(self.disk.folder, self.disk.folder.with_suffix(".image"))

    def restore_image(self) -> bool:
        """Puts the copy in the disk's place (the box is off); False where there is none."""
        copy = self.disk.folder.with_suffix(".image")
        if not copy.exists():
            return False
        shutil.rmtree(self.disk.folder)
        shutil.copytree(copy, self.disk.folder)
        return True

    # What it holds --------------------------------------------------------------------------

    def values_here(self) -> list[int]:
        """Every value that this box holds, in blocks or in the journal."""
        sealed: list[int] = self.store.read(
            lambda txn: values_in(txn, self.feed, self.audience_key(txn))
        )
        return sealed + [
            record_of(item.entry.kind, item.entry.body).value  # type: ignore[union-attr]  # telemetry
            for item in self.intake.pending
            if item.entry.kind == KIND_TELEMETRY
        ]

    def audience_key(self, txn: Transaction) -> bytes:
        """The key of the one audience."""
        key = txn.get("audience_keys", AUDIENCE.to_bytes(2, "big") + bytes(4))
        return key or b""


def values_in(txn: Transaction, feed: tuple[bytes, int], key: bytes) -> list[int]:
    """Every value in the blocks that a store holds of a feed."""
    values = []
    for height in range(blocks_held(txn, feed)):
        opened = None
        with_audience = [a for a, _ in need_header(txn, feed, height).runs if a == AUDIENCE]
        if with_audience:
            opened = open_held_run(txn, feed, height=height, audience=AUDIENCE, key=key)
            values += [
                record_of(entry.kind, entry.body).value  # type: ignore[union-attr]  # telemetry
                for entry in opened.entries
                if entry.kind == KIND_TELEMETRY
            ]
    return values
