"""What a verifier answers: an outcome, and findings as codes with values. Words come later."""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from ledger.entry import Entry
from ledger.proof_bundle import Request


class Outcome(IntEnum):
    """The outcome; its number is the verifier's exit code."""

    PROVEN = 0
    REFUTED = 1
    UNCHECKED = 2


class Code(StrEnum):
    """Findings, each a fact that a reader of the verdict has to know."""

    REFUTED = "refuted"  # reason
    UNCHECKED = "unchecked"  # reason
    UNTRUSTED = "issuer-unknown"  # genesis digest: consistent in itself, nobody vouches
    COMPLETE = "complete"  # slot, readings, seq_by, calibration: nothing between is missing
    ABSENT = "absent"  # slot: it stands in no block of the span
    FROM_BEGINNING = "from-beginning"  # no block before: the feed begins inside the interval
    ANCHORED = "anchored"  # from, to: the chain's times that bracket the interval
    OPENED = "opened"  # parties, blocks, blocks_all
    NOT_OPENED = "not-opened"  # blocks
    MIRRORED = "mirrored"  # parties
    DEVELOPMENT_KEY = "development-key"
    ONE_PARTY = "rests-on-one-party"
    VALIDATORS = "validators"  # count, parties
    GAP = "gap"  # slot, reason number, from, to
    CLOCK = "clock-quality"  # worst, unc_us
    NO_CLOCK = "no-clock"  # readings without wall time
    CLOCK_STEP = "clock-step"  # before_us, after_us
    BEHIND = "behind"  # until_ms: what came after that, by the gateway's clock, may stand later
    CONFIGURATION = "configuration"  # gateway, digest: in force at the last block shown
    STARTED = "started"  # gateway, at_us, software: a start inside the span
    LATE = "late"  # readings dated before the interval's bracket or behind it
    RETIRED = "retired"  # slot
    MISSING = "missing"  # feed, entries_max: before the feed's epoch began
    REVOKED_LATER = "revoked-later"  # at
    ENDED = "feed-ended"  # at, last anchor, retired: nothing of the feed follows
    KEY_CHANGED = "key-changed"  # at, old and new key id
    DISPUTED = "disputed"  # party, height
    KEY = "key"  # kid, level


@dataclass(frozen=True, slots=True)
class Finding:
    """A code with its values."""

    code: Code
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenEntry:
    """An entry that the bundle proves, with its place."""

    feed_id: bytes
    leaf_index: int
    height: int
    entry: Entry
    anchored_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer. `entries`: of the asked slots, in feed order; only with outcome PROVEN are they
    proven.
    """

    outcome: Outcome
    findings: tuple[Finding, ...]
    request: Request | None = None
    entries: tuple[ProvenEntry, ...] = ()

    def values(self, code: Code) -> list[dict[str, Any]]:
        """The values of all findings of a code."""
        return [finding.values for finding in self.findings if finding.code == code]
