"""Each finding of the doctor is red for the fault that it names, and says what to do."""

import errno
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge.keys.file_key import create_file_key
from gateway.clock import WALL_US_MIN, WallReading
from gateway.config import DiskConfig, GatewayConfig, parse_config
from gateway.doctor import (
    DAY_US,
    Finding,
    box_findings,
    broker_finding,
    calibration_findings,
    clock_finding,
    examine,
    key_finding,
    port_findings,
    room_finding,
    running_findings,
    silence_findings,
    sync_finding,
    wear_finding,
    words,
)
from gateway.wear import Wear
from ledger.entry import QUALITY_GNSS, QUALITY_RTC
from ledger.signing import ES256

TEXT = """
[gateway]
name = "box"
party = "Us"
data_dir = "data"
development = true
[key]
uri = "file:{key}"
[broker]
port = {port}
[[audience]]
id = 1
name = "all"
readers = []
[[device]]
id = "fridge"
driver = "zigbee2mqtt"
source = "mqtt:zigbee2mqtt/fridge"
audience = 1
[[device]]
id = "rx"
driver = "nmea"
source = "serial:{serial}?baud=9600"
audience = 1
"""


@pytest.fixture
def config(tmp_path: Path) -> GatewayConfig:
    """A box with a key, a data folder, one port that is there and no broker."""
    key, serial = tmp_path / "key.pem", tmp_path / "port"
    create_file_key(str(key), alg=ES256, development=True)
    serial.touch()
    (tmp_path / "data").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return parse_config(TEXT.format(key=key, serial=serial, port=port), tmp_path / "gateway.toml")


SIX_US = 1_795_413_600_000_000  # 2026-11-23 06:00 UTC


def report(**changes: Any) -> dict[str, Any]:
    """A running gateway's report that is well, but for the changes."""
    return {"faults": [], "sealed_height": 10, "anchored_height": 9} | changes


def test_a_clock_without_time_or_discipline_is_red() -> None:
    assert clock_finding(WallReading(WALL_US_MIN + 1, synchronised=True, error_us=5000)).good
    undisciplined = clock_finding(WallReading(WALL_US_MIN + 1, synchronised=False, error_us=0))
    unset = clock_finding(WallReading(0, synchronised=False, error_us=0))
    assert not undisciplined.good
    assert not unset.good
    assert "chrony" in unset.mend


def test_a_disk_with_room_is_green_and_leaves_no_probe(tmp_path: Path) -> None:
    assert "% free" in room_finding(tmp_path).said
    assert "takes" in sync_finding(tmp_path).said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "mend"), [(errno.ENOSPC, "free space"), (errno.EIO, "replace or mend the disk")]
)
def test_a_disk_that_takes_no_small_file_is_red_and_the_doctor_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, mend: str
) -> None:
    def refuse(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    finding = sync_finding(tmp_path)
    assert not finding.good
    assert f"a small file cannot be written: {os.strerror(code)}" in finding.said
    assert mend in finding.mend
    assert list(tmp_path.iterdir()) == []


async def test_a_key_that_signs_is_green_in_development_only(config: GatewayConfig) -> None:
    assert (await key_finding(config)).good


def lose(path: Path) -> None:
    path.unlink()


async def test_a_missing_key_says_what_to_do(config: GatewayConfig) -> None:
    lose(Path(config.key_uri.removeprefix("file:")))
    finding = await key_finding(config)
    assert not finding.good
    assert "PIN" in finding.mend


def test_a_broker_that_does_not_answer_is_red(config: GatewayConfig) -> None:
    finding = broker_finding(config)
    assert finding is not None
    assert not finding.good
    with socket.create_server(("127.0.0.1", config.broker.port)):
        answered = broker_finding(config)
    assert answered is not None
    assert answered.good


def test_a_port_that_is_gone_is_red(config: GatewayConfig) -> None:
    assert [finding.good for finding in port_findings(config)] == [True]
    Path(config.devices[1].spec.source.removeprefix("serial:").partition("?")[0]).unlink()
    (gone,) = port_findings(config)
    assert not gone.good
    assert "wharf devices" in gone.mend


def test_a_gateway_that_stands_still_or_lags_is_red() -> None:
    assert all(finding.good for finding in running_findings(report()))
    assert not running_findings(None)[0].good
    assert not running_findings(report(faults=["disk full"]))[0].good
    assert bad_of(running_findings(report(sealed_height=500))) == ["backlog"]
    assert bad_of(running_findings(report(backlog_age_s=1000))) == ["backlog"]
    assert not bad_of(running_findings(report(anchored_height=10, backlog_age_s=1000)))


def bad_of(findings: Sequence[Finding]) -> list[str]:
    return [finding.subject for finding in findings if not finding.good]


def test_a_ledger_that_may_let_go_of_nothing_is_red_before_it_is_full() -> None:
    assert not bad_of(running_findings(report(used_percent=79, used_percent_max=80)))
    assert bad_of(running_findings(report(used_percent=80, used_percent_max=80))) == ["readings"]


def test_a_silent_probe_is_named_with_the_time_of_its_last_word() -> None:
    rows = [
        {
            "device": "probe",
            "channel": "door",
            "silent": True,
            "last_wall_us": 1_795_413_600_000_000,
        },
        {"device": "probe", "channel": "temperature", "silent": False},
    ]
    (finding,) = silence_findings(report(channels=rows))
    assert finding.subject == "probe probe/door"
    assert "since 2026-11-23 06:00 UTC" in finding.said


@pytest.mark.parametrize(
    ("days", "good", "said"),
    [(400, True, "400 days left"), (30, True, "30 days left"), (29, False, "29 days left"),
     (-1, False, "past due for 1 days")],
)  # fmt: skip
def test_a_certificate_that_ends_soon_is_red(days: int, good: bool, said: str) -> None:
    row = {"device": "probe", "channel": "t", "calibration_until_us": SIX_US + days * DAY_US}
    rows = [row, {"device": "other", "channel": "t", "calibration_until_us": None}]
    (finding,) = calibration_findings(report(channels=rows), SIX_US)
    assert (finding.good, finding.said) == (good, said)


def test_a_receivers_time_is_a_clock_source() -> None:
    undisciplined = WallReading(WALL_US_MIN + 1, synchronised=False, error_us=0)
    assert clock_finding(undisciplined, QUALITY_GNSS).good
    assert not clock_finding(undisciplined, QUALITY_RTC).good


def wear(gigabytes_a_day: int) -> Wear:
    return Wear(size_bytes=gigabytes_a_day * 10**9, seconds=86_400)


def test_a_card_that_does_not_last_is_red() -> None:
    card = DiskConfig(endurance_gb=10_000, years_min=3)
    assert not wear_finding(wear(10), card).good
    assert "2 years of 10,000 GB" in wear_finding(wear(10), card).said
    assert wear_finding(wear(9), card).good
    assert wear_finding(wear(9_000), DiskConfig()).good, "nobody said what it bears"
    assert wear_finding(Wear(), card).good


def test_a_glance_writes_and_asks_nothing(config: GatewayConfig) -> None:
    lose(Path(config.key_uri.removeprefix("file:")))
    before = sorted(config.data_dir.iterdir())
    subjects = {finding.subject for finding in box_findings(config, report())}
    assert {"clock", "disk", "disk wear", "device rx", "backlog"} <= subjects
    assert "key" not in subjects
    assert before == sorted(config.data_dir.iterdir())


async def test_the_whole_examination_names_what_is_missing(config: GatewayConfig) -> None:
    findings = await examine(config, None)
    bad = {finding.subject for finding in findings if not finding.good}
    assert {"broker", "chain", "gateway"} <= bad


def test_the_answer_comes_first_and_each_fault_with_its_mend() -> None:
    findings = [
        Finding("disk", good=True, said="fine"),
        Finding("key", good=False, said="gone", mend="plug it"),
    ]
    lines = words(findings, lambda _, text: text).splitlines()
    assert lines[0] == "1 thing wants a hand"
    assert any("mend: plug it" in line for line in lines)
    both = [*findings, Finding("clock", good=False, said="unset")]
    assert words(both, lambda _, text: text).startswith("2 things want a hand")
    assert words(findings[:1], lambda _, text: text).startswith("all is well")
