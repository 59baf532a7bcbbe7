"""Time and how far to trust it: boot number, monotonic time, wall time with source and error bound.

Order inside a gateway is (boot, mono) alone; wall time is a claim with a quality (ledger.entry).
"""

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.entry import (
    QUALITY_AUTHENTICATED,
    QUALITY_GNSS,
    QUALITY_NONE,
    QUALITY_NTP,
    QUALITY_RTC,
    GTime,
)

STEP_US_MIN: Final = 1_000_000  # a wall clock that moves further than this against mono has stepped
RTC_UNCERTAINTY_US: Final = 60_000_000
GNSS_UNCERTAINTY_US: Final = 1_000_000  # sentences arrive up to a second after their instant
GNSS_JUMP_US: Final = 10_000_000  # what moves further against mono at once is doubted at first
GNSS_JUMP_FIXES: Final = 30
GNSS_FIRST_FIXES: Final = 2  # after a start, one fix alone sets no clock
GNSS_APART_US_MIN: Final = 500_000  # fixes of one moment are one fix
GNSS_HOLD_US: Final = 600_000_000  # ten minutes of a 50 ppm crystal stay far below the bound
DRIFT_PPM: Final = 50
# No wall time before this program existed can be true: 2026-01-01.
WALL_US_MIN: Final = 1_767_225_600_000_000
WALL_US_END: Final = 4_102_444_800_000_000  # 2100-01-01: a receiver that says more has lost count


@dataclass(frozen=True, slots=True)
class WallReading:
    """What the operating system says of its clock: time, whether it is disciplined, its error
    bound.
    """

    wall_us: int
    synchronised: bool
    error_us: int


@dataclass(frozen=True, slots=True)
class ClockStep:
    """The wall clock moved against the monotonic one: offset before and after, microseconds."""

    before_us: int
    after_us: int


class TimeModel:
    """Turns monotonic instants into times with their quality. Pure but for the two clocks given."""

    def __init__(
        self, boot: int, read_mono_us: Callable[[], int], read_wall: Callable[[], WallReading]
    ) -> None:
        self.boot = boot
        self._read_mono_us, self._read_wall = read_mono_us, read_wall
        self._offset_us: int | None = None
        self._gnss_offset_us: int | None = None
        self._gnss_at_us = 0
        self._doubted_offset_us: int | None = None  # what a receiver that jumped says now
        self._doubted_count = 0
        self._doubted_at_us = 0
        self._steps: list[ClockStep] = []

    def mono_us(self) -> int:
        """Microseconds since boot, sleep included."""
        return self._read_mono_us()

    def now(self) -> GTime:
        """The time of this instant."""
        return self.at(self._read_mono_us())

    def at(self, mono_us: int) -> GTime:
        """The time of a recent monotonic instant."""
        wall = self._read_wall()
        offset_us = wall.wall_us - self._read_mono_us()
        self._watch(offset_us)
        offset_us, quality, unc_us = self._judge(offset_us, wall, mono_us)
        if quality == QUALITY_NONE:
            return GTime(self.boot, mono_us, None, QUALITY_NONE, 0)
        return GTime(self.boot, mono_us, mono_us + offset_us, quality, unc_us)

    def _watch(self, offset_us: int) -> None:
        if self._offset_us is not None and abs(offset_us - self._offset_us) >= STEP_US_MIN:
            self._steps.append(ClockStep(self._offset_us, offset_us))
            self._offset_us = offset_us
        elif self._offset_us is None:
            self._offset_us = offset_us

    def _judge(self, offset_us: int, wall: WallReading, mono_us: int) -> tuple[int, int, int]:
        """(offset, quality, uncertainty) from the sources that are alive."""
        gnss = self._gnss_offset(mono_us)
        if gnss is not None:
            age_us = mono_us - self._gnss_at_us
            unc_us = GNSS_UNCERTAINTY_US + max(0, age_us) * DRIFT_PPM // 1_000_000
            apart_us = abs(gnss - offset_us)
            if not wall.synchronised or wall.wall_us < WALL_US_MIN:
                return gnss, QUALITY_GNSS, unc_us
            if apart_us <= unc_us + wall.error_us:
                return offset_us, QUALITY_AUTHENTICATED, min(unc_us, wall.error_us)
            # Two sources that contradict each other: neither is believed further than they differ.
            return offset_us, QUALITY_NTP, max(apart_us, wall.error_us)
        if wall.wall_us < WALL_US_MIN:
            return 0, QUALITY_NONE, 0
        if wall.synchronised:
            return offset_us, QUALITY_NTP, wall.error_us
        return offset_us, QUALITY_RTC, RTC_UNCERTAINTY_US

    def _gnss_offset(self, mono_us: int) -> int | None:
        if self._gnss_offset_us is None or mono_us - self._gnss_at_us > GNSS_HOLD_US:
            return None
        return self._gnss_offset_us

    def observe_gnss(self, gnss_time_ms: int, mono_us: int) -> None:
        """Takes a receiver's time with a fix, once another one agrees with it.

        What lies before this program existed is ignored: 1024 weeks back is a receiver that lost
        count of them.
        """
        if not is_possible(gnss_time_ms):
            return
        offset_us = gnss_time_ms * 1000 - mono_us
        held_us = self._gnss_offset(mono_us)
        if held_us is None:
            is_believed = self._is_confirmed(offset_us, mono_us, fixes=GNSS_FIRST_FIXES)
        else:
            has_jumped = abs(offset_us - held_us) > GNSS_JUMP_US
            is_believed = not has_jumped or self._is_confirmed(
                offset_us, mono_us, fixes=GNSS_JUMP_FIXES
            )
        if not is_believed:
            return
        self._doubted_offset_us = None
        self._gnss_offset_us, self._gnss_at_us = offset_us, mono_us

    def _is_confirmed(self, offset_us: int, mono_us: int, *, fixes: int) -> bool:
        """True once a receiver that is doubted has said the same at so many moments."""
        doubted = self._doubted_offset_us
        if doubted is None or abs(offset_us - doubted) > GNSS_JUMP_US:
            self._doubted_offset_us, self._doubted_count = offset_us, 0
        if self._doubted_count == 0 or mono_us - self._doubted_at_us >= GNSS_APART_US_MIN:
            self._doubted_count, self._doubted_at_us = self._doubted_count + 1, mono_us
        return self._doubted_count >= fixes

    def take_steps(self) -> list[ClockStep]:
        """Steps seen since the last call; each becomes an entry of the feed."""
        steps, self._steps = self._steps, []
        return steps


def is_possible(time_ms: int) -> bool:
    """Whether a receiver's UTC lies between this program's making and the year 2100."""
    return WALL_US_MIN <= time_ms * 1000 < WALL_US_END


def boottime_us() -> int:
    """CLOCK_BOOTTIME in microseconds."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


class _Timex(ctypes.Structure):
    """struct timex of Linux; only `maxerror` and the return value are used."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_byte * 512),
    )


_TIME_ERROR: Final = 5
_LIBC: Final = ctypes.CDLL(None)
DISCIPLINE_NS: Final = 50_000_000
DISCIPLINE_GROWTH_US: Final = 1  # of the kernel's bound in that time: 500 ppm


class SystemWall:
    """The system clock with the kernel's own word on whether it is disciplined (adjtimex).

    The word is asked for every DISCIPLINE_NS at most: it costs more than a reading's way through
    the clock.
    """

    def __init__(self) -> None:
        self._asked_ns: int | None = None
        self._synchronised, self._error_us = False, RTC_UNCERTAINTY_US

    def __call__(self) -> WallReading:
        """The clock now."""
        now_ns = time.monotonic_ns()
        if self._asked_ns is None or now_ns - self._asked_ns > DISCIPLINE_NS:
            self._asked_ns = now_ns
            self._ask()
        return WallReading(time.time_ns() // 1000, self._synchronised, self._error_us)

    def _ask(self) -> None:
        timex = _Timex()
        state = _LIBC.adjtimex(ctypes.byref(timex))
        self._synchronised = 0 <= state < _TIME_ERROR
        # Up to the next millisecond: a bound stays true, and entries compress by two bytes more.
        bound_us = int(timex.maxerror) + DISCIPLINE_GROWTH_US
        self._error_us = -(-bound_us // 1000) * 1000 if self._synchronised else RTC_UNCERTAINTY_US


def system_wall() -> WallReading:
    """The system clock once, asked anew."""
    return SystemWall()()


def boot_id() -> str:
    """The kernel's name for this boot; another one means that monotonic time began anew."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
