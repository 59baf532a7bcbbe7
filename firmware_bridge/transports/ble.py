"""Bluetooth advertisements, passively: sensors are heard, never asked.

One scan serves all sensors. `bleak` is an extra (`wharfinger[ble]`) and is imported when the first
sensor wants to be heard. A passive scan needs BlueZ 5.56 or newer, which forwards only what matches
its patterns: the manufacturer and service ids of the formats that we read.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

from firmware_bridge.codecs.ble_advert import MANUFACTURER, SERVICE_DATA_16, advert
from firmware_bridge.errors import SpecError, TransportError

QUEUE_MAX: Final = 64
PATTERNS: Final = ((MANUFACTURER, b"\x99\x04"), (SERVICE_DATA_16, b"\xd2\xfc"))
_UUID_16_END: Final = "-0000-1000-8000-00805f9b34fb"
Heard = Callable[[str, bytes], None]
_logger = logging.getLogger(__name__)


class Scanner(Protocol):
    """A radio: calls back with (address, advertisement) until stopped."""

    async def start(self, heard: Heard) -> None:
        """Begins to listen. Raises TransportError."""

    async def stop(self) -> None:
        """Ends listening."""


class BleRadio:
    """The adapter, scanning while at least one sensor wants to be heard."""

    def __init__(self, scanner: Callable[[], Scanner]) -> None:
        self._make = scanner
        self._scanner: Scanner | None = None
        self._queues: dict[str, asyncio.Queue[bytes]] = {}
        self._lock = asyncio.Lock()
        self.dropped = 0  # advertisements that came while the intake was behind

    @asynccontextmanager
    async def listen(self, address: str) -> AsyncIterator[asyncio.Queue[bytes]]:
        """The advertisements of one address. Raises TransportError, SpecError."""
        if address in self._queues:
            raise SpecError("source", f"two devices have the address {address}")
        self._queues[address] = asyncio.Queue(QUEUE_MAX)
        try:
            await self._scan()
            yield self._queues[address]
        finally:
            del self._queues[address]
            if not self._queues:
                await self._stop()

    async def _scan(self) -> None:
        async with self._lock:
            if self._scanner is None:
                scanner = self._make()
                await scanner.start(self._heard)
                self._scanner = scanner

    async def _stop(self) -> None:
        async with self._lock:
            scanner, self._scanner = self._scanner, None
            if scanner is not None and not self._queues:
                await scanner.stop()

    def _heard(self, address: str, data: bytes) -> None:
        queue = self._queues.get(address.upper())
        if queue is None:
            return
        if queue.full():
            # A sensor says the same again soon: the newest counts.
            queue.get_nowait()
            self.dropped += 1
        queue.put_nowait(data)


class _Bleak:
    """bleak's scanner under our protocol."""

    def __init__(self, bleak: Any) -> None:
        self._bleak = bleak
        self._running: Any = None

    async def start(self, heard: Heard) -> None:
        def on_advert(device: Any, data: Any) -> None:
            heard(device.address, advert(data.manufacturer_data, _short(data.service_data)))

        patterns = [(0, kind, start) for kind, start in PATTERNS]
        try:
            self._running = self._bleak.BleakScanner(
                on_advert, scanning_mode="passive", bluez={"or_patterns": patterns}
            )
            await self._running.start()
        except (self._bleak.exc.BleakError, OSError) as error:
            raise TransportError(f"no Bluetooth scan: {error}") from error

    async def stop(self) -> None:
        if self._running is not None:
            await self._running.stop()


def _short(service_data: Mapping[str, bytes]) -> dict[int, bytes]:
    """Service data by 16-bit id, of those that have one."""
    return {
        int(uuid[4:8], 16): value
        for uuid, value in service_data.items()
        if uuid.startswith("0000") and uuid.endswith(_UUID_16_END)
    }


def bleak_scanner() -> Scanner:
    """The scanner of this machine. Raises TransportError where bleak is not installed."""
    try:
        import bleak  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise TransportError("Bluetooth needs the extra: install wharfinger[ble]") from error
    return _Bleak(bleak)
