"""What taking messages from a broker costs, beside a client that acknowledges on arrival."""

from __future__ import annotations

import asyncio
import time

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from firmware_bridge.bridge import MqttBridge
from firmware_bridge.devices import Arrival
from firmware_bridge.transports.mqtt import BrokerAddress
from gateway.clock import boottime_us
from tools.bench.figure import Figure
from tools.bench.load import Sensors, topic_of
from tools.bench.mqtt_load import Publisher, start_broker
from tools.bench.session import Session

MESSAGES = 20_000
WITHIN_S = 60


async def drained_by_us(port: int, count: int) -> None:
    """Takes so many messages through the bridge; each is decoded, then acknowledged."""
    done, left = asyncio.Event(), count

    async def sink(arrival: Arrival) -> None:
        nonlocal left
        left -= 1
        if arrival.acknowledge is not None:
            arrival.acknowledge()
        if left <= 0:
            done.set()

    bridge = MqttBridge(
        list(Sensors().specs.values()),
        broker=BrokerAddress(port=port, client_id="ours"),
        mono_us=boottime_us,
    )
    task = asyncio.create_task(bridge.run(sink))
    async with asyncio.timeout(WITHIN_S):
        while not bridge.is_connected:  # noqa: ASYNC110 - the bridge tells no one
            await asyncio.sleep(0.01)
        if count:
            await done.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def drained_by_paho(port: int, count: int) -> None:
    """Takes so many messages; paho acknowledges them by itself, and nothing is decoded."""
    left = count
    client = Client(CallbackAPIVersion.VERSION2, client_id="paho", clean_session=False)

    def on_message(_client: Client, _data: object, _message: MQTTMessage) -> None:
        nonlocal left
        left -= 1

    client.on_message = on_message
    client.connect("127.0.0.1", port)
    client.subscribe([(topic_of(name), 1) for name in Sensors().specs])
    deadline = time.monotonic() + (WITHIN_S if count else 0.5)
    while (left > 0 or not count) and time.monotonic() < deadline:
        client.loop(0.1)
    client.disconnect()
    client.loop(0.1)


def measure(session: Session) -> list[Figure]:
    """Processor time a message, of a queue that the broker has kept."""
    port = start_broker(session)
    # Both sessions are made first, so that the broker queues for both.
    asyncio.run(drained_by_us(port, 0))
    drained_by_paho(port, 0)
    deliveries = Sensors().deliveries()

    def fill() -> None:
        publisher = Publisher(port)
        taken = (next(deliveries) for _ in range(MESSAGES))
        publisher.publish([(topic_of(item.device_id), item.payload) for item in taken])
        publisher.close()

    def ours() -> float:
        fill()
        begun = time.process_time()
        asyncio.run(drained_by_us(port, MESSAGES))
        return (time.process_time() - begun) / MESSAGES * 1e6

    def theirs() -> float:
        begun = time.process_time()
        drained_by_paho(port, MESSAGES)
        return (time.process_time() - begun) / MESSAGES * 1e6

    us, paho = session.interleaved("receiving", ours, theirs)
    return [
        Figure(
            name="a message received, decoded, acknowledged when we say so", unit="µs",
            ours=us, peer="paho, acknowledged on arrival, not decoded", theirs=paho,
        )
    ]  # fmt: skip  # a figure a block
