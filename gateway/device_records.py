"""Tells the chain which device speaks in which slot, until the chain says that it knows."""

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Any, Final, Protocol

from consortium.errors import DEVICE_ROW_REFUSED, ConsortiumError, RefusedError
from gateway.slots import SlotBook
from ledger.canonical import encode
from ledger.errors import LedgerError
from ledger.feed_store import FeedName, get_value, put_value
from ledger.hashing import sha256
from ledger.signing import Signer
from ledger.store import Store

POLL_S: Final = 1.0
ROWS_MAX: Final = 256  # in one transaction; the chain takes 512
_log = logging.getLogger(__name__)


class RecordsDoor(Protocol):
    """The call of `consortium.client` that records need."""

    async def record_devices(
        self, signer: Signer, *, feed_id: bytes, rows: list[list[Any]], nonce: bytes
    ) -> None:
        """Sends a device transaction in the gateway's own name; raises ConsortiumError."""


def row_of(descriptor: list[Any], slot: int, from_ms: int) -> list[Any]:
    """What the chain keeps of a slot: device, slot, descriptor hash, from, open end.

    The hash is of the descriptor that the slot began with: it had no calibration, which is all that
    later ones may change.
    """
    first = [*descriptor[:8], None, *descriptor[9:]]
    return [descriptor[1], slot, sha256(encode(first)), from_ms, None]


class DeviceRecords:
    """Sends each new slot's record once, again after every failure."""

    def __init__(
        self,
        store: Store,
        book: SlotBook,
        feed: FeedName,
        *,
        signer: Callable[[], Signer | None],
    ) -> None:
        self._store, self._book, self._feed = store, book, feed
        self._signer = signer
        self.recorded: set[int] = set(
            store.read(lambda txn: get_value(txn, "recorded-slots")) or ()
        )
        self.refused: set[int] = set()

    async def run(self, door: RecordsDoor) -> None:
        """Sends until cancelled."""
        while True:
            rows = [
                row_of(line.descriptor, line.slot, line.since_ms)
                for line in self._book.lines()
                if line.descriptor is not None and line.slot not in self.recorded | self.refused
            ][:ROWS_MAX]
            signer = self._signer()
            if rows and signer is not None:
                await self._send(door, signer, rows)
            await asyncio.sleep(POLL_S)

    async def _send(self, door: RecordsDoor, signer: Signer, rows: list[list[Any]]) -> None:
        try:
            await door.record_devices(
                signer, feed_id=self._feed[0], rows=rows, nonce=os.urandom(16)
            )
        except (ConsortiumError, LedgerError) as error:
            _log.warning("device_record_refused slots=%d error=%s", len(rows), error)
            if isinstance(error, RefusedError) and error.code in DEVICE_ROW_REFUSED:
                await self._send_each(door, signer, rows)
            return
        await self._note(rows)

    async def _send_each(self, door: RecordsDoor, signer: Signer, rows: list[list[Any]]) -> None:
        """The chain takes all or none: one device that is another's must not hide the rest."""
        if len(rows) > 1:
            for row in rows:
                await self._send(door, signer, [row])
            return
        # What the chain says of one row it says for ever; a start asks once more.
        self.refused.add(rows[0][1])
        _log.error("device_not_recorded device=%s slot=%d", rows[0][0], rows[0][1])

    async def _note(self, rows: list[list[Any]]) -> None:
        self.recorded |= {row[1] for row in rows}
        saved = sorted(self.recorded)
        await asyncio.wrap_future(
            self._store.write_later(lambda txn: put_value(txn, "recorded-slots", saved))
        )
        _log.info("devices_recorded slots=%d", len(rows))
