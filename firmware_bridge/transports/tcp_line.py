"""A TCP or TLS connection to a device that listens, such as a fixed reader or gpsd."""

import asyncio
import socket
import ssl
from typing import Final, Self

from firmware_bridge.errors import SpecError, TransportError

READ_BYTES_MAX: Final = 4096
WRITE_BACKLOG_BYTES_MAX: Final = 64 * 1024
_CONNECT_S_MAX: Final = 10.0
# A pulled cable sends no farewell: the kernel asks after 20 s, and gives up after 3 more questions.
_KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)


def client_tls(ca_file: str) -> ssl.SSLContext:
    """TLS that believes only certificates under this PEM file. Raises SpecError."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SpecError("options.ca_file", f"cannot be used: {error}") from error


class TcpLine:
    """An open connection. Use as an async context manager."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.peer = ":".join(str(part) for part in (writer.get_extra_info("peername") or "?")[:2])
        for option in _KEEPALIVE:
            writer.get_extra_info("socket").setsockopt(*option)

    @classmethod
    async def connect(
        cls,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
    ) -> Self:
        """Connects; server_name is whom the certificate must name, if not host. Raises
        TransportError.
        """
        name = (server_name or host) if tls is not None else None
        try:
            async with asyncio.timeout(_CONNECT_S_MAX):
                return cls(
                    *await asyncio.open_connection(host, port, ssl=tls, server_hostname=name)
                )
        except (OSError, TimeoutError) as error:
            raise TransportError(f"no connection to {host}:{port}: {error}") from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def read(self) -> bytes:
        """The next bytes, at least one. Raises TransportError when the connection is gone."""
        try:
            data = await self._reader.read(READ_BYTES_MAX)
        except OSError as error:
            raise TransportError(f"{self.peer} is gone: {error}") from error
        if not data:
            raise TransportError(f"{self.peer} closed the connection")
        return data

    def write(self, data: bytes) -> None:
        """Sends. Raises TransportError if the connection is gone or takes nothing."""
        if self._writer.is_closing():
            raise TransportError(f"{self.peer} is gone")
        if self._writer.transport.get_write_buffer_size() > WRITE_BACKLOG_BYTES_MAX:
            raise TransportError(f"{self.peer} takes nothing")
        self._writer.write(data)

    def close(self) -> None:
        """Closes the connection; what was written still goes out."""
        self._writer.close()
