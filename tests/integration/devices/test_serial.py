"""Serial devices on pseudo-terminals: stale bytes, unplugging and return, back-pressure, the
reader's commands.
"""

import asyncio
import contextlib
import json
import os
import tty
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge.bridge import run_device
from firmware_bridge.codecs.rfid_uhf import multi_poll, tag_notice
from firmware_bridge.devices import DeviceSpec
from firmware_bridge.errors import SpecError, TransportError
from firmware_bridge.transports.serial_port import SerialPort
from logistics.reading import TagSighting

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/devices.json").read_text())
RMC = VECTORS["nmea_rmc"].encode()


def receiver(path: str) -> DeviceSpec:
    return DeviceSpec(id="gnss", driver="nmea", source=f"serial:{path}?baud=9600")


@asynccontextmanager
async def running(spec: DeviceSpec, sink: Any) -> Any:
    task = asyncio.create_task(run_device(spec, sink, mono_us=lambda: 42))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def speak_until_heard(master: int, frame: bytes, collector: Any) -> None:
    """Repeats the frame until the port, which opens at its own time, has given a reading."""
    count = len(collector.observations)
    async with asyncio.timeout(15):
        while len(collector.observations) == count:
            os.write(master, frame)
            await asyncio.sleep(0.02)


async def test_a_sentence_on_the_line_arrives_with_the_time_it_was_read(
    pty_pair: tuple[int, str], collector: Any
) -> None:
    master, path = pty_pair
    async with running(receiver(path), collector):
        await speak_until_heard(master, RMC, collector)
    assert 42 == collector.arrivals[0].received_mono_us
    assert 535_461_000 == collector.observations[0].lat_e7


async def test_a_pulled_plug_ends_the_device_and_its_return_revives_it(
    pty_pair: tuple[int, str], collector: Any, tmp_path: Path
) -> None:
    master, path = pty_pair
    link = tmp_path / "by-id"
    link.symlink_to(path)
    async with running(receiver(str(link)), collector) as task:
        await speak_until_heard(master, RMC, collector)
        os.close(master)
        with pytest.raises(TransportError, match="is gone"):
            await task
    link.unlink()
    with pytest.raises(TransportError, match="cannot open"):
        await run_device(receiver(str(link)), collector, mono_us=lambda: 0)
    again, port = os.openpty()
    tty.setraw(port)
    link.symlink_to(os.ttyname(port))
    os.close(port)
    async with running(receiver(str(link)), collector):
        await speak_until_heard(again, RMC, collector)
    os.close(again)


async def test_what_came_before_we_listened_is_thrown_away(collector: Any) -> None:
    master, port = os.openpty()
    tty.setraw(port)
    os.write(master, RMC)
    spec = receiver(os.ttyname(port))
    other = RMC.replace(b"5332.76600,N", b"5332.76600,S").replace(b"*62", b"*7F")
    async with running(spec, collector):
        await speak_until_heard(master, other, collector)
    assert -535_461_000 == collector.observations[0].lat_e7
    os.close(port)
    os.close(master)


async def test_a_port_is_ours_alone(pty_pair: tuple[int, str]) -> None:
    _, path = pty_pair
    async with SerialPort(path):
        with pytest.raises(TransportError):
            SerialPort(path)


async def test_a_sink_that_waits_leaves_the_bytes_on_the_line(pty_pair: tuple[int, str]) -> None:
    master, path = pty_pair
    os.set_blocking(master, False)
    gate, seen = asyncio.Event(), asyncio.Event()

    async def slow(_arrival: Any) -> None:
        seen.set()
        await gate.wait()

    async with running(receiver(path), slow):
        async with asyncio.timeout(15):
            while not seen.is_set():
                os.write(master, RMC)
                await asyncio.sleep(0.02)
        with pytest.raises(BlockingIOError):
            _fill(master)


async def heard(master: int) -> bytes:
    """What the gateway says next; the terminal reads as broken until the port is open."""
    os.set_blocking(master, False)
    async with asyncio.timeout(15):
        while True:
            with contextlib.suppress(OSError):
                return os.read(master, 64)
            await asyncio.sleep(0.01)


def _fill(master: int) -> None:
    for _ in range(10_000):
        os.write(master, RMC)


async def test_the_reader_is_armed_and_its_tags_arrive(
    pty_pair: tuple[int, str], collector: Any
) -> None:
    master, path = pty_pair
    spec = DeviceSpec(id="dock", driver="r200", source=f"serial:{path}", options={"head": "aa"})
    async with running(spec, collector):
        assert multi_poll(0xAA, 10_000) == await heard(master)
        sighting = TagSighting(epc=bytes(12), pc=0x3000, rssi_cdbm=-6000)
        os.write(master, tag_notice(0xAA, sighting))
        await collector.until(lambda c: c.arrivals)
        # Nothing more comes: after its silence the reader is armed again.
        assert multi_poll(0xAA, 10_000) == await heard(master)
    assert [sighting] == collector.observations


@pytest.mark.parametrize(
    ("driver", "source"),
    [
        ("ds18b20", "serial:/dev/ttyS0"),
        ("nmea", "mqtt:a/b"),
        ("nmea", "serial:relative"),
        ("nmea", "serial:/dev/x?speed=1"),
        ("nmea", "serial:/dev/x?baud=fast"),
        ("nmea", "usb:/dev/x"),
    ],
)
async def test_a_wrong_description_is_told_by_its_field(driver: str, source: str) -> None:
    with pytest.raises(SpecError):
        await run_device(
            DeviceSpec(id="x", driver=driver, source=source), _nowhere, mono_us=lambda: 0
        )


async def _nowhere(_arrival: Any) -> None:
    raise AssertionError


async def test_a_probe_that_leaves_the_bus_ends_the_device(tmp_path: Path, collector: Any) -> None:
    path = tmp_path / "w1_slave"
    path.write_text(VECTORS["w1_good"])
    spec = DeviceSpec(id="p", driver="ds18b20", source=f"w1:{path}", interval_ms=100)
    async with running(spec, collector) as task:
        await collector.until(lambda c: len(c.observations) >= 2)
        path.unlink()
        with pytest.raises(TransportError):
            await task
    assert 231_250 == collector.observations[0].value
