"""The device's end of a pseudo-terminal that plays a serial line."""

import asyncio
import os
import tty
from pathlib import Path
from typing import Self

_READ_BYTES_MAX = 1024


class PtyLine:
    """Bytes out without waiting, bytes in for a callback; lives on when nobody has the port
    open.
    """

    def __init__(self, link: Path) -> None:
        """Makes the pair and the symbolic link to the port; an older link is replaced."""
        self._master, self._port = os.openpty()
        tty.setraw(self._port)
        os.set_blocking(self._master, False)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(self._port))
        self._link = link

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._master)
        self._link.unlink(missing_ok=True)
        # Our own end of the port was what kept the line alive without a listener.
        os.close(self._port)
        os.close(self._master)

    def write(self, frame: bytes) -> bool:
        """Whether the whole frame fitted; a full line drops it, as a UART without flow control
        does.
        """
        try:
            return os.write(self._master, frame) == len(frame)
        except BlockingIOError:
            return False

    def on_bytes(self, handle: "asyncio.Queue[bytes]") -> None:
        """Puts what the other side sends into the queue."""
        loop = asyncio.get_running_loop()

        def read() -> None:
            try:
                handle.put_nowait(os.read(self._master, _READ_BYTES_MAX))
            except OSError:
                loop.remove_reader(self._master)

        loop.add_reader(self._master, read)
