"""Which drivers are installed: the entry points of the group `wharfinger.drivers`, by name.

Names are read without importing anything; a driver's code is loaded when a device asks for it.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from firmware_bridge.driver import Driver
from firmware_bridge.errors import SpecError

GROUP: Final = "wharfinger.drivers"


@cache
def _installed() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        # Our own name wins: no package may quietly stand in for a driver that a site relies on.
        if point.name not in found or point.value.startswith("firmware_bridge."):
            found[point.name] = point
    return found


def driver_names() -> tuple[str, ...]:
    """The names of all installed drivers, sorted."""
    return tuple(sorted(_installed()))


@cache
def find_driver(name: str) -> Driver:
    """The driver of that name. Raises SpecError where there is none or its package is broken."""
    point = _installed().get(name)
    if point is None:
        raise SpecError("driver", f"{name!r} is none of {', '.join(driver_names())}")
    try:
        driver = point.load()
    except (ImportError, AttributeError) as error:
        where = point.dist.name if point.dist else point.value
        raise SpecError("driver", f"{name!r} of package {where} does not load: {error}") from error
    if not isinstance(driver, Driver):
        raise SpecError("driver", f"{name!r}: {point.value} is no Driver")
    return driver
