"""The beat of a simulated device."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from typing import Self


def unix_us() -> int:
    """This machine's clock, microseconds since 1970."""
    return time.time_ns() // 1000


class Ticks(AsyncIterator[int]):
    """0, 1, 2 ... one per interval without drift, until stop is set.

    origin_s: when tick 0 is or was, by the event loop's clock; ticks that have passed are left out.
    """

    def __init__(
        self, interval_ms: int, stop: asyncio.Event, *, origin_s: float | None = None
    ) -> None:
        self._interval_s, self._stop = interval_ms / 1000, stop
        self._start_s, self._next = origin_s, 0
        if origin_s is not None:
            passed_s = asyncio.get_running_loop().time() - origin_s
            self._next = math.ceil(passed_s / self._interval_s)

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
