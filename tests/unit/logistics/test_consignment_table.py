from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logistics.consignment_table import (
    FAULTS_MAX,
    PlannedConsignment,
    TableError,
    parse_consignments,
)

HEADER = "consignment,sscc,carrier,consignee,from,to,pickup,delivery,low,high,devices"
# GS1's own examples of SSCCs.
FIRST, SECOND = "106141412345678908", "340123450000000000"
PLAN = "2026-11-23T10:00:00Z,2026-11-23T18:00:00+01:00"
ROW = f"C-1,{{sscc}},Swift,Corner Ltd,Farm,Shop,{PLAN},-18.5,2,probe-1 probe-2"
GOOD = f"{HEADER}\n{ROW.format(sscc=FIRST)}\n{ROW.format(sscc=SECOND)}\n"


def faults(text: str) -> list[tuple[int, str]]:
    with pytest.raises(TableError) as caught:
        parse_consignments(text)
    return [(fault.row, fault.field) for fault in caught.value.faults]


def test_rows_of_one_consignment_are_its_units() -> None:
    wanted = PlannedConsignment(
        row=2,
        name="C-1",
        units=(FIRST, SECOND),
        carrier="Swift",
        consignee="Corner Ltd",
        devices=("probe-1", "probe-2"),
        origin="Farm",
        destination="Shop",
        pickup_ms=1_795_428_000_000,
        delivery_ms=1_795_453_200_000,
        limits_milli=(-18_500, 2_000),
    )
    assert parse_consignments(GOOD) == (wanted,)
    assert parse_consignments("\ufeff" + GOOD.replace("\n", "\r\n")) == (wanted,)


def test_limits_may_be_left_out() -> None:
    assert parse_consignments(GOOD.replace("-18.5,2", ","))[0].limits_milli is None


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (FIRST, FIRST[:-1] + "7", (2, "sscc")),
        (FIRST, "12", (2, "sscc")),
        (SECOND, FIRST, (3, "sscc")),
        ("-18.5,2", "warm,2", (2, "low")),
        ("-18.5,2", "3,2", (2, "high")),
        ("-18.5,2", "-18.5,", (2, "high")),
        ("-18.5,2", "-1001,2", (2, "low")),
        ("2026-11-23T10:00:00Z", "now", (2, "pickup")),
        ("2026-11-23T10:00:00Z", "2026-11-23T10:00:00", (2, "pickup")),
        ("2026-11-23T18:00:00+01:00", "2026-11-22T18:00:00Z", (2, "delivery")),
        ("Swift", "", (2, "carrier")),
        ("Swift", "S" * 81, (2, "carrier")),
        ("Shop", "Sh\x07op", (2, "to")),
        ("probe-2", "probe-1", (2, "devices")),
        ("probe-2", "p" * 257, (2, "devices")),
        ("Corner Ltd", "", (2, "consignee")),
        ("low,high", "low,hgh", (1, "hgh")),
        ("low,high", "low,low", (1, "low")),
        ("consignment,", "number,", (1, "consignment")),
        (",Swift", ",Swift,Swift", (2, "file")),
    ],
)
def test_a_fault_names_its_row_and_field(old: str, new: str, fault: tuple[int, str]) -> None:
    assert fault in faults(GOOD.replace(old, new))


def test_every_fault_is_found_in_one_reading_and_nothing_is_taken() -> None:
    text = GOOD + ROW.format(sscc="1").replace("C-1", "C-2").replace("Shop", "") + "\n"
    assert faults(text) == [(4, "sscc"), (4, "to")]


def test_rows_of_one_consignment_must_agree() -> None:
    other = ROW.format(sscc=SECOND).replace("Swift", "Slow")
    assert faults(f"{HEADER}\n{ROW.format(sscc=FIRST)}\n{other}\n") == [(3, "carrier")]


@pytest.mark.parametrize("text", ["", HEADER, '"', GOOD + '"never closed'])
def test_what_is_no_table_is_refused(text: str) -> None:
    assert faults(text)


def test_faults_are_bounded() -> None:
    rows = "\n".join(ROW.format(sscc=at) for at in range(3 * FAULTS_MAX))
    assert len(faults(f"{HEADER}\n{rows}\n")) == FAULTS_MAX


@given(st.text(), st.integers(0, len(GOOD)))
def test_any_text_is_a_table_or_a_table_error(noise: str, cut: int) -> None:
    for text in (noise, GOOD[:cut] + noise + GOOD[cut:], f"{HEADER}\n{noise}"):
        with suppress(TableError):
            assert parse_consignments(text)
