"""Goods arrive, move and depart; strays do not, and a tag at a border does not flap."""

import random
from collections.abc import Callable

import pytest

from gateway.zones import ACTIONS, CANDIDATES_MAX, Sight, Stand, Step, Zone, ZoneTracker
from logistics.business_event import ZoneStep
from logistics.reading import TagSighting

DOOR = Zone(name="dock-1", places=(("dock", 1), ("dock", 2)))
ROOM = Zone(name="cold-room", places=(("dock", 3), ("room", None)))
PALLET = bytes.fromhex("3174257bf4499602d2000000")


class Yard:
    def __init__(self, *zones: Zone) -> None:
        self.tracker = ZoneTracker(zones or (DOOR, ROOM))
        self.now_ms = 1_000_000
        self.steps: list[Step] = []

    def see(
        self, antenna: int = 1, rssi: int | None = -5000, epc: bytes = PALLET, device: str = "dock"
    ) -> list[Step]:
        sighting = TagSighting(epc=epc, antenna=antenna, rssi_cdbm=rssi)
        steps = self.tracker.sighted(device, sighting, self.now_ms)
        self.steps += steps
        return steps

    def wait(self, ms: int) -> list[Step]:
        self.now_ms += ms
        steps = self.tracker.departed(self.now_ms)
        self.steps += steps
        return steps

    def pass_by(self, antenna: int = 1, rssi: int | None = -5000, epc: bytes = PALLET) -> None:
        """A second in front of an antenna, ten reads."""
        for _ in range(10):
            self.see(antenna, rssi, epc)
            self.wait(100)

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(step.event.step.name, step.event.zone) for step in self.steps]


def test_a_pallet_arrives_once_and_departs_once() -> None:
    yard = Yard()
    yard.pass_by()
    yard.wait(6000)
    arrived, departed = (step.event for step in yard.steps)
    assert [("ARRIVED", "dock-1"), ("DEPARTED", "dock-1")] == yard.told
    assert (6, 500, -5000, None) == (
        arrived.reads,
        arrived.dwell_ms,
        arrived.rssi_cdbm,
        arrived.from_zone,
    )
    assert (10, 900) == (departed.reads, departed.dwell_ms)
    assert 0 == yard.tracker.size


@pytest.mark.parametrize(
    "stray",
    [
        lambda yard: [(yard.see(rssi=-7001), yard.wait(100)) for _ in range(100)],
        lambda yard: [(yard.see(), yard.wait(10)) for _ in range(10)],
        lambda yard: [(yard.see(), yard.wait(1000)) for _ in range(2)],
        lambda yard: [(yard.see(), yard.wait(6000)) for _ in range(50)],
        lambda yard: [(yard.see(antenna=9), yard.wait(100)) for _ in range(100)],
        lambda yard: [(yard.see(device="other"), yard.wait(100)) for _ in range(100)],
    ],
    ids=["weak", "a moment", "too few", "one a time", "another antenna", "another reader"],
)
def test_a_stray_is_not_counted(stray: Callable[[Yard], object]) -> None:
    yard = Yard()
    stray(yard)
    assert [] == yard.steps


def test_both_antennas_of_a_zone_count_together() -> None:
    yard = Yard()
    for antenna in (1, 2, 1, 2, 1, 2):
        yard.see(antenna)
        yard.wait(150)
    assert [("ARRIVED", "dock-1")] == yard.told


def test_a_move_is_one_step_with_both_zones() -> None:
    yard = Yard()
    yard.pass_by()
    yard.pass_by(antenna=3, rssi=-4000)
    yard.wait(6000)
    assert [("ARRIVED", "dock-1"), ("MOVED", "cold-room"), ("DEPARTED", "cold-room")] == yard.told
    assert "dock-1" == yard.steps[1].event.from_zone


def test_a_clearly_stronger_zone_takes_a_tag_that_both_see() -> None:
    yard = Yard()
    yard.pass_by()
    for _ in range(20):
        yard.see(1, -6000)
        yard.wait(50)
        yard.see(3, -4000)
        yard.wait(50)
    assert [("ARRIVED", "dock-1"), ("MOVED", "cold-room")] == yard.told


def test_rare_strong_reads_elsewhere_never_add_up_to_a_move() -> None:
    yard = Yard()
    yard.pass_by(rssi=-6000)
    for _ in range(30):
        for _ in range(20):
            yard.see(1, -6000)
            yard.wait(300)
        yard.see(3, -4000)
    assert [("ARRIVED", "dock-1")] == yard.told


def test_a_move_to_a_weaker_zone_comes_when_the_old_one_sees_it_no_more() -> None:
    yard = Yard()
    yard.pass_by(rssi=-4000)
    for _ in range(60):
        yard.see(3, -6000)
        yard.wait(100)
    assert [("ARRIVED", "dock-1"), ("MOVED", "cold-room")] == yard.told


@pytest.mark.parametrize("seed", range(20))
def test_a_tag_at_the_border_of_two_zones_does_not_flap(seed: int) -> None:
    chance, yard = random.Random(seed), Yard()
    yard.pass_by()
    for _ in range(3000):
        yard.see(chance.choice((1, 3)), chance.randrange(-5300, -4700))
        yard.wait(chance.randrange(20, 200))
    assert [("ARRIVED", "dock-1")] == yard.told


def test_a_reader_without_signal_strength_arrives_and_moves_too() -> None:
    yard = Yard()
    yard.pass_by(rssi=None)
    for _ in range(60):
        yard.see(3, None)
        yard.wait(100)
    assert [("ARRIVED", "dock-1"), ("MOVED", "cold-room")] == yard.told


def test_a_place_without_antenna_is_all_of_a_reader() -> None:
    yard = Yard()
    for antenna in (1, 7, 9):
        yard.see(antenna, device="room")
        yard.wait(300)
    assert [("ARRIVED", "cold-room")] == yard.told


def test_a_full_zone_forgets_the_one_unseen_for_longest() -> None:
    yard = Yard(Zone(name="small", places=(("dock", None),), tags_max=2, gone_ms=60_000))
    for number in range(3):
        yard.pass_by(epc=bytes((number,)))
    assert ["ARRIVED", "ARRIVED", "DISPLACED", "ARRIVED"] == [name for name, _ in yard.told]
    assert bytes((0,)) == yard.steps[2].event.epc
    assert {"small": 2} == yard.tracker.held()


def test_a_flood_of_strays_takes_bounded_memory_and_keeps_what_is_there() -> None:
    yard = Yard()
    yard.pass_by()
    for number in range(CANDIDATES_MAX * 3):
        yard.see(epc=number.to_bytes(4))
        assert yard.tracker.size <= CANDIDATES_MAX + 1
    assert [("ARRIVED", "dock-1")] == yard.told


def test_every_stand_knows_every_sight_that_it_can_meet() -> None:
    meets = {
        Stand.AWAY: {Sight.OTHER},
        Stand.NEAR: {Sight.NEXT, Sight.OTHER},
        Stand.IN: {Sight.HOME, Sight.OTHER},
        Stand.TORN: {Sight.HOME, Sight.NEXT, Sight.OTHER},
    }
    assert {(stand, sight) for stand, sights in meets.items() for sight in sights} == set(ACTIONS)


@pytest.mark.parametrize("seed", range(5))
def test_counts_add_up_whatever_is_seen(seed: int) -> None:
    chance, yard = random.Random(seed), Yard()
    for _ in range(5000):
        epc = bytes((chance.randrange(20),))
        yard.see(chance.randrange(1, 5), chance.randrange(-8000, -3000), epc)
        yard.wait(chance.randrange(400))
    yard.wait(10_000)
    arrived = sum(step.event.step == ZoneStep.ARRIVED for step in yard.steps)
    left = sum(step.event.step == ZoneStep.DEPARTED for step in yard.steps)
    assert arrived == left > 20
    assert {"dock-1": 0, "cold-room": 0} == yard.tracker.held()
