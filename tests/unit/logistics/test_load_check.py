"""An expected list against what a zone saw: missing, unexpected, doubled."""

import argparse
import json
from pathlib import Path

import pytest

from ledger.entry import KIND_BUSINESS_EVENT, Entry, GTime
from ledger.proof_bundle import Request
from ledger.verdict import Outcome, ProvenEntry, Verdict
from logistics import load_check_cli
from logistics.business_event import ZoneEvent, ZoneStep
from logistics.epc import encode_epc
from logistics.errors import IdentifierError
from logistics.load_check import (
    ExpectedListError,
    check_load,
    identity_of,
    parse_expected,
    parse_identity,
)

PALLET = "urn:epc:tag:sscc-96:2.0614141.1234567890"
SSCC = "sscc:106141412345678908"
CASE = "urn:epc:id:sgtin:0614141.812345.6789"
START_MS = 1_795_413_600_000


def event(
    tag: str, step: ZoneStep = ZoneStep.ARRIVED, zone: str = "dock-1", *, raw: bool = False
) -> ZoneEvent:
    epc = bytes.fromhex(tag) if raw else encode_epc(tag)
    return ZoneEvent(step=step, epc=epc, zone=zone, reads=3, dwell_ms=900)


@pytest.mark.parametrize(
    "text",
    [
        "106141412345678908",
        "00106141412345678908",
        "(00)106141412345678908",
        PALLET,
        "urn:epc:id:sscc:0614141.1234567890",
        "3174257BF4499602D2000000",
        "3154257bf4499602d2000000",
    ],
)
def test_a_pallet_is_the_same_however_it_is_written(text: str) -> None:
    assert SSCC == parse_identity(text)


def test_a_case_is_its_pure_identity_and_a_strange_tag_its_bits() -> None:
    assert CASE == parse_identity("urn:epc:tag:sgtin-96:1.0614141.812345.6789")
    assert CASE == parse_identity(CASE)
    assert "urn:epc:raw:32.xE2801190" == parse_identity("e2801190")


@pytest.mark.parametrize("text", ["106141412345678909", "12345", "urn:epc:tag:sscc-96:9.1.2", ""])
def test_what_is_no_identity_is_refused(text: str) -> None:
    with pytest.raises(IdentifierError):
        parse_identity(text)


def test_a_list_has_a_header_comments_and_columns_for_people() -> None:
    text = f'\ufeffSSCC,goods\n# morning\n(00)106141412345678908,milk\n\n{CASE},"a, b"\n'
    assert [SSCC, CASE] == parse_expected(text)


def test_a_wrong_line_is_named() -> None:
    with pytest.raises(ExpectedListError, match="line 3: '106141412345678909'"):
        parse_expected("sscc\n(00)106141412345678908\n106141412345678909\n")


def test_the_load_that_was_expected_is_right() -> None:
    events = [event(PALLET), event(PALLET, ZoneStep.DEPARTED), event(PALLET, zone="other")]
    result = check_load([SSCC], events, "dock-1")
    assert (True, (SSCC,)) == (result.is_right, result.found)


def test_missing_unexpected_and_doubled_are_told() -> None:
    strange = "e28011902000"
    events = [
        event(PALLET),
        event("urn:epc:tag:sscc-96:0.0614141.1234567890", ZoneStep.MOVED),
        event(strange, raw=True),
        event("urn:epc:tag:sgtin-96:1.0614141.812345.6789", zone="elsewhere"),
    ]
    result = check_load([SSCC, CASE], events, "dock-1")
    assert ((CASE,), (identity_of(bytes.fromhex(strange)),), (SSCC,)) == (
        result.missing,
        result.unexpected,
        result.doubled,
    )
    assert (SSCC,) == check_load([SSCC, SSCC], events[:1], "dock-1").doubled


def proven(*events: tuple[int, ZoneEvent], outcome: Outcome = Outcome.PROVEN) -> Verdict:
    """A verdict that shows these events, so many seconds after its beginning."""
    rows = tuple(
        ProvenEntry(
            feed_id=b"f" * 16,
            leaf_index=number,
            height=0,
            anchored_ms=START_MS,
            entry=Entry(
                KIND_BUSINESS_EVENT,
                65_537,
                GTime(1, number, (START_MS + 1000 * second) * 1000, 3, 0),
                number,
                item.to_body(),
            ),
        )
        for number, (second, item) in enumerate(events)
    )
    asked = Request(device_id="dock", channel=None, from_ms=START_MS, to_ms=START_MS + 60_000)
    return Verdict(outcome=outcome, findings=(), request=asked, entries=rows)


def run(folder: Path, *options: str) -> int:
    parser = argparse.ArgumentParser()
    load_check_cli.register(parser.add_subparsers())
    words = ["load-check", str(folder / "list.csv"), "--bundle", str(folder / "b"), *options]
    arguments = parser.parse_args([*words, "--trust-store", str(folder / "none")])
    code: int = arguments.run(arguments)
    return code


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "list.csv").write_text(f"{SSCC[5:]}\n{CASE}\n")
    (tmp_path / "b").write_bytes(b"bundle")
    verdict = proven((-5, event("urn:epc:tag:sgtin-96:1.0614141.812345.6789")), (5, event(PALLET)))
    monkeypatch.setattr(load_check_cli, "verify_bundle", lambda *_, **__: verdict)
    return tmp_path


def test_the_command_says_what_is_missing_in_both_languages(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 1 == run(folder, "--zone", "dock-1")
    said = f"Not as expected: 1 of 2 units came once.\n  missing  {CASE}\n"
    assert said == capsys.readouterr().out
    assert 1 == run(folder, "--zone", "dock-1", "--lang", "zh")
    assert f"  缺少  {CASE}\n" in capsys.readouterr().out


def test_the_command_speaks_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "list.csv").write_text(SSCC[5:])
    assert 0 == run(folder, "--zone", "dock-1", "--json")
    assert {
        "right": True,
        "found": [SSCC],
        "missing": [],
        "unexpected": [],
        "doubled": [],
    } == json.loads(capsys.readouterr().out)


def test_what_is_not_proven_is_no_check(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = proven((5, event(PALLET)), outcome=Outcome.UNCHECKED)
    monkeypatch.setattr(load_check_cli, "verify_bundle", lambda *_, **__: verdict)
    assert 2 == run(folder, "--zone", "dock-1")


def test_a_wrong_list_or_a_missing_file_is_wrong_usage(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "list.csv").write_text("106141412345678909")
    assert 64 == run(folder, "--zone", "dock-1")
    assert "list.csv: line 1" in capsys.readouterr().err
    (folder / "b").unlink()
    (folder / "list.csv").write_text(SSCC[5:])
    assert 64 == run(folder, "--zone", "dock-1")
