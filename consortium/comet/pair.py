"""Keeps a CometBFT node and its application running as a pair: neither is of use without the other.

Over the socket, a node whose application ends goes with exit code 0, so no exit code means that
all is well: whichever ends, both are ended and both are started again. A pair that stands still
while transactions wait is started again too: a node may answer questions and do no work.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from consortium.errors import ConfigError, ConsortiumError

logger = logging.getLogger(__name__)

READY: Final = b"listening "
READY_TIMEOUT_S: Final = 120.0
END_TIMEOUT_S: Final = 15.0
# A node without its application may hang in its own end; its log takes a kill at any time.
NODE_END_TIMEOUT_S: Final = 3.0
BACKOFF_FIRST_S: Final = 0.2
BACKOFF_MAX_S: Final = 15.0
SHORT_LIFE_S: Final = 10.0
SHORT_LIVES_MAX: Final = 5  # in a row; then the service manager is told
UNBORN_COST: Final = 3
HEALTH_INTERVAL_S: Final = 5.0
STALL_S: Final = 120.0

Progress = Callable[[], Awaitable[tuple[int, int]]]  # (height, transactions waiting)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """How the two are started. `prepare` runs before each start."""

    application: Sequence[str]
    node: Sequence[str]
    prepare: Callable[[], None]


class Pair:
    """Runs until `stop` is set. `say` gets each line that the application prints."""

    def __init__(
        self,
        commands: Commands,
        *,
        progress: Progress,
        mono_s: Callable[[], float],
        say: Callable[[str], None],
    ) -> None:
        self._commands, self._progress = commands, progress
        self._mono_s, self._say = mono_s, say
        self._began = False

    async def run(self, stop: asyncio.Event) -> None:
        """Starts the pair again and again; raises ConfigError when it will not live."""
        stopping = asyncio.create_task(stop.wait())
        short_lives, backoff_s = 0, BACKOFF_FIRST_S
        try:
            while not stop.is_set():
                started_s = self._mono_s()
                why = await self._live(stopping)
                if stop.is_set():
                    return
                logger.error("pair_ended reason=%s restart_in_s=%.1f", why, backoff_s)
                long_life = self._mono_s() - started_s > SHORT_LIFE_S
                # An application that does not even begin will not do better at the fifth time.
                cost = 1 if self._began else UNBORN_COST
                short_lives = 0 if long_life else short_lives + cost
                if short_lives >= SHORT_LIVES_MAX:
                    raise ConfigError(f"node and application end right after their start: {why}")
                await asyncio.wait([stopping], timeout=backoff_s)
                backoff_s = BACKOFF_FIRST_S if long_life else min(2 * backoff_s, BACKOFF_MAX_S)
        finally:
            stopping.cancel()

    async def _live(self, stopping: "asyncio.Task[bool]") -> str:
        """One life of the pair; why it ended."""
        self._commands.prepare()
        application = await asyncio.create_subprocess_exec(
            *self._commands.application,
            stdin=asyncio.subprocess.PIPE,  # its end tells the application that we are gone
            stdout=asyncio.subprocess.PIPE,
        )
        node: asyncio.subprocess.Process | None = None
        try:
            self._began = ready = await self._first_of(self._until_ready(application), stopping)
            if not ready:
                code = await self._first_of(application.wait(), stopping)
                return f"the application ended before it was ready, exit code {code}"
            node = await asyncio.create_subprocess_exec(
                *self._commands.node,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),
            )
            return await self._watch(application, node, stopping)
        finally:
            await _end(node, NODE_END_TIMEOUT_S)
            await _end(application, END_TIMEOUT_S)

    @staticmethod
    async def _first_of(work: Coroutine[Any, Any, Any], stopping: "asyncio.Task[bool]") -> Any:
        """The work's result, or nothing when it is time to stop or took too long."""
        task = asyncio.ensure_future(work)
        await asyncio.wait(
            [task, stopping], timeout=READY_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
        )
        if task.done():
            return task.result()
        task.cancel()
        return None

    async def _until_ready(self, application: asyncio.subprocess.Process) -> bool:
        output = application.stdout
        while output is not None and (line := await output.readline()):
            self._say(line.decode(errors="replace").rstrip())
            if line.startswith(READY):
                return True
        return False

    async def _watch(
        self,
        application: asyncio.subprocess.Process,
        node: asyncio.subprocess.Process,
        stopping: "asyncio.Task[bool]",
    ) -> str:
        ends = {
            asyncio.create_task(application.wait()): "application",
            asyncio.create_task(node.wait()): "node",
        }
        stalled = asyncio.create_task(self._stalled())
        try:
            await asyncio.wait([*ends, stalled, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*ends, stalled):
                task.cancel()
        over = [
            f"{name} ended, exit code {task.result()}" for task, name in ends.items() if task.done()
        ]
        return "; ".join(over) or "no new block while transactions wait"

    async def _stalled(self) -> None:
        """Returns when the height has stood still too long while transactions waited."""
        last, since_s = -1, self._mono_s()
        while True:
            await asyncio.sleep(HEALTH_INTERVAL_S)
            with suppress(ConsortiumError):
                height, waiting = await self._progress()
                if height != last or not waiting:
                    last, since_s = height, self._mono_s()
            if self._mono_s() - since_s > STALL_S:
                return


async def _end(process: asyncio.subprocess.Process | None, timeout_s: float) -> None:
    """SIGTERM, time to close its stores, then SIGKILL."""
    if process is None or process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), timeout_s)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
