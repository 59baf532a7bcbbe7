"""A verdict in plain words: what is proven first, then what is not, then who stands behind it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ledger.entry import QUALITY_AUTHENTICATED, QUALITY_GNSS, QUALITY_NTP, QUALITY_RTC
from ledger.verdict import Code, Outcome, Verdict
from logistics.calibration import Calibration, calibration_of
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
    FLAG_UNCALIBRATED,
    Descriptor,
    GapReason,
    Telemetry,
)
from logistics.records import record_of
from logistics.units import Scaled, rescale

_HEADLINES: Final = {
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
_MARKS: Final = {
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


_WORDS: Final[dict[Code, Callable[[Values], str]]] = {
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


@dataclass(frozen=True, slots=True)
class _CalibrationWords:
    """A probe in force, and readings past its due date."""

    probe: str
    past: str
    past_unknown: str


_CALIBRATED: Final = {
    "en": _CalibrationWords(
        probe="{channel}: measured by probe {c.probe} under certificate {c.number} of {c.issuer}, "
        "dated {c.dated}, due {c.due}; the certificate's SHA-256 is {c.sha256}.",
        past="{channel}: {count} readings came after the calibration ran out at the end of "
        "{c.due} (certificate {c.number} of {c.issuer}): they are marked uncalibrated.",
        past_unknown="{channel}: {count} readings came after the calibration of an earlier probe "
        "ran out: they are marked uncalibrated.",
    ),
    "zh": _CalibrationWords(
        probe="{channel}：由探头 {c.probe} 测量，校准证书 {c.number}（{c.issuer}），"
        "签发日期 {c.dated}，有效期至 {c.due}；证书的 SHA-256 为 {c.sha256}。",
        past="{channel}：有 {count} 条读数产生于校准到期（{c.due}）之后"
        "（证书 {c.number}，{c.issuer}），已标记为“未校准”。",
        past_unknown="{channel}：有 {count} 条读数产生于之前探头的校准到期之后，已标记为“未校准”。",
    ),
}


def headline(verdict: Verdict) -> str:
    """The first line: the outcome, and for what."""
    asked = verdict.request
    word = _HEADLINES[verdict.outcome]
    if asked is None:
        return word
    span = f"{moment_words(asked.from_ms)} to {moment_words(asked.to_ms)}"
    return f"{word}: {asked.device_id}, {span}"


def temperature_line(verdict: Verdict) -> str | None:
    """Lowest and highest temperature of the interval, None where none was measured."""
    asked = verdict.request
    values = []
    for proven in verdict.entries:
        record = record_of(proven.entry.kind, proven.entry.body)
        wall_us = proven.entry.time.wall_us
        inside = asked is not None and wall_us is not None
        if (
            inside
            and asked
            and not asked.from_ms * 1000 <= (wall_us or 0) <= asked.to_ms * 1000 + 999
        ):
            continue
        # What a probe past its due date measured is told, and said of it in lines of its own.
        marks = record.flags & ~FLAG_UNCALIBRATED if isinstance(record, Telemetry) else 0
        if isinstance(record, Telemetry) and record.unit == "CEL" and not marks:
            values.append(rescale(Scaled(record.value, record.exponent), -3))
    if not values:
        return None
    return f"{min(values) / 1000:.1f} to {max(values) / 1000:.1f} °C in {len(values)} readings."


def calibration_lines(verdict: Verdict, language: str = "en") -> list[str]:
    """Each channel's certificates in the interval, and readings past their due date.

    language: "en" or "zh".
    """
    words, lines = _CALIBRATED[language], list[str]()
    for finding in verdict.findings:
        if finding.code != Code.COMPLETE:
            continue
        channel = finding.values["channel"]
        for known, count in _certificates(verdict, finding.values):
            if known is not None:
                lines.append(words.probe.format(channel=channel, c=known))
            if count:
                form = words.past_unknown if known is None else words.past
                lines.append(form.format(channel=channel, c=known, count=count))
    return lines


def _certificates(verdict: Verdict, slot: Values) -> list[tuple[Calibration | None, int]]:
    """The slot's calibrations in the interval in their order, each with its readings past due.

    The first is None where the one that was in force at the beginning stands in an older block and
    another followed: the bundle holds its readings' marks, not its words.
    """
    records = [
        record_of(proven.entry.kind, proven.entry.body)
        for proven in verdict.entries
        if proven.entry.slot == slot["slot"]
    ]
    is_changed = any(isinstance(record, Descriptor) for record in records)
    found = [None if is_changed else calibration_of(slot.get("calibration"))]
    counts = [0]
    for record in records:
        if isinstance(record, Descriptor):
            found.append(calibration_of(record.calibration))
            counts.append(0)
        elif isinstance(record, Telemetry):
            counts[-1] += bool(record.flags & FLAG_UNCALIBRATED)
    return list(zip(found, counts, strict=True))


def marks_line(verdict: Verdict) -> str | None:
    """How many readings carry which mark, None where none does; a calibration past due has
    lines of its own."""
    counts = Counter[int]()
    for proven in verdict.entries:
        flags = getattr(record_of(proven.entry.kind, proven.entry.body), "flags", 0)
        counts.update(flag for flag in _MARKS if flags & flag)
    if not counts:
        return None
    words = ", ".join(f"{counts[flag]} {word}" for flag, word in _MARKS.items() if counts[flag])
    return f"Marked, and kept as they came: {words}."


def verdict_lines(verdict: Verdict) -> list[str]:
    """The whole verdict, a line each."""
    lines = [headline(verdict)]
    measured = temperature_line(verdict)
    if measured and verdict.outcome != Outcome.REFUTED:
        lines.append(measured)
    marks = marks_line(verdict)
    if marks and verdict.outcome != Outcome.REFUTED:
        lines.append(marks)
    lines += [_WORDS[finding.code](finding.values) for finding in verdict.findings]
    if verdict.outcome != Outcome.REFUTED:
        lines += calibration_lines(verdict)
    return lines
