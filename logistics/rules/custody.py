"""Who held goods, in order: hand-overs that join, are signed by both, and carry the same seals.

A hand-over counts from its moment on (closed at the beginning, open at the end). A break is a
hand-over by somebody who did not hold the goods: custody between is unknown, and stays so until the
next hand-over whose giver signs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from logistics.rules.errors import EvidenceError


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """Goods went from giver to taker (party ids; giver None: the first), with these seals on."""

    at_ms: int
    giver: bytes | None
    taker: bytes
    signed_by: frozenset[bytes]
    seals_found: tuple[str, ...]  # as the taker found them
    seals_set: tuple[str, ...]  # as they left; equal to those found where none was changed


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyFacts:
    """Counts over a row of hand-overs."""

    breaks: int
    unsigned: int
    seal_mismatches: int
    holder: bytes | None  # at the end; None after a break that nobody mended


def custody_facts(row: Sequence[HandOver]) -> CustodyFacts:
    """What a row of hand-overs comes to; raises EvidenceError where times fall."""
    if any(later.at_ms < earlier.at_ms for earlier, later in pairwise(row)):
        raise EvidenceError("hand-overs are not in the order of their times")
    breaks = unsigned = mismatches = 0
    holder: bytes | None = None
    seals: tuple[str, ...] | None = None
    for step in row:
        if seals is not None and step.giver != holder:
            breaks += 1
        wanted = {step.taker} if step.giver is None else {step.giver, step.taker}
        is_signed = wanted <= step.signed_by
        unsigned += not is_signed
        if seals is not None and sorted(step.seals_found) != sorted(seals):
            mismatches += 1
        holder, seals = step.taker if is_signed else None, step.seals_set
    return CustodyFacts(breaks=breaks, unsigned=unsigned, seal_mismatches=mismatches, holder=holder)
