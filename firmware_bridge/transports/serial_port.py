"""A serial port under asyncio: pyserial opens it, the event loop waits on its descriptor.

Works with /dev/serial/by-id paths and pseudo-terminals. Nothing is read unless somebody awaits
read(): that is how back-pressure reaches the wire. When the plug is pulled, read() and write()
raise TransportError.
"""

import asyncio
import os
import termios
from pathlib import Path
from typing import Final, Self

import serial
from serial.tools import list_ports

from firmware_bridge.errors import TransportError

READ_BYTES_MAX: Final = 4096
BAUD_DEFAULT: Final = 9600


class SerialPort:
    """An open port, exclusively ours. Use as an async context manager or call close()."""

    def __init__(self, path: str, *, baud: int = BAUD_DEFAULT) -> None:
        """Opens and throws away what came in before. Raises TransportError."""
        try:
            # pyserial's open also flushes: what a driver buffered has no honest arrival time.
            self._port = serial.Serial(path, baud, timeout=0, exclusive=True)
            self._fd = self._port.fileno()
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise TransportError(f"cannot open {path}: {error}") from error
        self._path = path

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def read(self) -> bytes:
        """The next bytes, at least one. Raises TransportError when the port is gone."""
        while True:
            await self._readable()
            try:
                data = os.read(self._fd, READ_BYTES_MAX)
            except BlockingIOError:
                continue
            except OSError as error:
                raise TransportError(f"{self._path} is gone: {error}") from error
            if not data:
                raise TransportError(f"{self._path} is gone: end of file")
            return data

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        readable: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._fd, _settle, readable)
        try:
            await readable
        finally:
            loop.remove_reader(self._fd)

    def write(self, data: bytes) -> None:
        """Sends a short command. Raises TransportError if the port is gone or takes nothing."""
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            raise TransportError(f"{self._path} takes no command: {error}") from error
        if written != len(data):
            raise TransportError(f"{self._path} took {written} of {len(data)} bytes")

    def discard(self) -> None:
        """Throws away what came in and was not read. Raises TransportError."""
        try:
            self._port.reset_input_buffer()
        except (OSError, termios.error) as error:
            raise TransportError(f"{self._path} is gone: {error}") from error

    def close(self) -> None:
        """Closes the port."""
        self._port.close()


def _settle(readable: "asyncio.Future[None]") -> None:
    if not readable.done():
        readable.set_result(None)


def find_ports() -> list[tuple[str, str]]:
    """(path, what the port says of itself) of the machine's serial ports, by-id paths first."""
    by_id = Path("/dev/serial/by-id")
    links = {str(link.resolve()): str(link) for link in by_id.iterdir()} if by_id.is_dir() else {}
    found = [
        (links.get(port.device, port.device), port.description) for port in list_ports.comports()
    ]
    return sorted(found, key=lambda port: (not port[0].startswith("/dev/serial/by-id/"), port))
