"""A recorded capture as a live device: its bytes, at the speed of a line.

The leading comment lines (`#`) of gpsd's logs are skipped; comments between binary frames cannot be
told from data and go to the codec, which counts them as noise.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from firmware_bridge.errors import TransportError

CAPTURE_BYTES_MAX: Final = 256 * 1024 * 1024
_CHUNK_BYTES: Final = 64
_BITS_PER_BYTE: Final = 10  # eight, a start bit and a stop bit


def without_comments(capture: bytes) -> bytes:
    """The capture behind its leading comment and empty lines."""
    start = 0
    while capture[start : start + 1] in (b"#", b"\n"):
        end = capture.find(b"\n", start)
        if end < 0:
            return b""
        start = end + 1
    return capture[start:]


async def replay_bytes(
    path: str, *, baud: int = 9600, rate: int = 1, loop: bool = False
) -> AsyncIterator[bytes]:
    """The capture in small pieces, `rate` times as fast as a line of `baud`; rate 0 does not wait.

    Ends with the file unless loop is set. Raises TransportError if it cannot be read.
    """
    capture = without_comments(await asyncio.to_thread(_read, path))
    pause_s = _CHUNK_BYTES * _BITS_PER_BYTE / (baud * rate) if rate else 0.0
    while True:
        for start in range(0, len(capture), _CHUNK_BYTES):
            yield capture[start : start + _CHUNK_BYTES]
            await asyncio.sleep(pause_s)
        if not loop or not capture:
            return


def _read(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            capture = file.read(CAPTURE_BYTES_MAX + 1)
    except OSError as error:
        raise TransportError(f"cannot read {path}: {error}") from error
    if len(capture) > CAPTURE_BYTES_MAX:
        raise TransportError(f"{path} is longer than {CAPTURE_BYTES_MAX} bytes")
    return capture
