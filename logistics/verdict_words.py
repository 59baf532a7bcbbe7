"""A verdict in plain words: what is proven first, then what is not, then who stands behind it."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from ledger.verdict import Code, Outcome, Verdict
from logistics import verdict_chinese, verdict_english
from logistics.calibration import Calibration, calibration_of
from logistics.moments import moment_words
from logistics.reading import FLAG_UNCALIBRATED, Descriptor, Telemetry
from logistics.records import record_of
from logistics.units import Scaled, rescale

Values = dict[str, Any]
_LANGUAGES: Final = {"en": verdict_english, "zh": verdict_chinese}


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


def headline(verdict: Verdict, language: str = "en") -> str:
    """The first line: the outcome, and for what. language: "en" or "zh"."""
    asked = verdict.request
    word: str = _LANGUAGES[language].HEADLINES[verdict.outcome]
    if asked is None:
        return word
    start, end = moment_words(asked.from_ms), moment_words(asked.to_ms)
    if language == "zh":
        return f"{word}：{asked.device_id}，{start} 至 {end}"
    return f"{word}: {asked.device_id}, {start} to {end}"


def temperature_line(verdict: Verdict, language: str = "en") -> str | None:
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
    low, high = f"{min(values) / 1000:.1f}", f"{max(values) / 1000:.1f}"
    if language == "zh":
        return f"{low} 至 {high} °C，共 {len(values)} 条读数。"
    return f"{low} to {high} °C in {len(values)} readings."


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


def marks_line(verdict: Verdict, language: str = "en") -> str | None:
    """How many readings carry which mark, None where none does; a calibration past due has
    lines of its own."""
    counts, marks = Counter[int](), _LANGUAGES[language].MARKS
    for proven in verdict.entries:
        flags = getattr(record_of(proven.entry.kind, proven.entry.body), "flags", 0)
        counts.update(flag for flag in marks if flags & flag)
    if not counts:
        return None
    words = [f"{counts[flag]} {word}" for flag, word in marks.items() if counts[flag]]
    if language == "zh":
        return f"已标记并原样保留：{'，'.join(words)}。"
    return f"Marked, and kept as they came: {', '.join(words)}."


def stamps_line(count: int, language: str = "en") -> str:
    """That a deposit has outside stamps, which another command checks."""
    if language == "zh":
        return f"文件中另有 {count} 个外部时间戳，请用 wharf deposit verify 核验。"
    return f"The file has {count} outside time stamps as well; wharf deposit verify checks them."


def verdict_lines(verdict: Verdict, language: str = "en") -> list[str]:
    """The whole verdict, a line each. language: "en" or "zh"."""
    lines = [headline(verdict, language)]
    measured = temperature_line(verdict, language)
    if measured and verdict.outcome != Outcome.REFUTED:
        lines.append(measured)
    marks = marks_line(verdict, language)
    if marks and verdict.outcome != Outcome.REFUTED:
        lines.append(marks)
    words = _LANGUAGES[language].WORDS
    lines += [words[finding.code](finding.values) for finding in verdict.findings]
    if verdict.outcome != Outcome.REFUTED:
        lines += calibration_lines(verdict, language)
    return lines
