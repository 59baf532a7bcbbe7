"""A DS18B20 through sysfs. Reading the file starts a conversion and takes 750 ms: a thread does
it.
"""

import asyncio
from pathlib import Path
from typing import Final

from firmware_bridge.errors import TransportError

_READ_BYTES_MAX: Final = 512


async def read_w1(path: str) -> bytes:
    """The file's text. Raises TransportError when the probe is not on the bus."""
    return await asyncio.to_thread(_read, path)


def _read(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(_READ_BYTES_MAX)
    except OSError as error:
        raise TransportError(f"cannot read {path}: {error}") from error
