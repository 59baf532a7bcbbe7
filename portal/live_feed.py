"""Tells watching pages that something changed; they ask for what they show, as their viewer."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from portal.errors import TooManyError

WATCHERS_MAX: Final = 1_000
HEARTBEAT_S: Final = 15.0


class LiveFeed:
    """One number that grows with each change; every watcher is woken once, however far behind.

    A slow browser holds no queue here, so memory does not grow with changes.
    """

    def __init__(self) -> None:
        self._number = 0
        self._moved = asyncio.Event()
        self._watchers = 0

    @property
    def watchers(self) -> int:
        """How many pages are watching."""
        return self._watchers

    def tell(self, number: int) -> None:
        """Something changed; number: the read model's cursor. Call on the event loop."""
        self._number = number
        self._moved.set()  # wakes all who wait now; who comes later waits anew
        self._moved = asyncio.Event()

    async def watch(self) -> AsyncIterator[str]:
        """Server-sent events, one for each change that this watcher sees."""
        if self._watchers >= WATCHERS_MAX:
            raise TooManyError(60)
        self._watchers += 1
        seen = -1
        try:
            while True:
                moved = self._moved
                if self._number != seen:
                    seen = self._number
                    yield f"event: change\ndata: {seen}\n\n"
                    continue
                try:
                    await asyncio.wait_for(moved.wait(), HEARTBEAT_S)
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            self._watchers -= 1
