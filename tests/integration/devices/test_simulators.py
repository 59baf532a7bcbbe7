"""The simulators' bytes, through real ports and a real broker, are what the bridge reads back."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

from firmware_bridge.bridge import MqttBridge, run_device
from firmware_bridge.devices import DeviceSpec
from firmware_bridge.transports.mqtt import BrokerAddress

EPC = "3074257bf7194e4000001a85"


def fleet(folder: Path, port: int) -> dict[str, Any]:
    return {
        "seed": 3,
        "speed": 60,
        "log_dir": str(folder / "sent"),
        "ready_file": str(folder / "ready"),
        "broker": {"port": port},
        "devices": [
            {
                "id": "gnss",
                "kind": "nmea",
                "link": str(folder / "gnss"),
                "interval_ms": 50,
                "route": [[53.5, 9.9], [-33.0, -70.0]],
            },
            {
                "id": "reader",
                "kind": "r200",
                "link": str(folder / "uhf"),
                "interval_ms": 50,
                "tags": [{"epc": EPC}],
            },
            {
                "id": "probe",
                "kind": "ds18b20",
                "file": str(folder / "w1" / "w1_slave"),
                "interval_ms": 50,
                "curve": [[0, -4.5]],
                "noise": 0.3,
            },
            {
                "id": "fridge",
                "kind": "zigbee2mqtt",
                "topic": "zigbee2mqtt/fridge",
                "interval_ms": 50,
                "humidity": [[0, 60]],
                "noise": 0.3,
            },
            {
                "id": "sauna",
                "kind": "tasmota",
                "topic": "tele/sauna/SENSOR",
                "interval_ms": 50,
                "noise": 0.3,
            },
        ],
    }


def logged(folder: Path, device: str) -> list[dict[str, Any]]:
    lines = (folder / "sent" / f"{device}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


async def test_every_reading_of_a_fleet_arrives_as_it_was_sent(
    broker: Any, collector: Any, until: Any, tmp_path: Path
) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(fleet(tmp_path, broker.port)))
    local = [
        DeviceSpec(id="gnss", driver="nmea", source=f"serial:{tmp_path}/gnss"),
        DeviceSpec(id="reader", driver="r200", source=f"serial:{tmp_path}/uhf"),
        DeviceSpec(
            id="probe", driver="ds18b20", source=f"w1:{tmp_path}/w1/w1_slave", interval_ms=100
        ),
    ]
    remote = [
        DeviceSpec(id="fridge", driver="zigbee2mqtt", source="mqtt:zigbee2mqtt/fridge"),
        DeviceSpec(id="sauna", driver="tasmota", source="mqtt:tele/sauna/SENSOR"),
    ]
    bridge = MqttBridge(remote, broker=BrokerAddress(port=broker.port), mono_us=lambda: 0)

    async def sink(arrival: Any) -> None:
        if arrival.acknowledge is not None:
            arrival.acknowledge()
        await collector(arrival)

    mqtt_task = asyncio.create_task(bridge.run(sink))
    simulators = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "firmware_bridge.simulators", str(spec), cwd=Path.cwd()
    )
    await until(lambda: (tmp_path / "ready").exists() and bridge.is_connected)
    tasks = [mqtt_task]
    tasks += [asyncio.create_task(run_device(s, sink, mono_us=lambda: 0)) for s in local]
    ids = {device.id for device in local + remote}
    await collector.until(
        lambda c: all(sum(a.device_id == one for a in c.arrivals) >= 8 for one in ids), 30
    )
    simulators.send_signal(signal.SIGTERM)
    assert 0 == await simulators.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    for device in ids:
        sent = {json.dumps(line["value"]) for line in logged(tmp_path, device) if "value" in line}
        got = [
            json.dumps(_value(item.record))
            for arrival in collector.arrivals
            if arrival.device_id == device
            for item in arrival.observations
        ]
        assert got
        assert set(got) <= sent, device
    pubacks = {line["seq"] for line in logged(tmp_path, "fridge") if line.get("puback")}
    assert len(pubacks) >= 8
    assert not [r for a in collector.arrivals for r in a.rejected if r.reason != "noise"]


def _value(record: Any) -> Any:
    if hasattr(record, "lat_e7"):
        return [record.lat_e7, record.lon_e7]
    return record.epc.hex() if hasattr(record, "epc") else record.value
