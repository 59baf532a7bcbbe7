"""A probe's certificate as one line: exact, bounded, and past due at the end of its last day."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.entry import KIND_DESCRIPTOR, KIND_TELEMETRY, Entry, GTime
from ledger.verdict import Code, Finding, Outcome, ProvenEntry, Verdict
from logistics.calibration import Calibration, calibration_of
from logistics.errors import BodyError
from logistics.reading import FLAG_UNCALIBRATED, Descriptor, Telemetry
from logistics.verdict_words import calibration_lines, verdict_lines

KNOWN = Calibration(
    probe="28-0316a2794bff",
    number="K-2291",
    issuer="Norddeutsches Prüflabor",
    dated="2026-05-04",
    due="2027-05-04",
    sha256="ab" * 32,
)
TEXT = (
    "probe=28-0316a2794bff;number=K-2291;issuer=Norddeutsches Prüflabor;dated=2026-05-04;"
    "due=2027-05-04;sha256=" + "ab" * 32
)


def test_the_line_is_what_the_page_says_and_comes_back() -> None:
    assert TEXT == KNOWN.to_text()
    assert KNOWN == Calibration.from_text(TEXT) == calibration_of(TEXT)


def test_the_example_on_the_page_is_a_calibration() -> None:
    page = (Path(__file__).parents[3] / "docs/formats/reading.md").read_text()
    (line,) = re.findall(r"example calibration\n(.*)\n", page)
    assert KNOWN == Calibration.from_text(line)


def test_it_is_past_due_from_the_end_of_its_last_day() -> None:
    assert 1_809_475_200_000_000 == KNOWN.valid_until_us  # 2027-05-05T00:00:00Z


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("probe", ""),
        ("number", "a;b"),
        ("issuer", "a=b"),
        ("issuer", "x" * 200),
        ("dated", "2026-5-4"),
        ("dated", "2026-02-30"),
        ("due", "2026-05-03"),
        ("due", "9999-12-31"),
        ("sha256", "AB" * 32),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(field: str, value: str) -> None:
    with pytest.raises(BodyError):
        replace(KNOWN, **{field: value})


@pytest.mark.parametrize("text", [None, "", "checked last spring", TEXT + ";more=1", TEXT[6:]])
def test_other_texts_are_no_calibration(text: str | None) -> None:
    assert calibration_of(text) is None


def proven(kind: int, number: int, body: list[object]) -> ProvenEntry:
    entry = Entry(kind, 65_537, GTime(1, number, number, 4, 0), number, body)
    return ProvenEntry(feed_id=b"f", leaf_index=number, height=0, entry=entry, anchored_ms=0)


def verdict(calibration: str | None, *entries: ProvenEntry) -> Verdict:
    values = {"slot": 65_537, "channel": "temperature", "readings": 2, "inside": 2,
              "seq_by": "gateway", "calibration": calibration}  # fmt: skip
    findings = (Finding(Code.COMPLETE, values),)
    return Verdict(outcome=Outcome.PROVEN, request=None, findings=findings, entries=entries)


def celsius(number: int, flags: int = 0) -> ProvenEntry:
    record = Telemetry(value=4000 + number, exponent=-3, unit="CEL", flags=flags)
    return proven(KIND_TELEMETRY, number, record.to_body())


def descriptor(number: int, text: str | None) -> ProvenEntry:
    record = Descriptor(
        device_id="d", channel="temperature", quantity="temperature", unit="CEL", driver="ds18b20",
        calibration=text,
    )  # fmt: skip  # a record
    return proven(KIND_DESCRIPTOR, number, record.to_body())


def test_the_verdict_names_certificate_and_readings_past_due() -> None:
    shown = verdict(TEXT, celsius(1), celsius(2, FLAG_UNCALIBRATED), celsius(3, FLAG_UNCALIBRATED))
    probe, past = calibration_lines(shown)
    assert "certificate K-2291 of Norddeutsches Prüflabor" in probe
    assert "2 readings came after the calibration ran out at the end of 2027-05-04" in past
    assert [probe, past] == verdict_lines(shown)[-2:]
    assert "4.0 to 4.0 °C in 3 readings." in verdict_lines(shown)


def test_the_verdict_says_it_in_chinese() -> None:
    probe, past = calibration_lines(verdict(TEXT, celsius(1, FLAG_UNCALIBRATED)), "zh")
    assert "校准证书 K-2291" in probe
    assert "有 1 条读数产生于校准到期（2027-05-04）之后" in past


def test_a_probe_replaced_in_the_interval_parts_the_readings() -> None:
    shown = verdict(
        TEXT, celsius(1, FLAG_UNCALIBRATED), descriptor(2, TEXT), celsius(3), celsius(4)
    )
    earlier, probe = calibration_lines(shown)
    assert "1 readings came after the calibration of an earlier probe ran out" in earlier
    assert "K-2291" in probe


def test_without_a_certificate_nothing_is_said() -> None:
    assert [] == calibration_lines(verdict(None, descriptor(0, None), celsius(1)))
