"""A year of one-minute readings of fifty sensors, as fast as it goes: what grows, and how far.

Entries are made, journaled with a sync, cut, encrypted, stored and signed by the gateway's own
code; only the clock is virtual, and the chain is away: anchor receipts are not in the figures.
Prints one line a month and then a table; `--json` prints the same as one object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware_bridge.devices import Arrival, DeviceSpec, Observation
from gateway.clock import TimeModel, WallReading
from gateway.entry_maker import EntryMaker
from gateway.sealing import stats_of
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
from ledger.feed_store import get_state, get_value, put_cut, put_head, put_value
from ledger.fsck import check_store
from ledger.head import Head
from ledger.journal import Journal
from ledger.prove import Span, feed_part, keys_from
from ledger.sealer import AudienceKey, FeedState, Pending, cut, head_claim, take
from ledger.signing import ES256, kid_of, low_s
from ledger.store import Store
from logistics.reading import Telemetry

SENSORS, SEED = 50, 2026
START_US: Final = 1_798_761_600_000_000  # 2027-01-01 UTC
MINUTE_US: Final = 60_000_000
DAYS_MONTH: Final = 30
AUDIENCE: Final = 1
SIXTEENTH: Final = 625  # a DS18B20 counts sixteenths of a degree


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a simulated time came to."""

    days: int
    readings: int
    blocks: int
    readings_a_second: int
    store_bytes: int
    store_bytes_a_reading: float
    start_ms: float
    prove_first_ms: float
    prove_middle_ms: float
    prove_last_ms: float
    resident_mib_max: int
    fsck_s: float | None


class Box:
    """The gateway's own parts on a virtual clock."""

    def __init__(self, folder: Path) -> None:
        self._mono_us = 0
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = self._key.public_key()
        spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self._kid = kid_of(spki)
        self._clock = TimeModel(1, lambda: self._mono_us, self._wall)
        self.folder, self.book, self.sealed_book = folder, SlotBook(), SlotBook()
        specs = {
            name: DeviceSpec(id=name, driver="ds18b20", source="w1:/x", interval_ms=60_000)
            for name in (f"probe-{number:02d}" for number in range(SENSORS))
        }
        self._names = list(specs)
        self._maker = EntryMaker(
            self.book, self._clock, audiences=dict.fromkeys(specs, AUDIENCE), specs=specs
        )
        self.store = Store(folder / "store")
        self.journal, _ = Journal.open(folder / "journal")
        self._pending: deque[Pending] = deque()
        body = [1, bytes(16), ES256, spki, "party", "gateway", 0]
        genesis = Entry(KIND_GENESIS, CONTROL_SLOT, GTime(0, 0, None, QUALITY_NONE, 0), 0, body)
        self.book.apply(genesis)
        self._append([genesis])
        self.state = FeedState(feed_id=feed_id_of(encode_entry(genesis)), slots={})
        self.keys = {AUDIENCE: AudienceKey(key_epoch=0, key=bytes(range(32)))}
        place = AUDIENCE.to_bytes(2, "big") + bytes(4)
        self.store.write(lambda txn: txn.put("audience_keys", place, self.keys[AUDIENCE].key))
        self._random = random.Random(SEED)  # noqa: S311  # the same year at each run
        self._sixteenths = [self._random.randint(30, 90) for _ in range(SENSORS)]

    def _wall(self) -> WallReading:
        return WallReading(START_US + self._mono_us, synchronised=True, error_us=20_000)

    def _append(self, entries: list[Entry]) -> None:
        data = [encode_entry(entry) for entry in entries]
        first = self.journal.append(data)
        rows = zip(entries, data, strict=True)
        self._pending.extend(
            Pending(first + at, entry, raw) for at, (entry, raw) in enumerate(rows)
        )

    def minute(self) -> None:
        """One reading of every sensor, made durable together."""
        self._mono_us += MINUTE_US
        entries: list[Entry] = []
        for number, name in enumerate(self._names):
            self._sixteenths[number] += self._random.choice((-1, 0, 0, 0, 0, 0, 0, 1))
            record = Telemetry(value=self._sixteenths[number] * SIXTEENTH, exponent=-4, unit="CEL")
            observation = Observation(
                channel="temperature", quantity="temperature", unit="CEL", record=record
            )
            entries += self._maker.from_arrival(
                Arrival(
                    device_id=name,
                    observations=(observation,),
                    rejected=(),
                    received_mono_us=self._mono_us,
                )
            )
        self._append(entries)

    def block(self) -> None:
        """Cuts everything that is pending and signs it, as cutter and signer do."""
        while self._pending:
            count = take(list(self._pending), len(self.state.slots))
            taken = [self._pending.popleft() for _ in range(count)]
            made = cut(
                self.state,
                taken,
                time=self._clock.now(),
                keys=self.keys,
                fresh_salt=lambda: os.urandom(32),
                stats_of=lambda _, entries: stats_of(entries),
            )
            for item in taken:
                self.sealed_book.apply(item.entry)
            value = self.sealed_book.to_value()
            self.store.write(lambda txn, m=made: put_cut(txn, m))  # type: ignore[misc]  # bound now
            self.store.write(lambda txn, v=value: put_value(txn, "slot-book", v))  # type: ignore[misc]  # bound now
            self.state = made.state
            self.journal.forget(made.state.jseq_end)
        self._sign()

    def _sign(self) -> None:
        claim = head_claim(
            self.state,
            alg=ES256,
            kid=self._kid,
            issuer="party",
            subject="gateway",
            issued_at_s=self._wall().wall_us // 1_000_000,
            counter=None,
        )
        self.store.write(lambda txn: put_value(txn, "sign-intent", [claim.protected(), claim.root]))
        r, s = decode_dss_signature(self._key.sign(claim.tbs(), ec.ECDSA(hashes.SHA256())))
        head = Head(claim, low_s(r.to_bytes(32, "big") + s.to_bytes(32, "big")))
        self.store.write(lambda txn: put_head(txn, head))

    def close(self) -> None:
        """As a stop does."""
        self.journal.close()
        self.store.close()


def milliseconds(work: Callable[[], object]) -> float:
    """How long it takes, once."""
    begun = time.perf_counter()
    work()
    return round((time.perf_counter() - begun) * 1000, 2)


def start(folder: Path, feed_id: bytes) -> None:
    """What a start reads before the gateway accepts: store, state, slots, journal."""
    with closing(Store(folder / "store")) as store:
        state = store.read(lambda txn: get_state(txn, (feed_id, 0)))
        book_from_value(store.read(lambda txn: get_value(txn, "slot-book")))
        journal, _ = Journal.open(folder / "journal", next_jseq=state.jseq_end + 1 if state else 1)
        journal.close()


def prove_ms(store: Store, box: Box, height: int) -> float:
    """Time to prove the first sensor's readings of one block."""
    keys = keys_from({(number, key.key_epoch): key.key for number, key in box.keys.items()})
    slot = min(slot for slot in box.state.slots if slot >> 16 == AUDIENCE)
    feed, span = (box.state.feed_id, 0), Span(base=height - 1, last=height)
    return milliseconds(
        lambda: store.read(lambda txn: feed_part(txn, feed, span, slots=[slot], key_for=keys))
    )


def figures(box: Box, *, days: int, seconds: float, fsck: bool) -> Figures:
    """Measures what a closed box has become."""
    size_bytes = (box.folder / "store" / "data.mdb").stat().st_size
    start_ms = min(milliseconds(lambda: start(box.folder, box.state.feed_id)) for _ in range(3))
    readings, last = days * 24 * 60 * SENSORS, box.state.height - 1
    with closing(Store(box.folder / "store")) as store:
        proofs = [prove_ms(store, box, height) for height in (2, last // 2, last)]
        begun, found = time.perf_counter(), None
        if fsck:
            found = store.read(check_store).found
            assert not found, found[:3]
        fsck_s = round(time.perf_counter() - begun, 1) if fsck else None
    return Figures(
        days=days,
        readings=readings,
        blocks=box.state.height,
        readings_a_second=int(readings / seconds),
        store_bytes=size_bytes,
        store_bytes_a_reading=round(size_bytes / readings, 2),
        start_ms=start_ms,
        prove_first_ms=proofs[0],
        prove_middle_ms=proofs[1],
        prove_last_ms=proofs[2],
        resident_mib_max=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        fsck_s=fsck_s,
    )


def simulate(folder: Path, *, days: int, block_minutes: int, fsck: bool) -> Iterator[Figures]:
    """The figures after each month of it, and at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    box, seconds = Box(folder), 0.0
    for day in range(1, days + 1):
        begun = time.perf_counter()
        for minute in range(1, 24 * 60 + 1):
            box.minute()
            if minute % block_minutes == 0:
                box.block()
        seconds += time.perf_counter() - begun
        if day % DAYS_MONTH == 0 or day == days:
            box.close()
            yield figures(box, days=day, seconds=seconds, fsck=fsck and day == days)
            box.store = Store(folder / "store")
            box.journal, _ = Journal.open(folder / "journal", next_jseq=box.state.jseq_end + 1)
    box.close()


def main() -> int:
    """Runs and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="examples:\n  make year\n  make year ARGS='--days 30 --block-minutes 1'\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--block-minutes", type=int, default=15, help="1 is the default sealing")
    parser.add_argument("--fsck", action="store_true", help="check the whole store at the end")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="wharf-year-") as folder:
        for row in simulate(
            Path(folder),
            days=arguments.days,
            block_minutes=arguments.block_minutes,
            fsck=arguments.fsck,
        ):
            rows.append(asdict(row))
            line = "  ".join(f"{name} {value}" for name, value in rows[-1].items())
            sys.stderr.write(line + "\n")
    sys.stdout.write(json.dumps(rows) + "\n" if arguments.json else _table(rows))
    return 0


def _table(rows: list[dict[str, float | None]]) -> str:
    first, last = rows[0], rows[-1]
    width = max(len(name) for name in first)
    lines = [f"{name:<{width}}  {first[name]!s:>14}  {last[name]!s:>14}" for name in first]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
