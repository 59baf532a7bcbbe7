"""A recording as a live device: its bytes at the speed of a line, or its payloads one by one.

A stream's recording is its raw bytes; the leading comment lines (`#`) of gpsd's logs are skipped,
comments between binary frames cannot be told from data and go to the codec, which counts them as
noise. Payloads are recorded as JSON: a list of objects (or an object with one list, or one object a
line), each with `hex`, `text` or `payload` (any JSON) and perhaps a `topic`. A stream may be
recorded so as well.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

from firmware_bridge.errors import TransportError

CAPTURE_BYTES_MAX: Final = 256 * 1024 * 1024
_CHUNK_BYTES: Final = 64
_BITS_PER_BYTE: Final = 10  # eight, a start bit and a stop bit
JSON_SUFFIXES: Final = (".json", ".jsonl")


def without_comments(capture: bytes) -> bytes:
    """The capture behind its leading comment and empty lines."""
    start = 0
    while capture[start : start + 1] in (b"#", b"\n"):
        end = capture.find(b"\n", start)
        if end < 0:
            return b""
        start = end + 1
    return capture[start:]


def recorded_payloads(text: bytes) -> list[tuple[str, bytes]]:
    """(topic, payload) of each item of a JSON recording, in order. Raises ValueError."""
    try:
        document = json.loads(text)
    except ValueError:
        document = [json.loads(line) for line in text.splitlines() if line.strip()]
    if isinstance(document, dict) and not _KINDS & set(document):
        lists = [value for value in document.values() if isinstance(value, list)]
        document = lists[0] if len(lists) == 1 else []
    items = document if isinstance(document, list) else [document]
    return list(_payloads(items))


_KINDS: Final = {"hex", "text", "payload"}


def _payloads(items: list[Any]) -> Iterator[tuple[str, bytes]]:
    for item in items:
        if not isinstance(item, dict) or len(_KINDS & set(item)) != 1:
            raise ValueError("an item without exactly one of hex, text and payload")
        topic = str(item.get("topic", ""))
        if "hex" in item:
            yield topic, bytes.fromhex(item["hex"])
        elif "text" in item:
            yield topic, str(item["text"]).encode()
        else:
            yield topic, json.dumps(item["payload"], ensure_ascii=False).encode()


async def replay_bytes(
    path: str, *, baud: int = 9600, rate: int = 1, loop: bool = False
) -> AsyncIterator[bytes]:
    """The capture in small pieces, `rate` times as fast as a line of `baud`; rate 0 does not wait.

    Ends with the file unless loop is set. Raises TransportError if it cannot be read.
    """
    capture = await asyncio.to_thread(_stream, path)
    pause_s = _CHUNK_BYTES * _BITS_PER_BYTE / (baud * rate) if rate else 0.0
    while True:
        for start in range(0, len(capture), _CHUNK_BYTES):
            yield capture[start : start + _CHUNK_BYTES]
            await asyncio.sleep(pause_s)
        if not loop or not capture:
            return


async def replay_payloads(
    path: str, *, interval_s: float = 1.0, loop: bool = False
) -> AsyncIterator[tuple[str, bytes]]:
    """(topic, payload) one by one, interval_s apart. Raises TransportError if it cannot be read."""
    payloads = await asyncio.to_thread(_read_payloads, path)
    while True:
        for item in payloads:
            yield item
            await asyncio.sleep(interval_s)
        if not loop or not payloads:
            return


def _stream(path: str) -> bytes:
    if path.endswith(JSON_SUFFIXES):
        return b"".join(payload for _, payload in _read_payloads(path))
    return without_comments(_read(path))


def _read_payloads(path: str) -> list[tuple[str, bytes]]:
    try:
        return recorded_payloads(_read(path))
    except (ValueError, TypeError, RecursionError) as error:
        raise TransportError(f"{path} is no recording of payloads: {error}") from error


def _read(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            capture = file.read(CAPTURE_BYTES_MAX + 1)
    except OSError as error:
        raise TransportError(f"cannot read {path}: {error}") from error
    if len(capture) > CAPTURE_BYTES_MAX:
        raise TransportError(f"{path} is longer than {CAPTURE_BYTES_MAX} bytes")
    return capture
