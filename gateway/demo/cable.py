"""The truck's radio link: a TCP relay that can be cut and mended."""

import asyncio
from contextlib import suppress


class Cable:
    """Relays connections to a port while it is whole."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._whole = True
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self, port: int) -> None:
        """Listens on a loopback port."""
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", port)

    def cut(self) -> None:
        """Drops every connection and takes no new one."""
        self._whole = False
        for writer in list(self._writers):
            writer.transport.abort()

    def mend(self) -> None:
        """Takes connections again."""
        self._whole = True

    async def close(self) -> None:
        """Ends everything."""
        self.cut()
        if self._server is not None:
            self._server.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._whole:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            self._writers -= {writer, far_writer}
            for end in (writer, far_writer):
                end.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
