"""A real broker and real pseudo-terminals for the tests of this folder."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firmware_bridge.devices import Arrival
from gateway.demo.ports import free_port


def mono_us() -> int:
    return time.monotonic_ns() // 1000


class Broker:
    """A mosquitto with a store of its own, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._conf = folder / "mosquitto.conf"
        self._conf.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {folder}/\nautosave_interval 0\n"
            "user root\nmax_inflight_messages 20\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self._process = subprocess.Popen(
            [program, "-c", str(self._conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            assert time.monotonic() < deadline, "mosquitto did not start"
            time.sleep(0.02)

    def save(self) -> None:
        """What autosave does: all that is queued goes to the disk."""
        assert self._process is not None
        store = self._conf.parent / "mosquitto.db"
        store.unlink(missing_ok=True)
        self._process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 10
        while not (store.exists() and store.stat().st_size):
            assert time.monotonic() < deadline, "mosquitto did not save"
            time.sleep(0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


async def eventually(condition: Callable[[], bool], timeout_s: float = 15) -> None:
    """Returns when the condition holds; for states of other processes, which send us no event."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110  # there is no event to wait for
            await asyncio.sleep(0.01)


@pytest.fixture
def until() -> Callable[..., object]:
    return eventually


class Collector:
    """A sink that remembers, and lets a test wait for what it expects."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self._changed = asyncio.Event()

    async def __call__(self, arrival: Arrival) -> None:
        self.arrivals.append(arrival)
        self._changed.set()

    async def until(self, condition: Callable[["Collector"], bool], timeout_s: float = 15) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    @property
    def observations(self) -> list[object]:
        return [item.record for arrival in self.arrivals for item in arrival.observations]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    running = Broker(tmp_path)
    running.start()
    yield running
    running.kill()


@pytest.fixture
async def collector() -> Collector:
    return Collector()


@pytest.fixture
def pty_pair() -> Iterator[tuple[int, str]]:
    """(master descriptor, path of the port)."""
    import tty

    master, slave = os.openpty()
    tty.setraw(slave)
    path = os.ttyname(slave)
    os.close(slave)
    yield master, path
    with contextlib.suppress(OSError):
        os.close(master)
