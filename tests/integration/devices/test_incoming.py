"""Trackers that call: what is answered when, who is let in, and how much a stranger may take."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge.bridge import run_device
from firmware_bridge.devices import DeviceSpec
from firmware_bridge.errors import SpecError, TransportError
from firmware_bridge.hubs import Hubs
from firmware_bridge.transports.tcp_server import STRANGERS_MAX
from gateway.demo.ports import free_port

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/drivers/teltonika.json").read_text())
PLACE = next(case for case in VECTORS["cases"] if case["name"] == "8 with a place")
PACKET = bytes.fromhex(PLACE["frames"][0]["hex"])
HELLO = bytes.fromhex(PLACE["opening"][0])
IMEI = HELLO[2:].decode()


class Caller:
    """A tracker's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def call(cls, port: int) -> "Caller":
        async with asyncio.timeout(10):
            while True:
                try:
                    return cls(*await asyncio.open_connection("127.0.0.1", port))
                except ConnectionRefusedError:
                    await asyncio.sleep(0.01)

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def answer(self, size: int) -> bytes:
        return await asyncio.wait_for(self._reader.readexactly(size), 10)

    async def is_silent(self, seconds: float = 0.1) -> bool:
        try:
            return not await asyncio.wait_for(self._reader.read(1), seconds)
        except TimeoutError:
            return True

    async def rest(self) -> bytes:
        """What comes until the other side hangs up."""
        return await asyncio.wait_for(self._reader.read(), 10)

    def close(self) -> None:
        self._writer.transport.abort()


def truck(port: int, imei: str = IMEI, **options: str) -> DeviceSpec:
    source = f"listen:127.0.0.1:{port}"
    return DeviceSpec(id=f"truck-{imei}", driver="teltonika", source=source,
                      options={"imei": imei, **options})  # fmt: skip


@asynccontextmanager
async def listening(collector: Any, *specs: DeviceSpec) -> AsyncIterator[Hubs]:
    hubs = Hubs()
    tasks = [
        asyncio.create_task(run_device(spec, collector, mono_us=lambda: 0, hubs=hubs))
        for spec in specs
    ]
    try:
        yield hubs
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def acknowledge(collector: Any) -> None:
    for arrival in collector.arrivals:
        if arrival.acknowledge is not None:
            arrival.acknowledge()


async def test_the_count_is_answered_only_once_the_records_are_durable(collector: Any) -> None:
    port = free_port()
    async with listening(collector, truck(port)):
        caller = await Caller.call(port)
        caller.send(HELLO)
        assert b"\x01" == await caller.answer(1)
        caller.send(PACKET)
        await collector.until(lambda c: any(arrival.acknowledge for arrival in c.arrivals))
        assert await caller.is_silent()
        acknowledge(collector)
        assert (1).to_bytes(4, "big") == await caller.answer(4)
        caller.close()
    (record, answer) = collector.arrivals
    assert (f"truck-{IMEI}", 2, 16) == (
        record.device_id,
        len(record.observations),
        len(record.payload_digest),
    )
    assert record.redelivered
    assert () == answer.observations


async def test_a_repeated_record_has_the_digest_by_which_the_intake_knows_it(
    collector: Any,
) -> None:
    port = free_port()
    async with listening(collector, truck(port)):
        for _ in range(2):
            caller = await Caller.call(port)
            caller.send(HELLO + PACKET)
            await caller.answer(1)
            caller.close()
        await collector.until(lambda c: len(c.arrivals) == 4)
    digests = [arrival.payload_digest for arrival in collector.arrivals if arrival.observations]
    assert digests[0] == digests[1]


@pytest.mark.parametrize("wrong", ["crc", "length", "preamble", "count"])
async def test_a_packet_that_is_not_right_is_refused_and_the_line_closed(
    collector: Any, wrong: str
) -> None:
    damaged = bytearray(PACKET)
    damaged[{"crc": -1, "length": 5, "preamble": 0, "count": 9}[wrong]] ^= 0x40
    port = free_port()
    async with listening(collector, truck(port)):
        caller = await Caller.call(port)
        caller.send(HELLO)
        await caller.answer(1)
        caller.send(bytes(damaged))
        assert bytes(4) == await caller.rest()
    assert [] == collector.observations


async def test_strangers_are_told_no(collector: Any) -> None:
    port = free_port()
    async with listening(collector, truck(port)) as hubs:
        caller = await Caller.call(port)
        caller.send(HELLO[:-1] + b"9" + PACKET)
        assert b"\x00" == await caller.rest()
        assert 1 == hubs.server(("127.0.0.1", port)).refused
    assert [] == collector.arrivals


async def test_those_who_say_nothing_are_bounded_in_number(collector: Any) -> None:
    port = free_port()
    async with listening(collector, truck(port)) as hubs:
        silent = [await Caller.call(port) for _ in range(STRANGERS_MAX)]
        assert await silent[-1].is_silent()
        late = await Caller.call(port)
        assert b"" == await late.rest()
        assert 1 == hubs.server(("127.0.0.1", port)).refused
        silent.pop().close()
        async with asyncio.timeout(10):
            while True:
                caller = await Caller.call(port)
                caller.send(HELLO)
                try:
                    assert b"\x01" == await caller.answer(1)
                    break
                except asyncio.IncompleteReadError:  # the place is not free yet
                    continue
        for item in (*silent, caller):
            item.close()


async def test_a_tracker_that_calls_again_takes_the_place_of_its_old_call(collector: Any) -> None:
    port = free_port()
    async with listening(collector, truck(port)):
        old, new = await Caller.call(port), await Caller.call(port)
        for caller in (old, new):
            caller.send(HELLO)
            assert b"\x01" == await caller.answer(1)
        assert b"" == await old.rest()
        new.send(PACKET)
        await collector.until(lambda c: bool(c.observations))
        new.close()


async def test_two_trackers_share_a_port_and_are_told_apart(collector: Any) -> None:
    port, other = free_port(), IMEI[:-1] + "7"
    async with listening(collector, truck(port), truck(port, other)):
        for imei in (IMEI, other):
            caller = await Caller.call(port)
            caller.send(HELLO[:2] + imei.encode() + PACKET)
            await caller.answer(1)
            await collector.until(
                lambda c, i=imei: c.arrivals[-1:] and c.arrivals[-1].device_id == f"truck-{i}"
            )  # one condition
            caller.close()
    digests = {arrival.payload_digest for arrival in collector.arrivals if arrival.observations}
    assert 2 == len(digests)


async def test_a_port_that_is_taken_is_tried_again_by_each_device(collector: Any) -> None:
    other = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    port, hubs = other.sockets[0].getsockname()[1], Hubs()
    trucks = [truck(port), truck(port, IMEI[:-1] + "7")]

    async def run(spec: DeviceSpec) -> None:
        await run_device(spec, collector, mono_us=lambda: 0, hubs=hubs)

    results = await asyncio.gather(*map(run, trucks), return_exceptions=True)
    assert [TransportError, TransportError] == [type(item) for item in results]
    other.close()
    await other.wait_closed()
    tasks = [asyncio.create_task(run(spec)) for spec in trucks]
    caller = await Caller.call(port)
    caller.send(HELLO)
    assert b"\x01" == await caller.answer(1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_number_that_two_devices_claim_is_refused(collector: Any) -> None:
    port, hubs = free_port(), Hubs()
    first = asyncio.create_task(run_device(truck(port), collector, mono_us=lambda: 0, hubs=hubs))
    (await Caller.call(port)).close()
    with pytest.raises(SpecError, match="another device's"):
        await run_device(truck(port), collector, mono_us=lambda: 0, hubs=hubs)
    first.cancel()
