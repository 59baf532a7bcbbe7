"""Arrivals into the journal in groups, and acknowledgements only after the sync that holds them.

A group is whatever came while the last one was being synced: it closes by idleness, never by count
alone, because a broker's in-flight window would otherwise wait for a message that cannot come.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from firmware_bridge.devices import Arrival
from gateway.deliveries import Deliveries
from gateway.entry_maker import EntryMaker
from ledger.entry import Entry, GTime, encode_entry
from ledger.journal import Journal, JournalFullError
from ledger.sealer import Pending

QUEUE_MAX: Final = 2000
GROUP_MAX: Final = 4000
FULL_RETRY_S: Final = 1.0
_log = logging.getLogger(__name__)

MakeEntries = Callable[[], list[Entry]]


@dataclass(slots=True)
class IntakeCounts:
    """What went through, for the status page."""

    journaled: int = 0
    groups: int = 0
    acknowledged: int = 0
    unacknowledgeable: int = 0
    full_since_mono_us: int | None = None
    damages: int = 0  # places of the journal that the start found damaged
    lost: int = 0  # frames lost there that no block holds


class Intake:
    """The one way into the journal."""

    def __init__(
        self,
        journal: Journal,
        maker: EntryMaker,
        pending: deque[Pending],
        *,
        deliveries: Deliveries,
    ) -> None:
        self._journal, self._maker = journal, maker
        self.pending, self.deliveries = pending, deliveries
        self.counts = IntakeCounts()
        self.grown = asyncio.Event()
        self.after_full: Callable[[GTime, GTime], list[Entry]] = lambda _since, _until: []
        self.after_commit: Callable[[], None] = lambda: None
        self._taken_us: deque[int] = deque()  # of all that is not durable yet, in its order
        self._full_since: GTime | None = None
        self._queue: asyncio.Queue[Arrival | MakeEntries] = asyncio.Queue(QUEUE_MAX)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")

    async def put(self, arrival: Arrival) -> None:
        """Takes an arrival; waits while the journal is behind, and so holds back the input."""
        await self._take(arrival)

    async def put_made(self, make: MakeEntries) -> None:
        """Takes entries of the gateway's own; `make` is called in turn, so counts stay in order."""
        await self._take(make)

    async def _take(self, item: Arrival | MakeEntries) -> None:
        taken_us = item.received_mono_us if isinstance(item, Arrival) else self._maker.now().mono_us
        self._taken_us.append(taken_us)
        try:
            await self._queue.put(item)
        except asyncio.CancelledError:
            self._taken_us.remove(taken_us)
            raise

    @property
    def waiting(self) -> int:
        """How much was taken and is not durable yet."""
        return len(self._taken_us)

    @property
    def waiting_since_us(self) -> int | None:
        """The monotonic instant of the oldest thing that waits; None where nothing does."""
        return min(self._taken_us, default=None)

    async def run(self) -> None:
        """Commits groups until cancelled. Raises JournalError when the disk failed: the program
        ends then.
        """
        while True:
            items = [await self._queue.get()]
            while len(items) < GROUP_MAX and not self._queue.empty():
                items.append(self._queue.get_nowait())
            await self._commit(items)
            if self._full_since is not None:
                await self._tell_loss(self._full_since, self._maker.now())
            self._done_with(len(items))

    async def _tell_loss(self, since: GTime, until: GTime) -> None:
        """What waited in the queue first, and behind it what could not be kept, as gap entries."""
        self._full_since = None
        waited = [self._queue.get_nowait() for _ in range(self._queue.qsize())]
        await self._commit([*waited, lambda: self.after_full(since, until)])
        self._done_with(len(waited))

    def _done_with(self, count: int) -> None:
        for _ in range(count):
            self._taken_us.popleft()
            self._queue.task_done()

    async def drain(self) -> None:
        """Waits until everything taken so far is durable."""
        await self._queue.join()

    async def _commit(self, items: list[Arrival | MakeEntries]) -> None:
        arrivals = [item for item in items if isinstance(item, Arrival)]
        repeated = {id(item) for item in self.deliveries.repeated_in(arrivals)}
        entries: list[Entry] = []
        for item in items:
            if id(item) not in repeated:
                entries += self._maker.from_arrival(item) if isinstance(item, Arrival) else item()
        if entries:
            data = [encode_entry(entry) for entry in entries]
            mark = self.deliveries.mark(item for item in arrivals if item.observations)
            first = await self._append([*data, mark] if mark else data)
            for offset, (entry, raw) in enumerate(zip(entries, data, strict=True)):
                self.pending.append(Pending(first + offset, entry, raw))
            self.counts.journaled += len(entries)
            self.counts.groups += 1
            self.grown.set()
            self.after_commit()
        for arrival in arrivals:
            self._acknowledge(arrival)

    def _acknowledge(self, arrival: Arrival) -> None:
        if arrival.acknowledge is not None:
            arrival.acknowledge()
            self.counts.acknowledged += 1
        elif arrival.qos == 0 and arrival.observations:
            self.counts.unacknowledgeable += 1

    async def _append(self, data: list[bytes]) -> int:
        """Appends on the journal's thread; while the disk is full nothing is taken and nothing is
        lost here.
        """
        loop = asyncio.get_running_loop()
        while True:
            try:
                first = await loop.run_in_executor(self._thread, self._journal.append, data)
            except JournalFullError as error:
                if self.counts.full_since_mono_us is None:
                    _log.critical("disk_full stop=accepting error=%s", error)
                    self.counts.full_since_mono_us = int(loop.time() * 1_000_000)
                    if self._full_since is None:
                        self._full_since = self._maker.now()
                        self._maker.begin_loss()
                await asyncio.sleep(FULL_RETRY_S)
            else:
                if self.counts.full_since_mono_us is not None:
                    _log.warning("disk_has_room accepting=again")
                    self.counts.full_since_mono_us = None
                return first

    async def forget(self, jseq_end: int) -> None:
        """Lets go of journal segments whose entries are all in blocks."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._journal.forget, jseq_end)

    def close(self) -> None:
        """Waits for the journal's thread and closes the file."""
        self._thread.shutdown(wait=True)
        self._journal.close()
