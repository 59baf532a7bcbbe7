"""Modbus units of pymodbus's own server on a line of two pseudo-terminals, with our bus master."""

import asyncio
import os
import tty
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

from firmware_bridge.bridge import run_device
from firmware_bridge.devices import DeviceSpec
from firmware_bridge.errors import SpecError, TransportError
from firmware_bridge.hubs import Hubs

Damage = Callable[[bytes], bytes]


class Line:
    """Two wires: what the master writes reaches the server and back; each side as it was heard."""

    def __init__(self) -> None:
        self.ends = [os.openpty(), os.openpty()]
        for _, port in self.ends:
            tty.setraw(port)
        (self._ours, ours_port), (self._theirs, theirs_port) = self.ends
        self.master_path, self.server_path = os.ttyname(ours_port), os.ttyname(theirs_port)
        self.heard: list[tuple[str, bytes]] = []
        self.damage: Damage = lambda data: data
        loop = asyncio.get_running_loop()
        loop.add_reader(self._ours, self._relay, "question", self._ours, self._theirs)
        loop.add_reader(self._theirs, self._relay, "answer", self._theirs, self._ours)

    def _relay(self, kind: str, source: int, target: int) -> None:
        data = os.read(source, 1024)
        self.heard.append((kind, data))
        os.write(target, self.damage(data) if kind == "answer" else data)

    def close(self) -> None:
        loop = asyncio.get_running_loop()
        for master, port in self.ends:
            loop.remove_reader(master)
            os.close(master)
            os.close(port)


def unit(number: int, registers: list[int]) -> SimDevice:
    return SimDevice(number, simdata=SimData(1, values=registers, datatype=DataType.REGISTERS))


@asynccontextmanager
async def serving(units: list[SimDevice]) -> AsyncIterator[Line]:
    line = Line()
    server = ModbusSerialServer(units, port=line.server_path, baudrate=9600)
    await server.serve_forever(background=True)
    try:
        yield line
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus leaves it untyped
        line.close()


def logger(line: Line, number: int, profile: str = "xy-md02", baud: int = 9600) -> DeviceSpec:
    return DeviceSpec(
        id=f"chamber-{number}",
        driver="modbus",
        source=f"serial:{line.master_path}?baud={baud}",
        options={"profile": profile, "unit": number, "interval_ms": 100, "timeout_ms": 300},
    )


@asynccontextmanager
async def reading(collector: Any, *specs: DeviceSpec) -> AsyncIterator[None]:
    hubs, loop = Hubs(), asyncio.get_running_loop()
    clock = lambda: int(loop.time() * 1e6)  # noqa: E731  # the loop's own
    tasks = [
        asyncio.create_task(run_device(spec, collector, mono_us=clock, hubs=hubs)) for spec in specs
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def told(collector: Any, device: str) -> set[tuple[str, int, int]]:
    return {
        (item.channel, item.record.value, item.record.exponent)
        for arrival in collector.arrivals
        for item in arrival.observations
        if arrival.device_id == device
    }


def reasons(collector: Any) -> Counter[str]:
    return Counter(
        f"{arrival.device_id} {item.reason}"
        for arrival in collector.arrivals
        for item in arrival.rejected
    )


async def test_two_units_on_one_line_are_read_and_never_asked_at_once(collector: Any) -> None:
    units = [unit(1, [305, 546]), unit(2, [0xFFCE, 700])]
    async with serving(units) as line, reading(collector, logger(line, 1), logger(line, 2)):
        await collector.until(lambda c: len(c.observations) >= 40)
    assert {("temperature", 305, -1), ("humidity", 546, -1)} == told(collector, "chamber-1")
    assert {("temperature", -50, -1), ("humidity", 700, -1)} == told(collector, "chamber-2")
    # Bytes may come in pieces, but a question never comes before the last answer is whole.
    open_unit, answered = None, b""
    for kind, data in line.heard:
        if kind == "question":
            assert open_unit is None or len(answered) == 9, line.heard
            open_unit, answered = data[0], b""
        else:
            answered += data
            assert open_unit == answered[0]


async def test_a_unit_that_is_not_there_keeps_nobody_waiting(collector: Any) -> None:
    async with serving([unit(1, [305, 546])]) as line:
        # The server speaks up for units that it does not have; a wire does not.
        line.damage = lambda data: b"" if data[0] == 9 else data
        async with reading(collector, logger(line, 1), logger(line, 9)):
            await collector.until(lambda c: reasons(c)["chamber-9 timeout"] >= 3)
    assert not told(collector, "chamber-9")
    assert len(collector.observations) >= 6


async def test_an_exception_is_a_fault_and_no_value(collector: Any) -> None:
    async with (
        serving([unit(1, [305])]) as line,  # humidity's register is not there
        reading(collector, logger(line, 1)),
    ):
        await collector.until(lambda c: reasons(c)["chamber-1 fault"] >= 2)
    assert [] == collector.observations


async def test_a_damaged_answer_is_rejected_and_the_next_one_is_read(collector: Any) -> None:
    damaged: list[bytes] = []

    def flip_first(data: bytes) -> bytes:
        if damaged:
            return data
        damaged.append(data)
        return data[:4] + bytes((data[4] ^ 1,)) + data[5:]

    async with serving([unit(1, [305, 546])]) as line:
        line.damage = flip_first
        async with reading(collector, logger(line, 1)):
            await collector.until(lambda c: len(c.observations) >= 4)
    assert {("temperature", 305, -1), ("humidity", 546, -1)} == told(collector, "chamber-1")
    assert damaged
    assert reasons(collector)["chamber-1 timeout"] == 1


async def test_no_value_is_never_a_value(collector: Any) -> None:
    async with (
        serving([unit(1, [0x7FFF, 546])]) as line,
        reading(collector, logger(line, 1)),
    ):
        await collector.until(lambda c: reasons(c)["chamber-1 sentinel"] >= 2)
    assert {("humidity", 546, -1)} == told(collector, "chamber-1")


async def test_a_pulled_line_ends_every_unit_on_it(collector: Any) -> None:
    line = Line()
    specs = [logger(line, 1), logger(line, 2)]
    hubs = Hubs()
    tasks = [
        asyncio.create_task(run_device(spec, collector, mono_us=lambda: 0, hubs=hubs))
        for spec in specs
    ]
    async with asyncio.timeout(10):
        while not line.heard:  # noqa: ASYNC110  # the line tells no event
            await asyncio.sleep(0.01)
    line.close()
    results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
    assert [TransportError, TransportError] == [type(item) for item in results]


async def test_two_speeds_on_one_line_are_refused(collector: Any) -> None:
    hubs = Hubs()
    hubs.bus("/dev/bus", 9600)
    with pytest.raises(SpecError, match="9600 baud"):
        hubs.bus("/dev/bus", 19_200)


def test_every_profile_that_comes_with_us_is_well_formed() -> None:
    import tomllib

    from firmware_bridge.codecs.modbus_profile import profile, requests
    from firmware_bridge.drivers import modbus

    text = Path(modbus.__file__).with_name("modbus_profiles.toml").read_text()
    for name in tomllib.loads(text):
        assert requests(profile(text, name))
