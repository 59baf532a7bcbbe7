"""A portal that answers on loopback from a thread of its own, for real browsers."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import uvicorn

from gateway.demo.ports import free_port
from ledger.entry import KIND_DESCRIPTOR, KIND_POSITION, KIND_TELEMETRY
from logistics.reading import FLAG_RATE, Position
from portal.app import make_portal
from portal.parts import Parts
from portal.read.inputs import Item, OpenedRun
from tests.fakes.portal import (
    CARRIER,
    GPS,
    OUR_FEED,
    OURS,
    SLOT,
    START_MS,
    THEIRS,
    a_consignment,
    accepted,
    celsius,
    descriptor,
    entry,
    feed_items,
    handed_over,
    make_fake_parts,
    run,
    two_organisations,
)

DAY_MINUTES = 1440
HANDED_S = 705 * 60
TRUCK = b"u" * 16
DEGREE = 10_000_000


def warm_door(minute: int) -> int:
    """A cold room's day in thousandths of a degree: it breathes, and once a door stays open."""
    door = 6_000 * math.exp(-(((minute - 700) / 25) ** 2))
    return round(4_600 + 900 * math.sin(minute / 60) + door)


def a_days_trip() -> list[Item]:
    """A truck from Oslo's fjord south: a warm hour, an hour with nothing, the end not anchored."""
    rows = [entry(KIND_DESCRIPTOR, SLOT, 1, descriptor("probe-1"))]
    rows += [
        entry(
            KIND_TELEMETRY,
            SLOT,
            minute + 2,
            celsius(warm_door(minute), flags=FLAG_RATE if minute == 690 else 0),
            at_s=minute * 60,
        )
        for minute in range(DAY_MINUTES)
        if not 900 < minute < 960
    ]
    rows.append(entry(KIND_DESCRIPTOR, GPS, 9_000, descriptor("truck", "position")))
    for step in range(DAY_MINUTES // 5):
        moved = min(step, 100) + max(0, step - 140)  # a stop in the middle
        place = Position(
            lat_e7=round((59.9 - 0.012 * moved) * DEGREE),
            lon_e7=round((10.7 + 0.006 * moved + 0.05 * math.sin(moved / 9)) * DEGREE),
            fix=1,
        )
        rows.append(entry(KIND_POSITION, GPS, 9_001 + step, place.to_body(), at_s=step * 300))
    on_the_way = [
        row for row in rows if row.index != 1 and row.time.mono_us >= HANDED_S * 1_000_000
    ]
    names = [row for row in rows if row.kind == KIND_DESCRIPTOR]
    truck = accepted([2, TRUCK, CARRIER, -8, b"spki", 1, b"h" * 32, "truck"])
    goods = [*a_consignment(THEIRS), truck, *handed_over(OURS, CARRIER, HANDED_S)]
    goods.append(run(TRUCK, 1, [*names, *on_the_way]))
    anchored = accepted([4, OUR_FEED, 0, 1, 99, b"r" * 32, b"b" * 32, b"d" * 32], kind=4)
    parties = two_organisations()[:4]
    return [*parties, *goods, run(OUR_FEED, 1, rows), anchored, later_readings(2, 1440, 90)]


def later_readings(height: int, first_minute: int, count: int, milli: int = 4_200) -> OpenedRun:
    """A block that is not anchored yet."""
    rows = [
        entry(
            KIND_TELEMETRY, SLOT, 20_000 * height + n, celsius(milli), at_s=(first_minute + n) * 60
        )
        for n in range(count)
    ]
    return run(OUR_FEED, height, rows)


class Served:
    """A portal's address, its parts, and a way to let something happen."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.address = parts.address
        self._next = 1_000
        self._loop: asyncio.AbstractEventLoop | None = None
        self.server = uvicorn.Server(
            uvicorn.Config(
                make_portal(parts),
                port=int(parts.address.rpartition(":")[2]),
                log_level="error",
                timeout_graceful_shutdown=1,
            )
        )
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            await self.server.serve()

        asyncio.run(serve())

    def happen(self, item: Item) -> None:
        """An item is followed: the read model has it, and who watches is told."""
        self._next += 1
        feed_items(self.parts, [item], self._next)
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self.parts.live.tell, self._next)


@contextmanager
def served(
    folder: Path, items: list[Item], *, now_ms: int = START_MS + 1_530 * 60_000
) -> Iterator[Served]:
    """A portal over these items until the end."""
    made = make_fake_parts(folder, items=items, clock_ms=lambda: now_ms)
    found = Served(replace(made, address=f"http://localhost:{free_port()}"))
    found.thread.start()
    while not found.server.started:
        assert found.thread.is_alive()
        found.thread.join(0.01)
    try:
        yield found
    finally:
        found.server.should_exit = True
        found.thread.join()
