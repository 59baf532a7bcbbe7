"""A relay before a broker that reads along: which messages did the subscriber acknowledge?"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

from gateway.demo.ports import free_port

PUBLISH, PUBACK = 3, 4


def packets(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """First byte and body of each whole MQTT packet; takes them out of the buffer."""
    while len(buffer) >= 2:
        length, shift, at = 0, 0, 1
        while True:
            if at == len(buffer):
                return
            length |= (buffer[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if not buffer[at - 1] & 0x80:
                break
        if len(buffer) < at + length:
            return
        first, body = buffer[0], bytes(buffer[at : at + length])
        del buffer[: at + length]
        yield first, body


class MqttTap:
    """Listens on `port`; `acknowledged` are the payloads whose PUBACK a subscriber sent."""

    def __init__(self, broker_port: int) -> None:
        self.port, self._broker_port = free_port(), broker_port
        self.acknowledged: list[bytes] = []
        self._server = socket.create_server(("127.0.0.1", self.port))
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                self._relay(near)

    def _relay(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self._broker_port))
        except OSError:
            near.close()
            return
        self._sockets += [near, far]
        open_ids: dict[bytes, bytes] = {}

        def from_broker(first: int, body: bytes) -> None:
            if first >> 4 == PUBLISH and first & 0b110:
                at = 2 + int.from_bytes(body[:2], "big")
                open_ids[body[at : at + 2]] = body[at + 2 :]

        def from_subscriber(first: int, body: bytes) -> None:
            if first >> 4 == PUBACK and body[:2] in open_ids:
                self.acknowledged.append(open_ids.pop(body[:2]))

        for source, target, note in ((far, near, from_broker), (near, far, from_subscriber)):
            threading.Thread(target=_pump, args=(source, target, note), daemon=True).start()

    def close(self) -> None:
        for item in (self._server, *self._sockets):
            with suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)
            item.close()


def _pump(source: socket.socket, target: socket.socket, note: Callable[[int, bytes], None]) -> None:
    buffer = bytearray()
    with suppress(OSError):
        while data := source.recv(65_536):
            buffer += data
            for first, body in packets(buffer):
                note(first, body)
            target.sendall(data)
    for item in (source, target):
        with suppress(OSError):
            item.shutdown(socket.SHUT_RDWR)
