"""ABCI 2.0 over a unix socket: each message is its length (unsigned varint) and its bytes.

Source: CometBFT v0.39.4, `spec/abci/abci++_client_server.md` and `abci/types/messages.go`. CometBFT
opens four connections and sends on each without waiting; answers go back in the order of the
requests. A request that is not answered would halt the node for ever, so an error here ends the
whole server instead.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError

from consortium.abci_pb.abci_pb2 import Request, Response
from consortium.errors import MalformedError
from ledger.comet import uvarint

REQUEST_BYTES_MAX: Final = 128 << 20  # a block with its transactions; the node is our own
CHUNK_BYTES: Final = 1 << 20
LENGTH_BYTES_MAX: Final = 5

Answer = Callable[[Sequence[Request]], Awaitable[Sequence[Response]]]


def frame(message: Response | Request) -> bytes:
    """A message as it travels."""
    data: bytes = message.SerializeToString()
    return uvarint(len(data)) + data


def take_requests(pending: bytearray) -> list[Request]:
    """Removes the whole requests at the front of what was received; raises MalformedError."""
    done, start = [], 0
    while True:
        length, at = _length(pending, start)
        if length is None or len(pending) < at + length:
            break
        try:
            done.append(Request.FromString(bytes(pending[at : at + length])))
        except DecodeError as error:
            raise MalformedError(f"ABCI request: {error}") from error
        start = at + length
    del pending[:start]
    return done


def _length(data: bytearray, start: int) -> tuple[int | None, int]:
    """(length, where its message begins); no length while its bytes are not all there."""
    value = 0
    for count, byte in enumerate(data[start : start + LENGTH_BYTES_MAX]):
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            if value > REQUEST_BYTES_MAX:
                raise MalformedError(f"ABCI request of {value} bytes")
            return value, start + count + 1
    if len(data) - start >= LENGTH_BYTES_MAX:
        raise MalformedError("ABCI request with a length of more than five bytes")
    return None, start


class AbciServer:
    """Answers one CometBFT node. `answer` gets whole requests in order, for one connection."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self._path, self._answer = path, answer
        self._failed: asyncio.Future[None] | None = None
        self._connections = set[asyncio.Task[None]]()

    async def run(self, ready: Callable[[], None]) -> None:
        """Serves until cancelled; raises what an answer raised. `ready`: the socket is there."""
        self._failed = asyncio.get_running_loop().create_future()
        server = await asyncio.start_unix_server(self._connected, str(self._path))
        try:
            self._path.chmod(0o600)
            ready()
            await self._failed
        finally:
            server.close()
            for task in self._connections:
                task.cancel()
            self._path.unlink(missing_ok=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # the node is gone and comes back by a new connection, or we are stopping
        except Exception as error:  # noqa: BLE001 - the outer edge: run() raises it, the machine ends
            if self._failed is not None and not self._failed.done():
                self._failed.set_exception(error)
        finally:
            with suppress(OSError):
                writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pending = bytearray()
        while chunk := await reader.read(CHUNK_BYTES):
            pending += chunk
            requests = take_requests(pending)
            if requests:
                writer.writelines(frame(item) for item in await self._answer(requests))
                await writer.drain()
