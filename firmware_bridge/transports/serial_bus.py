"""One RS-485 line for several units: whoever has the turn speaks, and nobody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from firmware_bridge.errors import SpecError, TransportError
from firmware_bridge.transports.serial_port import SerialPort

# Modbus over Serial Line V1.02, 2.5.1.1: 3.5 characters of 11 bits, but 1.75 ms at high speeds.
_SILENCE_BITS: Final = 38.5
_SILENCE_S_MIN: Final = 0.00175


class SerialBus:
    """A port that opens at the first turn and closes when it is lost; never two turns at once."""

    def __init__(self, path: str, baud: int) -> None:
        self.path, self.baud = path, baud
        self._lock = asyncio.Lock()
        self._port: SerialPort | None = None
        self._silence_s = max(_SILENCE_BITS / baud, _SILENCE_S_MIN)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """The line to oneself, with nothing left over of others' answers. Raises TransportError."""
        async with self._lock:
            try:
                if self._port is None:
                    self._port = SerialPort(self.path, baud=self.baud)
                self._port.discard()
                yield
            except TransportError:
                self.close()
                raise
            await asyncio.sleep(self._silence_s)

    async def read(self) -> bytes:
        """The next bytes, at least one; only with the turn. Raises TransportError."""
        return await self._open_port().read()

    def write(self, data: bytes) -> None:
        """Sends; only with the turn. Raises TransportError."""
        self._open_port().write(data)

    def _open_port(self) -> SerialPort:
        if self._port is None:
            raise TransportError(f"{self.path} is not open")
        return self._port

    def close(self) -> None:
        """Closes the port; the next turn opens it again."""
        if self._port is not None:
            self._port.close()
            self._port = None


def same_speed(bus: SerialBus, baud: int) -> SerialBus:
    """The bus, for a unit of this speed. Raises SpecError where it runs at another."""
    if bus.baud != baud:
        raise SpecError("source", f"{bus.path} runs at {bus.baud} baud for another device already")
    return bus
