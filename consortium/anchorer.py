"""Puts on the chain what this machine received: heads of feeds, and its party's own statements.

The chain forgets nothing that it accepted and nothing waits on disk here: what is not accepted yet
is asked for again at the next round, so a resend after any crash is harmless.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from consortium.app.conflicts import FORM_ANCHORED, FORM_HEADS, FORM_ROW
from consortium.app.refusal import Code
from consortium.errors import ChainUnavailableError
from consortium.node import ChainNode
from consortium.transaction import (
    KIND_ANCHORS,
    KIND_CONFLICT,
    KIND_MIRRORED,
    KIND_OPENED,
    SENDER_PARTY,
    Sender,
)
from ledger.errors import InputError
from ledger.feed import AnchorItem, AnchorState
from ledger.hashing import sha256
from ledger.head import decode_head
from ledger.signing import Signer

logger = logging.getLogger(__name__)

Anchored = Callable[[bytes, int], AnchorState | None]
MirrorRow = tuple[bytes, int, int, bytes]  # feed id, epoch, height, block digest
ConflictRow = tuple[bytes, bytes]  # feed id, evidence (`ledger.conflict`)
OpenedRow = tuple[bytes, int, int, int, bytes, bool]  # ..., audience, block digest, ok

# A round's transactions must fit the size bound: an item with both paths is at most about 5 KB.
ANCHOR_ITEMS_MAX: Final = 40
CONFLICTS_MAX: Final = 8


class HeadSource(Protocol):
    """Who holds the heads that were received. `anchored(feed_id, epoch)` tells what the chain
    has.
    """

    async def anchor_items(self, anchored: Anchored, limit: int) -> Sequence[AnchorItem]:
        """For each feed whose newest head is newer than anchored: that head with its paths."""

    async def conflicts(self, limit: int) -> Sequence[ConflictRow]:
        """Evidence of conflicts that the chain does not have yet."""

    async def contradictions(self, anchored: Anchored, limit: int) -> Sequence[ConflictRow]:
        """Evidence that a feed's history held here is not the one that is anchored."""


class StatementSource(Protocol):
    """What this machine's party may state of others' blocks, until it is told that it is
    recorded.
    """

    async def mirror_statements(self, limit: int) -> Sequence[MirrorRow]:
        """Blocks held durably and not yet recorded as mirrored."""

    async def opened_statements(self, limit: int) -> Sequence[OpenedRow]:
        """Runs opened and checked and not yet recorded as opened."""

    async def mirror_recorded(self, rows: Sequence[MirrorRow]) -> None:
        """These need not be given again: recorded, or refused for good."""

    async def opened_recorded(self, rows: Sequence[OpenedRow]) -> None:
        """These need not be given again: recorded, or refused for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyIdentity:
    """The party that this machine signs for."""

    party_id: bytes
    signer: Signer


class Anchorer:
    """One task: every interval, or at once when poked, a round of transactions."""

    def __init__(
        self,
        node: ChainNode,
        party: PartyIdentity,
        *,
        heads: HeadSource | None,
        statements: StatementSource | None,
        new_nonce: Callable[[], bytes],
        interval_s: float,
        batch_max: int,
    ) -> None:
        self._node, self._party = node, party
        self._heads, self._statements = heads, statements
        self._new_nonce, self._interval_s, self._batch_max = new_nonce, interval_s, batch_max
        self._poked = asyncio.Event()
        self._reported: set[bytes] = set()

    def poke(self) -> None:
        """Something new arrived: do not wait for the interval."""
        self._poked.set()

    async def run(self) -> None:
        """Rounds until cancelled."""
        while True:
            try:
                more = await self.round()
            except ChainUnavailableError as error:
                logger.warning("anchor_round_refused reason=%s", error)
                more = False
            if not more:
                await self._pause()

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._poked.wait(), self._interval_s)
        self._poked.clear()

    async def round(self) -> bool:
        """One round; whether a batch was full and the next should follow at once."""
        if self._heads is not None:
            await self._report_held(self._heads)
        full = await self._anchor() if self._heads else False
        return await self._state(self._statements) or full if self._statements else full

    async def _submit(self, kind: int, items: list[object]) -> tuple[int, ...]:
        """Each item's code."""
        answer = await self._node.submit_signed(
            self._party.signer,
            kind=kind,
            sender=Sender(SENDER_PARTY, self._party.party_id),
            body=[1, *items] if kind == KIND_CONFLICT else [1, items],
            nonce=self._new_nonce(),
        )
        if not answer.item_codes and answer.code != Code.ACCEPTED:
            raise ChainUnavailableError(f"kind {kind} refused ({answer.code}): {answer.text}")
        return answer.item_codes

    async def _anchor(self) -> bool:
        if self._heads is None:
            return False
        limit = min(self._batch_max, ANCHOR_ITEMS_MAX)
        items = await self._heads.anchor_items(self._node.anchored, limit)
        if not items:
            return False
        codes = await self._submit(KIND_ANCHORS, [item.to_value() for item in items])
        for item, code in zip(items, codes, strict=True):
            if code == Code.ANCHOR_FORKED:
                await self._report(item)
            elif code != Code.ACCEPTED:
                logger.warning("anchor_refused code=%d", code)
        logger.info("anchored heads=%d", codes.count(Code.ACCEPTED))
        # A refused item comes again at the next round: never loop on it without a pause.
        return len(items) >= limit and Code.ACCEPTED in codes

    async def _report_held(self, heads: HeadSource) -> None:
        """Evidence that this machine holds goes to the chain first: it freezes the feed."""
        held = [(FORM_HEADS, row) for row in await heads.conflicts(CONFLICTS_MAX)]
        rows = await heads.contradictions(self._node.anchored, CONFLICTS_MAX)
        for form, (feed_id, evidence) in [*held, *((FORM_ROW, row) for row in rows)]:
            digest = sha256(evidence)
            if digest not in self._reported:
                logger.error("conflict feed=%s evidence=%s", feed_id.hex(), digest.hex())
                await self._submit(KIND_CONFLICT, [feed_id, form, evidence])
                self._reported.add(digest)

    async def _report(self, item: AnchorItem) -> None:
        """A forked head under the enrolled key is evidence: set against what is anchored."""
        try:
            claim = decode_head(item.head).claim
        except InputError:
            return
        if claim.digest in self._reported or self._node.get("frozen", claim.feed_id) is not None:
            return
        self._reported.add(claim.digest)
        logger.error("conflict feed=%s height=%d", claim.feed_id.hex(), claim.height)
        await self._submit(KIND_CONFLICT, [claim.feed_id, FORM_ANCHORED, item.head])

    async def _state(self, source: StatementSource) -> bool:
        mirrored = await source.mirror_statements(self._batch_max)
        if mirrored:
            await self._submit(KIND_MIRRORED, [list(row) for row in mirrored])
            await source.mirror_recorded(mirrored)
        opened = await source.opened_statements(self._batch_max)
        if opened:
            await self._submit(KIND_OPENED, [list(row) for row in opened])
            await source.opened_recorded(opened)
        return max(len(mirrored), len(opened)) >= self._batch_max
