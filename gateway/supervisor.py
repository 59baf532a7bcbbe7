"""Keeps device tasks running: back-off after a lost port, and a note of what was missed
meanwhile.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from firmware_bridge.devices import DeviceSpec
from firmware_bridge.errors import SpecError, TransportError

RETRY_S_MIN: Final = 0.25
RETRY_S_MAX: Final = 30.0
STEADY_S: Final = 2.0
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class DeviceState:
    """How a device's task is doing, for the status page."""

    running: bool = False
    restarts: int = 0
    fault: str | None = None
    ended: bool = False


@dataclass(slots=True)
class Supervisor:
    """Runs one task per device until cancelled. `lost` is called when a port went away."""

    run: Callable[[DeviceSpec], Awaitable[None]]
    lost: Callable[[str], Awaitable[None]]
    states: dict[str, DeviceState] = field(default_factory=dict)

    async def keep(self, spec: DeviceSpec) -> None:
        """Runs a device for ever; ends only with a replay that ends or a description that is
        wrong.
        """
        state = self.states.setdefault(spec.id, DeviceState())
        delay_s = RETRY_S_MIN
        while True:
            started_s = asyncio.get_running_loop().time()
            state.running = True
            try:
                await self.run(spec)
            except TransportError as error:
                state.fault = str(error)
                await self.lost(spec.id)
                _log.warning("device_lost device=%s retry_s=%.2f error=%s", spec.id, delay_s, error)
            except SpecError as error:
                state.running, state.fault = False, str(error)
                _log.error("device_refused device=%s error=%s", spec.id, error)
                return
            else:
                state.running, state.ended = False, True
                _log.info("device_ended device=%s", spec.id)
                return
            state.running = False
            state.restarts += 1
            # A port that stayed is no flapping one, however long it was waited for before.
            if asyncio.get_running_loop().time() - started_s > min(delay_s, STEADY_S):
                delay_s = RETRY_S_MIN
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))  # noqa: S311  # spreads retries, no secret
            delay_s = min(delay_s * 2, RETRY_S_MAX)
