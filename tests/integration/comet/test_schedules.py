"""Seeded schedules of kills, restarts, validator changes and resends, under load.

What must hold, whatever the schedule: an anchor that a client holds a proof for is in the state of
every honest organisation, every proof verifies offline, and all come to one state.
"""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from consortium.errors import ConsortiumError
from tests.fakes.anchoring import Gateway
from tests.fakes.comet_network import CometNetwork
from tests.fakes.voting import change_power

ALL = (0, 1, 2, 3)
SEEDS_NORMAL, SEEDS_NIGHTLY = 2, 20
EVENTS = ("part", "machine", "power", "resume", "power")  # each schedule has its own order
POWERS = (8, 9, 10, 11, 12)


@dataclass
class Held:
    """What one gateway's client holds proofs for."""

    gateway: Gateway
    heights: set[int] = field(default_factory=set)


async def anchor_all_the_time(network: CometNetwork, held: Held, random_: random.Random) -> None:
    """Anchors at changing organisations; keeps each proof that verifies."""
    while True:
        at = random_.choice(ALL)
        with suppress(ConsortiumError, TimeoutError):
            await held.gateway.anchor(network, at, timeout_s=3)
            proven = await asyncio.wait_for(held.gateway.proof(network, at), 5)
            held.heights.add(proven.leaves[0].record[3])
        await asyncio.sleep(0)


class Schedule:
    """Things that happen, in an order that the seed gives; one organisation down at a time."""

    def __init__(self, network: CometNetwork, random_: random.Random) -> None:
        self._network, self._random = network, random_
        self._powers = dict.fromkeys(ALL, 10)
        self.down = set[int]()
        self.told: list[str] = []

    async def run(self) -> None:
        """All of it; in the end every organisation runs and has its first power."""
        for kind in self._random.sample(EVENTS, len(EVENTS)):
            await self._happen(kind)
            await asyncio.sleep(self._random.uniform(0.2, 1.5))
        self._resume()
        for index, power in self._powers.items():
            if power != 10:
                await change_power(self._network, index, 10, at=0)

    def _resume(self) -> None:
        for index in sorted(self.down):
            self._network[index].start().until_listening()
        self.down.clear()

    async def _happen(self, kind: str) -> None:
        if kind != "power":
            self._resume()
        index = self._random.choice(ALL)
        self.told.append(f"{kind} {index}")
        if kind == "part":
            self._network[index].kill(self._random.choice(("node", "application")))
        elif kind == "machine":
            self._network[index].kill()
            self.down.add(index)
        elif kind == "power":
            at = self._random.choice([other for other in ALL if other not in self.down])
            power = self._random.choice([p for p in POWERS if p != self._powers[index]])
            await change_power(self._network, index, power, at=at)
            self._powers[index] = power


def seeds(nightly: bool) -> list[int]:
    """The seeds of this volume."""
    return list(range(1, 1 + (SEEDS_NIGHTLY if nightly else SEEDS_NORMAL)))


# Twenty schedules take half an hour on two slow cores; two take a minute.
@pytest.mark.timeout(2 * 3600)
async def test_what_a_client_holds_a_proof_for_is_everywhere(
    network: CometNetwork, nightly: bool
) -> None:
    for seed in seeds(nightly):
        random_ = random.Random(seed)
        held = [Held(Gateway(await network.enrol(f"seed {seed} {n}"))) for n in range(2)]
        work = [
            asyncio.create_task(anchor_all_the_time(network, item, random.Random(f"{seed}/{n}")))
            for n, item in enumerate(held)
        ]
        schedule = Schedule(network, random_)
        await schedule.run()
        for task in work:
            task.cancel()
        outcomes = await asyncio.gather(*work, return_exceptions=True)
        assert all(isinstance(item, asyncio.CancelledError) for item in outcomes), outcomes
        await network.until_equal(who=ALL)
        for item in held:
            assert item.heights, f"seed {seed}: {schedule.told}"
            for at in ALL:
                missing = item.heights - await item.gateway.anchored_at(network, at)
                assert not missing, f"seed {seed}: {schedule.told}"
                await item.gateway.proof(network, at)


@pytest.mark.parametrize("nightly_volume", [True, False])
def test_the_seeds_are_two_and_twenty(nightly_volume: bool) -> None:
    assert len(seeds(nightly_volume)) == (20 if nightly_volume else 2)
