"""Recordings of real receivers and readers give what their companions say.

The recordings are no part of the project: they are read from `../shared/captures` wherever that is
there. Without them the project's own vectors go the same way.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge.bridge import run_device
from firmware_bridge.captures import load
from firmware_bridge.codecs.probe import decode_w1_slave
from firmware_bridge.codecs.rfid_uhf import R200Decoder
from firmware_bridge.devices import DeviceSpec, Observation
from firmware_bridge.drivers.tasmota import decode_tasmota
from logistics.reading import Position, TagSighting, Telemetry

ROOT = Path(__file__).parents[3]
RECORDED = ROOT.parent / "shared" / "captures"
VECTORS = json.loads((ROOT / "tests/vectors/devices.json").read_text())
E7 = 10**7


def recorded(name: str) -> Any:
    """A JSON file of the recordings; None where they are not there."""
    path = RECORDED / name
    return json.loads(path.read_text()) if path.exists() else None


async def replayed(path: Path, collector: Any) -> list[Position]:
    spec = DeviceSpec(id="gnss", driver="nmea", source=f"replay:{path}?rate=0")
    await run_device(spec, collector, mono_us=lambda: 0)
    return list(collector.observations)


def told_by(companion: Path) -> list[dict[str, Any]]:
    """What another program made of the recording: its fixes with a place."""
    lines = [
        line for line in companion.read_text().splitlines() if line.startswith('{"class":"TPV"')
    ]
    return [fix for fix in map(json.loads, lines) if fix["mode"] >= 2 and "lat" in fix]


def unix_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    "name", ["gpsd_bu353-glonass.log", "gpsd_mtk-3301.log", "gpsd_ublox-neo-m8n.log"]
)
async def test_a_receivers_log_gives_the_places_of_its_companion(
    name: str, collector: Any, tmp_path: Path
) -> None:
    log = RECORDED / "gnss" / name
    if not log.exists():
        log = tmp_path / name
        log.write_text("# own vector\n" + VECTORS["nmea_gga"] + VECTORS["nmea_rmc"])
        (tmp_path / f"{name}.chk").write_text(
            '{"class":"TPV","mode":3,"time":"2026-11-23T10:15:00.250Z","lat":53.5461,"lon":9.9661,'
            '"altMSL":25.4,"speed":5.144,"track":84.4}\n'
        )
    found = await replayed(log, collector)
    by_time = {item.gnss_time_ms: item for item in found}
    assert len(by_time) == len(found)
    dated = 0
    for fix in told_by(Path(f"{log}.chk")):
        place = (fix["lat"] * E7, fix["lon"] * E7)
        if "time" not in fix:
            # At start-up the companion shows a place that the receiver itself disowns (status V,
            # quality 0), and takes it back with its next line: for us that is no fix.
            continue
        ours = by_time[unix_ms(fix["time"])]
        assert _near((ours.lat_e7, ours.lon_e7), place), fix
        if ours.altitude_mm is not None and "altMSL" in fix:
            assert abs(ours.altitude_mm - fix["altMSL"] * 1000) <= 1
        dated += 1
    assert dated


def _near(ours: tuple[int, int], theirs: tuple[float, float]) -> bool:
    return all(abs(a - b) <= 0.51 for a, b in zip(ours, theirs, strict=True))


async def test_no_place_is_told_that_the_companion_does_not_know(collector: Any) -> None:
    name = RECORDED / "gnss/gpsd_mtk-3301.log"
    if not name.exists():
        return
    known = [(fix["lat"] * E7, fix["lon"] * E7) for fix in told_by(Path(f"{name}.chk"))]
    for item in await replayed(name, collector):
        assert any(_near((item.lat_e7, item.lon_e7), place) for place in known)


async def test_a_log_mixed_with_binary_frames_gives_one_place_a_second(collector: Any) -> None:
    log = RECORDED / "gnss/pynmeagps_pygpsdata-mixed.log"
    if not log.exists():
        return
    found = await replayed(log, collector)
    assert [104_113, 104_114] == [_clock(item.gnss_time_ms or 0) for item in found]


def _clock(moment_ms: int) -> int:
    seconds = moment_ms // 1000 % 86_400
    return seconds // 3600 * 10_000 + seconds // 60 % 60 * 100 + seconds % 60


def test_reader_frames_give_their_stated_tags() -> None:
    own = [{"hex": VECTORS["r200_bb"], "rssi_dbm": -55, "epc": "30751feb705c5904e3d50d70"}]
    for sample in recorded("rfid_serial/r200.json") or own:
        events = R200Decoder().feed(bytes.fromhex(sample["hex"]))
        if "epc" not in sample:
            assert [] == events
            continue
        (event,) = events
        assert isinstance(event, Observation)
        assert isinstance(event.record, TagSighting)
        found = (event.record.epc.hex(), event.record.rssi_cdbm)
        assert (sample["epc"], 100 * sample["rssi_dbm"]) == found


def test_probe_texts_give_their_stated_values_and_no_others() -> None:
    own = {
        "cases": [
            {"text": VECTORS["w1_good"], "ok": True, "celsius": 23.125},
            {"text": VECTORS["w1_power_on"], "ok": "suspect"},
        ]
    }
    for case in (recorded("w1/ds18b20.json") or own)["cases"]:
        values = [
            e.record.value
            for e in decode_w1_slave(case["text"].encode())
            if isinstance(e, Observation) and isinstance(e.record, Telemetry)
        ]
        assert ([case["celsius"] * 10_000] if case["ok"] is True else []) == values


def test_mqtt_messages_give_their_stated_number_of_readings() -> None:
    own = {"messages": [{"payload": {"A": {"Temperature": 1.5}}, "expect_readings": 1}]}
    for message in (recorded("mqtt/tasmota.json") or own)["messages"]:
        events = decode_tasmota(json.dumps(message["payload"]).encode())
        assert message["expect_readings"] == sum(isinstance(e, Observation) for e in events)


def test_the_folder_of_recordings_is_recognised() -> None:
    if not RECORDED.is_dir():
        return
    found = {capture.file: (capture.codec, capture.clock) for capture in load(RECORDED)}
    assert 4 == len(found)
    assert {("nmea", "device")} == set(found.values())
