"""A dock door: pallets pass, strays do not, a tag at a border stays; the proof tells the load."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from firmware_bridge.simulators.llrp_reader import LlrpReader
from logistics.epc import encode_epc
from logistics.load_check import identity_of
from logistics.reading import TagSighting
from tests.fakes.yard import Device, GatewayBox, Yard, run_wharf, wharf_result

ROUND_S = 0.03
ZONES = """
[[zone]]
name = "dock-1"
places = ["dock-reader/1", "dock-reader/2"]
rssi_cdbm_min = -6500
gone_ms = 1500
[[zone]]
name = "cold-room"
places = ["dock-reader/3"]
rssi_cdbm_min = -6500
gone_ms = 60000
"""


def pallet(number: int) -> bytes:
    return encode_epc(f"urn:epc:tag:sscc-96:2.0614141.{number:010}")


MILK, FISH, LOST, TWICE, STRANGER = (pallet(number) for number in range(1, 6))
SHELF, PASSER_BY, BORDER = (pallet(number) for number in range(6, 9))
FACTORY = bytes.fromhex("e28068900000500e88c6a4a7")


class Scene:
    """What is in front of the reader, round by round."""

    def __init__(self, reader: LlrpReader) -> None:
        self.reader, self.in_door = reader, list[bytes]()
        self.rounds = 0
        self.border_moves = False

    async def play(self) -> None:
        while True:
            self.reader.see(list(self._seen()))
            self.rounds += 1
            await asyncio.sleep(ROUND_S)

    def _seen(self) -> Sequence[TagSighting]:
        # Antennas take turns; the border tag is as strong at the door as in the room.
        antenna = 1 + self.rounds % 2
        seen = [TagSighting(epc=epc, antenna=antenna, rssi_cdbm=-5000) for epc in self.in_door]
        seen.append(TagSighting(epc=SHELF, antenna=1, rssi_cdbm=-7500))
        seen.append(TagSighting(epc=FACTORY, antenna=2, rssi_cdbm=-7200))
        where = antenna if self.border_moves and self.rounds % 4 < 2 else 3
        swing = 100 * (self.rounds * 7 % 5 - 2)
        seen.append(TagSighting(epc=BORDER, antenna=where, rssi_cdbm=-5000 + swing))
        return seen


async def until(condition: Callable[[], Any], what: str, limit_s: float = 30) -> None:
    deadline_s = time.monotonic() + limit_s
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline_s, what
        await asyncio.sleep(0.05)


def held(box: GatewayBox) -> dict[str, int]:
    report = box.report() or {}
    zones: dict[str, int] = report.get("zones", {})
    return zones


def holds(box: GatewayBox, count: int) -> bool:
    return held(box).get("dock-1") == count


async def drive(scene: Scene, box: GatewayBox) -> None:
    """The morning at the door."""
    await until(lambda: scene.reader.is_reading, "the reader is started")
    await until(lambda: held(box).get("cold-room") == 1, "the border tag's room")
    scene.border_moves = True
    for load in ([MILK, FISH, TWICE], [STRANGER, TWICE]):
        scene.in_door = list(load)
        await until(partial(holds, box, len(load)), "pallets in the door")
        scene.in_door = []
        await until(partial(holds, box, 0), "pallets gone")
        scene.reader.cut()  # somebody pulls the cable between two lorries
        await until(lambda: scene.reader.is_reading, "the reader is started again")
    scene.reader.see([TagSighting(epc=PASSER_BY, antenna=1, rssi_cdbm=-4000)] * 2)


async def test_what_went_through_the_door_is_told_by_its_proof(
    fresh_yard: Yard, tmp_path: Path
) -> None:
    reader = LlrpReader()
    scene = Scene(reader)
    begun_ms = time.time_ns() // 10**6
    async with await reader.listen(0) as server:
        source = f"tcp:127.0.0.1:{server.sockets[0].getsockname()[1]}"
        playing = asyncio.create_task(scene.play())
        box = await asyncio.to_thread(
            fresh_yard.add_gateway,
            "dock",
            [Device("dock-reader", "llrp", source)],
            more=ZONES,
        )
        await drive(scene, box)
        await asyncio.to_thread(box.settle)
        report = box.status()
        playing.cancel()
        reader.cut()
    assert report["zones"] == {"dock-1": 0, "cold-room": 1}
    bundle, machine = tmp_path / "load.wharf", fresh_yard.machine
    await asyncio.to_thread(
        run_wharf,
        "prove", "--sensor", "dock-reader/zones", "--from", _iso(begun_ms), "--to", "now",
        "--home", str(machine.home), "-o", str(bundle), "--wait", "30",
    )  # fmt: skip  # a command line
    listed = tmp_path / "expected.csv"
    listed.write_text(
        "sscc,goods\n" + "".join(f"{identity_of(epc)[5:]},x\n" for epc in (MILK, FISH, LOST, TWICE))
    )
    words = ["load-check", str(listed), "--bundle", str(bundle), "--trust", machine.genesis]
    result = wharf_result(*words, "--zone", "dock-1", "--json")
    assert 1 == result.returncode, result.stderr
    told = json.loads(result.stdout)
    assert {
        "right": False,
        "found": sorted(identity_of(epc) for epc in (MILK, FISH, TWICE)),
        "missing": [identity_of(LOST)],
        "unexpected": [identity_of(STRANGER)],
        "doubled": [identity_of(TWICE)],
    } == told
    listed.write_text(identity_of(BORDER)[5:])
    assert 0 == wharf_result(*words, "--zone", "cold-room").returncode
    assert 2 == wharf_result(*words[:-1], "00" * 32, "--zone", "cold-room").returncode


def _iso(time_ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_ms / 1000))
