"""The sortable sheets that FDA asks for within 24 hours: one row a traceability lot and event.

Source: 21 CFR 1.1325 to 1.1350 (harvesting, cooling, initial packing, first land-based receiving,
shipping, receiving, transformation) and 1.1455(c): "an electronic sortable spreadsheet". What an
event does not say stays an empty cell and is counted, never guessed.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from logistics.epcis.event_view import EventView, Quantity, time_text

COLUMNS: Final = (
    "traceability_lot_code",
    "product_description",
    "quantity",
    "unit_of_measure",
    "traceability_lot_code_source",
    "location_description",
    "ship_from_location",
    "ship_to_location",
    "event_date",
    "reference_document_type",
    "reference_document_number",
    "input_traceability_lot_codes",
    "event_id",
)
REQUIRED: Final[Mapping[str, frozenset[str]]] = {
    "harvesting": frozenset({"location_description"}),
    "cooling": frozenset({"location_description"}),
    "initial_packing": frozenset({"traceability_lot_code_source", "location_description"}),
    "first_land_based_receiving": frozenset(
        {"traceability_lot_code_source", "location_description"}
    ),
    "shipping": frozenset(
        {"traceability_lot_code_source", "ship_from_location", "ship_to_location"}
    ),
    "receiving": frozenset(
        {"traceability_lot_code_source", "ship_from_location", "location_description"}
    ),
    "transformation": frozenset({"traceability_lot_code_source", "location_description"}),
}
_ALWAYS: Final = frozenset(
    {
        "traceability_lot_code",
        "product_description",
        "quantity",
        "unit_of_measure",
        "event_date",
        "reference_document_type",
        "reference_document_number",
    }
)
_STEPS: Final[Mapping[str, str]] = {
    "collecting": "harvesting",
    "holding": "cooling",
    "packing": "initial_packing",
    "commissioning": "initial_packing",
    "accepting": "first_land_based_receiving",
    "shipping": "shipping",
    "departing": "shipping",
    "receiving": "receiving",
    "arriving": "receiving",
}


@dataclass(frozen=True, slots=True)
class MasterData:
    """What people call products and places, by canonical URI, and whence a lot's code comes."""

    products: Mapping[str, str]
    places: Mapping[str, str]
    lot_sources: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One critical tracking event: rows in date order, and which cells no event filled."""

    name: str
    rows: tuple[Mapping[str, str], ...]
    missing: tuple[tuple[str, str], ...]  # (event id, column)

    def csv(self) -> str:
        """The sheet as CSV with a head line; a cell that a spreadsheet would compute is quoted."""
        out = io.StringIO()
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\r\n")
        writer.writeheader()
        writer.writerows({key: _plain(value) for key, value in row.items()} for row in self.rows)
        return out.getvalue()


def sheets(events: Iterable[EventView], master: MasterData) -> tuple[Sheet, ...]:
    """A sheet for each critical tracking event that occurs, in the rule's order."""
    found: dict[str, list[tuple[int, dict[str, str]]]] = {name: [] for name in REQUIRED}
    for event in events:
        name = tracking_event(event)
        if name is None or event.is_error:
            continue
        found[name] += [(event.time_ms, row) for row in _rows(event, master)]
    return tuple(_sheet(name, rows) for name, rows in found.items() if rows)


def tracking_event(event: EventView) -> str | None:
    """Which critical tracking event this is; None for none."""
    if event.kind == "TransformationEvent":
        return "transformation"
    return _STEPS.get(event.step or "")


def _sheet(name: str, dated: list[tuple[int, dict[str, str]]]) -> Sheet:
    dated.sort(key=lambda pair: (pair[0], pair[1]["traceability_lot_code"], pair[1]["event_id"]))
    rows = tuple(row for _, row in dated)
    required = _ALWAYS | REQUIRED[name]
    missing = tuple(
        (row["event_id"], column)
        for row in rows
        for column in COLUMNS
        if column in required and not row[column]
    )
    return Sheet(name, rows, missing)


def _rows(event: EventView, master: MasterData) -> Iterable[dict[str, str]]:
    made = event.output_quantities or event.quantities
    if event.kind == "TransformationEvent":
        made = event.output_quantities
        singles = event.outputs
    else:
        singles = (*event.things, *event.children)
    inputs = (*event.inputs, *(row.uri for row in event.input_quantities))
    for row in (*made, *(Quantity(uri, "1") for uri in singles if "/01/" in uri)):
        yield _row(event, row, master, inputs)


def _row(
    event: EventView, quantity: Quantity, master: MasterData, inputs: tuple[str, ...]
) -> dict[str, str]:
    document = event.transactions[0] if event.transactions else ("", "")
    place = event.location or event.read_point or ""
    return {
        "traceability_lot_code": quantity.uri,
        "product_description": master.products.get(_product(quantity.uri), ""),
        "quantity": quantity.amount,
        "unit_of_measure": quantity.unit or "EA",
        "traceability_lot_code_source": master.lot_sources.get(quantity.uri, ""),
        "location_description": _called(place, master),
        "ship_from_location": _called(_location(event.sources), master),
        "ship_to_location": _called(_location(event.destinations), master),
        "event_date": time_text(event.time_ms),
        "reference_document_type": document[0],
        "reference_document_number": document[1],
        "input_traceability_lot_codes": " ".join(inputs),
        "event_id": event.event_id,
    }


def _product(uri: str) -> str:
    return "/".join(uri.split("/")[:5])


def _location(pairs: tuple[tuple[str, str], ...]) -> str:
    return next((uri for kind, uri in pairs if kind == "location"), "")


def _called(uri: str, master: MasterData) -> str:
    return master.places.get(uri, uri)


def _plain(text: str) -> str:
    """Spreadsheets compute what begins with these; a quote keeps it text."""
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
