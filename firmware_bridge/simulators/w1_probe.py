"""A DS18B20 in a folder: the `w1_slave` text, replaced whole at each tick.

The probe is polled: what nobody reads between two ticks was never sent. The log says what could be
read.
"""

from pathlib import Path

from firmware_bridge.codecs.probe import decode_w1_slave, encode_w1_slave
from firmware_bridge.devices import Observation
from firmware_bridge.simulators.sent_log import SentLog
from firmware_bridge.simulators.spec import SimulatedDevice
from firmware_bridge.simulators.ticks import Ticks, unix_us
from firmware_bridge.simulators.trip import Trip


async def run_probe(device: SimulatedDevice, trip: Trip, *, log: SentLog, ticks: Ticks) -> None:
    """Measures until the ticks end; then the folder is empty, as on a bus without the probe."""
    path, curve = Path(device.text("file")), device.curve()
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    async for tick in ticks:
        text = encode_w1_slave(round(trip.value(curve, tick) * 16))
        now_us = unix_us()
        fresh.write_text(text, encoding="ascii")
        fresh.replace(path)
        for event in decode_w1_slave(text.encode()):
            if isinstance(event, Observation):
                log.sent(event, unix_us=now_us, seq=tick)
    path.unlink(missing_ok=True)  # noqa: ASYNC240  # a local file
