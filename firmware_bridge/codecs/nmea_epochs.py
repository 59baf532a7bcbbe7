"""From sentences of one moment to one position: RMC brings date and motion, GGA height and quality.

Receivers send them in either order, some only one of them, and noise may eat either. Rules:
1. GGA waits for the RMC of its time of day; if another GGA or RMC comes first, it goes out without
a date. 2. RMC goes out at once, with the GGA of its time if that waits. When a GGA of the same time
follows an RMC
   that went out alone, this receiver sends RMC first: from then on RMC waits for its GGA.
3. A moment that a UBX NAV-PVT told already is not told again.
4. The date comes from RMC or ZDA only, and not from before 2000: old modules lose 1024 weeks.
"""

from typing import Final

from firmware_bridge.codecs.nmea_fields import Gga, Rmc, Zda
from firmware_bridge.codecs.ubx import Fix
from firmware_bridge.devices import Reason
from logistics.reading import FLAG_OK, FLAG_SUSPECT, Position

_YEAR_2000_MS: Final = 946_684_800_000
_DOUBTFUL_FIXES: Final = (6, 7, 8)  # dead reckoning, typed in, simulated
Outcome = Position | Reason


class EpochJoiner:
    """Joins the sentences of each moment. Holds at most one of each."""

    def __init__(self) -> None:
        self._gga: Gga | None = None
        self._rmc: Rmc | None = None
        self._zda: Zda | None = None
        self._is_rmc_first = False
        self._alone_ms: int | None = None  # time of day of the last RMC that went out alone
        self._told_ms: int | None = None  # time of day of the last NAV-PVT

    def take_fix(self, fix: Fix) -> list[Outcome]:
        """A NAV-PVT."""
        self._told_ms = fix.time_of_day_ms
        return [fix.position]

    def take_zda(self, item: Zda) -> list[Outcome]:
        """A date for a GGA that has to go out alone."""
        self._zda = item
        return []

    def take_gga(self, item: Gga) -> list[Outcome]:
        """Rules 1 and 2."""
        if item.time_of_day_ms == self._told_ms:
            return []
        if self._rmc is not None and self._rmc.time_of_day_ms == item.time_of_day_ms:
            rmc, self._rmc = self._rmc, None
            return [_joined(rmc, item)]
        if item.time_of_day_ms == self._alone_ms:
            self._is_rmc_first = True
            return []
        outcomes = self._release_gga()
        self._gga = item
        return outcomes

    def take_rmc(self, item: Rmc) -> list[Outcome]:
        """Rule 2."""
        if item.time_of_day_ms == self._told_ms:
            return []
        outcomes: list[Outcome] = []
        if self._rmc is not None:
            outcomes.append(_joined(self._rmc, None))
            self._rmc, self._is_rmc_first = None, False
        if self._gga is not None and self._gga.time_of_day_ms == item.time_of_day_ms:
            gga, self._gga = self._gga, None
            return [*outcomes, _joined(item, gga)]
        outcomes += self._release_gga()
        if self._is_rmc_first:
            self._rmc = item
            return outcomes
        self._alone_ms = item.time_of_day_ms
        return [*outcomes, _joined(item, None)]

    def _release_gga(self) -> list[Outcome]:
        gga, self._gga = self._gga, None
        if gga is None:
            return []
        zda = self._zda
        is_dated = zda is not None and zda.time_of_day_ms == gga.time_of_day_ms
        return [_undated(gga, zda.day_ms if zda is not None and is_dated else None)]


def _joined(rmc: Rmc, gga: Gga | None) -> Outcome:
    """RMC decides whether there is a fix; a GGA of the same moment may only deny it."""
    if rmc.fix is None or (gga is not None and gga.fix is None):
        return Reason.NO_FIX
    fix = rmc.fix if gga is None or gga.fix is None else gga.fix
    moment, flags = _dated(rmc.day_ms, rmc.time_of_day_ms, fix)
    return Position(
        lat_e7=rmc.lat_e7,
        lon_e7=rmc.lon_e7,
        altitude_mm=None if gga is None else gga.altitude_mm,
        speed_mm_s=rmc.speed_mm_s,
        course_cdeg=rmc.course_cdeg,
        hdop_centi=None if gga is None else gga.hdop_centi,
        satellites=None if gga is None else gga.satellites,
        fix=fix,
        gnss_time_ms=moment,
        flags=flags,
    )


def _undated(gga: Gga, day_ms: int | None) -> Outcome:
    if gga.fix is None:
        return Reason.NO_FIX
    moment, flags = _dated(day_ms, gga.time_of_day_ms, gga.fix)
    return Position(
        lat_e7=gga.lat_e7,
        lon_e7=gga.lon_e7,
        altitude_mm=gga.altitude_mm,
        hdop_centi=gga.hdop_centi,
        satellites=gga.satellites,
        fix=gga.fix,
        gnss_time_ms=moment,
        flags=flags,
    )


def _dated(day_ms: int | None, time_of_day_ms: int, fix: int) -> tuple[int | None, int]:
    """The moment and the flags; a date that cannot be is dropped and marks the reading."""
    flags = FLAG_SUSPECT if fix in _DOUBTFUL_FIXES else FLAG_OK
    if day_ms is None:
        return None, flags
    if day_ms < _YEAR_2000_MS:
        return None, flags | FLAG_SUSPECT
    return day_ms + time_of_day_ms, flags
