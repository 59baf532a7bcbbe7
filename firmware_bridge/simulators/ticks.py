"""The beat of a simulated device."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Self


def unix_us() -> int:
    """This machine's clock, microseconds since 1970."""
    return time.time_ns() // 1000


class Ticks(AsyncIterator[int]):
    """0, 1, 2 ... one per interval without drift, until stop is set."""

    def __init__(self, interval_ms: int, stop: asyncio.Event) -> None:
        self._interval_s, self._stop = interval_ms / 1000, stop
        self._start_s: float | None = None
        self._next = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> int:
        now_s = asyncio.get_running_loop().time()
        if self._start_s is None:
            self._start_s = now_s
        wait_s = self._start_s + self._next * self._interval_s - now_s
        try:
            async with asyncio.timeout(max(wait_s, 0)):
                await self._stop.wait()
        except TimeoutError:
            self._next += 1
            return self._next - 1
        raise StopAsyncIteration
