"""A network cable in a test's hand: a relay in a thread of its own, pulled at random times."""

from __future__ import annotations

import asyncio
import random
import threading
from concurrent.futures import Future

from gateway.demo.cable import Cable
from gateway.demo.ports import free_port


class PulledLine:
    """Relays `port` to a target port; once begun, it is pulled now and then until closed."""

    def __init__(self, target_port: int) -> None:
        self.port, self.pulls = free_port(), 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._cable = Cable(target_port)
        self._call(self._cable.open(self.port)).result(10)
        self._pulling: Future[None] | None = None

    def _call(self, work: object) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)  # type: ignore[arg-type]  # one of ours

    def begin(self, seed: int) -> None:
        self._pulling = self._call(self._pull(random.Random(seed)))

    async def _pull(self, chance: random.Random) -> None:
        while True:
            await asyncio.sleep(chance.uniform(8, 16))
            self._cable.cut()
            self.pulls += 1
            await asyncio.sleep(chance.uniform(0.5, 3))
            self._cable.mend()

    def mend(self) -> None:
        """Whole again, and pulled no more."""
        if self._pulling is not None:
            self._pulling.cancel()
        self._loop.call_soon_threadsafe(self._cable.mend)

    def close(self) -> None:
        self.mend()
        self._call(self._cable.close()).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
