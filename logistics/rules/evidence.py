"""From proven blocks to traces: block headers, run heads and summaries, raw readings where needed.

One part of evidence covers blocks base+1 to last of one feed; the next part's base is this one's
last. Every part is proven against the same anchored head. Per slot and block:

1. the summary stands at its one legal index, counts on from the block before, names its descriptor;
2. it may stand alone if it is *plain*: only readings, all without a mark, least and greatest value
   within the limits, enough of them that no gap can hide, and the last value before settled;
3. otherwise every reading of the part must be there, and its statistics must be the summary's;
4. a block that no other organisation opened, or whose clock is not to be believed, is no evidence.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.block import BlockHeader
from ledger.entry import Entry, GTime, audience_of
from ledger.errors import LedgerError, ProofError
from ledger.feed_proof import (
    Leaves,
    RunHeads,
    check_header_names,
    check_header_root,
    check_is_descriptor,
    check_links,
    check_may_be_absent,
    check_runs_asked_for,
    run_heads_of,
    slot_runs,
)
from ledger.head import HeadClaim
from ledger.proof_bundle import FeedPart
from ledger.summary import (
    Summary,
    check_part,
    check_summary_place,
    check_total,
)
from logistics.reading import (
    FLAG_SUSPECT,
    FLAG_UNCALIBRATED,
    Descriptor,
    Gap,
    Position,
    Telemetry,
    stats,
)
from logistics.records import READING_KINDS, Record, record_of
from logistics.rules.errors import EvidenceError
from logistics.rules.temperatures import celsius_milli
from logistics.rules.traces import (
    Growing,
    Located,
    Measured,
    Missing,
    Note,
    Piece,
    Plain,
    Reason,
    Trace,
)

Opened = Callable[[int, int, bytes], bool | None]  # height, audience, block digest
STATS_ITEMS: Final = 8  # [1, count, exponent, min, max, first, last, sum]
TEMPERATURE: Final = "temperature"
CELSIUS: Final = "CEL"
CLOCK_TOLERANCE_US: Final = 5_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Values in which a summary may stand for its readings: `low` to `high`, both inside.

    `settled_low`, `settled_high`: the same with each limit's hysteresis.
    """

    low: int
    high: int
    settled_low: int
    settled_high: int

    def holds(self, low: int, high: int) -> bool:
        """Whether all of a stretch is inside."""
        return self.low <= low and high <= self.high

    def settled(self, value: int) -> bool:
        """Whether no excursion can still go on at this value."""
        return self.settled_low <= value <= self.settled_high


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a feed's evidence must answer. band: None asks for every reading.

    Blocks that end a gap before the interval, or begin behind it, count for nothing: how much more
    than the interval is shown makes no difference.
    """

    claim: HeadClaim
    slots: tuple[int, ...]
    band: Band | None
    gap_ms: int
    anchored_ms: int  # chain time of the head: nothing under it is of later
    clock_min: int  # least quality of a clock that is evidence
    from_ms: int
    to_ms: int
    opened: Opened

    def concerns(self, begin_ms: int, end_ms: int) -> bool:
        """Whether a block between these times can say anything of the interval."""
        return end_ms > self.from_ms - self.gap_ms and begin_ms < self.to_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a feed's evidence has come. height: the last block taken, at first the one that was
    anchored before the interval; None where the feed is shown from its beginning.
    """

    height: int | None
    traces: Mapping[int, Trace]
    clocks: Mapping[int, int]  # by boot: wall less monotonic time as first seen, in us


def take_part(part: FeedPart, question: Question, progress: Progress) -> Progress:
    """The progress with one part more; raises EvidenceError, and nothing of the part counts."""
    try:
        return _Part(part, question, progress).taken()
    except LedgerError as error:
        raise EvidenceError(str(error)) from error


class _Part:
    """One part under its question; the traces grow block by block."""

    def __init__(self, part: FeedPart, question: Question, progress: Progress) -> None:
        self._part, self._ask, self._progress = part, question, progress
        if part.slots != question.slots:
            raise ProofError("not the slots that the devices stand in")
        if part.first_height != (progress.height or 0):
            raise ProofError(f"begins at {part.first_height}, not at {progress.height or 0}")
        check_header_names(part, question.claim)
        check_links(part)
        check_header_root(part, question.claim)
        self._runs: RunHeads = run_heads_of(part)
        check_runs_asked_for(part, self._runs)
        self._leaves = Leaves(part, question.claim)
        self._held = frozenset(
            index for first, count in part.ranges for index in range(first, first + count)
        )
        self._clocks = dict(progress.clocks)
        self._opened: dict[tuple[int, int], bool | None] = {}

    def taken(self) -> Progress:
        """The progress with this part."""
        traces = dict(self._progress.traces)
        for slot in self._part.slots:
            growing = self._slot(slot, traces.get(slot))
            if growing is not None:
                traces[slot] = growing.trace()
        self._leaves.check_all_used()
        last = self._part.headers[-1].height
        return Progress(height=last, traces=traces, clocks=self._clocks)

    def _slot(self, slot: int, trace: Trace | None) -> Growing | None:
        previous: tuple[Summary, GTime] | None = None
        growing: Growing | None = None
        for header, run_head in slot_runs(self._part, slot, self._runs):
            before = previous[0] if previous else None
            if run_head is None or slot not in run_head.slots:
                check_may_be_absent(slot, header, before)
                continue
            entry = self._leaves.entry(run_head.summary_index(slot))
            summary = check_summary_place(entry, header=header, run_head=run_head, slot=slot)
            if header.height != self._progress.height:
                is_same = before is not None and (
                    before.descriptor_index == summary.descriptor_index
                )
                if growing is None or not is_same:
                    growing = self._described(growing.trace() if growing else trace, summary)
                self._block(_Block(header, summary, previous, entry.time), growing)
            previous = (summary, entry.time)
        return growing

    def _described(self, trace: Trace | None, summary: Summary) -> Growing:
        """The trace under the descriptor that the summary names."""
        entry = self._leaves.entry(summary.descriptor_index)
        check_is_descriptor(entry, summary.slot)
        record = record_of(entry.kind, entry.body)
        if not isinstance(record, Descriptor):
            raise EvidenceError(f"slot {summary.slot}: a descriptor of an unknown layout")
        described = Trace(
            device_id=record.device_id,
            channel=record.channel,
            quantity=record.quantity,
            seq_by=record.seq_by,
            calibration=record.calibration,
            interval_ms=record.interval_ms,
            pieces=trace.pieces if trace else (),
            notes=trace.notes if trace else {},
            unsettled=trace.unsettled if trace else False,
        )
        return Growing(described)

    def _block(self, block: "_Block", growing: Growing) -> None:
        """Adds one block."""
        summary, span = block.summary, block.span
        is_raw = bool(span) and span[0] in self._held
        entries: list[Entry] = []
        if is_raw:
            entries = [self._leaves.entry(index) for index in self._leaves.all_of(span)]
            check_part(entries, summary, block.before)
        else:
            _check_alone(block)
        is_lie = is_raw and stats(_readings(entries)) != summary.stats
        bad = self._bad(block)
        begin_ms, end_ms = block.period_ms
        is_first = block.begin_us is None  # of its slot: when that began is not known
        if bad != Reason.CLOCK and not self._ask.concerns(0 if is_first else begin_ms, end_ms):
            return
        if bad is not None:
            missing = [Missing(begin_ms, end_ms, bad)] if end_ms > begin_ms else []
            growing.add(missing, {}, unsettled=False)
        elif not is_lie and self._take_plain(block, growing):
            return
        elif span and not is_raw:
            raise EvidenceError(f"{block.where}: its readings are needed, not only its summary")
        else:
            self._take_raw(block, growing, entries)

    def _bad(self, block: "_Block") -> Reason | None:
        """Why a block is no evidence, None where it is."""
        end, limit_us = block.end, self._ask.anchored_ms * 1000 + CLOCK_TOLERANCE_US
        if end.wall_us is None or end.quality < self._ask.clock_min or end.wall_us > limit_us:
            return Reason.CLOCK
        offset_us = end.wall_us - end.mono_us
        known_us = self._clocks.setdefault(end.boot, offset_us)
        if abs(offset_us - known_us) > CLOCK_TOLERANCE_US + end.unc_us:
            return Reason.CLOCK
        if block.runs_backwards:
            return Reason.CLOCK
        opened = self._is_opened(block.header, audience_of(block.summary.slot))
        return None if opened else Reason.UNOPENED if opened is None else Reason.DISPUTED

    def _is_opened(self, header: BlockHeader, audience: int) -> bool | None:
        place = (header.height, audience)
        if place not in self._opened:
            self._opened[place] = self._ask.opened(*place, header.digest)
        return self._opened[place]

    def _take_plain(self, block: "_Block", growing: Growing) -> bool:
        """Adds the block's summary for its readings; False where it cannot stand for them."""
        numbers, band, trace = numbers_of(block.summary), self._ask.band, growing.described
        if band is None or numbers is None or growing.unsettled or trace.interval_ms is None:
            return False
        low, high, _ = numbers
        begin_ms, end_ms = block.period_ms
        # As many readings as were due, less one gap: a longer silence cannot hide among them.
        if block.summary.count * trace.interval_ms < end_ms - begin_ms - self._ask.gap_ms:
            return False
        if trace.quantity != TEMPERATURE or not band.holds(low, high):
            return False
        notes = {Note.READINGS: block.summary.count}
        if trace.calibration is None:
            notes[Note.NEVER_CALIBRATED] = block.summary.count
        growing.add([Plain(begin_ms, end_ms, low, high)], notes, unsettled=False)
        return True

    def _take_raw(self, block: "_Block", growing: Growing, entries: Sequence[Entry]) -> None:
        """Adds the block's readings."""
        trace = growing.described
        notes = dict.fromkeys(Note, 0)
        records = [record_of(entry.kind, entry.body) for entry in entries]
        is_lie = bool(entries) and stats(_readings(entries)) != block.summary.stats
        notes[Note.SUMMARY_WRONG] = int(is_lie)
        pieces: list[Piece] = []
        for entry, record in zip(entries, records, strict=True):
            if isinstance(record, Telemetry | Position):
                notes[Note.READINGS] += 1
                notes[Note.NEVER_CALIBRATED] += trace.calibration is None
                _count_marks(record.flags, notes)
            piece = self._piece(entry, record, trace.quantity)
            if piece is not None:
                pieces.append(piece)
            elif isinstance(record, Telemetry | Position):
                notes[Note.UNTIMED] += 1
        band = self._ask.band
        values = [piece.value for piece in pieces if isinstance(piece, Measured)]
        unsettled = growing.unsettled
        if values:
            unsettled = band is not None and not band.settled(values[-1])
        in_order = sorted(pieces, key=lambda piece: piece.from_ms)
        growing.add(in_order, notes, unsettled=unsettled)

    def _piece(self, entry: Entry, record: Record | None, quantity: str) -> Piece | None:
        """What one entry adds, None for nothing."""
        wall_us, known_us = entry.time.wall_us, self._clocks.get(entry.time.boot)
        if wall_us is None or entry.time.quality < self._ask.clock_min:
            return None
        if known_us is not None and abs(wall_us - entry.time.mono_us - known_us) > (
            CLOCK_TOLERANCE_US + entry.time.unc_us
        ):
            return None
        at_ms = wall_us // 1000
        if isinstance(record, Telemetry) and quantity == TEMPERATURE:
            value = celsius_milli(record.value, record.exponent, record.unit)
            return Measured(at_ms, value) if value is not None else None
        if isinstance(record, Position):
            return Located(at_ms, record.lat_e7, record.lon_e7)
        if isinstance(record, Gap) and record.from_wall_us is not None:
            end_ms = at_ms if record.to_wall_us is None else record.to_wall_us // 1000
            begin_ms = record.from_wall_us // 1000
            return Missing(begin_ms, end_ms, Reason.GAP) if begin_ms < end_ms else None
        return None


@dataclass(frozen=True, slots=True)
class _Block:
    """One slot's part of one block, and the summary before it."""

    header: BlockHeader
    summary: Summary
    previous: tuple[Summary, GTime] | None
    end: GTime

    @property
    def before(self) -> Summary | None:
        """The slot's summary of the block before."""
        return self.previous[0] if self.previous else None

    @property
    def begin_us(self) -> int | None:
        """Wall time of the sealing before, None where it is not known."""
        return self.previous[1].wall_us if self.previous else None

    @property
    def span(self) -> range:
        """Leaf indexes of the part."""
        first = self.summary.first_index
        return range(first, first + self.summary.count)

    @property
    def where(self) -> str:
        """For people."""
        return f"height {self.summary.height}, slot {self.summary.slot}"

    @property
    def runs_backwards(self) -> bool:
        """True where the block ends before the one before it, by the wall."""
        return self.begin_us is not None and (self.end.wall_us or 0) < self.begin_us

    @property
    def period_ms(self) -> tuple[int, int]:
        """From the sealing before to this one, by the wall; empty where one is not known."""
        end_ms = (self.end.wall_us or 0) // 1000
        begin_us = self.begin_us
        return (end_ms if begin_us is None else min(begin_us // 1000, end_ms)), end_ms


def _readings(entries: Sequence[Entry]) -> list[Record | None]:
    """The readings among a part's entries, of which its summary's statistics are."""
    return [record_of(entry.kind, entry.body) for entry in entries if entry.kind in READING_KINDS]


def _check_alone(block: _Block) -> None:
    """Of a part whose readings are not shown: it counts on, and changes no descriptor."""
    summary, before = block.summary, block.before
    check_total(summary, before, block.where)
    if before is None:
        raise EvidenceError(f"{block.where}: the slot begins here, so its entries are needed")
    if before.retired or summary.retired != before.retired:
        raise EvidenceError(f"{block.where}: the slot ends here, so its entries are needed")
    if summary.descriptor_index != before.descriptor_index:
        raise EvidenceError(f"{block.where}: another descriptor, so its entries are needed")


def numbers_of(summary: Summary) -> tuple[int, int, int] | None:
    """(least, greatest, last) in milli-degrees, where the statistics are of readings only."""
    claimed = summary.stats
    if not isinstance(claimed, list) or len(claimed) != STATS_ITEMS:
        return None
    if any(type(item) is not int for item in claimed) or claimed[1] != summary.count:
        return None
    _, _, exponent, low, high, _, last, _ = claimed
    scaled = [celsius_milli(value, exponent, CELSIUS) for value in (low, high, last)]
    if scaled[0] is None or scaled[1] is None or scaled[2] is None:
        return None
    return scaled[0], scaled[1], scaled[2]


def _count_marks(flags: int, notes: dict[Note, int]) -> None:
    notes[Note.UNCALIBRATED] += bool(flags & FLAG_UNCALIBRATED)
    notes[Note.SUSPECT] += bool(flags & FLAG_SUSPECT)
    notes[Note.OTHER_MARKS] += bool(flags & ~(FLAG_UNCALIBRATED | FLAG_SUSPECT))
