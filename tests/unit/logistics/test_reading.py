"""Bodies are strict both ways, and the worked examples of docs/formats/reading.md are true."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import decode, encode
from logistics.errors import BodyError
from logistics.reading import (
    Descriptor,
    Gap,
    GapReason,
    Position,
    TagSighting,
    Telemetry,
    stats,
)

FORMAT_PAGE = Path(__file__).parents[3] / "docs/formats/reading.md"
EXAMPLES: dict[str, Any] = {
    "telemetry": Telemetry(value=4300, exponent=-3, unit="CEL", device_time_ms=1_795_428_900_250),
    "tag sighting": TagSighting(
        epc=bytes.fromhex("3074257bf7194e4000001a85"), pc=0x3000, rssi_cdbm=-5500
    ),
    "position": Position(
        lat_e7=535_461_000,
        lon_e7=99_661_000,
        altitude_mm=25_400,
        speed_mm_s=5144,
        course_cdeg=8440,
        hdop_centi=90,
        satellites=9,
        fix=1,
        gnss_time_ms=1_795_428_900_250,
    ),
    "descriptor": Descriptor(
        device_id="fridge-1",
        channel="temperature",
        quantity="temperature",
        unit="CEL",
        driver="zigbee2mqtt",
        interval_ms=60_000,
    ),
    "gap": Gap(
        reason=GapReason.SILENT,
        from_wall_us=1_795_428_900_000_000,
        to_wall_us=1_795_429_200_000_000,
        from_mono_us=10_000_000,
        to_mono_us=310_000_000,
    ),
}


def page_examples() -> dict[str, bytes]:
    """Name -> bytes of the page's blocks that begin with `example <name>`."""
    text = FORMAT_PAGE.read_text()
    blocks = re.findall(r"```hex\nexample ([a-z ]+)\n(.*?)```", text, re.DOTALL)
    return {name: bytes.fromhex(re.sub(r"#.*", "", lines)) for name, lines in blocks}


def test_the_page_has_one_worked_example_for_each_record() -> None:
    assert set(EXAMPLES) == set(page_examples())


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_worked_example_is_the_record_both_ways(name: str) -> None:
    raw, record = page_examples()[name], EXAMPLES[name]
    assert raw == encode(record.to_body())
    assert record == type(record).from_body(decode(raw))


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_item_of_a_body_is_checked(name: str) -> None:
    record = EXAMPLES[name]
    body = record.to_body()
    for index in range(len(body)):
        wrongs: list[Any] = [[], 1.5, 1 << 70, "x" * 300, b"x" * 300, True, -(1 << 70)]
        for wrong in wrongs:
            with pytest.raises(BodyError):
                type(record).from_body([*body[:index], wrong, *body[index + 1 :]])


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_body_of_another_length_or_version_is_refused(name: str) -> None:
    record = EXAMPLES[name]
    body = record.to_body()
    wrongs: list[Any] = [[], body[:-1], [*body, 0], [2, *body[1:]], None, {}, "body"]
    for wrong in wrongs:
        with pytest.raises(BodyError):
            type(record).from_body(wrong)


def test_who_counts_is_one_of_three() -> None:
    body = EXAMPLES["descriptor"].to_body()
    body[5] = "someone"
    with pytest.raises(BodyError):
        Descriptor.from_body(body)


def celsius(value: int, exponent: int = -3) -> Telemetry:
    return Telemetry(value=value, exponent=exponent, unit="CEL")


def test_stats_are_at_the_finest_exponent() -> None:
    records = [celsius(4000), celsius(412_345, -5), celsius(-1, 0)]
    total = 400_000 + 412_345 - 100_000
    assert [1, 3, -5, -100_000, 412_345, 400_000, -100_000, total] == stats(records)


@pytest.mark.parametrize(
    "records",
    [
        [],
        [EXAMPLES["position"]],
        [celsius(1), Telemetry(value=1, exponent=-3, unit="FAH")],
        [celsius((1 << 63) - 1, 12), celsius(1, -12)],
        [celsius(1), EXAMPLES["tag sighting"]],
    ],
    ids=["none", "positions", "two units", "too large", "mixed"],
)
def test_stats_only_count_what_has_no_sum(records: list[Any]) -> None:
    assert [1, len(records)] == stats(records)


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=20))
def test_stats_agree_with_plain_arithmetic(numbers: list[int]) -> None:
    expected = [min(numbers), max(numbers), numbers[0], numbers[-1], sum(numbers)]
    assert [1, len(numbers), -3, *expected] == stats([celsius(number) for number in numbers])
