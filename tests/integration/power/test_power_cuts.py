"""The power of a whole emulated aarch64 machine is cut while the gateway's own parts take readings
in: on a disk with a volatile cache nothing acknowledged is lost; with the syncs or the disk's
barriers taken away it is; and a disk that lies about its flush is found out by a witness.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.arm_parts import arm_parts
from tests.integration.disk.box import make_box, session
from tests.integration.power.machine import Life, Machine, disk_image, lost, tree_image

CUTS, CUTS_NIGHTLY = 5, 50
CONTROLS_NIGHTLY = 3
AT_ONCE = 2
FIRST = 40  # readings on the disk before it comes to the machine
DATA_SIZE = "128M"


@dataclass(frozen=True, slots=True)
class Runs:
    """Lives by name, each in the order in which they were lived."""

    lives: dict[str, list[Future[list[Life]]]]

    def of(self, name: str) -> list[list[Life]]:
        return [lives.result() for lives in self.lives[name]]


async def made(folder: Path) -> Path:
    """A gateway with a block and a head, as it will find itself on the machine's disk."""
    config = await make_box(folder, folder / "data")
    async with session(config) as box:
        await box.take(*range(FIRST))
        await box.block()
    config.path.write_text(config.path.read_text().replace(str(folder), "/data"))
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    nightly = os.environ.get("WHARF_VOLUME") == "nightly"
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"SEED={seed}")
    place = tmp_path_factory.mktemp("power")
    parts, tree = arm_parts(), tree_image(place)
    (place / "box").mkdir()
    (place / "nothing").mkdir()
    box = asyncio.run(made(place / "box"))
    pool = ThreadPoolExecutor(AT_ONCE)

    def lives(name: str, cuts: int, **how: object) -> Future[list[Life]]:
        machine = Machine(
            parts=parts,
            tree=tree,
            data=disk_image(place / f"{name}.img", box, DATA_SIZE),
            **how,  # type: ignore[arg-type]  # Machine's own fields
        )
        return pool.submit(live, machine, cuts, random.Random(f"{seed} {name}"))

    def several(name: str, cuts: int, **how: object) -> list[Future[list[Life]]]:
        count = CONTROLS_NIGHTLY if nightly else 1
        return [lives(f"{name}-{number}", cuts, **how) for number in range(count)]

    with pool:
        witness = disk_image(place / "witness.img", place / "nothing", DATA_SIZE)
        return Runs(
            {
                "volatile": [lives("volatile", CUTS_NIGHTLY if nightly else CUTS)],
                "witnessed": [lives("witnessed", 1, cache="lies", witness=witness)],
                "no syncs": several("no-syncs", 1, syncs=False),
                "no barriers": several("no-barriers", 1, mount="nobarrier"),
            }
        )


def live(machine: Machine, cuts: int, chance: random.Random) -> list[Life]:
    """So many cuts at moments of chance, and a last start that shows what is left."""
    first, last = ("ack", "ack") if machine.witness is None else ("mirrored", "state")
    soonest_s = 0.2 if cuts > 1 else 1.0  # a single cut shall have something to take
    lives = [
        machine.live(cut_after_s=chance.uniform(soonest_s, 2.0), until=first) for _ in range(cuts)
    ]
    return [*lives, machine.live(cut_after_s=1.0, until=last)]


def test_nothing_acknowledged_is_lost_on_a_disk_with_a_volatile_cache(runs: Runs) -> None:
    (lives,) = runs.of("volatile")
    acknowledged = max(life.acknowledged for life in lives)
    print(f"cuts={len(lives) - 1} acknowledged={acknowledged + 1}")
    heads: dict[str, str] = {}
    for number, life in enumerate(lives):
        assert 0 == lost(lives[:number], life), f"life {number}"
        assert (0, []) == (life.held["twice"], life.held["fsck"])
        assert (0, 0) == (
            life.held["report"]["journal_damages"],
            life.held["report"]["journal_frames_lost"],
        )
        assert heads.items() <= life.held["heads"].items(), "a head is gone, or another stands"
        heads |= life.held["heads"] | life.heads
    assert acknowledged > FIRST + 20 * len(lives)
    assert len(heads) > len(lives)


@pytest.mark.parametrize("control", ["no syncs", "no barriers"])
def test_without_syncs_or_barriers_the_same_cut_loses(runs: Runs, control: str) -> None:
    losses = [lost(lives[:-1], lives[-1]) for lives in runs.of(control)]
    print(f"control {control}: {losses} acknowledged readings lost")
    assert all(losses)


def test_what_a_lying_disk_lost_is_noticed_and_said_and_no_head_is_made(runs: Runs) -> None:
    ((before, after),) = runs.of("witnessed")
    print(f"lying disk: {lost([before], after)} acknowledged readings lost")
    assert lost([before], after)
    assert {"1"} <= before.heads.keys()
    (fault,) = [text for text in after.state["faults"] if "signing stopped" in text]
    print(fault)
    assert re.search(r"a peer holds (\d+) blocks of this feed, this store 1:", fault)
    assert "a disk that lost what it had promised" in fault
    assert after.held["heads"].keys() == {"0"}
    assert {} == after.heads, "a head was signed"
    assert 0 == after.state["sealed_height"]
    assert after.acknowledged >= FIRST, "readings are journaled meanwhile"
