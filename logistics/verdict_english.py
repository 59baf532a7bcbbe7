"""What a finding says in English: a sentence each."""

from collections.abc import Callable
from typing import Any, Final

from ledger.entry import QUALITY_AUTHENTICATED, QUALITY_GNSS, QUALITY_NTP, QUALITY_RTC
from ledger.verdict import Code, Outcome
from logistics.moments import moment_words, span_words
from logistics.reading import (
    FLAG_APART,
    FLAG_CLOCK_JUMP,
    FLAG_PLACE_JUMP,
    FLAG_RATE,
    FLAG_STALE,
    FLAG_STUCK,
    FLAG_SUSPECT,
    FLAG_UNAUTHENTICATED,
    GapReason,
)

HEADLINES: Final = {
    Outcome.PROVEN: "PROVEN",
    Outcome.REFUTED: "REFUTED",
    Outcome.UNCHECKED: "NOT PROVEN",
}
_CLOCKS: Final = {
    QUALITY_RTC: "the box's own clock, which nothing disciplined",
    QUALITY_NTP: "network time, not authenticated",
    QUALITY_GNSS: "satellite time",
    QUALITY_AUTHENTICATED: "two sources that agreed",
}
_LEVELS: Final = ("software", "hardware as claimed", "attested hardware")
_GAPS: Final = {
    GapReason.SILENT: "the device was silent",
    GapReason.GATEWAY_DOWN: "the gateway was down",
    GapReason.INPUT_OVERRUN: "more came than could be taken",
    GapReason.JOURNAL_CORRUPTION: "the disk damaged entries that were not sealed yet",
    GapReason.DISK_FULL: "the disk was full",
    GapReason.UNPLUGGED: "the device's port was gone",
}
MARKS: Final = {
    FLAG_SUSPECT: "with a time or place that cannot be",
    FLAG_UNAUTHENTICATED: "that anyone could have sent",
    FLAG_STALE: "with a time more than an hour back",
    FLAG_RATE: "that changed faster than they can",
    FLAG_STUCK: "stuck at one value",
    FLAG_APART: "far from their neighbours",
    FLAG_PLACE_JUMP: "at a place out of reach",
    FLAG_CLOCK_JUMP: "behind a jump of the device's clock",
}
Values = dict[str, Any]


def _complete(v: Values) -> str:
    by = {"gateway": "the gateway's intake", "sensor": "the sensor"}.get(v["seq_by"], "the sensor")
    return (
        f"{v['channel']}: {v['inside']} readings in the interval, {v['readings']} shown; "
        f"nothing between them is missing, counted from {by} on."
    )


def _anchored(v: Values) -> str:
    before = moment_words(v["from_ms"]) if v["from_ms"] else "the feed's beginning"
    return (
        f"Gateway {v['gateway']} ({v['party']}): anchored before at {before}, "
        f"after at {moment_words(v['to_ms'])}."
    )


def _gap(v: Values) -> str:
    why = _GAPS.get(v["reason"], f"reason {v['reason']}")
    start = moment_words(v["from_us"] // 1000) if v["from_us"] else "an unknown time"
    if v["to_us"] is None:
        return f"{v['channel']}: no readings from {start} on: {why}. The gateway says so itself."
    length = span_words((v["to_us"] - (v["from_us"] or v["to_us"])) // 1000)
    return (
        f"{v['channel']}: no readings for {length} from {start}: {why}. The gateway says so itself."
    )


def _clock(v: Values) -> str:
    source = _CLOCKS.get(v["worst"], "no clock")
    return f"{v['channel']}: times by {source}, right to ± {span_words(v['unc_us'] // 1000)}."


def _clock_step(v: Values) -> str:
    if v["before_us"] is None or v["after_us"] is None:
        return "The gateway's clock was set in it; by how much is not said."
    return f"The gateway's clock was set by {(v['after_us'] - v['before_us']) / 1e6:+.1f} s in it."


WORDS: Final[dict[Code, Callable[[Values], str]]] = {
    Code.REFUTED: lambda v: f"The file does not hold: {v['reason']}.",
    Code.UNCHECKED: lambda v: f"It could not be checked: {v['reason']}.",
    Code.UNTRUSTED: lambda v: (
        f"Consistent in itself, but nobody vouches for the issuer: chain {v['chain_id']} begins "
        f"with {v['genesis_sha256'][:16]}… If you know that digest from elsewhere, pass it "
        "by --trust."
    ),
    Code.COMPLETE: _complete,
    Code.ABSENT: lambda v: (
        f"Slot {v['slot']}: recorded for the device, but it stands in no block of the span."
    ),
    Code.FROM_BEGINNING: lambda _: "The interval reaches back to the first reading ever counted.",
    Code.ANCHORED: _anchored,
    Code.OPENED: lambda v: (
        f"{v['party']} opened {v['blocks']} of {v['of']} blocks, checked them and signed that "
        "they are good."
    ),
    Code.NOT_OPENED: lambda v: (
        f"{v['blocks']} of {v['of']} blocks were opened by no other organisation."
    ),
    Code.MIRRORED: lambda v: f"{v['party']} signed that it holds a copy.",
    Code.DEVELOPMENT_KEY: lambda v: (
        f"Gateway {v['gateway']} signs with a development key, held in software: "
        "who copies it can sign."
    ),
    Code.ONE_PARTY: lambda _: (
        "The chain rests on one party's key: that party alone could rewrite it."
    ),
    Code.VALIDATORS: lambda v: (
        f"Chain {v['chain_id']}: {v['count']} validators of {v['parties']} organisations."
    ),
    Code.GAP: _gap,
    Code.CLOCK: _clock,
    Code.NO_CLOCK: lambda v: (
        f"{v['channel']}: {v['readings']} readings came before any clock was known."
    ),
    Code.CLOCK_STEP: _clock_step,
    Code.BEHIND: lambda v: (
        f"Gateway {v['gateway']} had put what came up to {moment_words(v['until_ms'])} into "
        "blocks; what came after that may stand in later ones, which are not shown."
    ),
    Code.CONFIGURATION: lambda v: (
        f"Gateway {v['gateway']} ran by the configuration with SHA-256 {v['digest']}."
    ),
    Code.STARTED: lambda v: (
        f"Gateway {v['gateway']} was started at "
        f"{moment_words(None if v['at_us'] is None else v['at_us'] // 1000)} "
        f"with software {v['software']}."
    ),
    Code.LATE: lambda v: (
        f"{v['channel']}: {v['readings']} readings are dated outside their anchors."
    ),
    Code.RETIRED: lambda v: f"{v['channel']}: the channel was retired in the interval.",
    Code.MISSING: lambda v: (
        f"Feed {v['feed'][:8]} was begun again by its owner: up to {v['entries_max']:,} entries "
        "before that may be missing."
    ),
    Code.REVOKED_LATER: lambda v: f"The key was revoked later, at {moment_words(v['at_ms'])}.",
    Code.ENDED: lambda v: (
        f"The gateway was {'retired' if v['retired'] else 'revoked'} at "
        f"{moment_words(v['at_ms'])}; its last block was anchored at {moment_words(v['last_ms'])}, "
        "and nothing of it follows."
    ),
    Code.KEY_CHANGED: lambda v: (
        f"Key {v['new'][:8]}… followed key {v['old'][:8]}… at {moment_words(v['at_ms'])}; "
        "each signed the other."
    ),
    Code.DISPUTED: lambda v: (
        f"{v['party']} says that block {v['height']} is bad, without evidence here."
    ),
    Code.KEY: lambda v: f"Signing key {v['kid'][:8]}…: {_LEVELS[v['level']]}.",
}
