"""Answers `wharf prove`: a bundle of what this machine may open, with the chain's word on it."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Final

from consortium.engine import PAUSE_NS_MAX
from consortium.errors import MalformedError, NotYetProvenError
from consortium.feeds import FeedRoom
from consortium.node import ChainNode
from consortium.queries import Place
from consortium.wire import ANSWER_BYTES_MAX
from ledger.canonical import encode
from ledger.chain_proof import PART_BYTES_MAX, RECORD_MIRROR
from ledger.entry import KIND_DESCRIPTOR, SALT_BYTES, audience_of, decode_entry
from ledger.errors import LedgerError, UncheckableError
from ledger.proof_bundle import Bundle, FeedPart, Request
from ledger.prove import Span, choose_span, complete_span, feed_part

LATER_AT_ONCE: Final = 64
EPOCH: Final = 0
BUNDLE_BYTES_MAX: Final = ANSWER_BYTES_MAX - 1024  # it travels in one answer
# An anchor may be dated so long before it was made (the engine's pause), and two clocks differ: a
# block anchored just before the interval can hold readings from inside it, so it is shown too.
EARLY_MS: Final = PAUSE_NS_MAX // 1_000_000 + 1_000


class Prover:
    """Makes bundles from the feeds and the chain of this machine."""

    def __init__(self, room: FeedRoom, node: ChainNode) -> None:
        self._room, self._node = room, node

    async def prove(self, request: Request) -> bytes:
        """The bundle's bytes. Raises NotYetProvenError where the interval is not anchored behind
        yet.
        """
        if request.from_ms > request.to_ms:
            raise MalformedError("the interval ends before it begins; exchange --from and --to")
        rows = self._node.get("device", request.device_id)
        if rows is None:
            raise NotYetProvenError(f"no device {request.device_id!r} is recorded on this chain")
        slots: dict[bytes, list[int]] = defaultdict(list)
        for feed_id, slot, _, _, to_ms in rows[0]:
            if to_ms is None or to_ms >= request.from_ms:
                slots[feed_id].append(slot)
        if not slots:
            raise MalformedError(f"device {request.device_id!r} stood in no feed in that interval")
        try:
            return await self._bundle(request, slots)
        except UncheckableError as error:
            raise NotYetProvenError(str(error)) from error
        except LedgerError as error:
            raise MalformedError(str(error)) from error

    async def _bundle(self, request: Request, slots: dict[bytes, list[int]]) -> bytes:
        parts: list[FeedPart] = []
        indexes: list[int] = []
        parties: set[bytes] = set()
        ended: list[bytes] = []
        for feed_id in sorted(slots):
            span, is_end = await self._span(feed_id, request)
            if is_end:
                ended.append(feed_id)
            parts.append(await asyncio.to_thread(self._feed_part, feed_id, slots[feed_id], span))
            indexes += await self._brackets(feed_id, span)
            found, named = await self._statements(feed_id, span, slots[feed_id])
            indexes += found
            parties |= named | {self._gateway_party(feed_id)}
        keys = [encode(["device", request.device_id]), encode(["validators"])]
        for feed_id in slots:
            keys += [encode(["gateway", feed_id]), encode(["frozen", feed_id])]
        keys += [encode(["feed", feed_id, EPOCH]) for feed_id in ended]
        keys += [encode(["party", party]) for party in parties]
        chain = await self._node.chain_part_of(sorted(set(indexes)), sorted(set(keys)))
        check_channel(request, parts)
        bundle = Bundle(request=request, feeds=tuple(parts), chain=chain)
        data = await asyncio.to_thread(bundle.encode)
        if len(chain) > PART_BYTES_MAX or len(data) > BUNDLE_BYTES_MAX:
            raise MalformedError(
                f"the proof takes {len(data):,} bytes, more than {BUNDLE_BYTES_MAX:,}; "
                "ask for a shorter interval"
            )
        return data

    async def _span(self, feed_id: bytes, request: Request) -> tuple[Span, bool]:
        """The span of a feed that covers the interval, and whether the feed ended before that."""
        from_ms, to_ms = request.from_ms - EARLY_MS, request.to_ms
        before, after, newest = await self._around(feed_id, from_ms, to_ms)
        is_end = newest is not None and newest[2] < to_ms and self._has_ended(feed_id)
        if is_end and newest is not None:
            # Nothing follows: the feed is shown to its end, and that it is the end.
            to_ms = newest[2]
            from_ms = min(from_ms, to_ms - 1)
            before, after, _ = await self._around(feed_id, from_ms, to_ms)
        ends = [(place[0], place[2]) for place in (before, after) if place is not None]
        span = choose_span(ends, from_ms, to_ms)
        return await self._complete(feed_id, span, to_ms), is_end

    async def _around(
        self, feed_id: bytes, from_ms: int, to_ms: int
    ) -> tuple[Place | None, Place | None, Place | None]:
        return await self._node.anchors_around(feed_id, EPOCH, from_ms=from_ms, to_ms=to_ms)

    async def _complete(self, feed_id: bytes, span: Span, to_ms: int) -> Span:
        """The span made longer, some later anchors at a time, until all up to `to_ms` is in it."""
        while True:
            rows = await self._node.anchors(
                feed_id, EPOCH, first_height=span.last + 1, limit=LATER_AT_ONCE
            )
            later = [row[0] for row in rows]
            longer = self._room.store.read(
                partial(complete_span, feed=(feed_id, EPOCH), span=span, later=later, to_ms=to_ms)
            )
            if len(later) < LATER_AT_ONCE or longer.last != later[-1]:
                return longer
            span = longer

    async def _brackets(self, feed_id: bytes, span: Span) -> list[int]:
        """Log indexes of the anchors at the span's base and end."""
        indexes = []
        for height in {span.base, span.last} - {None}:
            rows = await self._node.anchors(feed_id, EPOCH, first_height=height or 0, limit=1)
            indexes += [index for at, index, _ in rows if at == height]
        return indexes

    def _has_ended(self, feed_id: bytes) -> bool:
        gateway = self._node.get("gateway", feed_id)
        return gateway is not None and gateway[6] is not None

    def _gateway_party(self, feed_id: bytes) -> bytes:
        gateway = self._node.get("gateway", feed_id)
        if gateway is None:
            raise UncheckableError("the feed's gateway is not enrolled")
        party: bytes = gateway[0]
        return party

    def _feed_part(self, feed_id: bytes, slots: Sequence[int], span: Span) -> FeedPart:
        key_for = partial(self._room.key_for, feed_id)
        return self._room.store.read(
            lambda txn: feed_part(txn, (feed_id, EPOCH), span, slots=slots, key_for=key_for)
        )

    async def _statements(
        self, feed_id: bytes, span: Span, slots: Sequence[int]
    ) -> tuple[list[int], set[bytes]]:
        """Log indexes of statements about the span in the slots' audiences, and who made them."""
        first = 0 if span.base is None else span.base + 1
        rows = await self._node.statements(feed_id, EPOCH, first=first, last=span.last)
        audiences = {audience_of(slot) for slot in slots}
        indexes, parties = [], set()
        for index, leaf in rows:
            record = leaf.record
            if record[0] == RECORD_MIRROR or record[4] in audiences:
                indexes.append(index)
                parties.add(record[-1])
        return indexes, parties


def check_channel(request: Request, parts: Sequence[FeedPart]) -> None:
    """Raises NotYetProvenError where the device never had the channel that was asked for."""
    if request.channel is None:
        return
    leaves = [decode_entry(leaf[SALT_BYTES:]) for part in parts for leaf in part.leaves]
    known = {str(entry.body[2]) for entry in leaves if entry.kind == KIND_DESCRIPTOR}
    if request.channel not in known:
        raise NotYetProvenError(
            f"device {request.device_id!r} has no channel {request.channel!r} up to then; "
            f"it has: {', '.join(sorted(known)) or 'none'}"
        )
