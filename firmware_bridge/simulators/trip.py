"""Trip time and what happens along it: curves and a route. Functions of the tick alone, so runs
repeat.
"""

import math
import time
from collections.abc import Sequence
from itertools import pairwise
from random import Random

from firmware_bridge.simulators.spec import Curve, Fleet, SimulatedDevice

_EARTH_M = 6_371_000.0


class Trip:
    """One device's view of the trip: tick n happens at n intervals."""

    def __init__(self, fleet: Fleet, device: SimulatedDevice) -> None:
        self._fleet, self._device = fleet, device
        self.random = Random(f"{fleet.seed}/{device.id}")
        self.kept: list[tuple[int, bytes]] = []  # what a device with a memory has not delivered

    def second(self, tick: int) -> float:
        """Trip seconds since the start at this tick."""
        return tick * self._device.interval_ms / 1000 * self._fleet.speed

    def device_ms(self, tick: int) -> int:
        """What the device believes the time is, UTC since 1970 in milliseconds."""
        if self._fleet.clock == "real":
            return time.time_ns() // 10**6
        return self._fleet.start_unix_ms + int(self.second(tick) * 1000)

    def value(self, curve: Curve, tick: int) -> float:
        """The curve at this tick, with the device's noise."""
        noise = float(self._device.fields.get("noise", 0.0))
        return on_curve(curve, self.second(tick)) + self.random.uniform(-noise, noise)


def on_curve(curve: Curve, second: float) -> float:
    """Straight lines between the points, level before the first and after the last."""
    if second <= curve[0][0]:
        return curve[0][1]
    for (start, low), (end, high) in pairwise(curve):
        if second <= end:
            return low + (high - low) * (second - start) / (end - start)
    return curve[-1][1]


def on_route(route: Sequence[Sequence[float]], travelled_m: float) -> tuple[float, float, float]:
    """(latitude, longitude, course in degrees) after this distance; stays at the end of the
    route.
    """
    course = 0.0
    for (lat, lon), (lat_next, lon_next) in pairwise(route):
        leg_m, course = _leg(lat, lon, lat_next, lon_next)
        if travelled_m <= leg_m and leg_m > 0:
            share = travelled_m / leg_m
            return lat + (lat_next - lat) * share, lon + (lon_next - lon) * share, course
        travelled_m -= leg_m
    return route[-1][0], route[-1][1], course


def _leg(lat: float, lon: float, lat_next: float, lon_next: float) -> tuple[float, float]:
    """Length in metres and course of a short leg, on a plane."""
    north = math.radians(lat_next - lat) * _EARTH_M
    east = math.radians(lon_next - lon) * _EARTH_M * math.cos(math.radians((lat + lat_next) / 2))
    return math.hypot(north, east), math.degrees(math.atan2(east, north)) % 360
