from typing import Any

import pytest

from ledger.entry import Entry, GTime, slot_number
from ledger.proof_bundle import Request
from ledger.verdict import Code, Finding, Outcome, ProvenEntry, Verdict
from ledger.verify import verify_bundle
from logistics.reading import FLAG_RATE, FLAG_STUCK, FLAG_SUSPECT, GapReason, Telemetry
from logistics.verdict_words import headline, marks_line, temperature_line, verdict_lines
from tests.unit.ledger.feed_builder import good_scene

START_MS = 1_795_413_600_000
START_US = START_MS * 1000
ASKED = Request(device_id="probe", channel=None, from_ms=START_MS, to_ms=START_MS + 3_600_000)

# One finding of every code, with the values that the verifier gives, and what people read.
SAID: list[tuple[Code, dict[str, Any], str]] = [
    (Code.REFUTED, {"reason": "root differs"}, "The file does not hold: root differs."),
    (Code.UNCHECKED, {"reason": "no head"}, "It could not be checked: no head."),
    (
        Code.UNTRUSTED,
        {"chain_id": "wharf", "genesis_sha256": "ab" * 32},
        "nobody vouches for the issuer: chain wharf begins with abababababababab…",
    ),
    (
        Code.COMPLETE,
        {"slot": 1, "channel": "t", "readings": 9, "inside": 7, "seq_by": "gateway"},
        (
            "t: 7 readings in the interval, 9 shown; nothing between them is missing, "
            "counted from the gateway's intake on."
        ),
    ),
    (Code.ABSENT, {"slot": 65_538}, "Slot 65538: recorded for the device, but it stands in no"),
    (Code.FROM_BEGINNING, {"feed": "ab"}, "reaches back to the first reading ever counted."),
    (
        Code.ANCHORED,
        {"from_ms": START_MS, "to_ms": START_MS + 60_000, "gateway": "truck", "party": "Carrier"},
        (
            "Gateway truck (Carrier): anchored before at 2026-11-23 06:00:00 UTC, "
            "after at 2026-11-23 06:01:00 UTC."
        ),
    ),
    (
        Code.OPENED,
        {"party": "Insurer", "blocks": 3, "of": 4},
        "Insurer opened 3 of 4 blocks, checked them and signed that they are good.",
    ),
    (Code.NOT_OPENED, {"blocks": 1, "of": 4}, "1 of 4 blocks were opened by no other"),
    (Code.MIRRORED, {"party": "Harbour"}, "Harbour signed that it holds a copy."),
    (Code.DEVELOPMENT_KEY, {"gateway": "truck"}, "truck signs with a development key"),
    (Code.ONE_PARTY, {}, "rests on one party's key"),
    (
        Code.VALIDATORS,
        {"chain_id": "wharf", "count": 4, "parties": 3},
        "Chain wharf: 4 validators of 3 organisations.",
    ),
    (
        Code.GAP,
        {"channel": "t", "reason": 1, "from_us": START_US, "to_us": START_US + 90_000_000},
        "t: no readings for 1 min 30 s from 2026-11-23 06:00:00 UTC: the device was silent.",
    ),
    (Code.CLOCK, {"channel": "t", "worst": 3, "unc_us": 1_000_000}, "times by satellite time"),
    (Code.NO_CLOCK, {"channel": "t", "readings": 5}, "t: 5 readings came before any clock"),
    (Code.CLOCK_STEP, {"before_us": 0, "after_us": -2_500_000}, "clock was set by -2.5 s"),
    (
        Code.CONFIGURATION,
        {"gateway": "cold-room", "digest": "ab" * 32},
        "Gateway cold-room ran by the configuration with SHA-256 abab",
    ),
    (
        Code.STARTED,
        {"gateway": "cold-room", "at_us": START_US, "software": "wharfinger 0.1.0"},
        "was started at 2026-11-23 06:00:00 UTC with software wharfinger 0.1.0.",
    ),
    (
        Code.BEHIND,
        {"gateway": "cold-room", "until_ms": START_MS},
        "Gateway cold-room had put what came up to 2026-11-23 06:00:00 UTC into blocks; what",
    ),
    (Code.LATE, {"channel": "t", "readings": 2}, "t: 2 readings are dated outside"),
    (Code.RETIRED, {"channel": "t"}, "t: the channel was retired"),
    (
        Code.ENDED,
        {"at_ms": START_MS + 60_000, "last_ms": START_MS, "retired": True},
        "The gateway was retired at",
    ),
    (
        Code.KEY_CHANGED,
        {"at_ms": START_MS, "old": "0" * 32, "new": "1" * 32},
        "Key 11111111… followed key 00000000…",
    ),
    (Code.MISSING, {"feed": "ab" * 16, "entries_max": 1200}, "up to 1,200 entries before"),
    (Code.REVOKED_LATER, {"at_ms": START_MS}, "revoked later, at 2026-11-23 06:00:00 UTC."),
    (Code.DISPUTED, {"party": "Insurer", "height": 7}, "Insurer says that block 7 is bad"),
    (Code.KEY, {"kid": "ab" * 16, "level": 1}, "Signing key abababab…: hardware as claimed."),
]


def verdict(
    *findings: tuple[Code, dict[str, Any]],
    outcome: Outcome = Outcome.PROVEN,
    request: Request | None = ASKED,
    entries: tuple[ProvenEntry, ...] = (),
) -> Verdict:
    rows = tuple(Finding(code, values) for code, values in findings)
    return Verdict(outcome=outcome, findings=rows, request=request, entries=entries)


def line_of(code: Code, values: dict[str, Any]) -> str:
    return verdict_lines(verdict((code, values)))[-1]


def test_every_code_has_its_words() -> None:
    assert set(Code) == {code for code, _, _ in SAID}


@pytest.mark.parametrize(("code", "values", "words"), SAID)
def test_a_finding_is_one_plain_sentence(code: Code, values: dict[str, Any], words: str) -> None:
    line = line_of(code, values)
    assert words in line
    assert line.endswith(".")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (Outcome.PROVEN, "PROVEN"),
        (Outcome.REFUTED, "REFUTED"),
        (Outcome.UNCHECKED, "NOT PROVEN"),
    ],
)
def test_the_first_line_says_the_outcome_and_for_what(outcome: Outcome, word: str) -> None:
    span = "2026-11-23 06:00:00 UTC to 2026-11-23 07:00:00 UTC"
    assert f"{word}: probe, {span}" == headline(verdict(outcome=outcome))
    assert word == headline(verdict(outcome=outcome, request=None))


@pytest.mark.parametrize("reason", list(GapReason))
def test_every_reason_of_a_gap_has_its_words(reason: GapReason) -> None:
    line = line_of(
        Code.GAP, {"channel": "t", "reason": int(reason), "from_us": START_US, "to_us": START_US}
    )
    assert "reason" not in line
    assert line.endswith("The gateway says so itself.")


def test_a_gap_may_be_open_or_without_known_times() -> None:
    values = {"channel": "t", "reason": 2, "from_us": START_US, "to_us": None}
    assert "from 2026-11-23 06:00:00 UTC on: the gateway was down" in line_of(Code.GAP, values)
    assert "an unknown time" in line_of(Code.GAP, values | {"from_us": None})
    unknown = line_of(Code.GAP, values | {"reason": 77, "from_us": None, "to_us": START_US})
    assert "from an unknown time: reason 77" in unknown


@pytest.mark.parametrize("value", [None, 1 << 62, -(1 << 62)])
def test_whatever_a_lying_gateway_writes_there_are_words(value: int | None) -> None:
    for code, values in (
        (Code.GAP, {"channel": "t", "reason": value, "from_us": value, "to_us": value}),
        (Code.CLOCK_STEP, {"before_us": value, "after_us": value}),
        (Code.REVOKED_LATER, {"at_ms": value}),
    ):
        assert line_of(code, values)


@pytest.mark.parametrize(
    ("quality", "words"),
    [
        (0, "no clock"),
        (1, "nothing disciplined"),
        (2, "network time, not authenticated"),
        (3, "satellite time"),
        (4, "two sources that agreed"),
    ],
)
def test_the_worst_clock_is_named_with_its_bound(quality: int, words: str) -> None:
    line = line_of(Code.CLOCK, {"channel": "t", "worst": quality, "unc_us": 61_000_000})
    assert words in line
    assert "± 1 min 1 s" in line


@pytest.mark.parametrize(
    ("seq_by", "words"),
    [
        ("gateway", "from the gateway's intake on"),
        ("sensor", "from the sensor on"),
        ("sensor-signed", "from the sensor on"),
    ],
)
def test_a_complete_row_says_who_counted(seq_by: str, words: str) -> None:
    values = {"slot": 1, "channel": "t", "readings": 9, "inside": 7, "seq_by": seq_by}
    assert words in line_of(Code.COMPLETE, values)


def test_a_feed_that_begins_inside_the_interval_has_no_anchor_before_it() -> None:
    values = {"from_ms": None, "to_ms": START_MS, "gateway": "truck", "party": "Carrier"}
    assert "anchored before at the feed's beginning" in line_of(Code.ANCHORED, values)


def entry(second: int, record: Telemetry, *, timed: bool = True) -> ProvenEntry:
    wall_us = START_US + second * 1_000_000 if timed else None
    time = GTime(1, second, wall_us, 2 if timed else 0, 0)
    return ProvenEntry(
        feed_id=bytes(16),
        leaf_index=second,
        height=0,
        entry=Entry(1, slot_number(1, 1), time, second, record.to_body()),
        anchored_ms=START_MS,
    )


def celsius(value: int, exponent: int = -3, *, unit: str = "CEL", flags: int = 0) -> Telemetry:
    return Telemetry(value=value, exponent=exponent, unit=unit, flags=flags)


def test_the_temperatures_of_the_interval_are_said_in_one_line() -> None:
    rows = (
        entry(-1, celsius(-40_000)),  # before it
        entry(0, celsius(4_049)),
        entry(10, celsius(81, -1)),
        entry(20, celsius(-40_000, flags=FLAG_SUSPECT)),
        entry(30, celsius(99_000, unit="P1")),
        entry(3_601, celsius(90_000)),  # behind it
    )
    assert "4.0 to 8.1 °C in 2 readings." == temperature_line(verdict(entries=rows))


def test_readings_without_a_time_are_not_left_out() -> None:
    rows = (entry(0, celsius(4_000)), entry(9, celsius(9_000), timed=False))
    assert "4.0 to 9.0 °C in 2 readings." == temperature_line(verdict(entries=rows))


def test_where_no_temperature_was_measured_nothing_is_said_of_it() -> None:
    assert temperature_line(verdict()) is None
    assert 1 == len(verdict_lines(verdict()))


def test_of_a_refuted_file_no_temperature_is_told() -> None:
    rows = (entry(0, celsius(4_000)),)
    told = verdict((Code.REFUTED, {"reason": "x"}), outcome=Outcome.REFUTED, entries=rows)
    assert 2 == len(verdict_lines(told))
    assert "°C" not in "".join(verdict_lines(told))


def test_a_real_verdict_reads_as_a_whole() -> None:
    scene = good_scene()
    told = verify_bundle(scene.bundle().encode(), trusted_genesis_sha256=scene.trust)
    first, measured, *rest = verdict_lines(told)
    assert first.startswith("PROVEN: probe, ")
    assert "°C in " in measured
    assert len(told.findings) == len(rest)
    for words in ("nothing between them is missing", "rests on one party's key", "insurer opened"):
        assert any(words in line for line in rest)


def test_marked_readings_are_counted_by_their_marks() -> None:
    rows = tuple(
        entry(second, celsius(4000, flags=flags))
        for second, flags in enumerate((0, FLAG_RATE, FLAG_RATE | FLAG_STUCK))
    )
    line = (
        "Marked, and kept as they came: 2 that changed faster than they can, 1 stuck at one value."
    )
    assert line == marks_line(verdict(entries=rows))
    assert line in verdict_lines(verdict(entries=rows))
    assert marks_line(verdict()) is None
