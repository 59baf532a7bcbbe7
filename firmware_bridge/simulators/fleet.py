"""Runs all devices of a fleet in one process."""

import asyncio
from contextlib import ExitStack
from pathlib import Path

from firmware_bridge.simulators.cables import with_pulls
from firmware_bridge.simulators.gnss import run_gnss
from firmware_bridge.simulators.gps_daemon import run_daemon
from firmware_bridge.simulators.llrp_reader import run_llrp
from firmware_bridge.simulators.modbus_bus import run_modbus
from firmware_bridge.simulators.mqtt_devices import run_publisher
from firmware_bridge.simulators.reader import run_reader
from firmware_bridge.simulators.sent_log import SentLog
from firmware_bridge.simulators.spec import Fleet, SimulatedDevice
from firmware_bridge.simulators.ticks import Ticks
from firmware_bridge.simulators.tracker import run_tracker
from firmware_bridge.simulators.trip import Trip
from firmware_bridge.simulators.w1_probe import run_probe

_LOCAL = {
    "nmea": run_gnss,
    "r200": run_reader,
    "llrp": run_llrp,
    "ds18b20": run_probe,
    "modbus": run_modbus,
    "teltonika": run_tracker,
    "gpsd": run_daemon,
}
_POLL_MS = 20


async def run_fleet(fleet: Fleet, stop: asyncio.Event) -> None:
    """Runs until stop is set. Raises SpecError when a device is described wrongly."""
    with ExitStack() as logs:
        try:
            async with asyncio.TaskGroup() as group:
                for device in fleet.devices:
                    log = logs.enter_context(SentLog(fleet.log_dir, device.id))
                    group.create_task(_run_device(fleet, device, log, stop))
                if fleet.ready_file is not None:
                    group.create_task(_announce(fleet, fleet.ready_file, stop))
        except ExceptionGroup as group_error:
            raise group_error.exceptions[0] from None


async def _run_device(
    fleet: Fleet, device: SimulatedDevice, log: SentLog, stop: asyncio.Event
) -> None:
    trip, local = Trip(fleet, device), _LOCAL.get(device.kind)

    async def run(ticks: Ticks) -> None:
        if local is not None:
            await local(device, trip, log=log, ticks=ticks)
        else:
            await run_publisher(device, trip, log=log, ticks=ticks, broker=fleet.broker)

    await with_pulls(fleet, device, run, stop=stop)


async def _announce(fleet: Fleet, ready: Path, stop: asyncio.Event) -> None:
    """Writes the ready file once every port and file is there; takes it away at the end."""
    fields = ("link", "file")
    paths = [
        Path(str(device.fields[name]))
        for device in fleet.devices
        for name in fields
        if name in device.fields
    ]
    async for _ in Ticks(_POLL_MS, stop):
        if all(path.exists() for path in paths):
            break
    ready.touch()  # noqa: ASYNC240  # an empty local file
    await stop.wait()
    ready.unlink(missing_ok=True)  # noqa: ASYNC240  # the same
