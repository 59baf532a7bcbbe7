"""What a party's own machine computes for it: dry runs, verdicts to agree on, evidence to send.

    DryRun:   [core, money, [+ device-id], from-ms, to-ms, consignment-id]
              -> [verdict, [* trace], shown]
    Evidence: [consignment-id] -> [[* [feed-part, [* opener]]], shown]
    shown = [blocks, summaries, readings]        ; how much others would read

All from what this machine may open; the same functions as the chain's own judge.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from consortium.app.contracts import bound_of
from consortium.app.disputes import Target, targets_of
from consortium.errors import MalformedError, NotYetProvenError
from consortium.evidence_source import StoreSource
from consortium.feeds import FeedRoom
from consortium.node import ChainNode
from consortium.transaction import fields
from ledger.chain_proof import RECORD_OPENED
from ledger.entry import KIND_SUMMARY, SALT_BYTES, decode_entry
from ledger.errors import LedgerError, UncheckableError
from ledger.feed_store import get_head
from ledger.head import Head, decode_head
from ledger.proof_bundle import FeedPart
from ledger.prove import Span, choose_span
from logistics.errors import LogisticsError
from logistics.rules.contract import Core, decode_core, decode_money
from logistics.rules.evidence import Opened, Progress, Question, take_part
from logistics.rules.facts import Case, Interval, band_of
from logistics.rules.gathering import Wanted, gather
from logistics.rules.traces import Trace
from logistics.rules.verdict import judge

ANCHORS_MAX: Final = 10_000_000
EPOCH: Final = 0
DEVICES_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Feed:
    """A feed's part of a case, as this machine can show it."""

    feed_id: bytes
    slots: tuple[int, ...]
    base: int | None
    last: int
    anchored_ms: int


class EvidenceDesk:
    """The two methods of the operator's endpoint."""

    def __init__(self, room: FeedRoom, node: ChainNode) -> None:
        self._room, self._node = room, node

    async def dry_run(self, request: list[Any]) -> object:
        """The verdict that the contract would come to, its traces, and what others would read."""
        data, money_data, devices, from_ms, to_ms, consignment_id = fields(
            request, bytes, bytes, list, int, int, bytes
        )
        if not 0 < len(devices) <= DEVICES_MAX or from_ms >= to_ms:
            raise MalformedError(f"not 1 to {DEVICES_MAX} devices, or an interval without time")
        try:
            core = decode_core(data)
            money = decode_money(money_data, core)
            traces = list[Trace]()
            parts = list[FeedPart]()
            bases = self._bases(consignment_id, from_ms)
            for feed in await self._feeds(devices, from_ms, to_ms, bases=bases):
                shown = await self._gathered(feed, core, (from_ms, to_ms))
                opened, _ = await self._opened(feed)
                parts += shown
                traces += await asyncio.to_thread(
                    _judged, shown, feed, core, span=(from_ms, to_ms), opened=opened
                )
            known = {trace.device_id for trace in traces}
            case = Case(
                interval=Interval(from_ms=from_ms, to_ms=to_ms, gap_ms=core.gap_ms),
                traces=tuple(traces),
                absent=tuple(name for name in devices if name not in known),
            )
            verdict = judge(core, money, case, consignment_id=consignment_id)
        except UncheckableError as error:
            raise NotYetProvenError(str(error)) from error
        except (LedgerError, LogisticsError) as error:
            raise MalformedError(str(error)) from error
        return [verdict.encode(), [trace.to_value() for trace in traces], _shown(parts)]

    async def evidence(self, request: list[Any]) -> object:
        """The parts that the open case of a consignment asks for."""
        (consignment_id,) = fields(request, bytes)
        case, bound = (
            self._node.get("case", consignment_id),
            self._node.get("bound", consignment_id),
        )
        if case is None or bound is None:
            raise NotYetProvenError("no case is open for this consignment; open it first")
        asked = bound_of(bound)
        row = self._node.get("contract", asked.contract_id)
        if row is None:
            raise MalformedError("the consignment's contract is not on the chain")
        core, answer, parts = decode_core(row[0]), list[object](), list[FeedPart]()
        try:
            for target in targets_of(case):
                feed = _of_target(target)
                shown = await self._gathered(feed, core, (asked.from_ms, asked.to_ms))
                _, openers = await self._opened(feed)
                parts += shown
                answer += [[part.to_value(), openers] for part in shown]
        except UncheckableError as error:
            raise NotYetProvenError(str(error)) from error
        except (LedgerError, LogisticsError) as error:
            raise MalformedError(str(error)) from error
        return [answer, _shown(parts)]

    def _bases(self, consignment_id: bytes, from_ms: int) -> dict[bytes, int] | None:
        """Where the chain lets evidence begin, by feed; None for a consignment not bound yet."""
        row = self._node.get("bound", consignment_id)
        if row is None:
            return None
        return {base[0]: base[2] for base in bound_of(row).bases if base[3] <= from_ms}

    async def _feeds(
        self, devices: Sequence[str], from_ms: int, to_ms: int, *, bases: dict[bytes, int] | None
    ) -> list[_Feed]:
        """Where the devices stood in the interval, between the anchors around it."""
        slots: dict[bytes, set[int]] = {}
        for name in devices:
            row = self._node.get("device", name)
            for feed_id, slot, _, begin_ms, end_ms in row[0] if row else []:
                if begin_ms < to_ms and (end_ms is None or end_ms >= from_ms):
                    slots.setdefault(feed_id, set()).add(slot)
        found = []
        for feed_id in sorted(slots):
            rows = await self._node.anchors(feed_id, EPOCH, first_height=0, limit=ANCHORS_MAX)
            times = {height: at_ms for height, _, at_ms in rows}
            span = choose_span(list(times.items()), from_ms, to_ms)
            found.append(
                _Feed(
                    feed_id=feed_id,
                    slots=tuple(sorted(slots[feed_id])),
                    base=span.base if bases is None else bases.get(feed_id) or None,
                    last=span.last,
                    anchored_ms=times[span.last],
                )
            )
        return found

    async def _gathered(self, feed: _Feed, core: Core, span: tuple[int, int]) -> list[FeedPart]:
        key_for = partial(self._room.key_for, feed.feed_id)

        def parts(txn: Any) -> list[FeedPart]:
            head = _need_head(get_head(txn, (feed.feed_id, EPOCH), feed.last), feed.last)
            wanted = Wanted(
                head=head,
                base=feed.base,
                slots=feed.slots,
                band=band_of(core.facts),
                gap_ms=core.gap_ms,
                from_ms=span[0],
                to_ms=span[1],
            )
            source = StoreSource(txn, (feed.feed_id, EPOCH), slots=feed.slots, key_for=key_for)
            return list(gather(source, wanted))

        return await asyncio.to_thread(self._room.store.read, parts)

    async def _opened(self, feed: _Feed) -> tuple[Opened, list[bytes]]:
        """What others said of the blocks, and who they are."""
        gateway = self._node.get("gateway", feed.feed_id)
        own = gateway[0] if gateway else b""
        span = Span(base=feed.base, last=feed.last)
        rows = await self._node.statements(
            feed.feed_id, EPOCH, first=span.heights[0], last=feed.last
        )
        said: dict[tuple[int, int, bytes], set[bool]] = {}
        openers = set[bytes]()
        for _, leaf in rows:
            record = leaf.record
            if record[0] == RECORD_OPENED and record[-1] != own:
                _, _, _, height, audience, digest, ok, party = record
                said.setdefault((height, audience, digest), set()).add(ok)
                openers.add(party)
        return _opened_by(said), sorted(openers)


def _opened_by(said: Mapping[tuple[int, int, bytes], set[bool]]) -> Opened:
    def opened(height: int, audience: int, digest: bytes) -> bool | None:
        words = said.get((height, audience, digest))
        return None if words is None else False not in words

    return opened


def _judged(
    parts: Sequence[FeedPart],
    feed: _Feed,
    core: Core,
    *,
    span: tuple[int, int],
    opened: Opened,
) -> list[Trace]:
    """The traces of a feed's parts, proven as the chain proves them."""
    if not parts:
        return []
    question = Question(
        claim=_head_of(parts[0]).claim,
        slots=feed.slots,
        band=band_of(core.facts),
        gap_ms=core.gap_ms,
        clock_min=core.clock_min,
        from_ms=span[0],
        to_ms=span[1],
        anchored_ms=feed.anchored_ms,
        opened=opened,
    )
    progress = Progress(height=feed.base, traces={}, clocks={})
    for part in parts:
        progress = take_part(part, question, progress)
    return [trace for _, trace in sorted(progress.traces.items())]


def _of_target(target: Target) -> _Feed:
    return _Feed(
        feed_id=target.feed_id,
        slots=target.slots,
        base=target.base_height,
        last=target.last_height,
        anchored_ms=target.anchored_ms,
    )


def _need_head(head: Head | None, height: int) -> Head:
    if head is None:
        raise UncheckableError(f"no head for height {height} is held here")
    return head


def _head_of(part: FeedPart) -> Head:
    return decode_head(part.head)


def _shown(parts: Sequence[FeedPart]) -> list[int]:
    """[blocks, summaries, readings and notes] that whoever reads the chain would see."""
    entries = [decode_entry(leaf[SALT_BYTES:]) for part in parts for leaf in part.leaves]
    summaries = sum(entry.kind == KIND_SUMMARY for entry in entries)
    blocks = len({(p.headers[0].feed_id, h.height) for p in parts for h in p.headers})
    return [blocks, summaries, len(entries) - summaries]
