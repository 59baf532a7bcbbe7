"""Dialects through a real broker: many topics of one device, retained values, redelivery."""

import asyncio
import json
import time
from typing import Any

import aiomqtt

from firmware_bridge.bridge import MqttBridge
from firmware_bridge.devices import DeviceSpec
from firmware_bridge.transports.mqtt import BrokerAddress

SPECS = [
    DeviceSpec(id="ht", driver="shelly", source="mqtt:shellyplusht-x/#"),
    DeviceSpec(id="node", driver="esphome", source="mqtt:cold-room/+/+/state"),
    DeviceSpec(id="dock", driver="zebra", source="mqtt:zebra/data"),
]
EPC = "3074257bf7194e4000001a85"


async def test_devices_of_several_dialects_come_through_one_broker(
    broker: Any, collector: Any
) -> None:
    bridge = MqttBridge(
        SPECS,
        broker=BrokerAddress(port=broker.port, client_id="dialects"),
        mono_us=lambda: time.monotonic_ns() // 1000,
    )
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        await client.publish(
            "cold-room/sensor/freezer_temperature/state", "-30", qos=1, retain=True
        )
        task = asyncio.create_task(bridge.run(collector))
        async with asyncio.timeout(10):
            while bridge.counters.retained == 0:  # noqa: ASYNC110  # there is no event to wait for
                await asyncio.sleep(0.01)
        await client.publish("shellyplusht-x/online", "true", qos=1)
        await client.publish("shellyplusht-x/status/temperature:100", '{"tC": 4.4}', qos=1)
        await client.publish("cold-room/sensor/freezer_temperature/state", "-18.5", qos=1)
        for number in (5, 6, 9):
            event = {"data": {"idHex": EPC, "eventNum": number}}
            await client.publish("zebra/data", json.dumps(event), qos=1)
        await collector.until(lambda c: len(c.observations) >= 6)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    seen = [(a.device_id, item.channel) for a in collector.arrivals for item in a.observations]
    values = [getattr(record, "value", None) for record in collector.observations]
    assert [
        ("ht", "temperature:100"),
        ("node", "freezer_temperature"),
        ("dock", "tags"),
        ("dock", "tags"),
        ("dock", "missed"),
        ("dock", "tags"),
    ] == seen
    assert [4400, -18_500, None, None, 2, None] == values
    assert 1 == bridge.counters.retained
