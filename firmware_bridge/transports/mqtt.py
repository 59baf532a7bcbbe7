"""One MQTT connection with manual acknowledgement, run by the event loop, without threads of its
own.

The broker keeps a persistent session for our client id: what we have not acknowledged it sends
again. A packet id means something only on the connection that it came on, so an acknowledgement
that comes after that connection was lost is not sent; the message comes again. aiomqtt acknowledges
on arrival, before anything is durable, which is why paho is used here directly.
"""

import asyncio
import hashlib
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from firmware_bridge.errors import SpecError, TransportError

PAYLOAD_BYTES_MAX: Final = 64 * 1024
QUEUE_MAX: Final = 128
_CONNECT_S_MAX: Final = 10.0
_MISC_S: Final = 1.0
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where the broker is and who we are to it."""

    host: str = "127.0.0.1"
    port: int = 1883
    client_id: str = "wharf-gateway"  # names the persistent session: one gateway, one id, for good
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None  # set: TLS, and the broker's certificate must be signed by this
    keepalive_s: int = 30
    keeps_session: bool = True  # false: the broker forgets us with the connection


@dataclass(slots=True)
class MqttCounters:
    """What happened since the start, for status pages and metrics."""

    connections: int = 0
    received: int = 0
    acknowledged: int = 0  # PUBACKs given to the connection
    stale_acknowledgements: int = 0  # came after their connection was lost; not sent
    unacknowledgeable: int = 0  # QoS 0: no one waits, none can be asked for again
    retained: int = 0  # old values that the broker kept; dropped
    redelivered: int = 0
    oversize: int = 0
    rejected: int = 0  # rejections made of payloads, oversize included
    unexpected: int = 0  # a topic that no device has; acknowledged and dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as it came; acknowledge is None for QoS 0."""

    topic: str
    payload: bytes  # cut to PAYLOAD_BYTES_MAX + 1 when longer
    qos: int
    retained: bool
    redelivered: bool
    received_mono_us: int
    digest: bytes
    acknowledge: Callable[[], None] | None


class MqttConnection:
    """One connection from CONNECT to its loss; not used again afterwards."""

    def __init__(
        self,
        address: BrokerAddress,
        topics: Sequence[str],
        *,
        counters: MqttCounters,
        mono_us: Callable[[], int],
    ) -> None:
        """Reads the password file; raises SpecError if it cannot."""
        self._address, self._topics = address, tuple(topics)
        self._counters, self._mono_us = counters, mono_us
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._queue: deque[Message] = deque()
        self._changed = asyncio.Event()
        self._lost: str | None = None
        self._is_connected = False
        self._socket: socket.socket | None = None
        self._is_reading = False
        self._client = self._make_client()

    def _make_client(self) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._address.client_id,
            clean_session=not self._address.keeps_session,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = _CONNECT_S_MAX
        if self._address.username is not None:
            client.username_pw_set(self._address.username, _password(self._address.password_file))
        if self._address.ca_file is not None:
            client.tls_set(ca_certs=self._address.ca_file)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_register_write
        client.on_socket_unregister_write = self._on_unregister_write
        return client

    async def open(self) -> None:
        """Connects and subscribes. Raises TransportError."""
        try:
            # Name resolution and TCP connect block, so this one call is made beside the loop.
            await asyncio.to_thread(
                self._client.connect,
                self._address.host,
                self._address.port,
                self._address.keepalive_s,
            )
        except (OSError, ValueError) as error:
            raise TransportError(f"no broker at {self._where}: {error}") from error
        try:
            async with asyncio.timeout(_CONNECT_S_MAX):
                while not self._is_connected:
                    await self._changed.wait()
                    self._changed.clear()
                    self._raise_if_lost()
        except TimeoutError:
            raise TransportError(f"the broker at {self._where} does not answer") from None
        self._counters.connections += 1

    async def next_message(self) -> Message:
        """The next message. Raises TransportError when the connection is lost and all are taken."""
        while not self._queue:
            self._raise_if_lost()
            try:
                async with asyncio.timeout(_MISC_S):
                    await self._changed.wait()
            except TimeoutError:
                self._misc()
            self._changed.clear()
        message = self._queue.popleft()
        self._resume_reading()
        return message

    def close(self) -> None:
        """Leaves the broker; the session stays there. Nothing is acknowledged any more."""
        sock = self._socket
        if self._is_connected:
            self._client.disconnect()
            # Acknowledgements that still wait go out before the farewell.
            self._client.loop_write()
        self._drop("closed")
        for name in ("open", "close", "register_write", "unregister_write"):
            setattr(self._client, f"on_socket_{name}", None)
        if sock is not None:
            sock.close()

    @property
    def _where(self) -> str:
        return f"{self._address.host}:{self._address.port}"

    def _raise_if_lost(self) -> None:
        if self._lost is not None:
            raise TransportError(f"the broker at {self._where} is lost: {self._lost}")

    def _drop(self, why: str) -> None:
        self._lost = self._lost or why
        self._is_connected = False
        # What was not handed on yet comes again on the next connection, with ids of its own.
        self._queue.clear()
        self._detach()
        self._changed.set()

    def _misc(self) -> None:
        """Keep-alive; paho closes the connection itself when the broker is silent."""
        code = self._client.loop_misc()
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._drop(str(code))

    def _on_connect(
        self,
        client: Client,
        _userdata: Any,
        flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._drop(f"refused: {reason}")
            return
        _logger.info("mqtt_connected broker=%s session=%s", self._where, flags.session_present)
        client.subscribe([(topic, 1) for topic in self._topics])
        self._is_connected = True
        self._changed.set()

    def _on_disconnect(
        self,
        _client: Client,
        _userdata: Any,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._drop(str(reason))

    def _on_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        self._counters.received += 1
        self._counters.redelivered += bool(message.dup)
        acknowledge = partial(self._acknowledge, message.mid) if message.qos else None
        if message.retain:
            # An old value without its time: it was a reading once, it is none now.
            self._counters.retained += 1
            if acknowledge is not None:
                acknowledge()
            return
        if acknowledge is None:
            self._counters.unacknowledgeable += 1
        payload = bytes(message.payload)
        topic = message.topic
        self._queue.append(
            Message(
                topic=topic,
                payload=payload[: PAYLOAD_BYTES_MAX + 1],
                qos=message.qos,
                retained=False,
                redelivered=bool(message.dup),
                received_mono_us=self._mono_us(),
                digest=_delivery_digest(message.mid, topic, payload),
                acknowledge=acknowledge,
            )
        )
        self._changed.set()

    def _acknowledge(self, packet_id: int) -> None:
        """Sends the PUBACK, from any thread."""
        if threading.get_ident() == self._thread_id:
            self._send_acknowledgement(packet_id)
        else:
            self._loop.call_soon_threadsafe(self._send_acknowledgement, packet_id)

    def _send_acknowledgement(self, packet_id: int) -> None:
        if self._lost is not None:
            self._counters.stale_acknowledgements += 1
            return
        self._client.ack(packet_id, 1)
        self._counters.acknowledged += 1

    # The four socket callbacks come from the connecting thread at first, from the loop later.
    def _on_socket_open(self, _client: Client, _userdata: Any, sock: Any) -> None:
        self._loop.call_soon_threadsafe(self._attach, sock)

    def _on_socket_close(self, _client: Client, _userdata: Any, _sock: Any) -> None:
        if threading.get_ident() == self._thread_id:
            self._detach()

    def _on_register_write(self, _client: Client, _userdata: Any, sock: Any) -> None:
        self._loop.call_soon_threadsafe(self._start_writing, sock)

    def _on_unregister_write(self, _client: Client, _userdata: Any, sock: Any) -> None:
        self._loop.call_soon_threadsafe(self._stop_writing, sock)

    def _attach(self, sock: Any) -> None:
        if self._lost is None and sock.fileno() >= 0:
            self._socket = sock
            self._resume_reading()

    def _detach(self) -> None:
        sock, self._socket = self._socket, None
        self._is_reading = False
        if sock is not None and sock.fileno() >= 0:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)

    def _start_writing(self, sock: Any) -> None:
        if self._lost is None and sock.fileno() >= 0:
            self._loop.add_writer(sock, self._client.loop_write)

    def _stop_writing(self, sock: Any) -> None:
        if sock.fileno() >= 0:
            self._loop.remove_writer(sock)

    def _resume_reading(self) -> None:
        """Reads on when the queue has room; while it has none the broker waits."""
        if self._socket is not None and not self._is_reading and len(self._queue) < QUEUE_MAX // 2:
            self._is_reading = True
            self._loop.add_reader(self._socket, self._read)

    def _read(self) -> None:
        sock = self._socket
        if sock is None:
            return
        # paho takes one packet a call, and a way through the event loop costs more than a packet.
        # This also takes what TLS has decrypted already, of which the descriptor would not tell.
        while True:
            held = len(self._queue)
            code = self._client.loop_read()
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS or not held < len(self._queue) < QUEUE_MAX:
                break
        pending = getattr(sock, "pending", None)
        while code == MQTTErrorCode.MQTT_ERR_SUCCESS and pending is not None and pending():
            code = self._client.loop_read()
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._drop(str(code))
        elif len(self._queue) >= QUEUE_MAX and self._is_reading:
            self._is_reading = False
            self._loop.remove_reader(sock)


def _delivery_digest(packet_id: int, topic: str, payload: bytes) -> bytes:
    """Tells one delivery from others: a broker repeats it under its old packet id (MQTT 3.1.1,
    4.4).
    """
    place = packet_id.to_bytes(2, "big") + topic.encode() + b"\x00"
    return hashlib.sha256(place + payload).digest()[:16]


def _password(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError("password_file", f"cannot read {path}") from error
