"""How the time between two samples is attributed: a value holds until the next, never longer than
a gap.

A sample at t holds on [t, t'), t' being the next sample, but at most `gap_ms`: what is behind that
is no evidence, for good or ill. Nothing is drawn between two samples. The last sample before an
interval holds into it; the time before the first one is no evidence.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from logistics.rules.errors import EvidenceError


@dataclass(frozen=True, slots=True)
class Sample:
    """A value in its unit's thousandths, at UTC milliseconds since 1970."""

    at_ms: int
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """[from_ms, to_ms) with the least and greatest value in it; equal where one sample holds."""

    from_ms: int
    to_ms: int
    low: int
    high: int

    @property
    def length_ms(self) -> int:
        """How long it is."""
        return self.to_ms - self.from_ms

    def clipped(self, from_ms: int, to_ms: int) -> "Stretch | None":
        """What of it lies in [from_ms, to_ms), None where nothing does."""
        begin, end = max(self.from_ms, from_ms), min(self.to_ms, to_ms)
        if begin >= end:
            return None
        return Stretch(from_ms=begin, to_ms=end, low=self.low, high=self.high)


def held(samples: Sequence[Sample], *, to_ms: int, gap_ms: int) -> Iterator[Stretch]:
    """Each sample's stretch up to `to_ms`; raises EvidenceError where times fall.

    Of samples at one moment the last one holds.
    """
    for earlier, later in pairwise(samples):
        if later.at_ms < earlier.at_ms:
            raise EvidenceError(f"a sample at {later.at_ms} after one at {earlier.at_ms}")
    for sample, next_ms in zip(samples, ends_of([s.at_ms for s in samples], to_ms), strict=True):
        end = min(next_ms, sample.at_ms + gap_ms, to_ms)
        if end > sample.at_ms:
            yield Stretch(from_ms=sample.at_ms, to_ms=end, low=sample.value, high=sample.value)


def ends_of(begins_ms: Sequence[int], to_ms: int) -> list[int]:
    """For each beginning the next one; `to_ms` for the last."""
    return [*begins_ms[1:], to_ms] if begins_ms else []


def within(stretches: Iterable[Stretch], from_ms: int, to_ms: int) -> list[Stretch]:
    """The stretches' parts in [from_ms, to_ms)."""
    clipped = (stretch.clipped(from_ms, to_ms) for stretch in stretches)
    return [stretch for stretch in clipped if stretch is not None]


def covered_ms(stretches: Iterable[Stretch]) -> int:
    """How much time has evidence; the stretches do not overlap."""
    return sum(stretch.length_ms for stretch in stretches)
