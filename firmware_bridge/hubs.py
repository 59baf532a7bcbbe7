"""What several devices of one program share: RS-485 buses, listening ports, the radio."""

from collections.abc import Callable

from firmware_bridge.transports.ble import BleRadio, Scanner, bleak_scanner
from firmware_bridge.transports.serial_bus import SerialBus, same_speed
from firmware_bridge.transports.tcp_server import LineServer


class Hubs:
    """One per program; makes each shared thing when the first device asks for it."""

    def __init__(self, scanner: Callable[[], Scanner] = bleak_scanner) -> None:
        self._buses: dict[str, SerialBus] = {}
        self._servers: dict[tuple[str, int], LineServer] = {}
        self._radio = BleRadio(scanner)

    def bus(self, path: str, baud: int) -> SerialBus:
        """The bus on a port. Raises SpecError where it runs at another speed."""
        return same_speed(self._buses.setdefault(path, SerialBus(path, baud)), baud)

    def server(self, address: tuple[str, int]) -> LineServer:
        """The server on host and port."""
        return self._servers.setdefault(address, LineServer(address))

    def radio(self) -> BleRadio:
        """The Bluetooth adapter."""
        return self._radio
