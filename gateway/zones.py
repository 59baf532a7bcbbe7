"""Tag sightings become steps of goods: arrived, moved, departed. Pure; integers only.

A zone is a set of places: antennas of readers. Strays are kept out by four numbers of the zone: the
signal that a sighting must have, how many of them, over what time, and how long nothing may be seen
before a tag has left. A tag at the border of two zones stays where it is until the other one sees
it clearly stronger, or its own no longer sees it.

What is known of tags is in memory only: after a start, a tag that is still there arrives again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from logistics.business_event import ZoneEvent, ZoneStep
from logistics.reading import TagSighting

CANDIDATES_MAX: Final = 4096  # tags that no zone holds yet; strays are evicted oldest first
_LEVEL_SHIFT: Final = 3  # a level moves an eighth of the way to each new signal
Place = tuple[str, int | None]  # device and antenna; None: all antennas of the device


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """One zone and its filter against strays."""

    name: str
    places: tuple[Place, ...]
    rssi_cdbm_min: int = -7000  # weaker sightings do not count, hundredths of dBm
    reads_min: int = 3
    dwell_ms_min: int = 500  # between the first and the last of them
    gone_ms: int = 5000  # unseen for so long: departed
    margin_cdbm: int = 300  # by how much another zone must be stronger
    tags_max: int = 2000


@dataclass(frozen=True, slots=True)
class Step:
    """An event, and the reader whose sighting decided it."""

    device_id: str
    event: ZoneEvent


class Stand(Enum):
    """Where a tag stands, as the table below has it."""

    AWAY = "away"  # in no zone, and nothing counted
    NEAR = "near"  # sightings in one zone are being counted
    IN = "in"  # a zone holds it
    TORN = "torn"  # a zone holds it, and sightings in another are being counted


class Sight(Enum):
    """What a sighting is to a tag."""

    HOME = "home"  # in the zone that holds it
    NEXT = "next"  # in the zone whose sightings are being counted
    OTHER = "other"  # in any other


@dataclass(slots=True)
class _Run:
    """Sightings of one tag in one zone, one after the other."""

    zone: Zone
    device_id: str
    first_ms: int
    last_ms: int
    reads: int = 0
    best_cdbm: int | None = None
    level_cdbm: int | None = None  # smoothed

    def add(self, device_id: str, rssi_cdbm: int | None, now_ms: int) -> None:
        self.device_id, self.last_ms, self.reads = device_id, now_ms, self.reads + 1
        if rssi_cdbm is None:
            return
        self.best_cdbm = rssi_cdbm if self.best_cdbm is None else max(self.best_cdbm, rssi_cdbm)
        level = rssi_cdbm if self.level_cdbm is None else self.level_cdbm
        self.level_cdbm = level + (rssi_cdbm - level >> _LEVEL_SHIFT)

    def is_enough(self) -> bool:
        zone = self.zone
        return self.reads >= zone.reads_min and self.last_ms - self.first_ms >= zone.dwell_ms_min

    def is_over(self, now_ms: int) -> bool:
        return now_ms - self.last_ms > self.zone.gone_ms

    def yields_to(self, rssi_cdbm: int | None, now_ms: int) -> bool:
        """Whether a sighting elsewhere is stronger, or this zone has not seen the tag for long."""
        # Half the time to a departure: then the tag is on its way out of here in any case.
        if now_ms - self.last_ms > self.zone.gone_ms // 2:
            return True
        if rssi_cdbm is None or self.level_cdbm is None:
            return False
        return rssi_cdbm >= self.level_cdbm + self.zone.margin_cdbm


@dataclass(slots=True)
class _Tag:
    epc: bytes
    home: _Run | None = None
    near: _Run | None = None

    @property
    def stand(self) -> Stand:
        if self.home is None:
            return Stand.AWAY if self.near is None else Stand.NEAR
        return Stand.IN if self.near is None else Stand.TORN

    def sight(self, zone: Zone) -> Sight:
        if self.home is not None and self.home.zone is zone:
            return Sight.HOME
        is_next = self.near is not None and self.near.zone is zone
        return Sight.NEXT if is_next else Sight.OTHER


@dataclass(frozen=True, slots=True)
class _Seen:
    """A sighting that counts."""

    zone: Zone
    device_id: str
    rssi_cdbm: int | None
    now_ms: int

    def run(self) -> _Run:
        run = _Run(self.zone, self.device_id, self.now_ms, self.now_ms)
        run.add(self.device_id, self.rssi_cdbm, self.now_ms)
        return run


def _begin(tag: _Tag, seen: _Seen) -> None:
    """The first sighting in a zone that does not hold it."""
    home = tag.home
    if home is not None and not home.yields_to(seen.rssi_cdbm, seen.now_ms):
        return
    run = tag.near = seen.run()
    if home is not None and home.level_cdbm is not None and run.level_cdbm is not None:
        # It begins level with the zone that holds the tag: one strong read by chance moves nothing.
        run.level_cdbm = min(run.level_cdbm, home.level_cdbm)


def _count(tag: _Tag, seen: _Seen) -> None:
    """One more; after a pause it begins anew, or one stray read a minute would add up."""
    run = tag.near
    if run is None or run.is_over(seen.now_ms):
        tag.near = None
        _begin(tag, seen)
    else:
        run.add(seen.device_id, seen.rssi_cdbm, seen.now_ms)


def _stay(tag: _Tag, seen: _Seen) -> None:
    """Its own zone sees it again; what another one counts has to become stronger than that."""
    if tag.home is not None:
        tag.home.add(seen.device_id, seen.rssi_cdbm, seen.now_ms)


def _rival(tag: _Tag, seen: _Seen) -> None:
    """A third zone: it takes the place of the counted one if that yields."""
    run = tag.near
    if run is not None and (run.is_over(seen.now_ms) or run.yields_to(seen.rssi_cdbm, seen.now_ms)):
        tag.near = None
        _begin(tag, seen)


ACTIONS: Final[Mapping[tuple[Stand, Sight], Callable[[_Tag, _Seen], None]]] = {
    (Stand.AWAY, Sight.OTHER): _begin,
    (Stand.NEAR, Sight.NEXT): _count,
    (Stand.NEAR, Sight.OTHER): _rival,
    (Stand.IN, Sight.HOME): _stay,
    (Stand.IN, Sight.OTHER): _begin,
    (Stand.TORN, Sight.HOME): _stay,
    (Stand.TORN, Sight.NEXT): _count,
    (Stand.TORN, Sight.OTHER): _rival,
}


class ZoneTracker:
    """Which tags the zones hold. Bounded: tags_max a zone, CANDIDATES_MAX besides."""

    def __init__(self, zones: Sequence[Zone]) -> None:
        """zones: each place in one of them."""
        self._places = {place: zone for zone in zones for place in zone.places}
        self._held: dict[bytes, _Tag] = {}
        self._away: dict[bytes, _Tag] = {}  # oldest first
        self._counts = {zone.name: 0 for zone in zones}

    def sighted(self, device_id: str, sighting: TagSighting, now_ms: int) -> list[Step]:
        """The steps that a sighting completes; now_ms never falls."""
        zone = self._places.get((device_id, sighting.antenna)) or self._places.get(
            (device_id, None)
        )
        weak = zone is not None and (sighting.rssi_cdbm or 0) < zone.rssi_cdbm_min
        if zone is None or weak:
            return []
        tag = self._held.get(sighting.epc) or self._away.get(sighting.epc)
        if tag is None:
            tag = self._away[sighting.epc] = _Tag(sighting.epc)
            if len(self._away) > CANDIDATES_MAX:
                del self._away[next(iter(self._away))]
        ACTIONS[tag.stand, tag.sight(zone)](tag, _Seen(zone, device_id, sighting.rssi_cdbm, now_ms))
        return list(self._entered(tag))

    def _entered(self, tag: _Tag) -> Iterator[Step]:
        """The step into the counted zone, if enough was counted."""
        run, home = tag.near, tag.home
        if run is None or not run.is_enough():
            return
        if home is not None and not home.yields_to(run.level_cdbm, run.last_ms):
            return
        self._away.pop(tag.epc, None)
        if home is not None:
            self._counts[home.zone.name] -= 1
        yield from self._room_in(run.zone)
        tag.home, tag.near = run, None
        self._held[tag.epc] = tag
        self._counts[run.zone.name] += 1
        step = ZoneStep.ARRIVED if home is None else ZoneStep.MOVED
        yield _step(step, tag.epc, run, None if home is None else home.zone.name)

    def _room_in(self, zone: Zone) -> Iterator[Step]:
        if self._counts[zone.name] < zone.tags_max:
            return
        runs = ((tag.home.last_ms, tag.epc) for tag in self._held.values() if tag.home is not None
                and tag.home.zone is zone)  # fmt: skip  # one expression
        _, epc = min(runs)
        yield from self._let_go(epc, ZoneStep.DISPLACED)

    def _let_go(self, epc: bytes, step: ZoneStep) -> Iterator[Step]:
        tag = self._held.pop(epc)
        if tag.home is not None:
            self._counts[tag.home.zone.name] -= 1
            yield _step(step, epc, tag.home)

    def departed(self, now_ms: int) -> list[Step]:
        """The steps of tags that were not seen for too long; call it about once a second."""
        for epc in [e for e, tag in self._away.items() if tag.near and tag.near.is_over(now_ms)]:
            del self._away[epc]
        gone = [e for e, tag in self._held.items() if tag.home and tag.home.is_over(now_ms)]
        return [step for epc in gone for step in self._let_go(epc, ZoneStep.DEPARTED)]

    def held(self) -> dict[str, int]:
        """How many tags each zone holds."""
        return dict(self._counts)

    @property
    def size(self) -> int:
        """How many tags are known at all."""
        return len(self._held) + len(self._away)


def _step(step: ZoneStep, epc: bytes, run: _Run, from_zone: str | None = None) -> Step:
    event = ZoneEvent(
        step=step,
        epc=epc,
        zone=run.zone.name,
        from_zone=from_zone,
        reads=run.reads,
        dwell_ms=run.last_ms - run.first_ms,
        rssi_cdbm=run.best_cdbm,
    )
    return Step(run.device_id, event)
