"""Against a real mosquitto: nothing is acknowledged before we say so, and nothing unacknowledged is
lost.
"""

import asyncio
import json
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt
import pytest

from firmware_bridge.bridge import MqttBridge
from firmware_bridge.devices import Arrival, DeviceSpec, Reason
from firmware_bridge.transports.mqtt import BrokerAddress
from logistics.reading import Telemetry

TOPIC = "zigbee2mqtt/fridge-1"


def fridge(celsius: float) -> bytes:
    return json.dumps({"temperature": celsius, "linkquality": 90}).encode()


def make_bridge(broker: Any, mono_us: Any = lambda: 0) -> MqttBridge:
    spec = DeviceSpec(id="fridge-1", driver="zigbee2mqtt", source=f"mqtt:{TOPIC}")
    return MqttBridge(
        [spec], broker=BrokerAddress(port=broker.port, client_id="gw"), mono_us=mono_us
    )


@asynccontextmanager
async def running(bridge: MqttBridge, sink: Any) -> Any:
    task = asyncio.create_task(bridge.run(sink))
    try:
        async with asyncio.timeout(15):
            while not bridge.is_connected:
                assert not task.done(), task
                await asyncio.sleep(0.01)
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def publish(broker: Any, *payloads: bytes, qos: int = 1, retain: bool = False) -> None:
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        for payload in payloads:
            await client.publish(TOPIC, payload, qos=qos, retain=retain)


def values(arrivals: list[Arrival]) -> list[int]:
    records = [item.record for arrival in arrivals for item in arrival.observations]
    return [record.value for record in records if isinstance(record, Telemetry)]


async def test_a_message_that_was_not_acknowledged_comes_again_after_a_reconnect(
    broker: Any, collector: Any
) -> None:
    bridge = make_bridge(broker)
    async with running(bridge, collector):
        await publish(broker, fridge(4.1), fridge(4.2))
        await collector.until(lambda c: len(c.arrivals) == 2)
        collector.arrivals[0].acknowledge()
    assert 1 == bridge.counters.acknowledged
    again = make_bridge(broker)
    async with running(again, collector):
        await collector.until(lambda c: len(c.arrivals) == 3)
    last = collector.arrivals[2]
    assert [4100, 4200, 4200] == values(collector.arrivals)
    assert last.redelivered
    assert last.payload_digest == collector.arrivals[1].payload_digest


async def test_an_acknowledged_message_does_not_come_again(broker: Any, collector: Any) -> None:
    async with running(make_bridge(broker), collector):
        await publish(broker, fridge(4.1))
        await collector.until(lambda c: len(c.arrivals) == 1)
        collector.arrivals[0].acknowledge()
    async with running(make_bridge(broker), collector):
        await publish(broker, fridge(5.0))
        await collector.until(lambda c: len(c.arrivals) == 2)
    assert [4100, 5000] == values(collector.arrivals)


async def test_the_broker_holds_back_beyond_its_window_until_we_acknowledge(
    broker: Any, collector: Any
) -> None:
    async with running(make_bridge(broker), collector):
        await publish(broker, *(fridge(n / 10) for n in range(30)))
        await collector.until(lambda c: len(c.arrivals) == 20)
        await asyncio.sleep(0.2)  # a 21st would come within this time
        assert 20 == len(collector.arrivals)
        for arrival in list(collector.arrivals):
            arrival.acknowledge()
        await collector.until(lambda c: len(c.arrivals) == 30)
    assert [100 * n for n in range(30)] == values(collector.arrivals)


async def test_an_acknowledgement_from_a_lost_connection_is_not_sent_on_the_next(
    broker: Any, collector: Any
) -> None:
    bridge = make_bridge(broker)
    async with running(bridge, collector):
        await publish(broker, fridge(4.1))
        await collector.until(lambda c: len(c.arrivals) == 1)
        broker.save()
        broker.kill()
        async with asyncio.timeout(15):
            while bridge.is_connected:  # noqa: ASYNC110  # the bridge tells no one
                await asyncio.sleep(0.01)
        broker.start()
        await collector.until(lambda c: len(c.arrivals) == 2)
        collector.arrivals[0].acknowledge()
        assert (1, 0) == (bridge.counters.stale_acknowledgements, bridge.counters.acknowledged)
        collector.arrivals[1].acknowledge()
        assert 1 == bridge.counters.acknowledged
    assert [4100, 4100] == values(collector.arrivals)


async def test_retained_messages_are_dropped_and_counted(broker: Any, collector: Any) -> None:
    await publish(broker, fridge(9.9), retain=True)
    bridge = make_bridge(broker)
    async with running(bridge, collector):
        await publish(broker, fridge(4.1))
        await collector.until(lambda c: len(c.arrivals) == 1)
    assert [4100] == values(collector.arrivals)
    assert 1 == bridge.counters.retained


async def test_qos_0_is_counted_as_unacknowledgeable(broker: Any, collector: Any) -> None:
    bridge = make_bridge(broker)
    async with running(bridge, collector):
        await publish(broker, fridge(4.1), qos=0)
        await collector.until(lambda c: len(c.arrivals) == 1)
    assert collector.arrivals[0].acknowledge is None
    assert (0, 1) == (collector.arrivals[0].qos, bridge.counters.unacknowledgeable)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"temperature": 1' + b"0" * 1_000_000 + b"}", Reason.OVERSIZE),
        (b"{not json", Reason.JSON),
        (b'{"temperature": NaN}', Reason.NUMBER),
        (b"[" * 50_000, Reason.JSON),
    ],
    ids=["a megabyte", "not json", "nan", "nested"],
)
async def test_a_payload_that_is_no_reading_is_acknowledged_and_reported(
    broker: Any, collector: Any, payload: bytes, reason: Reason
) -> None:
    bridge = make_bridge(broker)
    async with running(bridge, collector):
        await publish(broker, payload, fridge(4.1))
        await collector.until(lambda c: len(c.arrivals) == 2)
    assert [reason] == [item.reason for item in collector.arrivals[0].rejected]
    assert (1, 1) == (bridge.counters.acknowledged, bridge.counters.rejected)
    assert [4100] == values(collector.arrivals)


async def test_a_sink_that_waits_stops_the_reading(broker: Any) -> None:
    gate, seen = asyncio.Event(), []

    async def slow(arrival: Arrival) -> None:
        seen.append(arrival)
        await gate.wait()

    bridge = make_bridge(broker)
    async with running(bridge, slow):
        await publish(broker, *(fridge(1.0) for _ in range(500)), qos=0)
        await asyncio.sleep(0.5)
        assert 1 == len(seen)
        assert bridge.counters.received <= 200  # the queue's bound and what one read completes
        gate.set()
        async with asyncio.timeout(15):
            while len(seen) < 500:  # noqa: ASYNC110  # the sink is the one that waits
                await asyncio.sleep(0.01)
