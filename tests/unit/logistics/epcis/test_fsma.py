"""Sheets for the regulator: every key data element has a column, and what is missing is said."""

import csv
import io

from logistics.epcis.event_view import EventView, Quantity
from logistics.epcis.fsma import COLUMNS, MasterData, sheets

LOT = "https://id.gs1.org/01/10614141073464/10/L1"
FARM, DOCK = "https://id.gs1.org/414/4012345002256", "https://id.gs1.org/414/0614141000012"
MASTER = MasterData(
    products={"https://id.gs1.org/01/10614141073464": "Romaine, hearts, 3 x 12"},
    places={FARM: "Farm Nord, 1 Field Road", DOCK: "=Dock 4"},
    lot_sources={LOT: "Farm Nord, 1 Field Road"},
)


def shipping(minute: int, **changes: object) -> EventView:
    values: dict[str, object] = {
        "event_id": f"e{minute}",
        "kind": "ObjectEvent",
        "time_ms": 60_000 * minute,
        "offset": "+00:00",
        "step": "shipping",
        "quantities": (Quantity(LOT, "240", "KGM"),),
        "sources": (("location", FARM),),
        "destinations": (("location", DOCK),),
        "transactions": (("bol", "https://b.example/bol/7"),),
    }
    return EventView(**(values | changes))  # type: ignore[arg-type]  # a table of changes


def test_a_shipping_sheet_has_every_element_in_date_order() -> None:
    (sheet,) = sheets([shipping(2), shipping(1)], MASTER)
    rows = list(csv.DictReader(io.StringIO(sheet.csv())))
    assert list(COLUMNS) == list(rows[0])
    assert ["e1", "e2"] == [row["event_id"] for row in rows]
    assert ("240", "KGM", "bol") == (
        rows[0]["quantity"],
        rows[0]["unit_of_measure"],
        rows[0]["reference_document_type"],
    )
    assert "'=Dock 4" == rows[0]["ship_to_location"]  # no spreadsheet computes it
    assert () == sheet.missing


def test_what_no_event_says_is_an_empty_cell_and_counted() -> None:
    (sheet,) = sheets([shipping(1, sources=(), transactions=())], MASTER)
    assert {"ship_from_location", "reference_document_type", "reference_document_number"} == {
        column for _, column in sheet.missing
    }


def test_a_transformation_names_what_went_in() -> None:
    event = EventView(
        event_id="t",
        kind="TransformationEvent",
        time_ms=0,
        offset="+00:00",
        input_quantities=(Quantity("in-1", "5", "KGM"),),
        output_quantities=(Quantity(LOT, "4", "KGM"),),
    )
    (sheet,) = sheets([event], MASTER)
    assert "in-1" == sheet.rows[0]["input_traceability_lot_codes"]
    assert "transformation" == sheet.name


def test_an_event_declared_an_error_is_in_no_sheet() -> None:
    assert () == sheets([shipping(1, is_error=True)], MASTER)
