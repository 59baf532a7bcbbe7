"""The power goes at any moment: whatever part of the unsynced writes reached the disk, a start on
it has everything that was acknowledged, and signs no second head.

SEED=n repeats a run's images; the seed is printed.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import pytest

from gateway.config import GatewayConfig
from gateway.errors import GatewayError
from ledger.errors import LedgerError
from tests.integration.disk.box import at, differences, held, make_box, session
from tests.integration.disk.images import WAYS, Disk, files_below, write_files
from tests.integration.disk.recorder import Op, Recorder

IMAGES, IMAGES_NIGHTLY = 100, 5000
CONTROL_IMAGES = 60
BLOCKS, GROUPS, GROUP = 5, 3, 20
VEHICLE = "system calls of the journal, and of LMDB at its library's table of imports"


@dataclass(frozen=True, slots=True)
class Run:
    """A recorded run, and the files that it began with."""

    config: GatewayConfig
    base: dict[str, bytes]
    recorder: Recorder

    def acknowledged(self, upto: int) -> set[int]:
        return {value for (value,) in self.recorder.notes("ack", upto)}

    def heads(self, word: str, upto: int) -> dict[int, bytes]:
        return dict(self.recorder.notes(word, upto))

    def crash(self, upto: int, way: str, chance: random.Random) -> dict[str, bytes]:
        disk = Disk(self.base)
        disk.follow(self.recorder.ops[:upto])
        return disk.crash(way, chance)


async def record(folder: Path, *, unsynced: str = "no path") -> Run:
    """Blocks of several groups; the journal goes through several segments and lets go of some."""
    config = await make_box(folder, folder / "data")
    recorder = Recorder(config.data_dir, unsynced=unsynced)
    base = files_below(config.data_dir, ".mdb")
    base = {name: data for name, data in base.items() if name.endswith("data.mdb")}
    value = 0
    with recorder.recording():
        async with session(config, recorder.note) as running:
            for _ in range(BLOCKS):
                for _ in range(GROUPS):
                    await running.take(*range(value, value + GROUP))
                    value += GROUP
                await running.block()
            await running.take(*range(value, value + GROUP))
    return Run(config, base, recorder)


@pytest.fixture
def seed() -> int:
    number = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"SEED={number}")
    return number


def places(ops: Sequence[Op]) -> list[int]:
    """Every prefix that ends with a call: marks change nothing on a disk."""
    return [0, *(n + 1 for n, op in enumerate(ops) if op.kind != "note")]


def choices(run: Run, count: int, chance: random.Random) -> Iterator[tuple[int, str]]:
    """(prefix, way): every prefix in turn before one comes again, the ways in turn."""
    ends = places(run.recorder.ops)
    order = chance.sample(ends, len(ends))
    for number, end, way in zip(range(count), cycle(order), cycle(WAYS), strict=False):
        yield end, WAYS[(WAYS.index(way) + number // len(order)) % len(WAYS)]


async def faults_of(run: Run, upto: int, folder: Path) -> list[str]:
    """What is wrong with a gateway that starts on an image and goes on; nothing, if all is well."""
    config, faults = at(run.config, folder), list[str]()
    acknowledged = run.acknowledged(upto)
    before = {**run.heads("asked", upto), **run.heads("head", upto)}
    try:
        async with session(config) as running:
            first = held(running.parts)
            faults += [f"head {h} is gone" for h in run.heads("head", upto) if h not in first.heads]
            await running.take(10_000_000)
            await running.block()
            after = held(running.parts)
    except (LedgerError, GatewayError) as error:
        return [f"no start: {type(error).__name__}: {error}"]
    missing = acknowledged - after.values.keys()
    faults += [f"{len(missing)} acknowledged are missing"] * bool(missing)
    faults += [f"{value} is there twice" for value, n in after.values.items() if n > 1]
    faults += [
        f"a second head for height {height}"
        for height, digest in after.heads.items()
        if before.get(height, digest) != digest
    ]
    return faults + differences(folder)


def is_of_a_torn_group(fault: str, way: str) -> bool:
    """A later frame of a group stands without an earlier one: damage, though never promised."""
    return fault.startswith("journal ") and way not in {"nothing", "everything"}


async def outcomes(
    run: Run, chosen: Iterator[tuple[int, str]], folder: Path, chance: random.Random
) -> tuple[dict[str, list[str]], Counter[str]]:
    """Faults of each image that has some, and how many images of each way there were."""
    bad, ways = dict[str, list[str]](), Counter[str]()
    for number, (upto, way) in enumerate(chosen):
        image = folder / f"image-{number}"
        write_files(image, run.crash(upto, way, chance))
        (image / "store").mkdir(parents=True, exist_ok=True)
        faults = [
            fault
            for fault in await faults_of(run, upto, image)
            if not is_of_a_torn_group(fault, way)
        ]
        if faults:
            bad[f"{way} after call {upto} of {len(run.recorder.ops)}"] = faults
        ways[way] += 1
        shutil.rmtree(image)
    return bad, ways


@pytest.mark.timeout(3600)
async def test_every_image_of_a_power_cut_has_all_that_was_acknowledged(
    memory_path: Path, seed: int, nightly: bool
) -> None:
    run = await record(memory_path)
    chance = random.Random(seed)
    count = IMAGES_NIGHTLY if nightly else IMAGES
    bad, ways = await outcomes(run, choices(run, count, chance), memory_path, chance)
    calls = Counter(op.kind for op in run.recorder.ops if op.kind != "note")
    print(f"vehicle: {VEHICLE}; {dict(calls)}; {len(run.acknowledged(1 << 62))} acknowledged")
    print(f"images={sum(ways.values())} {dict(ways)} prefixes={len(places(run.recorder.ops))}")
    assert calls["unlink"]
    assert calls["create"] > 3
    assert bad == {}


@pytest.mark.parametrize("part", ["journal/", "store/"])
async def test_with_syncs_switched_off_the_same_images_lose(
    memory_path: Path, seed: int, part: str
) -> None:
    run = await record(memory_path, unsynced=part)
    chance = random.Random(seed)
    # LMDB may end the whole program on pages that nothing ordered: there only all of it is lost.
    chosen = choices(run, CONTROL_IMAGES, chance)
    if part == "store/":
        chosen = ((end, "nothing") for end, _ in list(chosen))
    bad, ways = await outcomes(run, chosen, memory_path, chance)
    words = Counter(fault.split(" ", 1)[-1].split(":")[0] for row in bad.values() for fault in row)
    print(f"control without syncs of {part}: {len(bad)} of {sum(ways.values())} lost: {words}")
    assert len(bad) >= CONTROL_IMAGES // 10
    loss = "acknowledged are missing" if part == "journal/" else "is gone"
    assert any(loss in fault for row in bad.values() for fault in row)
