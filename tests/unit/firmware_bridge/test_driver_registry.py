"""Which drivers there are: ours, and those of other packages."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint

import pytest

from firmware_bridge import driver_registry
from firmware_bridge.driver_registry import GROUP, driver_names, find_driver
from firmware_bridge.errors import SpecError

OURS = EntryPoint("nmea", "firmware_bridge.drivers.nmea:DRIVER", GROUP)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EntryPoint]]:
    points: list[EntryPoint] = []
    monkeypatch.setattr(driver_registry, "entry_points", lambda **_: points)
    driver_registry._installed.cache_clear()
    find_driver.cache_clear()
    yield points
    monkeypatch.undo()
    driver_registry._installed.cache_clear()
    find_driver.cache_clear()


@pytest.mark.parametrize("order", [1, -1])
def test_no_package_stands_in_for_one_of_ours(installed: list[EntryPoint], order: int) -> None:
    installed += [OURS, EntryPoint("nmea", "other:DRIVER", GROUP)][::order]
    assert ("nmea",) == driver_names()
    assert find_driver("nmea").title.startswith("GNSS receiver")


@pytest.mark.parametrize("value", ["no_such_module:DRIVER", "json:NOTHING", "json:loads"])
def test_a_broken_package_is_named_and_nothing_else_breaks(
    installed: list[EntryPoint], value: str
) -> None:
    installed += [OURS, EntryPoint("thermo", value, GROUP)]
    assert ("nmea", "thermo") == driver_names()
    with pytest.raises(SpecError, match="thermo"):
        find_driver("thermo")
    assert find_driver("nmea").is_stream


def test_an_unknown_name_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(SpecError, match=r"'lidar' is none of .*nmea"):
        find_driver("lidar")
