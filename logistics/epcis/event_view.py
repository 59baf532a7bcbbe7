"""An event as the rooms above read it: who, what, when, where, why, in one shape for all types."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from logistics.epcis.canonical_uri import canonical_uri
from logistics.epcis.vocabulary import bare_word


@dataclass(frozen=True, slots=True)
class Quantity:
    """So much of a class or lot, in the unit's UN/ECE Rec 20 code; None: pieces."""

    uri: str
    amount: str  # the decimal as it was written
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """What an event says, with canonical URIs and bare words. Times are ms since 1970, UTC."""

    event_id: str
    kind: str
    time_ms: int
    offset: str
    action: str | None = None
    step: str | None = None
    disposition: str | None = None
    read_point: str | None = None
    location: str | None = None
    parent: str | None = None
    things: tuple[str, ...] = ()  # EPCs of an object, transaction or association event
    children: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    quantities: tuple[Quantity, ...] = ()
    input_quantities: tuple[Quantity, ...] = ()
    output_quantities: tuple[Quantity, ...] = ()
    transformation_id: str | None = None
    transactions: tuple[tuple[str, str], ...] = ()
    sources: tuple[tuple[str, str], ...] = ()
    destinations: tuple[tuple[str, str], ...] = ()
    is_error: bool = False
    corrected_by: tuple[str, ...] = ()

    @property
    def named(self) -> tuple[str, ...]:
        """Every instance, lot or class that the event is about, each once."""
        rows = (
            *self.things,
            *self.children,
            *self.inputs,
            *self.outputs,
            *(row.uri for row in self.quantities),
            *(row.uri for row in self.input_quantities),
            *(row.uri for row in self.output_quantities),
        )
        return tuple(dict.fromkeys((*((self.parent,) if self.parent else ()), *rows)))


def view(event: Mapping[str, Any], event_id: str) -> EventView:
    """The event's meaning; `event` is one that `logistics.epcis.document` let pass."""
    is_object = event["type"] in ("ObjectEvent", "TransactionEvent")
    error = event.get("errorDeclaration")
    return EventView(
        event_id=event_id,
        kind=event["type"],
        time_ms=time_ms(event["eventTime"]),
        offset=event["eventTimeZoneOffset"],
        action=event.get("action"),
        step=_word(event, "bizStep"),
        disposition=_word(event, "disposition"),
        read_point=_place(event, "readPoint"),
        location=_place(event, "bizLocation"),
        parent=_uri(event["parentID"]) if event.get("parentID") else None,
        things=_uris(event, "epcList") if is_object else (),
        children=_uris(event, "childEPCs"),
        inputs=_uris(event, "inputEPCList"),
        outputs=_uris(event, "outputEPCList"),
        quantities=_quantities(event, "quantityList") + _quantities(event, "childQuantityList"),
        input_quantities=_quantities(event, "inputQuantityList"),
        output_quantities=_quantities(event, "outputQuantityList"),
        transformation_id=event.get("transformationID"),
        transactions=_pairs(event, "bizTransactionList", "bizTransaction"),
        sources=_pairs(event, "sourceList", "source"),
        destinations=_pairs(event, "destinationList", "destination"),
        is_error=error is not None,
        corrected_by=tuple((error or {}).get("correctiveEventIDs", ())),
    )


def time_ms(text: str) -> int:
    """Milliseconds since 1970 of an xsd:dateTimeStamp."""
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)


def time_text(milliseconds: int) -> str:
    """The same as text, in UTC."""
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _uri(text: str) -> str:
    return canonical_uri(text) or text


def _uris(event: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return tuple(_uri(text) for text in event.get(name, ()))


def _word(event: Mapping[str, Any], name: str) -> str | None:
    value = event.get(name)
    return bare_word(value) if isinstance(value, str) else None


def _place(event: Mapping[str, Any], name: str) -> str | None:
    place = event.get(name)
    return _uri(place["id"]) if isinstance(place, dict) else None


def _pairs(event: Mapping[str, Any], name: str, inner: str) -> tuple[tuple[str, str], ...]:
    return tuple(
        (bare_word(row.get("type", "")), _uri(row[inner]))
        for row in event.get(name, ())
        if inner in row
    )


def _quantities(event: Mapping[str, Any], name: str) -> tuple[Quantity, ...]:
    return tuple(
        Quantity(_uri(row["epcClass"]), str(row.get("quantity", "")), row.get("uom"))
        for row in event.get(name, ())
    )
