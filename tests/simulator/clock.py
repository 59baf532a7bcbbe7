"""A loop on which days take seconds and nothing runs beside it: the same seed, the same order."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from tests.fakes.virtual_time import VirtualTimeLoop


class SerialLoop(VirtualTimeLoop):
    """What is handed to a thread is done at once, in place: no thread, no race of the machine's."""

    def run_in_executor(  # type: ignore[override]  # the base's type variables are not public
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except BaseException as error:  # noqa: BLE001  # a power cut is no Exception, and goes on up
            done.set_exception(error)
        return done


def finished(work: Callable[[], Any]) -> "Future[Any]":
    """The outcome of work done now, as a thread would hand it over."""
    done: Future[Any] = Future()
    try:
        done.set_result(work())
    except BaseException as error:  # noqa: BLE001  # as above
        done.set_exception(error)
    return done


class Clock:
    """Both clocks of one box over the loop's time. Times in microseconds."""

    def __init__(self, start_wall_us: int) -> None:
        self._start_wall_us = start_wall_us
        self.booted_us = 0
        self.step_us = 0  # by how much somebody set the wall clock wrong
        self.synchronised = True

    def mono_us(self) -> int:
        """Since the box booted."""
        return self.true_us() - self.booted_us + 1_000_000

    def true_us(self) -> int:
        """Since the simulation began."""
        return round(asyncio.get_running_loop().time() * 1_000_000)

    def wall_us(self) -> int:
        """As the box believes."""
        return self._start_wall_us + self.true_us() + self.step_us
