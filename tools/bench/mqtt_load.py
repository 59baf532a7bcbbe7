"""A broker as the box ships it, and a publisher that costs less than what it loads."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gateway.demo.ports import free_port
from tools.bench.processes import wait_until
from tools.bench.session import BenchError, Session

SHIPPED: Final = Path(__file__).resolve().parents[2] / "deploy" / "raspberrypi" / "mosquitto.conf"
OURS_TO_SAY: Final = ("listener", "allow_anonymous", "password_file", "log_dest", "persistence")
UNACKNOWLEDGED_MAX: Final = 400
PUBACK_BYTES: Final = 4
KEEP_ALIVE_S: Final = 120  # as long as the broker allows


def is_listening(port: int) -> bool:
    """True when somebody takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start_broker(session: Session) -> int:
    """The port of a mosquitto of its own, with the queues that the box's configuration sets."""
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/opt/bin")
    if program is None:
        raise BenchError("mosquitto is not installed: sudo apt-get install mosquitto")
    port, folder = free_port(), session.fresh_folder("broker")
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(OURS_TO_SAY)]
    # First, as there: what stands before the first listener makes one on port 1883. In a user
    # namespace there is no other user to become.
    ours = [f"listener {port} 127.0.0.1", "allow_anonymous true", "user root", "persistence false"]
    (folder / "mosquitto.conf").write_text("\n".join([*ours, *kept, ""]), encoding="utf-8")
    session.start([program, "-c", folder / "mosquitto.conf"])
    wait_until(lambda: is_listening(port), "mosquitto listens")
    return port


def _text(value: str) -> bytes:
    raw = value.encode()
    return len(raw).to_bytes(2, "big") + raw


def _packet(head: int, body: bytes) -> bytes:
    """One control packet (MQTT 3.1.1, 2.2)."""
    length, size = bytearray(), len(body)
    while True:
        size, low = size >> 7, size & 0x7F
        length.append(low | (0x80 if size else 0))
        if not size:
            return bytes([head]) + bytes(length) + body


class Publisher:
    """Publishes at QoS 1 as fast as the broker takes it."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        connect = _text("MQTT") + bytes([4, 2]) + KEEP_ALIVE_S.to_bytes(2, "big") + _text("sensors")
        self._socket.sendall(_packet(0x10, connect))
        if self._socket.recv(4)[3:] != b"\x00":
            raise BenchError("the broker refuses the publisher")
        self._next_id = 0

    def publish(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Sends (topic, payload) pairs; returns when the broker has acknowledged all of them."""
        step = UNACKNOWLEDGED_MAX // 2
        unacknowledged, rest = 0, b""
        for at in range(0, len(messages), step):
            part = messages[at : at + step]
            self._socket.sendall(b"".join(self._publish(*message) for message in part))
            unacknowledged += len(part)
            while unacknowledged > (step if at + step < len(messages) else 0):
                rest += self._received()
                unacknowledged -= len(rest) // PUBACK_BYTES
                rest = rest[len(rest) // PUBACK_BYTES * PUBACK_BYTES :]

    def _received(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise BenchError("the broker has closed the publisher's connection")
        return data

    def _publish(self, topic: str, payload: bytes) -> bytes:
        self._next_id = self._next_id % 0xFFFF + 1
        return _packet(0x32, _text(topic) + self._next_id.to_bytes(2, "big") + payload)

    def close(self) -> None:
        """Leaves."""
        self._socket.sendall(_packet(0xE0, b""))
        self._socket.close()
