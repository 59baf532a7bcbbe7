"""An event loop whose clock is moved by its own timers: an hour of waiting takes a moment.

While a thread works for the loop its clock stands still, so a slow disk never looks like time.
"""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from concurrent.futures import Future as ThreadFuture
from typing import Any, ParamSpec
from unittest.mock import patch

Parameters = ParamSpec("Parameters")


class _Selector(selectors.DefaultSelector):
    """Waits for threads in real time, but jumps over the time until the next timer."""

    loop: "VirtualTimeLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(None if self.loop.threads_busy else 0)
        if not ready:
            self.loop.skipped_s += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Starts at second 0 of its own time."""

    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self.skipped_s = 0.0
        self.threads_busy = 0
        super().__init__(selector)

    def time(self) -> float:
        return self.skipped_s

    def run_in_executor(  # type: ignore[override]  # the base's type variables are not public
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        return self.counted(super().run_in_executor(executor, func, *args))

    def counted(self, future: "asyncio.Future[Any]") -> "asyncio.Future[Any]":
        """Time stands still until this future is done."""
        self.threads_busy += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _: object) -> None:
        self.threads_busy -= 1


_wrap_future = asyncio.wrap_future


def _counted_wrap(future: "ThreadFuture[Any]") -> "asyncio.Future[Any]":
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    return loop.counted(_wrap_future(future))


def virtual_time(
    test: Callable[Parameters, Coroutine[Any, Any, None]],
) -> Callable[Parameters, None]:
    """Runs an asynchronous test on a loop of its own with virtual time."""

    @functools.wraps(test)
    def run(*arguments: Parameters.args, **named: Parameters.kwargs) -> None:
        with (
            asyncio.Runner(loop_factory=VirtualTimeLoop) as runner,
            patch.object(asyncio, "wrap_future", _counted_wrap),
        ):
            runner.run(test(*arguments, **named))

    return run


async def settled() -> None:
    """Returns when everything that can happen without time passing has happened, give or take a
    second.
    """
    await asyncio.sleep(1)


def now_s() -> float:
    """The running loop's time."""
    return asyncio.get_running_loop().time()
