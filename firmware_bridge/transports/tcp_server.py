"""A port that devices call: each connection bounded in time until it says who it is, all in number.

One caller per device: a tracker that comes back after a dead zone still has its old connection
here, which nobody will ever close, so the new one takes its place.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, Protocol

from firmware_bridge.errors import SpecError, TransportError
from firmware_bridge.transports.tcp_line import TcpLine

CONNECTIONS_MAX: Final = 256
STRANGERS_MAX: Final = 32  # who have not said their name yet
HELLO_S_MAX: Final = 10.0
IDLE_S_MAX: Final = 900.0
_logger = logging.getLogger(__name__)


class Talk(Protocol):
    """What the server needs of a conversation."""

    @property
    def is_known(self) -> bool:
        """Whether the caller has said a name that is configured."""

    async def feed(self, data: bytes) -> None:
        """Takes bytes. Raises TransportError where the caller is to be hung up on."""


Converse = Callable[[TcpLine], Talk]


def server_tls(certificate_file: str, key_file: str) -> ssl.SSLContext:
    """TLS with our certificate. Raises SpecError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate_file, key_file)
    except (OSError, ssl.SSLError) as error:
        raise SpecError("options.certificate_file", f"cannot be used: {error}") from error
    return context


class LineServer:
    """One listening port, open while at least one device wants it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._driver, self._names = "", dict[str, str]()
        self._users, self._starting = 0, asyncio.Lock()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._lines: dict[str, TcpLine] = {}  # by device
        self._strangers = 0
        self.refused = 0  # connections beyond the bounds, and callers that nobody configured

    def names(self, driver: str) -> dict[str, str]:
        """Name -> device of all that may call. Raises SpecError for a second driver."""
        if self._names and driver != self._driver:
            raise SpecError("source", f"port {self._address[1]} is {self._driver} devices' already")
        self._driver = driver
        return self._names

    def admit(self, name: str, line: TcpLine) -> str | None:
        """The device of that name, whose older connection ends; None for a stranger."""
        device_id = self._names.get(name)
        if device_id is None:
            self.refused += 1
            _logger.warning("caller_refused name=%s peer=%s", name[:32], line.peer)
            return None
        older = self._lines.get(device_id)
        if older is not None and older is not line:
            older.close()
        self._lines[device_id] = line
        return device_id

    @asynccontextmanager
    async def open(self, converse: Converse, *, tls: ssl.SSLContext | None) -> AsyncIterator[None]:
        """Listens while at least one device is in here. Raises TransportError."""
        self._users += 1
        try:
            async with self._starting:
                # Each asks anew: where the first could not, the port may be free by now.
                if self._server is None:
                    await self._start(converse, tls)
            yield
        finally:
            self._users -= 1
            if self._users == 0:
                await self._stop()

    async def _start(self, converse: Converse, tls: ssl.SSLContext | None) -> None:
        host, port = self._address

        def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if len(self._tasks) >= CONNECTIONS_MAX or self._strangers >= STRANGERS_MAX:
                self.refused += 1
                writer.close()
                return
            line = TcpLine(reader, writer)
            task = asyncio.create_task(self._connection(line, converse(line)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        try:
            self._server = await asyncio.start_server(on_connection, host, port, ssl=tls)
        except OSError as error:
            raise TransportError(f"cannot listen on {host}:{port}: {error}") from error

    async def _stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connection(self, line: TcpLine, talk: Talk) -> None:
        try:
            await self._greet(line, talk)
            while True:
                async with asyncio.timeout(IDLE_S_MAX):
                    data = await line.read()
                await talk.feed(data)
        except (TransportError, TimeoutError) as error:
            _logger.info("caller_left peer=%s why=%r", line.peer, error)
        finally:
            line.close()
            for device_id in [name for name, held in self._lines.items() if held is line]:
                del self._lines[device_id]

    async def _greet(self, line: TcpLine, talk: Talk) -> None:
        """Until the caller is known. Raises TransportError, TimeoutError."""
        self._strangers += 1
        try:
            async with asyncio.timeout(HELLO_S_MAX):
                while not talk.is_known:
                    await talk.feed(await line.read())
        finally:
            self._strangers -= 1
