"""Devices as they are configured: each gets its driver's session and its source's transport."""

import asyncio
import logging
import random
import ssl
from collections.abc import Callable, Sequence
from typing import Final

from firmware_bridge.conversation import Clocks, Conversation, Sink, no_wall_clock
from firmware_bridge.devices import Arrival, DeviceSpec, Observation, Reason, Rejected, rejected
from firmware_bridge.driver import LINES, Driver, Event, Session
from firmware_bridge.driver_registry import find_driver
from firmware_bridge.errors import SpecError, TransportError
from firmware_bridge.hubs import Hubs
from firmware_bridge.topics import is_filter, matching, overlap
from firmware_bridge.transports.mqtt import (
    PAYLOAD_BYTES_MAX,
    BrokerAddress,
    Message,
    MqttConnection,
    MqttCounters,
)
from firmware_bridge.transports.replay import replay_bytes, replay_payloads
from firmware_bridge.transports.serial_bus import SerialBus
from firmware_bridge.transports.serial_port import SerialPort
from firmware_bridge.transports.source import Source, parse_source
from firmware_bridge.transports.tcp_line import TcpLine, client_tls
from firmware_bridge.transports.tcp_server import LineServer, server_tls
from firmware_bridge.transports.w1_file import read_w1

POLL_MS_MIN: Final = 100
_POLL_MS: Final = 10_000
_REPLAY_MS: Final = 1_000
_TRANSPORT_OPTIONS: Final = {
    "tls": ("ca_file", "server_name"),
    "listen": ("certificate_file", "key_file"),
}
_RETRY_S_MIN, _RETRY_S_MAX = 0.5, 10.0
_logger = logging.getLogger(__name__)


def check_spec(spec: DeviceSpec) -> Source:
    """The spec's source, if driver, source and options fit together. Raises SpecError naming the
    field.
    """
    source, driver = parse_source(spec.source), find_driver(spec.driver)
    if source.scheme not in (*driver.schemes, "replay"):
        fitting = ", ".join((*driver.schemes, "replay"))
        raise SpecError(
            "source", f"{spec.driver} does not read {source.scheme}: ({fitting} it does)"
        )
    if spec.interval_ms is not None and spec.interval_ms <= 0:
        raise SpecError("interval_ms", "not above zero")
    if source.scheme == "tls" and not isinstance(spec.options.get("ca_file"), str):
        raise SpecError("options.ca_file", "missing: the PEM file under which the device is known")
    if source.scheme == "listen" and not isinstance(spec.options.get(driver.identity or ""), str):
        raise SpecError(f"options.{driver.identity}", "missing: it tells this device from others")
    open_session(spec, source, driver)
    return source


def open_session(spec: DeviceSpec, source: Source, driver: Driver) -> Session:
    """A session for one connection to the device. Raises SpecError for a wrong option."""
    taken = _TRANSPORT_OPTIONS.get(source.scheme, ())
    return driver.open({name: spec.options[name] for name in spec.options if name not in taken})


async def run_device(
    spec: DeviceSpec,
    sink: Sink,
    *,
    mono_us: Callable[[], int],
    wall_ms: Callable[[], int | None] = no_wall_clock,
    hubs: Hubs | None = None,
) -> None:
    """Reads one device until cancelled; `mqtt:` devices are MqttBridge's.

    mono_us: the clock of `received_mono_us`. hubs: the same for all devices of a program, so that
    they can share a bus, a port or a radio. Returns at the end of a replay that does not loop.
    Raises TransportError when the connection is lost (supervise and call again) and SpecError when
    the description is wrong (a human has to mend it).
    """
    source, driver = check_spec(spec), find_driver(spec.driver)
    if source.scheme == "mqtt":
        raise SpecError("source", "mqtt: devices are run by MqttBridge")
    session = open_session(spec, source, driver)
    clocks, hubs = Clocks(mono_us, wall_ms), hubs or Hubs()
    if source.scheme == "listen":
        await _listen(spec, sink, clocks=clocks, server=hubs.server(source.address))
        return
    if source.scheme == "serial" and driver.is_bus:
        bus = hubs.bus(source.path, source.number("baud", driver.baud))
        await _take_turns(bus, Conversation(spec.id, session, sink, clocks=clocks, write=bus.write))
        return
    if source.scheme in LINES:
        async with await _open_line(spec, source, driver) as line:
            await Conversation(spec.id, session, sink, clocks=clocks, write=line.write).run(line)
        return
    conversation = Conversation(spec.id, session, sink, clocks=clocks)
    if source.scheme == "w1":
        await _poll_file(spec, source, driver, conversation)
    elif source.scheme == "ble":
        async with hubs.radio().listen(source.path) as adverts:
            while True:
                await conversation.feed(await adverts.get(), source.path)
    elif driver.is_stream:
        await _replay_stream(source, driver, conversation)
    else:
        await _replay_payloads(source, conversation)


async def _take_turns(bus: SerialBus, conversation: Conversation) -> None:
    """Polls a device whose bus others use too, one exchange at a time."""
    while True:
        wait_s = conversation.wait_s()
        await asyncio.sleep(POLL_MS_MIN / 1000 if wait_s is None else wait_s)
        async with bus.turn():
            await conversation.exchange(bus)


async def _listen(spec: DeviceSpec, sink: Sink, *, clocks: Clocks, server: LineServer) -> None:
    """Serves the calls of one device on a port that it shares with others of its driver."""
    driver = find_driver(spec.driver)
    names = server.names(spec.driver)
    name = str(spec.options[driver.identity or ""])
    if name in names:
        raise SpecError(f"options.{driver.identity}", f"{name!r} is another device's on this port")

    def converse(line: TcpLine) -> Conversation:
        return Conversation(
            "",
            driver.open({}),
            sink,
            clocks=clocks,
            write=line.write,
            admit=lambda given: server.admit(given, line),
        )

    names[name] = spec.id
    try:
        async with server.open(converse, tls=_server_tls(spec)):
            await asyncio.Event().wait()
    finally:
        del names[name]


def _server_tls(spec: DeviceSpec) -> ssl.SSLContext | None:
    names = [spec.options.get(name) for name in _TRANSPORT_OPTIONS["listen"]]
    if names == [None, None]:
        return None
    if not all(isinstance(name, str) for name in names):
        raise SpecError("options.certificate_file", "goes with key_file, both as paths")
    return server_tls(str(names[0]), str(names[1]))


async def _open_line(spec: DeviceSpec, source: Source, driver: Driver) -> SerialPort | TcpLine:
    if source.scheme == "serial":
        return SerialPort(source.path, baud=source.number("baud", driver.baud))
    host, port = source.address
    if source.scheme == "tcp":
        return await TcpLine.connect(host, port)
    name = spec.options.get("server_name")
    tls = client_tls(str(spec.options["ca_file"]))
    return await TcpLine.connect(
        host, port, tls=tls, server_name=None if name is None else str(name)
    )


async def _replay_stream(source: Source, driver: Driver, conversation: Conversation) -> None:
    baud, rate = source.number("baud", driver.baud), source.number("rate", 1)
    loop = bool(source.number("loop", 0))
    await conversation.turn()
    async for data in replay_bytes(source.path, baud=baud, rate=rate, loop=loop):
        if not await _told(conversation, data):
            return


async def _replay_payloads(source: Source, conversation: Conversation) -> None:
    rate, loop = source.number("rate", 1), bool(source.number("loop", 0))
    interval_s = _REPLAY_MS / 1000 / rate if rate else 0.0
    async for topic, data in replay_payloads(source.path, interval_s=interval_s, loop=loop):
        if not await _told(conversation, data, topic):
            return


async def _told(conversation: Conversation, data: bytes, topic: str = "") -> bool:
    """Whether a recording goes on: where a session would hang up, nothing follows."""
    try:
        await conversation.feed(data, topic)
    except TransportError as error:
        _logger.info("replay_ended why=%s", error)
        return False
    return True


async def _poll_file(
    spec: DeviceSpec, source: Source, driver: Driver, conversation: Conversation
) -> None:
    interval_ms = spec.interval_ms or driver.interval_ms or _POLL_MS
    interval_s = max(interval_ms, POLL_MS_MIN) / 1000
    loop = asyncio.get_running_loop()
    due_s = loop.time()
    while True:
        await conversation.feed(await read_w1(source.path))
        due_s = max(due_s + interval_s, loop.time())
        await asyncio.sleep(due_s - loop.time())


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
        """specs: those with mqtt: sources, each topic once; wildcards only for drivers that read
        many topics. Raises SpecError.

        wall_ms: UTC since 1970 where known; marks device times that lie in the future or far
        behind.
        """
        self._specs: dict[str, DeviceSpec] = {}  # by topic filter
        self._sessions: dict[str, Session] = {}  # by device; they outlive connections
        for spec in specs:
            source = check_spec(spec)
            self._check_topic(spec, source)
            self._specs[source.path] = spec
            self._sessions[spec.id] = open_session(spec, source, find_driver(spec.driver))
        self._broker, self._clocks = broker, Clocks(mono_us, wall_ms)
        self.counters = MqttCounters()
        self.is_connected = False

    def _check_topic(self, spec: DeviceSpec, source: Source) -> None:
        is_many = find_driver(spec.driver).many_topics
        if source.scheme != "mqtt" or (is_filter(source.path) and not is_many):
            raise SpecError("source", f"{spec.source!r} is not one MQTT topic")
        for other in self._specs:
            if overlap(other, source.path):
                raise SpecError("source", f"two devices have the topic {source.path!r}")

    async def run(self, sink: Sink) -> None:
        """Serves until cancelled; back-off between connections. Raises SpecError only."""
        retry_s = _RETRY_S_MIN
        while True:
            connection = MqttConnection(
                self._broker,
                list(self._specs),
                counters=self.counters,
                mono_us=self._clocks.mono_us,
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
        spec = matching(self._specs, message.topic)
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
            events: Sequence[Event] = [rejected(message.payload, Reason.OVERSIZE)]
        else:
            moment = self._clocks.moment(message.topic)
            events = self._sessions[spec.id].feed(message.payload, moment)
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
