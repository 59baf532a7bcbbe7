"""Every gateway as this machine sees it: when it was anchored last, how far behind, what it says of
itself.

Only what is public is read: a gateway's own words stand in its feed's control slot, under its head.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from consortium.node import ChainNode
from consortium.transaction import fields
from ledger.entry import CONTROL_SLOT, KIND_BOOT, KIND_HEALTH, QUALITY_NONE, Entry
from ledger.errors import OpeningError, UncheckableError
from ledger.feed_store import FeedName
from ledger.mirror import blocks_held, open_public_run, signed_height
from ledger.store import Store, Transaction
from logistics.errors import BodyError
from logistics.health import BoxHealth

EPOCH: Final = 0
SCAN_BLOCKS: Final = 600  # five hours at the default sealing; a gateway speaks of itself hourly
TEXT_MAX: Final = 100


@dataclass(slots=True)
class _Words:
    """What a gateway said of itself up to a block."""

    scanned: int = 0
    software: str | None = None
    health: BoxHealth | None = None
    quality: int = QUALITY_NONE
    unc_us: int = 0

    def take(self, entry: Entry) -> None:
        if entry.slot != CONTROL_SLOT:
            return
        self.quality, self.unc_us = entry.time.quality, entry.time.unc_us
        if entry.kind == KIND_BOOT and isinstance(entry.body, list) and len(entry.body) > 1:
            self.software = str(entry.body[1])[:TEXT_MAX]
        if entry.kind == KIND_HEALTH:
            try:
                self.health = BoxHealth.from_body(entry.body)
            except BodyError:
                return  # a word of a later release


class SiteDesk:
    """Answers the operator's "Site"."""

    def __init__(self, store: Store, node: ChainNode) -> None:
        self._store, self._node = store, node
        self._words: dict[bytes, _Words] = {}

    async def site(self, request: list[Any]) -> object:
        """[] -> a row of every enrolled gateway, in the order of `SITE_FIELDS`."""
        fields(request)
        return [await self._row(feed_id) for feed_id in self._node.enrolled_feeds()]

    async def _row(self, feed_id: bytes) -> list[Any]:
        held = await asyncio.to_thread(
            self._store.read, lambda txn: self._learn(txn, (feed_id, EPOCH))
        )
        words, anchored = self._words[feed_id], self._node.get("feed", feed_id, EPOCH)
        gateway = self._node.get("gateway", feed_id)
        party = self._node.get("party", gateway[0]) if gateway else None
        return [
            feed_id,
            party[0] if party else "",
            held,
            anchored[0] if anchored else None,
            anchored[-1] if anchored else None,
            words.quality,
            words.unc_us,
            words.software,
            words.health.to_body() if words.health else None,
        ]

    def _learn(self, txn: Transaction, feed: FeedName) -> int:
        """Reads the public runs that came since the last time; the number of blocks held."""
        words = self._words.setdefault(feed[0], _Words())
        # What no head covers is nobody's word yet.
        held, signed = blocks_held(txn, feed), signed_height(txn, feed) + 1
        for height in range(max(words.scanned, signed - SCAN_BLOCKS), signed):
            try:
                for entry in open_public_run(txn, feed, height).entries:
                    words.take(entry)
            except (OpeningError, UncheckableError):
                continue  # what does not open is told by the statements about it
        words.scanned = signed
        return held


SITE_FIELDS: Final = (
    "feed",
    "party",
    "blocks",
    "anchored_height",
    "last_seen_ms",
    "clock_quality",
    "clock_unc_us",
    "software",
    "health",
)
