"""Cables that are pulled and put back at random, each at times that the seed alone decides."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

from firmware_bridge.simulators.spec import Fleet, SimulatedDevice
from firmware_bridge.simulators.ticks import Ticks, unix_us

Run = Callable[[Ticks], Awaitable[None]]


async def with_pulls(
    fleet: Fleet, device: SimulatedDevice, run: Run, *, stop: asyncio.Event
) -> None:
    """Runs the device until stop is set, with its cable out now and then; the log says when."""
    if fleet.pulls is None:
        await run(Ticks(device.interval_ms, stop))
        return
    origin_s = asyncio.get_running_loop().time()
    chance, log = Random(f"{fleet.seed}/{device.id}/cable"), fleet.log_dir / "cables.jsonl"
    while not stop.is_set():
        out = asyncio.Event()
        relay = asyncio.create_task(_set_after(stop, out, chance.uniform(*fleet.pulls.up_s)))
        await run(Ticks(device.interval_ms, out, origin_s=origin_s))
        await relay
        if stop.is_set():
            return
        pulled_us = unix_us()
        await _set_after(stop, asyncio.Event(), chance.uniform(*fleet.pulls.down_s))
        _note(log, {"device": device.id, "from_us": pulled_us, "to_us": unix_us()})


async def _set_after(stop: asyncio.Event, out: asyncio.Event, seconds: float) -> None:
    """Sets `out` after so many seconds, or with `stop`."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
    out.set()


def _note(log: Path, line: dict[str, object]) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
