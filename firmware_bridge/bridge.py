"""Transport and codec together: what a device sends becomes Arrivals in the sink.

Awaiting the sink is the back-pressure: while it waits, nothing more is read from the device.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, Protocol

from firmware_bridge.codecs.nmea import NmeaDecoder
from firmware_bridge.codecs.payloads import decode_tasmota, decode_zigbee2mqtt
from firmware_bridge.codecs.probe import decode_w1_slave
from firmware_bridge.codecs.rfid_uhf import HEADS, R200Decoder, multi_poll
from firmware_bridge.devices import Arrival, DeviceSpec, Observation, Reason, Rejected, rejected
from firmware_bridge.errors import SpecError, TransportError
from firmware_bridge.transports.mqtt import (
    PAYLOAD_BYTES_MAX,
    BrokerAddress,
    Message,
    MqttConnection,
    MqttCounters,
)
from firmware_bridge.transports.replay import replay_bytes
from firmware_bridge.transports.serial_port import BAUD_DEFAULT, SerialPort
from firmware_bridge.transports.source import Source, parse_source
from firmware_bridge.transports.w1_file import read_w1

Sink = Callable[[Arrival], Awaitable[None]]
_R200_BAUD: Final = 115_200
_R200_ROUNDS: Final = 10_000
_R200_SILENCE_S: Final = 3.0  # a reader tells even empty rounds: silence means that they ended
_W1_INTERVAL_MS: Final = 10_000
_W1_INTERVAL_MS_MIN: Final = 100
_RETRY_S_MIN, _RETRY_S_MAX = 0.5, 10.0
_PAYLOAD_DECODERS: Final = {"zigbee2mqtt": decode_zigbee2mqtt, "tasmota": decode_tasmota}
DRIVERS_BY_SCHEME: Final = {
    "serial": ("nmea", "r200"),
    "replay": ("nmea", "r200"),
    "w1": ("ds18b20",),
    "mqtt": ("zigbee2mqtt", "tasmota"),
}
_logger = logging.getLogger(__name__)


class Decoder(Protocol):
    """What the bridge needs of a stream codec."""

    def feed(self, data: bytes) -> list[Observation | Rejected]:
        """What these bytes complete."""


def no_wall_clock() -> int | None:
    """For callers without a clock: device times are then held only against fixed bounds."""
    return None


def check_spec(spec: DeviceSpec) -> Source:
    """The spec's source, if driver and source fit together. Raises SpecError naming the field."""
    source = parse_source(spec.source)
    if spec.driver not in DRIVERS_BY_SCHEME[source.scheme]:
        fitting = ", ".join(DRIVERS_BY_SCHEME[source.scheme])
        raise SpecError("driver", f"{spec.driver!r} does not fit {source.scheme}: ({fitting} do)")
    if spec.interval_ms is not None and spec.interval_ms <= 0:
        raise SpecError("interval_ms", "not above zero")
    return source


async def run_device(spec: DeviceSpec, sink: Sink, *, mono_us: Callable[[], int]) -> None:
    """Reads one device (serial:, replay: or w1:) until cancelled.

    mono_us: the clock of `received_mono_us`. Returns at the end of a replay that does not loop.
    Raises TransportError when the port is lost (supervise and call again) and SpecError when the
    description is wrong (a human has to mend it).
    """
    source = check_spec(spec)
    match source.scheme:
        case "serial":
            await _run_serial(spec, source, sink, mono_us=mono_us)
        case "replay":
            chunks = replay_bytes(
                source.path,
                baud=source.number("baud", BAUD_DEFAULT),
                rate=source.number("rate", 1),
                loop=bool(source.number("loop", 0)),
            )
            await _pump(spec, chunks, sink, mono_us=mono_us)
        case "w1":
            await _run_w1(spec, source, sink, mono_us=mono_us)
        case _:
            raise SpecError("source", "mqtt: devices are run by MqttBridge")


def _decoder(spec: DeviceSpec) -> Decoder:
    return R200Decoder() if spec.driver == "r200" else NmeaDecoder()


async def _run_serial(
    spec: DeviceSpec, source: Source, sink: Sink, *, mono_us: Callable[[], int]
) -> None:
    is_reader = spec.driver == "r200"
    baud = source.number("baud", _R200_BAUD if is_reader else BAUD_DEFAULT)
    async with SerialPort(source.path, baud=baud) as port:
        chunks = _inventory(port, _head(spec)) if is_reader else _listen(port)
        await _pump(spec, chunks, sink, mono_us=mono_us)


def _head(spec: DeviceSpec) -> int:
    """Option `head`: "bb" (default) or "aa", the dialect in which commands are sent."""
    text = str(spec.options.get("head", "bb"))
    head = int(text, 16) if text in ("bb", "aa") else 0
    if head not in HEADS:
        raise SpecError("options.head", 'neither "bb" nor "aa"')
    return head


async def _listen(port: SerialPort) -> AsyncIterator[bytes]:
    while True:
        yield await port.read()


async def _inventory(port: SerialPort, head: int) -> AsyncIterator[bytes]:
    """Arms the reader, and again whenever it has been silent."""
    while True:
        port.write(multi_poll(head, _R200_ROUNDS))
        try:
            while True:
                async with asyncio.timeout(_R200_SILENCE_S):
                    data = await port.read()
                yield data
        except TimeoutError:
            _logger.debug("reader_rearmed")


async def _pump(
    spec: DeviceSpec,
    chunks: AsyncIterator[bytes],
    sink: Sink,
    *,
    mono_us: Callable[[], int],
) -> None:
    decoder = _decoder(spec)
    async for data in chunks:
        received = mono_us()
        events = decoder.feed(data)
        if events:
            await sink(_arrival(spec, events, received))


async def _run_w1(
    spec: DeviceSpec, source: Source, sink: Sink, *, mono_us: Callable[[], int]
) -> None:
    interval_s = max(spec.interval_ms or _W1_INTERVAL_MS, _W1_INTERVAL_MS_MIN) / 1000
    loop = asyncio.get_running_loop()
    due_s = loop.time()
    while True:
        text = await read_w1(source.path)
        # The kernel truncates the file while a probe is away and creates it empty on its return.
        events = decode_w1_slave(text) if text else [rejected(text, Reason.FAULT)]
        await sink(_arrival(spec, events, mono_us()))
        due_s = max(due_s + interval_s, loop.time())
        await asyncio.sleep(due_s - loop.time())


def _arrival(
    spec: DeviceSpec, events: Sequence[Observation | Rejected], received_mono_us: int
) -> Arrival:
    return Arrival(
        device_id=spec.id,
        observations=tuple(event for event in events if isinstance(event, Observation)),
        rejected=tuple(event for event in events if isinstance(event, Rejected)),
        received_mono_us=received_mono_us,
    )


class MqttBridge:
    """All devices behind one broker, on one connection that is renewed whenever it is lost."""

    def __init__(
        self,
        specs: Sequence[DeviceSpec],
        *,
        broker: BrokerAddress,
        mono_us: Callable[[], int],
        wall_ms: Callable[[], int | None] = no_wall_clock,
    ) -> None:
        """specs: those with mqtt: sources, each topic once, without wildcards. Raises SpecError.

        wall_ms: UTC since 1970 where known; marks device times that lie in the future or far
        behind.
        """
        self._specs: dict[str, DeviceSpec] = {}
        for spec in specs:
            source = check_spec(spec)
            if source.scheme != "mqtt" or set("+#") & set(source.path):
                raise SpecError("source", f"{spec.source!r} is not one MQTT topic")
            if source.path in self._specs:
                raise SpecError("source", f"two devices have the topic {source.path!r}")
            self._specs[source.path] = spec
        self._broker, self._mono_us, self._wall_ms = broker, mono_us, wall_ms
        self.counters = MqttCounters()
        self.is_connected = False

    async def run(self, sink: Sink) -> None:
        """Serves until cancelled; back-off between connections. Raises SpecError only."""
        retry_s = _RETRY_S_MIN
        while True:
            connection = MqttConnection(
                self._broker, list(self._specs), counters=self.counters, mono_us=self._mono_us
            )
            try:
                await connection.open()
                self.is_connected, retry_s = True, _RETRY_S_MIN
                while True:
                    await self._handle(await connection.next_message(), sink)
            except TransportError as error:
                _logger.warning("mqtt_lost retry_s=%.1f error=%r", retry_s, str(error))
            finally:
                self.is_connected = False
                connection.close()
            # Jitter: a whole warehouse comes back at the same moment after a power cut.
            await asyncio.sleep(retry_s * random.uniform(0.5, 1.0))  # noqa: S311  # no secret
            retry_s = min(2 * retry_s, _RETRY_S_MAX)

    async def _handle(self, message: Message, sink: Sink) -> None:
        spec = self._specs.get(message.topic)
        if spec is None:
            # A device that was taken out of the configuration is still in the broker's session.
            self.counters.unexpected += 1
            _acknowledge(message)
            return
        arrival = self._arrival(spec, message)
        await sink(arrival)
        if arrival.acknowledge is None:
            _acknowledge(message)

    def _arrival(self, spec: DeviceSpec, message: Message) -> Arrival:
        if len(message.payload) > PAYLOAD_BYTES_MAX:
            self.counters.oversize += 1
            events: list[Observation | Rejected] = [rejected(message.payload, Reason.OVERSIZE)]
        else:
            events = _PAYLOAD_DECODERS[spec.driver](message.payload, self._wall_ms())
        observations = tuple(event for event in events if isinstance(event, Observation))
        rejections = tuple(event for event in events if isinstance(event, Rejected))
        self.counters.rejected += len(rejections)
        return Arrival(
            device_id=spec.id,
            observations=observations,
            rejected=rejections,
            received_mono_us=message.received_mono_us,
            acknowledge=message.acknowledge if observations else None,
            qos=message.qos,
            redelivered=message.redelivered,
            payload_digest=message.digest,
        )


def _acknowledge(message: Message) -> None:
    if message.acknowledge is not None:
        message.acknowledge()
