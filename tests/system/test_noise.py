"""Noise, bad checksums, odd payloads, impossible dates: no crash, no wrong reading, all counted."""

from __future__ import annotations

import os
import random
import time
import tty
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge.codecs.probe import encode_w1_slave
from firmware_bridge.simulators.gnss import fix_sentences, lost_sentences
from logistics.reading import FLAG_SUSPECT
from tests.fakes.publisher import payload_of, publish_once
from tests.fakes.yard import Device, GatewayBox, Yard

FRIDGE, CARGO = "zigbee2mqtt/fridge-1", "tele/cargo/SENSOR"
POWER_ON = 85 * 16  # what a DS18B20 holds before its first conversion, in sixteenths
GOOD = range(4_000, 4_040)  # thousandths of a degree: every value that anybody measured
DATES_MS = {"1970": 0, "1980": 315_964_800_000, "2070": 3_155_760_000_000}

# What is sent to the fridge's topic, and as what it must be counted.
ODD = {
    b"\x00\xff\xfe not text": "json",
    b'{"temperature": 4.0': "json",
    b"": "json",
    b"[" * 60_000: "json",
    b'{"temperature": 5.0, "temperature": 6.0}': "json",
    b'{"temperature": NaN}': "number",
    b'{"temperature": -Infinity}': "number",
    b'{"temperature": 1e999}': "number",
    b'{"temperature": "warm"}': "field",
    b'{"temperature": 4000}': "field",
    b'{"temperature": null}': "sentinel",
    b"[4.0]": "unknown",
    b'{"temperature": 7.5, "note": "' + b"a" * 1_000_000 + b'"}': "oversize",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The last report, what was opened of each device, and the gateway's log."""

    report: dict[str, Any]
    opened: dict[str, list[dict[str, Any]]]
    log: str
    window_us: tuple[int, int]

    def rejected(self, device: str) -> dict[str, int]:
        counts: dict[str, int] = self.report["rejected_by_device"][device]
        return counts


class Line:
    """A serial line whose far end is in the test's hand."""

    def __init__(self, folder: Path) -> None:
        self._master, port = os.openpty()
        tty.setraw(port)
        self.path = folder / "gnss"
        self.path.symlink_to(os.ttyname(port))

    def say(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._master, data[:1024]) :]


def position(number: int, unix_ms: int | None = None) -> bytes:
    """The sentences of a place that no other number has, now or at another moment."""
    now_ms = time.time_ns() // 1_000_000
    moment_ms = now_ms if unix_ms is None else unix_ms
    return fix_sentences(lat=10 + number, lon=20 + number, course=0, kmh=0, unix_ms=moment_ms)


def broken(sentences: bytes) -> bytes:
    """The same with one bit of each sentence's latitude turned."""
    lines = sentences.splitlines(keepends=True)
    return b"".join(line[:19] + bytes([line[19] ^ 1]) + line[20:] for line in lines)


def count(report: dict[str, Any], device: str) -> int:
    return sum(row["readings"] for row in report["channels"] if row["device"] == device)


def speak_on_the_line(line: Line, box: GatewayBox) -> int:
    """Good places 0, 1, 2 ... between all that a bad wire and a bad receiver may say; how many."""
    bad = [
        b"",
        random.Random(11).randbytes(60_000),
        broken(position(90)) * 5,
        position(91)[:40],
        lost_sentences(time.time_ns() // 1_000_000) * 3,
    ]
    for number, noise in enumerate(bad):
        line.say(noise)
        line.say(position(number))
        box.until(lambda r, n=number: count(r, "truck-gnss") == n + 1, f"place {number}")  # type: ignore[misc]  # bound now
    for index, moment_ms in enumerate(DATES_MS.values()):
        line.say(position(70 + index, moment_ms))
    line.say(position(len(bad)))
    good = len(bad) + 1
    box.until(lambda r: count(r, "truck-gnss") == good + len(DATES_MS), "the last place")
    return good


def speak_on_the_bus(probe: Path, box: GatewayBox) -> None:
    """The probe's file with all that the kernel may show; each is seen once at least."""
    good = encode_w1_slave(64)
    for text, reason in (
        (encode_w1_slave(POWER_ON), "sentinel"),
        (good.replace("40 ", "41 "), "checksum"),
        ("noise\n", "frame"),
        ("", "fault"),
    ):
        probe.write_text(text, encoding="ascii")
        box.until(
            lambda r, word=reason: r["rejected_by_device"].get("probe-1", {}).get(word),  # type: ignore[misc]  # bound now
            f"{reason} of the probe",
        )
    before = count(box.status(), "probe-1")
    probe.write_text(good, encoding="ascii")
    box.until(lambda r: count(r, "probe-1") > before, "the probe again")


def speak_to_the_broker(port: int, box: GatewayBox) -> None:
    """Good values between odd payloads; returns when all are taken."""
    values = iter(GOOD)
    for payload in ODD:
        publish_once(port, FRIDGE, payload_of(next(values)))
        publish_once(port, FRIDGE, payload)
    for moment in ("2099-01-01T00:00:00Z", "1970-01-01T00:00:00Z"):
        dated = payload_of(next(values))[:-1] + f', "last_seen": "{moment}"}}'.encode()
        publish_once(port, FRIDGE, dated)
    publish_once(port, FRIDGE, payload_of(next(values)), qos=0)
    sensor = b'{"Time": "2026-11-23T10:00:00", "DS18B20-1": {"Temperature": %s}, "TempUnit": "C"}'
    publish_once(port, CARGO, sensor % b"85.0")
    publish_once(port, CARGO, sensor % b"4.5")
    box.until(
        lambda r: count(r, "cargo-probe") == 1 and count(r, "fridge-1") >= len(ODD) + 3,
        "the last payload",
    )


@pytest.fixture(scope="module")
def outcome(yard: Yard) -> Outcome:
    """Return what is left when every device has misbehaved."""
    begun_us = time.time_ns() // 1000
    line, probe = Line(yard.folder), yard.folder / "w1_slave"
    probe.write_text(encode_w1_slave(64), encoding="ascii")
    # An old value that the broker keeps for newcomers was a reading once; it is none now.
    publish_once(yard.broker.port, FRIDGE, payload_of(9_999), retain=True)
    box = yard.add_gateway(
        "gateway",
        [
            Device("truck-gnss", "nmea", f"serial:{line.path}?baud=9600", 1),
            Device("probe-1", "ds18b20", f"w1:{probe}", 1),
            Device("fridge-1", "zigbee2mqtt", f"mqtt:{FRIDGE}"),
            Device("cargo-probe", "tasmota", f"mqtt:{CARGO}"),
        ],
    )
    box.until(lambda r: r["devices"]["truck-gnss"]["running"], "the open line")
    assert speak_on_the_line(line, box) == 6
    speak_to_the_broker(yard.broker.port, box)
    speak_on_the_bus(probe, box)
    report = box.status()
    box.settle()
    devices = ("truck-gnss", "probe-1", "fridge-1", "cargo-probe")
    opened = {device: yard.machine.readings(device) for device in devices}
    assert box.stop() == 0
    return Outcome(report, opened, box.program.text(), (begun_us, time.time_ns() // 1000))


def test_the_gateway_never_fell_over(outcome: Outcome) -> None:
    assert "Traceback" not in outcome.log
    assert outcome.report["faults"] == []
    assert outcome.report["devices"]["truck-gnss"]["restarts"] == 0


def test_only_what_was_measured_is_opened(outcome: Outcome) -> None:
    fridge = sorted(row["value"] for row in outcome.opened["fridge-1"])
    assert fridge == list(GOOD)[: len(ODD) + 3]
    assert [(row["value"], row["exponent"]) for row in outcome.opened["cargo-probe"]] == [
        (4_500, -3)
    ]
    assert {row["value"] for row in outcome.opened["probe-1"]} == {64 * 625}
    places = sorted(row["lat_e7"] // 10_000_000 - 10 for row in outcome.opened["truck-gnss"])
    assert places == [0, 1, 2, 3, 4, 5, 70, 71, 72]


@pytest.mark.parametrize("reason", sorted(set(ODD.values())))
def test_each_odd_payload_is_counted_under_its_reason(outcome: Outcome, reason: str) -> None:
    assert outcome.rejected("fridge-1")[reason] == list(ODD.values()).count(reason)


def test_the_broker_connection_counts_what_it_saw(outcome: Outcome) -> None:
    mqtt = outcome.report["mqtt"]
    assert mqtt["connections"] == 1
    assert mqtt["retained"] == 1
    assert mqtt["oversize"] == 1
    assert mqtt["rejected"] == len(ODD) + 1
    assert mqtt["unacknowledgeable"] == 1
    assert outcome.report["rejected"] >= mqtt["rejected"]


def test_the_power_on_value_is_counted_as_a_sentinel_on_bus_and_broker(outcome: Outcome) -> None:
    assert outcome.rejected("probe-1")["sentinel"] >= 1
    assert outcome.rejected("cargo-probe") == {"sentinel": 1}


def test_noise_and_wrong_checksums_of_the_line_are_counted(outcome: Outcome) -> None:
    counts = outcome.rejected("truck-gnss")
    assert counts["noise"] >= 1
    assert counts["checksum"] >= 10
    assert counts["no-fix"] >= 3


def test_impossible_dates_mark_the_reading_and_are_counted(outcome: Outcome) -> None:
    flagged = outcome.report["flagged_by_device"]
    # 2099, then 1970: the second is behind, and a clock that went back besides.
    assert flagged["fridge-1"] == {"suspect": 2, "clock_jump": 1}
    # Its places lie a degree apart, which no truck drives in a second: marked too, never dropped.
    assert flagged["truck-gnss"] == {"suspect": len(DATES_MS), "clock_jump": 2, "place_jump": 6}
    marked = [row for row in outcome.opened["truck-gnss"] if row["flags"] & FLAG_SUSPECT]
    assert sorted(row["lat_e7"] // 10_000_000 - 10 for row in marked) == [70, 71, 72]


def test_an_impossible_date_never_moves_our_own_clock(outcome: Outcome) -> None:
    low, high = outcome.window_us
    rows = [row for rows in outcome.opened.values() for row in rows]
    # Sentences carry whole hundredths of a second of their moment, and a moment of their own.
    assert [row for row in rows if not low - 2_000_000 <= row["wall_us"] <= high + 2_000_000] == []
