"""Recordings of true devices through the whole way, replay to proof, against what is known of them.

The recordings are no part of the project: they are read from `../shared/captures` wherever that is
there. Without them the project's own vectors go the same way.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge.codecs.llrp import Type, encode_message
from firmware_bridge.codecs.probe import encode_w1_slave
from ledger.verify import verify_bundle
from logistics.reading import Position, TagSighting, Telemetry
from logistics.records import record_of
from tests.fakes.yard import Device, GatewayBox, Yard, run_wharf, wharf_result

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT.parent / "shared" / "captures"
OWN = json.loads((ROOT / "tests/vectors/devices.json").read_text())
LIVE = "live-probe"
FULL = "?rate=0"
Records = list[Any]


@dataclass(frozen=True)
class Recording:
    """A device that replays, and the judge of what came of it."""

    device: Device
    judge: Callable[[Records], None]


def recordings(folder: Path) -> list[Recording]:
    if not RECORDED.is_dir():
        return own_recordings(folder)
    return [
        *receivers(),
        reader(RECORDED / "rfid_serial/r200.json"),
        probe(RECORDED / "w1/ds18b20.json"),
        cards(RECORDED / "mqtt/tasmota.json"),
        portal(folder),
        office(folder),
    ]


def own_recordings(folder: Path) -> list[Recording]:
    tags = [{"hex": OWN["r200_bb"], "epc": "30751feb705c5904e3d50d70", "rssi_dbm": -55}]
    texts = [{"text": OWN["w1_good"], "ok": True, "celsius": 23.125},
             {"text": OWN["w1_power_on"], "ok": False}]  # fmt: skip  # two cases
    (folder / "r200.json").write_text(json.dumps(tags))
    (folder / "ds18b20.json").write_text(json.dumps({"cases": texts}))
    return [reader(folder / "r200.json"), probe(folder / "ds18b20.json")]


def receivers() -> Iterator[Recording]:
    for path in sorted((RECORDED / "gnss").glob("*.log")):
        device = Device(path.stem, "nmea", f"replay:{path}{FULL}")
        known = path.with_name(path.name + ".chk")
        yield Recording(device, lambda records, known=known: judge_places(records, known))  # type: ignore[misc]  # a default binds it


def judge_places(records: Records, companion: Path) -> None:
    """Each dated fix of gpsd's own reading is held, and no place that it does not know."""
    positions = [item for item in records if isinstance(item, Position)]
    if not companion.exists():  # two fixes, one a second, told by NMEA and UBX alike
        assert 2 == len(positions)
        return
    reports = [json.loads(line) for line in companion.read_text().splitlines() if "TPV" in line]
    fixes = [fix for fix in reports if fix.get("mode", 0) >= 2 and "lat" in fix]
    by_time = {item.gnss_time_ms: item for item in positions}
    dated = {round(datetime.fromisoformat(fix["time"]).timestamp() * 1000): fix
             for fix in fixes if "time" in fix}  # fmt: skip  # one comprehension
    assert dated
    for moment_ms, fix in dated.items():
        ours = by_time[moment_ms]
        assert abs(ours.lat_e7 - fix["lat"] * 1e7) <= 0.51
        assert abs(ours.lon_e7 - fix["lon"] * 1e7) <= 0.51
    known = {(round(fix["lat"] * 1e7), round(fix["lon"] * 1e7)) for fix in fixes}
    for item in positions:
        # At either end of a recording gpsd wants more of a moment than we do.
        is_told = min(dated) <= (item.gnss_time_ms or min(dated)) <= max(dated)
        assert not is_told or any(
            abs(item.lat_e7 - lat) <= 1 and abs(item.lon_e7 - lon) <= 1 for lat, lon in known
        )


def reader(path: Path) -> Recording:
    samples = [item for item in json.loads(path.read_text()) if "epc" in item]
    expected = [(item["epc"], 100 * item["rssi_dbm"]) for item in samples]

    def judge(records: Records) -> None:
        assert expected == [(item.epc.hex(), item.rssi_cdbm) for item in sightings(records)]

    return Recording(Device("r200", "r200", f"replay:{path}{FULL}"), judge)


def sightings(records: Records) -> list[TagSighting]:
    return [item for item in records if isinstance(item, TagSighting)]


def values(records: Records) -> list[Telemetry]:
    return [item for item in records if isinstance(item, Telemetry)]


def probe(path: Path) -> Recording:
    cases = json.loads(path.read_text())["cases"]
    expected = [round(case["celsius"] * 10_000) for case in cases if case["ok"] is True]

    def judge(records: Records) -> None:
        assert expected == [item.value for item in values(records)]

    return Recording(Device("ds18b20", "ds18b20", f"replay:{path}{FULL}"), judge)


def cards(path: Path) -> Recording:
    messages = json.loads(path.read_text())["messages"]
    sensors = [part for item in messages for part in item["payload"].values()
               if isinstance(part, dict)]  # fmt: skip  # one comprehension
    heats = {round(part["Temperature"] * 1000) for part in sensors if "Temperature" in part}
    uids = {part["UID"].lower() for part in sensors if "UID" in part}

    def judge(records: Records) -> None:
        found = [item for item in records if isinstance(item, Telemetry | TagSighting)]
        assert sum(item["expect_readings"] for item in messages) == len(found)
        assert heats == {item.value for item in values(records)}
        assert uids == {item.epc.hex() for item in sightings(records)}

    return Recording(Device("tasmota", "tasmota", f"replay:{path}{FULL}"), judge)


def portal(folder: Path) -> Recording:
    """The recorded bodies with their headers put back; the last one says that the reader closes."""
    stream, expected = b"", []
    for number, path in enumerate(sorted((RECORDED / "llrp").glob("*.bytes"))):
        is_report = path.name.startswith("ROAccessReport")
        kind = Type.REPORT if is_report else Type.READER_EVENT
        stream += encode_message(kind, number, path.read_bytes())
        for report in json.loads(path.with_suffix(".json").read_text()).get("TagReportData", []):
            seen_ms = report["FirstSeenUTC"] // 1000
            expected.append((report["EPC96"]["EPC"], 100 * report["PeakRSSI"],
                             report["AntennaID"], seen_ms))  # fmt: skip  # a row
    (folder / "llrp.bin").write_bytes(stream)

    def judge(records: Records) -> None:
        import base64

        found = [(base64.b64encode(item.epc).decode(), item.rssi_cdbm, item.antenna,
                  item.device_time_ms) for item in sightings(records)]  # fmt: skip  # a row
        assert expected == found

    return Recording(Device("llrp", "llrp", f"replay:{folder / 'llrp.bin'}{FULL}"), judge)


def office(folder: Path) -> Recording:
    """The office's hourly temperatures, as a sensor that measures in Fahrenheit would send them."""
    (path,) = (RECORDED / "temperature").glob("*.csv")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    # The digits go as they stand: a float in between might print others.
    lines = [
        f'{{"payload": {{"Time": "{row["timestamp"].replace(" ", "T")}", "TempUnit": "F", '
        f'"AM2301": {{"Temperature": {row["value"]}}}}}}}'
        for row in rows
    ]
    (folder / "office.jsonl").write_text("\n".join(lines))

    def judge(records: Records) -> None:
        found = values(records)
        assert len(rows) == len(found)
        for row, item in zip(rows, found, strict=True):
            written, held = Fraction(row["value"]), item.value * Fraction(10) ** item.exponent
            # Some were printed by way of a float, with more digits than a reading holds.
            assert abs(written - held) <= Fraction(1, 2 * 10**12)
            assert "FAH" == item.unit

    return Recording(Device("office", "tasmota", f"replay:{folder / 'office.jsonl'}{FULL}"), judge)


@dataclass(frozen=True)
class Replayed:
    yard: Yard
    box: GatewayBox
    begun_ms: int
    ended_ms: int

    def prove(self, device: str) -> Path:
        """The bundle of all that the device said; what it said is anchored already."""
        path = self.yard.folder / f"{device}.wharf"
        start, end = (
            datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
            for ms in (self.begun_ms, self.ended_ms)
        )
        run_wharf(
            "prove", "--sensor", device, "--from", start, "--to", end,
            "--home", str(self.yard.machine.home), "-o", str(path), "--wait", "30",
        )  # fmt: skip  # a command line
        return path

    def records(self, device: str) -> Records:
        """What the proof of the device holds, in its order."""
        genesis = bytes.fromhex(self.yard.machine.genesis)
        verdict = verify_bundle(self.prove(device).read_bytes(), trusted_genesis_sha256=genesis)
        assert 0 == verdict.outcome, verdict.findings
        return [record_of(item.entry.kind, item.entry.body) for item in verdict.entries]


@pytest.fixture(scope="module")
def played(yard: Yard) -> tuple[list[Recording], Replayed]:
    folder = yard.folder / "made"
    folder.mkdir()
    probe_file = folder / "w1_slave"
    probe_file.write_text(encode_w1_slave(64), encoding="ascii")
    found = recordings(folder)
    begun_ms = time.time_ns() // 1_000_000
    live = Device(LIVE, "ds18b20", f"w1:{probe_file}", 1)
    box = yard.add_gateway("gateway", [*(item.device for item in found), live])
    names = {item.device.id for item in found}
    box.until(
        lambda r: all(r["devices"].get(name, {}).get("ended") for name in names),
        "the end of every recording",
        limit_s=60,
    )
    ended_ms = time.time_ns() // 1_000_000
    box.settle()
    return found, Replayed(yard, box, begun_ms, ended_ms)


def test_every_recording_is_proven_and_says_what_is_known_of_it(
    played: tuple[list[Recording], Replayed],
) -> None:
    found, replayed = played
    for recording in found:
        records = replayed.records(recording.device.id)
        recording.judge(records)
        print(f"{recording.device.id}: {len(records)} entries proven")


def test_a_replaced_probe_is_recorded_and_past_due_is_said(
    played: tuple[list[Recording], Replayed],
) -> None:
    _, replayed = played
    box = replayed.box
    today = datetime.now(UTC).date()
    past, good = today - timedelta(days=1), today + timedelta(days=300)
    certificate = replayed.yard.folder / "K-2291.pdf"
    certificate.write_bytes(b"a certificate")

    def replace(number: str, due: str) -> None:
        run_wharf(
            "devices", "replace", LIVE, "--config", str(box.config), "--probe", f"28-{number}",
            "--certificate", str(certificate), "--number", number, "--issuer", "Nordlabor",
            "--dated", str(past - timedelta(days=365)), "--due", due,
        )  # fmt: skip  # a command line

    def uncalibrated(report: dict[str, Any]) -> int:
        count: int = report["flagged_by_device"].get(LIVE, {}).get("uncalibrated", 0)
        return count

    replace("K-2291", str(past))
    box.until(lambda r: uncalibrated(r) >= 2, "marked readings")
    replace("K-2300", str(good))
    folder = box.data_dir / "replacements"
    box.until(lambda _: not list(folder.glob("*.json")), "the second certificate in the journal")
    marked = uncalibrated(box.status())
    readings = readings_of(box)
    box.until(lambda _: readings_of(box) >= readings + 2, "readings of the new probe")
    assert marked == uncalibrated(box.status())
    later = dataclasses.replace(replayed, ended_ms=time.time_ns() // 1_000_000)
    box.settle()
    told = wharf_result(
        "verify", str(later.prove(LIVE)), "--trust", replayed.yard.machine.genesis
    ).stdout
    assert f"certificate K-2291 of Nordlabor, dated {past - timedelta(days=365)}" in told
    assert f"{marked} readings came after the calibration ran out at the end of {past}" in told
    assert "under certificate K-2300" in told


def readings_of(box: GatewayBox) -> int:
    rows = box.status()["channels"]
    return sum(row["readings"] for row in rows if row["device"] == LIVE)
