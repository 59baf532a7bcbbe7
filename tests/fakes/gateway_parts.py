"""A gateway's parts for tests: clocks moved by hand, arrivals, a key in memory, real disk files."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.file_keys import FileSigner
from firmware_bridge.devices import Arrival, DeviceSpec, Observation
from gateway.clock import TimeModel, WallReading
from gateway.config import SealConfig
from gateway.deliveries import Deliveries
from gateway.entry_maker import EntryMaker
from gateway.head_counter import HeadCounter
from gateway.intake import Intake
from gateway.sealing import Cutter, FeedIdentity, HeadSigner
from gateway.slots import SlotBook, book_from_value
from ledger.entry import (
    CONTROL_SLOT,
    KIND_GENESIS,
    QUALITY_NONE,
    Entry,
    GTime,
    encode_entry,
    feed_id_of,
)
from ledger.feed_store import get_state, get_value, newest_head
from ledger.hashing import sha256
from ledger.head import Head
from ledger.journal import Journal
from ledger.sealer import AudienceKey, FeedState, Pending
from ledger.signing import PublicKey
from ledger.store import Store
from logistics.reading import Position, TagSighting, Telemetry

START_US = 1_795_413_600_000_000  # 2026-11-23 06:00 UTC
MAP_BYTES = 64 << 20
SECOND_US = 1_000_000


@dataclass(slots=True)
class HandClock:
    """Both clocks of a box, moved by the test."""

    mono_us: int = 1_000 * SECOND_US
    wall_us: int = START_US
    synchronised: bool = True
    error_us: int = 20_000

    def advance(self, seconds: float) -> None:
        """Time passes."""
        self.mono_us += round(seconds * SECOND_US)
        self.wall_us += round(seconds * SECOND_US)

    def set_wall(self, seconds: float) -> None:
        """Somebody sets the wall clock by so much."""
        self.wall_us += round(seconds * SECOND_US)

    def wall(self) -> WallReading:
        """What the operating system says."""
        return WallReading(self.wall_us, self.synchronised, self.error_us)

    def model(self, boot: int = 1) -> TimeModel:
        """The time model over these clocks."""
        return TimeModel(boot, lambda: self.mono_us, self.wall)


class MemorySigner(FileSigner):
    """A key in memory that counts what it is asked, and fails when told to."""

    def __init__(self, name: str = "gateway") -> None:
        super().__init__(Ed25519PrivateKey.from_private_bytes(sha256(name.encode())))
        self.signed: list[bytes] = []
        self.fails: list[Exception] = []
        self.opened = self.closed = 0

    async def open(self) -> "MemorySigner":
        """As the gateway opens its key; raises what `fails` holds first."""
        self.opened += 1
        if self.fails:
            raise self.fails.pop(0)
        return self

    async def sign(self, tbs: bytes) -> bytes:
        self.signed.append(tbs)
        return await super().sign(tbs)

    async def aclose(self) -> None:
        self.closed += 1

    @property
    def public(self) -> PublicKey:
        """What others verify by."""
        return PublicKey(self.alg, self.public_key_der())


def spec(
    device_id: str = "probe", *, interval_s: int | None = 10, source: str = "w1:/probe"
) -> DeviceSpec:
    """A probe that is due every ten seconds."""
    interval_ms = None if interval_s is None else interval_s * 1000
    return DeviceSpec(id=device_id, driver="ds18b20", source=source, interval_ms=interval_ms)


def celsius(value: int = 4000, channel: str = "temperature") -> Observation:
    """Thousandths of a degree."""
    record = Telemetry(value=value, exponent=-3, unit="CEL")
    return Observation(channel=channel, quantity="temperature", unit="CEL", record=record)


def tag(epc: bytes = b"\x30" * 12) -> Observation:
    """A tag sighted."""
    return Observation(channel="tags", quantity="tag", unit=None, record=TagSighting(epc=epc))


def position(gnss_time_ms: int | None = None, *, flags: int = 0) -> Observation:
    """A fix, with the receiver's time."""
    record = Position(
        lat_e7=535_400_000, lon_e7=99_800_000, fix=1, gnss_time_ms=gnss_time_ms, flags=flags
    )
    return Observation(channel="position", quantity="position", unit=None, record=record)


def arrival(
    *observations: Observation,
    device: str = "probe",
    mono_us: int = 1_000 * SECOND_US,
    **more: Any,
) -> Arrival:
    """What one frame gave."""
    return Arrival(
        device_id=device,
        observations=observations,
        rejected=more.pop("rejected", ()),
        received_mono_us=mono_us,
        **more,
    )


def genesis_entry(name: str = "gateway") -> Entry:
    """A feed's first entry."""
    body = [1, sha256(name.encode())[:16], -8, b"spki", "party", name, 0]
    return Entry(KIND_GENESIS, CONTROL_SLOT, GTime(0, 0, None, QUALITY_NONE, 0), 0, body)


def maker_of(
    clock: HandClock | TimeModel,
    book: SlotBook | None = None,
    *specs: DeviceSpec,
) -> EntryMaker:
    """An entry maker for these devices (default: one probe), all of audience 1."""
    known: Mapping[str, DeviceSpec] = {item.id: item for item in specs or (spec(),)}
    model = clock.model() if isinstance(clock, HandClock) else clock
    audiences = dict.fromkeys(known, 1)
    return EntryMaker(book or SlotBook(), model, audiences=audiences, specs=known)


@dataclass(slots=True)
class Box:
    """Intake, cutter and signer on a real journal and a real store. Make it inside a loop."""

    folder: Path
    seal: SealConfig = field(default_factory=lambda: SealConfig(count=60_000))
    clock: HandClock = field(default_factory=HandClock)
    audience_key: bytes = b"k" * 32
    counter: HeadCounter | None = None
    store: Store = field(init=False)
    journal: Journal = field(init=False)
    intake: Intake = field(init=False)
    cutter: Cutter = field(init=False)
    signer: HeadSigner = field(init=False)
    maker: EntryMaker = field(init=False)
    book: SlotBook = field(init=False)
    feed_id: bytes = field(init=False)

    def __post_init__(self) -> None:
        genesis = genesis_entry()
        self.feed_id = feed_id_of(encode_entry(genesis))
        self.store = Store(self.folder / "store", map_bytes=MAP_BYTES)
        state = self.store.read(lambda txn: get_state(txn, self.feed))
        saved = self.store.read(lambda txn: get_value(txn, "slot-book"))
        self.journal, _ = Journal.open(
            self.folder / "journal",
            segment_bytes=1 << 16,
            next_jseq=state.jseq_end + 1 if state else 1,
        )
        model, self.book = self.clock.model(), book_from_value(saved)
        self.maker = maker_of(model, self.book)
        self.intake = Intake(self.journal, self.maker, deque(), deliveries=Deliveries())
        self.cutter = Cutter(
            store=self.store,
            intake=self.intake,
            clock=model,
            sealed_book=book_from_value(saved),
            state=state or FeedState(feed_id=self.feed_id, slots={}),
            keys={1: AudienceKey(key_epoch=0, key=self.audience_key)},
            config=self.seal,
        )
        self.signer = HeadSigner(
            self.store,
            self.cutter,
            FeedIdentity(party="party", gateway="gateway"),
            wall_s=lambda: self.clock.wall_us // SECOND_US,
            counter=self.counter,
        )
        if state is None:
            self._begin(genesis)

    def _begin(self, genesis: Entry) -> None:
        self.book.apply(genesis)
        data = encode_entry(genesis)
        self.intake.pending.append(Pending(self.journal.append([data]), genesis, data))

    @property
    def feed(self) -> tuple[bytes, int]:
        """The feed's name."""
        return self.feed_id, 0

    async def read(self, count: int = 1) -> None:
        """So many readings, durable when this returns."""
        running = asyncio.create_task(self.intake.run())
        for _ in range(count):
            self.clock.advance(1)
            await self.intake.put(arrival(celsius(), mono_us=self.clock.mono_us))
        await self.intake.drain()
        running.cancel()

    async def block(self, readings: int = 1) -> None:
        """One more block."""
        await self.read(readings)
        await self.cutter.cut_all()

    async def sign(self, key: MemorySigner) -> None:
        """A head over everything cut so far."""
        self.signer.signed.clear()
        running = asyncio.create_task(self.signer.run(key.open))
        await self.signer.signed.wait()
        running.cancel()

    def head(self) -> Head | None:
        """The newest head in the store."""
        return self.store.read(lambda txn: newest_head(txn, self.feed))

    def close(self) -> None:
        """As a stop does."""
        self.intake.close()
        self.store.close()
