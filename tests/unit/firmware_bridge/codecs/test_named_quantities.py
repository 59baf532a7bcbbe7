"""What a field measures, by its name or as it was told."""

import pytest

from firmware_bridge.codecs.named_quantities import parse_quantities, quantity_of
from firmware_bridge.errors import SpecError


@pytest.mark.parametrize(
    ("name", "quantity"),
    [
        ("TempC_SHT", "temperature"),
        ("air temperature", "temperature"),
        ("relativeHumidity", "humidity"),
        ("BatV", "voltage"),
        ("battery", None),
        ("counter", None),
    ],
)
def test_clear_names_are_known_and_doubtful_ones_are_not(name: str, quantity: str | None) -> None:
    found = quantity_of(name, {})
    assert quantity == (found and found.name)


def test_what_was_told_wins() -> None:
    told = parse_quantities("temp=temperature_f, battery = battery")
    found = [quantity_of(name, told) for name in ("temp", "battery")]
    assert ["FAH", "P1"] == [item.unit for item in found if item is not None]


@pytest.mark.parametrize(
    "text", ["temp", "temp=heat", "=temperature", "a=humidity,a=humidity", ","]
)
def test_a_wrong_option_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match=r"options\.quantities"):
        parse_quantities(text)
