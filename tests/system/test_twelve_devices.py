"""Twelve devices of nine families on one gateway, their cables pulled at random."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.account import Row, Sent, account, read_sent
from gateway.demo.cast import Channel
from gateway.demo.ports import free_port
from logistics.reading import GapReason
from tests.fakes.pulled_line import PulledLine
from tests.fakes.yard import Device, GatewayBox, Program, Yard, until

pytestmark = pytest.mark.timeout(1200)  # the nightly run alone takes ten minutes
RUN_S, RUN_S_NIGHTLY = 60, 600
WARM_S = 15  # until then a program still loads and fills what it keeps
GROWTH_KB_MAX, GROWTH_KB_MAX_NIGHTLY = 12 * 1024, 24 * 1024
IMEIS = {"truck-1": "356307042441013", "truck-2": "356307042441021"}
UNIT_CURVE = [[0, 4.0], [600, 14.0]]  # rises, so that answers differ
# Device -> its channel that is counted, and whether the device knows what was taken.
COUNTED = {
    "gnss": ("position", False),
    "dock-reader": ("tags", False),
    "fridge-1": ("temperature", True),
    "fridge-2": ("temperature", True),
    "cargo": ("DS18B20-1/temperature", True),
    "truck-1": ("probe-1", True),
    "truck-2": ("probe-1", True),
    "gpsd": ("position", False),
    "portal": ("tags", False),
    "probe": ("temperature", False),
    "chamber-1": ("temperature", False),
    "chamber-2": ("temperature", False),
}
SAMPLED = {"probe", "chamber-1", "chamber-2"}  # the gateway asks when it likes
ON_WIRES = {"gnss", "dock-reader", "probe", "chamber-1", "chamber-2", "gpsd", "portal"}


@dataclass(frozen=True)
class Ports:
    folder: Path
    tracker: int
    gpsd: int
    llrp: int


@dataclass(frozen=True)
class Usage:
    cpu_s: float
    kept_kb: int  # memory that is its own, not mapped files


@dataclass(frozen=True)
class Outcome:
    rows: dict[str, Row]
    gaps: dict[str, list[dict[str, Any]]]
    pulls: list[dict[str, Any]]
    first_us: dict[str, int]
    report: dict[str, Any]
    growth_kb: int


def fleet(ports: Ports, broker_port: int, seed: int) -> dict[str, Any]:
    def noisy(device_id: str, kind: str, **fields: Any) -> dict[str, Any]:
        # Noise tells readings apart: equal ones could stand for one another in the account.
        curve = {"curve": [[0, 4.0], [700, 9.0]], "noise": 3.0}
        return {"id": device_id, "kind": kind, "interval_ms": 1000, **curve, **fields}

    folder = ports.folder
    tag = {"epc": "3074257bf7194e4000001a85"}
    return {
        "seed": seed,
        "log_dir": str(folder / "sent"),
        "ready_file": str(folder / "up"),
        "broker": {"port": broker_port},
        "pulls": {"up_s": [6, 16], "down_s": [0.5, 4]},
        "devices": [
            {"id": "gnss", "kind": "nmea", "link": str(folder / "gnss"), "kmh": 70,
             "route": [[53.5461, 9.9661], [53.07, 8.80]]},
            {"id": "dock-reader", "kind": "r200", "link": str(folder / "uhf"), "interval_ms": 500,
             "tags": [tag]},
            noisy("probe", "ds18b20", file=str(folder / "w1/w1_slave")),
            {"id": "bus", "kind": "modbus", "link": str(folder / "bus"), "interval_ms": 20,
             "units": [{"id": f"chamber-{n}", "unit": n, "curve": UNIT_CURVE} for n in (1, 2)]},
            noisy("fridge-1", "zigbee2mqtt", topic="zigbee2mqtt/fridge-1"),
            noisy("fridge-2", "zigbee2mqtt", topic="zigbee2mqtt/fridge-2"),
            noisy("cargo", "tasmota", topic="tele/cargo/SENSOR", sensor="DS18B20-1"),
            *(noisy(name, "teltonika", imei=imei, port=ports.tracker)
              for name, imei in IMEIS.items()),
            {"id": "gpsd", "kind": "gpsd", "port": ports.gpsd},
            {"id": "portal", "kind": "llrp", "port": ports.llrp, "interval_ms": 500,
             "tags": [tag]},
        ],
    }  # fmt: skip  # a device reads as one


def devices(ports: Ports) -> list[Device]:
    bus = f"serial:{ports.folder / 'bus'}?baud=9600"
    asked: dict[str, str | int] = {"profile": "xy-md02", "interval_ms": 1000, "timeout_ms": 400}
    return [
        Device("gnss", "nmea", f"serial:{ports.folder / 'gnss'}", 1),
        Device("dock-reader", "r200", f"serial:{ports.folder / 'uhf'}?baud=115200", 1),
        Device("probe", "ds18b20", f"w1:{ports.folder / 'w1/w1_slave'}", 1),
        *(Device(f"chamber-{n}", "modbus", bus, 1, {**asked, "unit": n}) for n in (1, 2)),
        Device("fridge-1", "zigbee2mqtt", "mqtt:zigbee2mqtt/fridge-1", 1),
        Device("fridge-2", "zigbee2mqtt", "mqtt:zigbee2mqtt/fridge-2", 1),
        Device("cargo", "tasmota", "mqtt:tele/cargo/SENSOR", 1),
        *(Device(name, "teltonika", f"listen:127.0.0.1:{ports.tracker}", 1, {"imei": imei})
          for name, imei in IMEIS.items()),
        Device("gpsd", "gpsd", f"tcp:127.0.0.1:{ports.gpsd}", 1),
        Device("portal", "llrp", f"tcp:127.0.0.1:{ports.llrp}", 1),
    ]  # fmt: skip  # a device a line


def usage(process_id: int) -> Usage:
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    (kept,) = [int(line.split()[1]) for line in lines if line.startswith("RssAnon:")]
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), kept)


@pytest.fixture(scope="module")
def outcome(yard: Yard, nightly: bool) -> Iterator[Outcome]:
    seed = random.SystemRandom().getrandbits(32)
    run_s = RUN_S_NIGHTLY if nightly else RUN_S
    print(f"seed {seed}: {run_s} s")
    ports = Ports(yard.folder / "devices", free_port(), free_port(), free_port())
    ports.folder.mkdir()
    line = PulledLine(yard.broker.port)
    spec = ports.folder / "fleet.json"
    spec.write_text(json.dumps(fleet(ports, yard.broker.port, seed)))
    simulators = Program(
        [sys.executable, "-m", "firmware_bridge.simulators", str(spec)], ports.folder / "fleet.log"
    )
    try:
        box = yard.add_gateway("gateway", devices(ports), broker_port=line.port)
        simulators.start()
        until(lambda: simulators.check() and (ports.folder / "up").exists(), "the simulators")
        line.begin(seed)
        growth_kb = measure(box, run_s)
        line.mend()
        yield finish(yard, box, simulators, ports, growth_kb)
    finally:
        if simulators.process is not None:
            simulators.end()
        line.close()


def measure(box: GatewayBox, run_s: int) -> int:
    """Lets it run; how much its own memory grew behind the warm-up, in KiB."""
    assert box.program.process is not None
    process_id = box.program.process.pid
    time.sleep(WARM_S)
    begun = usage(process_id)
    time.sleep(run_s - WARM_S)
    ended = usage(process_id)
    box.program.check()
    share = (ended.cpu_s - begun.cpu_s) / (run_s - WARM_S)
    growth_kb = ended.kept_kb - begun.kept_kb
    print(f"CPU {share:.1%} of a core; memory {ended.kept_kb} KiB, {growth_kb:+d} KiB since warm")
    return growth_kb


def finish(
    yard: Yard, box: GatewayBox, simulators: Program, ports: Ports, growth_kb: int
) -> Outcome:
    simulators.end()
    sent = {name: read_log(ports, name) for name in COUNTED}
    promised = {name: sum(item.puback for item in items) for name, items in sent.items()}
    box.until(
        lambda r: all(
            row["readings"] >= promised[row["device"]]
            for row in r["channels"]
            if COUNTED[row["device"]] == (row["channel"], True)
        ),
        "all that was promised in the journal",
    )
    box.settle()
    report = box.status()
    gaps = {name: yard.machine.gaps(name) for name in COUNTED}
    opened = {name: yard.machine.readings(name, channel) for name, (channel, _) in COUNTED.items()}
    rows = {
        name: account(
            Channel("gateway", name, channel, acknowledged=known, sampled=name in SAMPLED),
            sent=sent[name],
            opened=opened[name],
            gaps=[gap for gap in gaps[name] if gap["channel"] == channel],
            heights={"journaled": len(opened[name]), "opened": report["opened_height"]},
        )
        for name, (channel, known) in COUNTED.items()
    }
    cables = (ports.folder / "sent/cables.jsonl").read_text().splitlines()
    first_us = {name: min(row["wall_us"] for row in rows_) for name, rows_ in opened.items()}
    return Outcome(rows, gaps, [json.loads(item) for item in cables], first_us, report, growth_kb)


def read_log(ports: Ports, device: str) -> list[Sent]:
    lines = (ports.folder / "sent" / f"{device}.jsonl").read_text().splitlines()
    return read_sent(lines, COUNTED[device][0])


def test_every_device_is_read(outcome: Outcome) -> None:
    for name, row in outcome.rows.items():
        print(f"{name}: sent {row.sent}, promised {row.acknowledged}, held {row.opened}")
        assert row.journaled >= 10, name


def test_nothing_that_was_promised_is_lost_and_nothing_is_kept_twice(outcome: Outcome) -> None:
    wrong = {name: (row.missing, row.twice) for name, row in outcome.rows.items()}
    assert {} == {name: counts for name, counts in wrong.items() if counts != (0, 0)}
    assert all(row.acknowledged for name, row in outcome.rows.items() if COUNTED[name][1])


def test_what_a_pulled_cable_took_lies_in_a_signed_gap(outcome: Outcome) -> None:
    assert {} == {name: row.uncovered for name, row in outcome.rows.items() if row.uncovered}


def test_every_pulled_cable_is_a_signed_gap(outcome: Outcome) -> None:
    assert len(outcome.pulls) >= 10
    pulled = [
        (name, pull)
        for pull in outcome.pulls
        for name in (("chamber-1", "chamber-2") if pull["device"] == "bus" else (pull["device"],))
        if name in ON_WIRES and pull["from_us"] > outcome.first_us[name] + 1_500_000
    ]
    for name, pull in pulled:
        # A bus may have been between two questions: it then sees the loss at its next one.
        assert any(covers(gap, pull) for gap in outcome.gaps[name]), (name, pull)


def covers(gap: dict[str, Any], pull: dict[str, Any]) -> bool:
    known = gap["reason"] in {GapReason.UNPLUGGED, GapReason.SILENT}
    until_us = gap["to_wall_us"] or pull["to_us"] + 1
    return known and gap["from_wall_us"] <= pull["to_us"] and until_us >= pull["from_us"]


def test_memory_stays_flat(outcome: Outcome, nightly: bool) -> None:
    assert outcome.growth_kb <= (GROWTH_KB_MAX_NIGHTLY if nightly else GROWTH_KB_MAX)
