"""What evidence says of one channel over an interval, as short as a judgement needs it.

A trace is a row of pieces in the order of time: single readings where a limit may be crossed, whole
stretches where a block's summary already shows that none was, and stretches of no evidence with the
reason. It does not matter in how many parts the evidence came, nor whether raw readings were sent
where a summary would have done: the trace is the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Final

from logistics.rules.errors import EvidenceError
from logistics.rules.rings import Place
from logistics.rules.stretches import Stretch, ends_of

PIECES_MAX: Final = 20_000
VERSION: Final = 1


class Reason(IntEnum):
    """Why time has no evidence; the numbers are part of the format."""

    UNOPENED = 1  # no other organisation opened the block and found it right
    DISPUTED = 2  # one that opened it says that it is bad
    CLOCK = 3  # the gateway's clock was not known, or moved against itself or the chain's
    GAP = 4  # the gateway itself says that input was missing
    UNIT = 5  # a unit that is no temperature


class Note(IntEnum):
    """What is counted of readings and named in the verdict; part of the format."""

    READINGS = 1
    UNCALIBRATED = 2
    SUSPECT = 3
    UNTIMED = 4
    OTHER_MARKS = 5
    SUMMARY_WRONG = 6  # blocks whose summary is not that of its readings
    NEVER_CALIBRATED = 7  # blocks under a descriptor without a calibration


@dataclass(frozen=True, slots=True)
class Plain:
    """A stretch that summaries vouch for: its readings' least and greatest value."""

    from_ms: int
    to_ms: int
    low: int
    high: int

    def to_value(self) -> list[int]:
        """[1, from, to, low, high]."""
        return [1, self.from_ms, self.to_ms, self.low, self.high]


@dataclass(frozen=True, slots=True)
class Measured:
    """One reading, in milli-degrees Celsius."""

    from_ms: int
    value: int

    def to_value(self) -> list[int]:
        """[2, at, value]."""
        return [2, self.from_ms, self.value]


@dataclass(frozen=True, slots=True)
class Located:
    """One position, in 1e-7 degrees."""

    from_ms: int
    lat_e7: int
    lon_e7: int

    def to_value(self) -> list[int]:
        """[3, at, latitude, longitude]."""
        return [3, self.from_ms, self.lat_e7, self.lon_e7]


@dataclass(frozen=True, slots=True)
class Missing:
    """A stretch without evidence."""

    from_ms: int
    to_ms: int
    reason: Reason

    def to_value(self) -> list[int]:
        """[4, from, to, reason]."""
        return [4, self.from_ms, self.to_ms, int(self.reason)]


Piece = Plain | Measured | Located | Missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One slot so far. `unsettled`: the last value may lie in an excursion, so the next block must
    come raw. interval_ms: how often a reading is due, by the descriptor.
    """

    device_id: str
    channel: str
    quantity: str
    seq_by: str
    calibration: str | None
    interval_ms: int | None
    pieces: tuple[Piece, ...] = ()
    notes: dict[Note, int] = field(default_factory=dict)
    unsettled: bool = False

    def to_value(self) -> list[Any]:
        """The trace as a canonical value."""
        return [
            VERSION, self.device_id, self.channel, self.quantity, self.seq_by, self.calibration,
            self.interval_ms,
            [piece.to_value() for piece in self.pieces],
            [[int(note), count] for note, count in sorted(self.notes.items())],
            self.unsettled,
        ]  # fmt: skip  # in the order of the format


class Growing:
    """A trace that blocks are added to."""

    def __init__(self, trace: Trace) -> None:
        self.described, self.unsettled = trace, trace.unsettled
        self._pieces, self._notes = list(trace.pieces), dict(trace.notes)

    def add(self, pieces: Sequence[Piece], notes: Mapping[Note, int], *, unsettled: bool) -> None:
        """A block's pieces and counts; raises EvidenceError where it gets too long."""
        row = self._pieces
        for piece in pieces:
            joined = _joined(row[-1], piece) if row else None
            if joined is not None:
                row[-1] = joined
            else:
                row.append(piece)
        if len(row) > PIECES_MAX:
            raise EvidenceError(f"more than {PIECES_MAX} pieces: shorten the interval")
        for note, count in notes.items():
            if count:
                self._notes[note] = self._notes.get(note, 0) + count
        self.unsettled = unsettled

    def trace(self) -> Trace:
        """What it has grown to."""
        return replace(
            self.described,
            pieces=tuple(self._pieces),
            notes=dict(self._notes),
            unsettled=self.unsettled,
        )


def _joined(earlier: Piece, later: Piece) -> Piece | None:
    """Two pieces as one, where they touch and say the same."""
    if isinstance(earlier, Plain) and isinstance(later, Plain):
        if earlier.to_ms == later.from_ms:
            low, high = min(earlier.low, later.low), max(earlier.high, later.high)
            return Plain(earlier.from_ms, later.to_ms, low, high)
        return None
    if not isinstance(earlier, Missing) or not isinstance(later, Missing):
        return None
    if earlier.to_ms != later.from_ms or earlier.reason != later.reason:
        return None
    return Missing(earlier.from_ms, later.to_ms, later.reason)


def trace_from_value(value: list[Any]) -> Trace:
    """The trace in a value that `Trace.to_value` gave; it comes from our own state."""
    _, device_id, channel, quantity, seq_by, calibration, interval_ms, *rest = value
    pieces, notes, unsettled = rest
    return Trace(
        device_id=device_id,
        channel=channel,
        quantity=quantity,
        seq_by=seq_by,
        calibration=calibration,
        interval_ms=interval_ms,
        pieces=tuple(_piece(row) for row in pieces),
        notes={Note(note): count for note, count in notes},
        unsettled=unsettled,
    )


def _piece(row: list[int]) -> Piece:
    kind, *rest = row
    if kind == 1:
        return Plain(*rest)
    if kind == 2:
        return Measured(*rest)
    if kind == 3:
        return Located(*rest)
    return Missing(rest[0], rest[1], Reason(rest[2]))


def stretches(trace: Trace, *, to_ms: int, gap_ms: int) -> list[Stretch]:
    """The trace's temperatures as stretches: each value holds until the next piece, at most a gap.

    A summary's stretch ends where a single reading begins: the reading says more.
    """
    found: list[Stretch] = []
    rows = [piece for piece in trace.pieces if not isinstance(piece, Located)]
    ends = ends_of([piece.from_ms for piece in rows], to_ms)
    for piece, next_ms in zip(rows, ends, strict=True):
        if isinstance(piece, Plain):
            begin, last, low, high = piece.from_ms, piece.to_ms, piece.low, piece.high
        elif isinstance(piece, Measured):
            begin = last = piece.from_ms
            low = high = piece.value
        else:
            continue
        end = min(next_ms, last + gap_ms, to_ms)
        if end > begin:
            found.append(Stretch(from_ms=begin, to_ms=end, low=low, high=high))
    return found


def places(trace: Trace) -> list[Place]:
    """The trace's positions."""
    return [
        Place(piece.from_ms, piece.lat_e7, piece.lon_e7)
        for piece in trace.pieces
        if isinstance(piece, Located)
    ]


def missing(trace: Trace) -> Iterator[Missing]:
    """The stretches that have no evidence for a reason of their own."""
    return (piece for piece in trace.pieces if isinstance(piece, Missing))
