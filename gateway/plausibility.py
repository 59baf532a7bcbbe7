"""Marks on readings that can hardly be true: they are stored all the same, and say so.

Cheap, pure, in integers, and the same on every machine: what a channel said last, against what it
says now. Each limit can be set for a channel, and is off where it is None.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from logistics.business_event import FrameDigest
from logistics.reading import (
    FLAG_APART,
    FLAG_CLOCK_JUMP,
    FLAG_OK,
    FLAG_PLACE_JUMP,
    FLAG_RATE,
    FLAG_STUCK,
    Position,
    TagSighting,
    Telemetry,
)

Channel = tuple[str, str]  # device, channel
Record = Telemetry | TagSighting | Position | FrameDigest
CHANNELS_MAX: Final = 10_000
NEIGHBOUR_MS_MAX: Final = 900_000  # what a neighbour said longer ago says nothing of now
_MILLI: Final = -3
_MM_PER_E7_TENTHS: Final = 111  # a ten-millionth of a degree of latitude, in tenths of mm
_HALF_TURN_E7: Final = 1_800_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a channel can do at most; thousandths of its unit, mm, seconds, ms. None: not judged."""

    step_milli: int | None = None  # at once: noise, a door, the next digit
    rate_milli_per_min: int = 0  # and beyond that, per minute since the last reading
    stuck_s: int | None = None  # the very same value for so long
    stuck_reads: int = 60  # and so often
    apart_milli: int | None = None  # from the median of its neighbours
    neighbours: tuple[Channel, ...] = ()
    speed_mm_s: int | None = None  # of what carries the receiver
    jump_mm: int = 200_000  # and beyond that, at once
    clock_ms: int | None = 10_000  # the device's clock against ours


_AIR: Final = Limits(step_milli=2_000, rate_milli_per_min=10_000, stuck_s=21_600)
DEFAULTS: Final[Mapping[str, Limits]] = {
    "temperature": _AIR,
    "humidity": Limits(step_milli=20_000, rate_milli_per_min=60_000, stuck_s=43_200),
    "pressure": Limits(step_milli=3_000, rate_milli_per_min=5_000, stuck_s=43_200),
    "position": Limits(speed_mm_s=70_000),
}
_NO_LIMITS: Final = Limits()


@dataclass(slots=True)
class _Last:
    """What a channel said last."""

    mono_ms: int
    milli: int | None = None
    place: Position | None = None
    same_since_ms: int = 0
    same_count: int = 0
    device_ms: int | None = None
    ahead_ms: int | None = None  # of our wall clock


class Plausibility:
    """Judges every reading; holds one state a channel, of CHANNELS_MAX at most."""

    def __init__(self, limits: Mapping[Channel, Limits] | None = None) -> None:
        self._limits = dict(limits or {})
        self._last: dict[Channel, _Last] = {}

    def marks(
        self,
        channel: Channel,
        quantity: str,
        record: Record,
        *,
        mono_ms: int,
        wall_ms: int | None = None,
    ) -> int:
        """The flags that a reading earns, received at mono_ms; 0 for one that can be.

        wall_ms: UTC since 1970 at that moment, where known.
        """
        last = self._last.get(channel)
        limits = self._limits.get(channel) or DEFAULTS.get(quantity, _NO_LIMITS)
        if last is None:
            if len(self._last) >= CHANNELS_MAX:
                return FLAG_OK
            last = self._last[channel] = _Last(mono_ms)
        flags = self._value(limits, last, record, mono_ms)
        time_ms = device_ms(record)
        if limits.clock_ms is not None and time_ms is not None:
            flags |= _clock(limits.clock_ms, last, time_ms, wall_ms)
        last.mono_ms = mono_ms
        return flags

    def _value(self, limits: Limits, last: _Last, record: Record, mono_ms: int) -> int:
        if isinstance(record, Telemetry):
            milli = _milli(record)
            flags = _rate(limits, last, milli, mono_ms) | _stuck(limits, last, milli, mono_ms)
            last.milli = milli
            return flags | self._apart(limits, milli, mono_ms)
        if isinstance(record, Position):
            flags = _jump(limits, last, record, mono_ms)
            last.place = record
            return flags
        return FLAG_OK

    def _apart(self, limits: Limits, milli: int, mono_ms: int) -> int:
        if limits.apart_milli is None:
            return FLAG_OK
        lasts = [self._last[name] for name in limits.neighbours if name in self._last]
        values = sorted(
            last.milli
            for last in lasts
            if last.milli is not None and mono_ms - last.mono_ms <= NEIGHBOUR_MS_MAX
        )
        if not values:
            return FLAG_OK
        middle = (values[(len(values) - 1) // 2] + values[len(values) // 2]) // 2
        return FLAG_APART if abs(milli - middle) > limits.apart_milli else FLAG_OK


def _milli(record: Telemetry) -> int:
    """The value in thousandths of its unit, cut where it is finer."""
    shift = record.exponent - _MILLI
    return record.value * int(10**shift) if shift >= 0 else record.value // int(10**-shift)


def _rate(limits: Limits, last: _Last, milli: int, mono_ms: int) -> int:
    if limits.step_milli is None or last.milli is None:
        return FLAG_OK
    allowed = limits.step_milli + limits.rate_milli_per_min * (mono_ms - last.mono_ms) // 60_000
    return FLAG_RATE if abs(milli - last.milli) > allowed else FLAG_OK


def _stuck(limits: Limits, last: _Last, milli: int, mono_ms: int) -> int:
    if milli != last.milli:
        last.same_since_ms, last.same_count = mono_ms, 0
    last.same_count += 1
    if limits.stuck_s is None or last.same_count < limits.stuck_reads:
        return FLAG_OK
    return FLAG_STUCK if mono_ms - last.same_since_ms >= 1000 * limits.stuck_s else FLAG_OK


def _jump(limits: Limits, last: _Last, place: Position, mono_ms: int) -> int:
    """Further than what carries it can go in the time, by the receiver's clock where it has one."""
    before = last.place
    if limits.speed_mm_s is None or before is None:
        return FLAG_OK
    passed_ms = mono_ms - last.mono_ms
    if place.gnss_time_ms is not None and before.gnss_time_ms is not None:
        # A tracker that was out of reach sends hours of fixes in one second of ours.
        passed_ms = abs(place.gnss_time_ms - before.gnss_time_ms)
    reach_mm = limits.jump_mm + limits.speed_mm_s * passed_ms // 1000
    return FLAG_PLACE_JUMP if distance_mm2(before, place) > reach_mm * reach_mm else FLAG_OK


def distance_mm2(one: Position, other: Position) -> int:
    """The square of the distance of two places, mm²; right to a percent up to some 100 km.

    The cosine is Bhaskara's: (32400 - 4x²) / (32400 + x²) for x degrees, right to 0.2 percent.
    """
    north = (other.lat_e7 - one.lat_e7) * _MM_PER_E7_TENTHS // 10
    east_e7 = (other.lon_e7 - one.lon_e7 + _HALF_TURN_E7) % (2 * _HALF_TURN_E7) - _HALF_TURN_E7
    square = ((one.lat_e7 + other.lat_e7) // 20_000) ** 2  # thousandths of a degree, squared
    whole = 32_400 * 10**6
    east = east_e7 * _MM_PER_E7_TENTHS // 10 * (whole - 4 * square) // (whole + square)
    return north * north + east * east


def device_ms(record: Record) -> int | None:
    """The time that the device itself gives to a reading."""
    return record.gnss_time_ms if isinstance(record, Position) else record.device_time_ms


def _clock(bound_ms: int, last: _Last, time_ms: int, wall_ms: int | None) -> int:
    """A device's clock that went back, or is ahead of ours and was not so before.

    What was held up on its way comes late and in a rush; it is behind us all the while, and no
    jump.
    """
    before_ms, was_ahead_ms = last.device_ms, last.ahead_ms
    last.device_ms = time_ms
    last.ahead_ms = None if wall_ms is None else time_ms - wall_ms
    if before_ms is not None and time_ms < before_ms - bound_ms:
        return FLAG_CLOCK_JUMP
    if last.ahead_ms is None or was_ahead_ms is None:
        return FLAG_OK
    has_jumped = last.ahead_ms > max(was_ahead_ms, 0) + bound_ms
    return FLAG_CLOCK_JUMP if has_jumped else FLAG_OK
