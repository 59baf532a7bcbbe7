"""A gateway's feed of probes on a trip, sealed by the real sealer, and the evidence drawn from it.

What a test changes is said by the caller: which values, which clock, which blocks are opened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ledger.block import BlockHeader, RunHead
from ledger.entry import (
    CONTROL_SLOT,
    KIND_DESCRIPTOR,
    KIND_GENESIS,
    KIND_POSITION,
    KIND_TELEMETRY,
    Entry,
    GTime,
    audience_of,
    decode_entry,
    encode_entry,
    feed_id_of,
    slot_number,
)
from ledger.feed import AnchorItem
from ledger.hashing import leaf_hash, sha256
from ledger.head import Head
from ledger.merkle import MemoryTree, NodeReader
from ledger.opening import OpenedRun, open_run
from ledger.sealed import place_of, run_key
from ledger.sealer import AudienceKey, FeedState, Pending, cut, head_claim
from ledger.signing import EDDSA, kid_of
from ledger.summary import Summary
from logistics.reading import Descriptor, Position, Telemetry, stats
from logistics.records import READING_KINDS, record_of
from tests.fakes.small_chain import signer

START_MS = 1_767_225_600_000
MINUTE_MS = 60_000
AUDIENCE = 1
KEYS = {
    0: AudienceKey(key_epoch=0, key=bytes(32)),
    AUDIENCE: AudienceKey(key_epoch=0, key=b"k" * 32),
}


def stats_of(_: int, entries: Sequence[Entry]) -> list[int]:
    readings = [entry for entry in entries if entry.kind in READING_KINDS]
    return stats([record_of(entry.kind, entry.body) for entry in readings])


def probe_slot(number: int) -> int:
    return slot_number(AUDIENCE, number + 1)


@dataclass(slots=True)
class Clock:
    """Minutes since the start; `shift_ms` is a lie of the wall clock."""

    now_ms: int = 0
    shift_ms: int = 0
    quality: int = 3
    boot: int = 1

    def time(self) -> GTime:
        wall_us = (START_MS + self.now_ms + self.shift_ms) * 1000
        return GTime(self.boot, self.now_ms * 1000, wall_us, self.quality, 50_000)


class Trip:
    """Probes named probe-0 ... (or another prefix), a reading each a minute; sealed when told."""

    def __init__(
        self,
        name: str = "truck",
        *,
        probes: int = 1,
        calibration: str | None = None,
        tracker: bool = False,
        prefix: str = "probe",
    ) -> None:
        self.signer = signer(name)
        self.spki = self.signer.public_key_der()
        genesis = Entry(KIND_GENESIS, CONTROL_SLOT, GTime(1, 0, None, 0, 0), 0, [1, name])
        self.feed_id = feed_id_of(encode_entry(genesis))
        self.state = FeedState(feed_id=self.feed_id, slots={})
        self.clock, self.probes = Clock(), probes
        self._pending: list[Pending] = []
        self._srcseq: dict[int, int] = {}
        self.headers: list[BlockHeader] = []
        self.runs: dict[tuple[int, int], OpenedRun] = {}
        self.leaves: list[bytes] = []
        self.leaf_tree, self.header_tree = MemoryTree(), MemoryTree()
        self._jseq = 0
        self._put(genesis)
        self._srcseq[CONTROL_SLOT] = 1
        self.devices = [f"{prefix}-{number}" for number in range(probes)]
        for number, device in enumerate(self.devices):
            self.describe(probe_slot(number), device, calibration=calibration)
        self.tracker = probe_slot(probes)
        if tracker:
            self.devices.append("tracker")
            self.describe(self.tracker, "tracker", quantity="position", unit=None)

    def describe(
        self,
        slot: int,
        device: str,
        *,
        quantity: str = "temperature",
        unit: str | None = "CEL",
        calibration: str | None = None,
    ) -> None:
        record = Descriptor(
            device_id=device,
            channel=quantity,
            quantity=quantity,
            unit=unit,
            driver="test",
            calibration=calibration,
            interval_ms=MINUTE_MS,
        )
        self.add(KIND_DESCRIPTOR, slot, record.to_body())

    @property
    def slots(self) -> tuple[int, ...]:
        return tuple(probe_slot(number) for number in range(len(self.devices)))

    def _put(self, entry: Entry) -> None:
        self._jseq += 1
        self._pending.append(Pending(self._jseq, entry, encode_entry(entry)))

    def add(self, kind: int, slot: int, body: object) -> None:
        number = self._srcseq.get(slot, 0)
        self._srcseq[slot] = number + 1
        self._put(Entry(kind, slot, self.clock.time(), number, body))

    def read(self, values: Sequence[int], *, flags: int = 0) -> None:
        """A minute passes; each probe then reads its value (milli-degrees), the last repeats."""
        self.clock.now_ms += MINUTE_MS
        for number in range(self.probes):
            value = values[min(number, len(values) - 1)]
            record = Telemetry(value=value, exponent=-3, unit="CEL", flags=flags)
            self.add(KIND_TELEMETRY, probe_slot(number), record.to_body())

    def stand(self, lat_e7: int, lon_e7: int) -> None:
        """The tracker says where it is; no time passes."""
        record = Position(lat_e7=lat_e7, lon_e7=lon_e7, fix=1)
        self.add(KIND_POSITION, self.tracker, record.to_body())

    def seal(self) -> int:
        """Seals what waits; the height."""
        salt = sha256(self.state.height.to_bytes(8, "big") + self.feed_id)
        made = cut(
            self.state,
            self._pending,
            time=self.clock.time(),
            keys=KEYS,
            fresh_salt=lambda: salt,
            stats_of=stats_of,
        )
        self._pending, self.state = [], made.state
        header = made.block.header
        for run in made.block.runs:
            key = KEYS[run.audience].key
            opened = open_run(
                header=header,
                audience=run.audience,
                head=run.head,
                body=run.body,
                ciphertext=run.ciphertext,
                key=run_key(
                    key, run.body.run_salt, place_of(header, audience=run.audience, key_epoch=0)
                ),
            )
            self.runs[header.height, run.audience] = opened
            for leaf in opened.leaves:
                self.leaves.append(leaf)
                self.leaf_tree.append(leaf_hash(leaf))
        self.headers.append(header)
        self.header_tree.append(header.digest)
        return header.height

    def drive(self, values: Sequence[int], *, every: int = 10) -> None:
        """One reading a minute of these values on every probe, sealed every so many."""
        for count, value in enumerate(values, 1):
            self.read([value])
            if count % every == 0 or count == len(values):
                self.seal()

    def head(self) -> Head:
        """The signed head over all that is sealed."""
        claim = head_claim(
            self.state,
            alg=EDDSA,
            kid=kid_of(self.spki),
            issuer="carrier",
            subject="truck",
            issued_at_s=START_MS // 1000,
            counter=None,
        )
        coroutine = self.signer.sign(claim.tbs())
        try:
            coroutine.send(None)
        except StopIteration as done:
            return Head(claim, bytes(done.value))
        raise AssertionError

    def anchor_item(self, previous: int | None) -> AnchorItem:
        """What anchors the newest height from a height anchored before."""
        head = self.head()
        size, height = head.claim.size, head.claim.height
        if previous is None:
            return AnchorItem(
                head=head.encode(),
                previous_size=0,
                leaf_path=tuple(self.leaf_tree.inclusion_path(0, size)),
                header_path=(),
                genesis_leaf=self.leaves[0],
            )
        old = self.headers[previous].size
        return AnchorItem(
            head=head.encode(),
            previous_size=old,
            leaf_path=tuple(self.leaf_tree.consistency_path(old, size)),
            header_path=tuple(self.header_tree.consistency_path(previous + 1, height + 1)),
            genesis_leaf=None,
        )

    # What `logistics.rules.gathering.Source` asks for.

    def header(self, height: int) -> BlockHeader:
        return self.headers[height]

    def run_head(self, height: int, audience: int) -> RunHead | None:
        run = self.runs.get((height, audience))
        return run.head if run else None

    def summary(self, height: int, slot: int) -> tuple[Summary, GTime] | None:
        run = self.runs.get((height, audience_of(slot)))
        if run is None or slot not in run.summaries:
            return None
        entry = decode_entry(run.leaves[run.head.summary_index(slot) - run.head.first][16:])
        return run.summaries[slot], entry.time

    def leaf(self, index: int) -> bytes:
        return self.leaves[index]

    @property
    def leaf_node(self) -> NodeReader:
        return self.leaf_tree.read

    @property
    def header_node(self) -> NodeReader:
        return self.header_tree.read


Opened = Callable[[int, int, bytes], bool | None]


def all_opened(_height: int, _audience: int, _digest: bytes) -> bool | None:
    return True
