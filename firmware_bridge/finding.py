"""What speaks on a serial port: first by listening, then by asking, believed by check bytes only.

Listening disturbs nobody. Asking sends only what a driver names as harmless (`Driver.probes`);
buses are never asked, because a question meant for one unit may be a command to another.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from firmware_bridge.captures import readings_in, stream_drivers
from firmware_bridge.conversation import within
from firmware_bridge.driver import Driver, Moment, Send
from firmware_bridge.transports.serial_port import SerialPort

BAUDS: Final = (9600, 115_200, 38_400, 4800)
LISTEN_S: Final = 1.5  # receivers speak once a second
ASK_S: Final = 0.7
_SAMPLE_BYTES_MAX: Final = 16 * 1024
Options = Mapping[str, str | int | bool]


@dataclass(frozen=True, slots=True)
class Found:
    """A driver whose frames came from the port, right to the check bytes."""

    driver: str
    baud: int
    options: Options = field(default_factory=dict)

    def toml(self, device_id: str, path: str) -> str:
        """The table that a configuration would hold."""
        rows = [
            "[[device]]",
            f"id = {json.dumps(device_id)}",
            f'driver = "{self.driver}"',
            f"source = {json.dumps(f'serial:{path}?baud={self.baud}')}",
            "audience = 1",
        ]
        options = [f"{name} = {json.dumps(value)}" for name, value in self.options.items()]
        return "\n".join([*rows, *(["[device.options]", *options] if options else [])]) + "\n"


async def find_on(path: str) -> Found | None:
    """What speaks on the port; None where nothing known does. Raises TransportError."""
    drivers = {
        name: driver for name, driver in stream_drivers().items() if "serial" in driver.schemes
    }
    for baud in BAUDS:
        heard = await _heard(path, baud, LISTEN_S)
        for name, driver in drivers.items():
            if speaks(driver, heard):
                return Found(name, baud)
        if not heard:
            break  # a silent line is silent at every speed
    for name, driver in drivers.items():
        for options in driver.probes:
            session = driver.open(options)
            asked = [item.data for item in session.turn(Moment()) if isinstance(item, Send)]
            if speaks(driver, await _heard(path, driver.baud, ASK_S, b"".join(asked))):
                return Found(name, driver.baud, options)
    return None


def speaks(driver: Driver, heard: bytes) -> bool:
    """Whether these bytes hold a frame of the driver, right to its check bytes."""
    if driver.recognises is not None:
        return driver.recognises(heard)
    return bool(readings_in(driver, heard))


async def _heard(path: str, baud: int, seconds: float, ask: bytes = b"") -> bytes:
    """What came in that time. Raises TransportError."""
    loop, heard = asyncio.get_running_loop(), bytearray()
    async with SerialPort(path, baud=baud) as port:
        if ask:
            port.write(ask)
        until_s = loop.time() + seconds
        while (left_s := until_s - loop.time()) > 0 and len(heard) < _SAMPLE_BYTES_MAX:
            heard += await within(left_s, port.read) or b""
    return bytes(heard)
