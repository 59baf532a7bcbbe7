"""Follows a file that another program appends lines to, as `tail -F` does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from portal.events import LINE_BYTES_MAX, Event, RejectedLine, parse_line
from portal.fold import Fold

POLL_SECONDS = 0.2
READ_BYTES_MAX = 1 << 20


class LineTail:
    """Whole lines of a growing file; a half-written last line waits for its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._pending = b""

    def read_new(self) -> list[bytes]:
        """Return the lines completed since the last call; none while the file is missing.

        A file that became shorter was written anew and is read from its start.
        """
        try:
            with self._path.open("rb") as file:
                if file.seek(0, 2) < self._offset:
                    self._offset, self._pending = 0, b""
                file.seek(self._offset)
                data = file.read(READ_BYTES_MAX)
        except FileNotFoundError:
            return []
        self._offset += len(data)
        *lines, self._pending = (self._pending + data).split(b"\n")
        if len(self._pending) > LINE_BYTES_MAX:
            # Keep one byte too many: the line is refused for its length when its end comes.
            self._pending = self._pending[: LINE_BYTES_MAX + 1]
        return [line for line in lines if line.strip()]


def take_lines(fold: Fold, lines: list[bytes]) -> None:
    """Put lines into the fold; those that cannot be drawn are counted there."""
    for line in lines:
        match parse_line(line):
            case Event() as event:
                fold.apply(event)
            case RejectedLine():
                fold.reject()


async def follow(path: Path, fold: Fold) -> AsyncIterator[list[dict[str, object]]]:
    """Keep the fold up to date with the file; yield each batch of changes. Runs until closed."""
    tail = LineTail(path)
    while True:
        lines = tail.read_new()
        take_lines(fold, lines)
        changes = fold.drain()
        if changes:
            yield changes
        if not lines:
            await asyncio.sleep(POLL_SECONDS)
