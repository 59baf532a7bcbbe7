"""gpsd over TCP, and advertisements as a radio hands them over. There is no radio here: the scanner
is played, from bleak's side of our protocol and from bleak's own objects.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from firmware_bridge.bridge import run_device
from firmware_bridge.devices import DeviceSpec
from firmware_bridge.drivers.gpsd import WATCH
from firmware_bridge.errors import TransportError
from firmware_bridge.hubs import Hubs
from firmware_bridge.transports import ble

VECTORS = Path(__file__).parents[2] / "vectors/drivers"
RUUVI = "CB:B8:33:4C:88:4F"


def frames(driver: str) -> list[dict[str, Any]]:
    cases = json.loads((VECTORS / f"{driver}.json").read_text())["cases"]
    return list(cases[0]["frames"])


@asynccontextmanager
async def running(spec: DeviceSpec, sink: Any, **more: Any) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(run_device(spec, sink, mono_us=lambda: 0, **more))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_gpsd_is_asked_to_watch_and_its_fix_arrives(collector: Any) -> None:
    asked = asyncio.Event()

    async def daemon(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frames("gpsd")[0]["text"].encode())
        assert WATCH == await reader.readline()
        asked.set()
        for frame in frames("gpsd")[1:]:
            for octet in frame["text"].encode():
                writer.write(bytes((octet,)))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(daemon, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    spec = DeviceSpec(id="roof", driver="gpsd", source=f"tcp:127.0.0.1:{port}")
    async with server, running(spec, collector) as task:
        with pytest.raises(TransportError, match="closed"):
            await asyncio.wait_for(task, 10)
    assert asked.is_set()
    (fix,) = collector.observations
    assert (535_461_000, 99_661_000, 90, 9) == (
        fix.lat_e7,
        fix.lon_e7,
        fix.hdop_centi,
        fix.satellites,
    )


class Air:
    """A scanner that hears what the test says."""

    def __init__(self) -> None:
        self.heard: ble.Heard | None = None
        self.stops = 0

    async def start(self, heard: ble.Heard) -> None:
        self.heard = heard

    async def stop(self) -> None:
        self.stops += 1


async def test_a_tag_is_heard_by_its_address_and_the_scan_ends_with_it(collector: Any) -> None:
    air = Air()
    spec = DeviceSpec(id="pallet", driver="ruuvi", source=f"ble:{RUUVI}")
    async with running(spec, collector, hubs=Hubs(lambda: air)):
        async with asyncio.timeout(10):
            while air.heard is None:  # noqa: ASYNC110  # the scan tells no event
                await asyncio.sleep(0)
        data = bytes.fromhex(frames("ruuvi")[0]["hex"])
        air.heard("AA:AA:AA:AA:AA:AA", data)
        air.heard(RUUVI.lower(), data)
        await collector.until(lambda c: bool(c.observations))
    assert [24_300, 534_900, 100_044, 2977, 66] == [item.value for item in collector.observations]
    assert 1 == air.stops


async def test_what_bleak_hands_over_is_what_the_air_carried(collector: Any) -> None:
    """bleak gives manufacturer and service data apart; we put them back into one advertisement."""
    started = asyncio.Event()

    class BleakScanner:
        def __init__(self, on_advert: Any, **wish: Any) -> None:
            assert "passive" == wish["scanning_mode"]
            self.on_advert = on_advert

        async def start(self) -> None:
            started.set()
            service = {"0000fcd2-0000-1000-8000-00805f9b34fb": bytes.fromhex("4002CA0903BF13")}
            data = SimpleNamespace(manufacturer_data={0x0499: b"\x03"}, service_data=service)
            self.on_advert(SimpleNamespace(address="54:48:E6:8F:80:A5"), data)

        async def stop(self) -> None:
            pass

    module = SimpleNamespace(
        BleakScanner=BleakScanner, exc=SimpleNamespace(BleakError=RuntimeError)
    )
    spec = DeviceSpec(id="carton", driver="bthome", source="ble:54:48:E6:8F:80:A5")
    async with running(spec, collector, hubs=Hubs(lambda: ble._Bleak(module))):
        await asyncio.wait_for(started.wait(), 10)
        await collector.until(lambda c: bool(c.observations))
    assert [2506, 5055] == [item.value for item in collector.observations]


async def test_a_machine_without_bluetooth_says_so(collector: Any) -> None:
    spec = DeviceSpec(id="carton", driver="bthome", source="ble:54:48:E6:8F:80:A5")
    with pytest.raises(TransportError, match="Bluetooth"):
        await asyncio.wait_for(run_device(spec, collector, mono_us=lambda: 0), 20)
