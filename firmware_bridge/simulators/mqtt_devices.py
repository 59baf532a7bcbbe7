"""Zigbee2MQTT and Tasmota devices: JSON to a broker with QoS 1; the log says what the broker
acknowledged.

A message that could not be handed over is logged and not sent again: its outcome is unknown, and a
second copy would be a second reading.
"""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiomqtt

from firmware_bridge.devices import Observation
from firmware_bridge.drivers.tasmota import decode_tasmota
from firmware_bridge.drivers.zigbee2mqtt import decode_zigbee2mqtt
from firmware_bridge.simulators.sent_log import SentLog
from firmware_bridge.simulators.spec import Broker, SimulatedDevice
from firmware_bridge.simulators.ticks import Ticks, unix_us
from firmware_bridge.simulators.trip import Trip

_RECONNECT_TICKS = 3
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_logger = logging.getLogger(__name__)


def zigbee_payload(device: SimulatedDevice, trip: Trip, tick: int) -> bytes:
    """The state message of a temperature and humidity sensor, with last_seen."""
    moment = _EPOCH + timedelta(milliseconds=trip.device_ms(tick))
    state: dict[str, object] = {
        "temperature": round(trip.value(device.curve(), tick), 2),
        "linkquality": trip.random.randint(60, 200),
        "battery": 100,
        "last_seen": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    if "humidity" in device.fields:
        state["humidity"] = round(trip.value(device.curve("humidity"), tick), 2)
    return json.dumps(state).encode()


def tasmota_payload(device: SimulatedDevice, trip: Trip, tick: int) -> bytes:
    """A SENSOR message; Time is without a zone, as the firmware sends it by default."""
    moment = _EPOCH + timedelta(milliseconds=trip.device_ms(tick))
    value = round(trip.value(device.curve(), tick), 1)
    return json.dumps(
        {
            "Time": f"{moment:%Y-%m-%dT%H:%M:%S}",
            device.text("sensor", "DS18B20"): {"Id": "00000566CC39", "Temperature": value},
            "TempUnit": "C",
        }
    ).encode()


class Publisher:
    """Publishes one device's messages over a connection that is renewed when it is lost."""

    def __init__(self, device: SimulatedDevice, broker: Broker, log: SentLog) -> None:
        self._device, self._broker, self._log = device, broker, log
        is_zigbee = device.kind == "zigbee2mqtt"
        self._payload = zigbee_payload if is_zigbee else tasmota_payload
        self._decode: Callable[[bytes], list[object]] = (
            (lambda data: list(decode_zigbee2mqtt(data)))
            if is_zigbee
            else (lambda data: list(decode_tasmota(data)))
        )

    async def run(self, trip: Trip, ticks: Ticks) -> None:
        """Publishes until the ticks end."""
        resume = -1
        async for tick in ticks:
            if tick < resume:
                self._note(self._payload(self._device, trip, tick), tick, written=False)
                continue
            try:
                async with self._client() as client:
                    await self._publish(client, trip, tick)
                    async for following in ticks:
                        await self._publish(client, trip, following)
                        resume = following
            except (aiomqtt.MqttError, TimeoutError) as error:
                resume = max(resume, tick) + _RECONNECT_TICKS
                _logger.warning("publish_failed device=%s error=%r", self._device.id, str(error))

    def _client(self) -> aiomqtt.Client:
        secret = self._broker.password_file
        return aiomqtt.Client(
            self._broker.host,
            self._broker.port,
            username=self._broker.username,
            password=None if secret is None else Path(secret).read_text(encoding="utf-8").strip(),
            identifier=f"sim-{self._device.id}",
            timeout=5,
        )

    async def _publish(self, client: aiomqtt.Client, trip: Trip, tick: int) -> None:
        payload = self._payload(self._device, trip, tick)
        self._note(payload, tick, written=True)
        await client.publish(self._device.text("topic"), payload, qos=1)
        self._log.acknowledged(unix_us=unix_us(), seq=tick)

    def _note(self, payload: bytes, tick: int, *, written: bool) -> None:
        now_us = unix_us()
        for event in self._decode(payload):
            if isinstance(event, Observation):
                self._log.sent(event, unix_us=now_us, seq=tick, written=written, qos=1)


async def run_publisher(
    device: SimulatedDevice, trip: Trip, *, log: SentLog, ticks: Ticks, broker: Broker
) -> None:
    """Publishes until the ticks end; the connection is closed in order."""
    await Publisher(device, broker, log).run(trip, ticks)
