"""EPCIS events and documents as a partner's system would send them."""

from typing import Any

from logistics.epcis.vocabulary import CONTEXT

ITEM = "urn:epc:id:sgtin:0614141.107346.2018"
ITEM_LINK = "https://id.gs1.org/01/10614141073464/21/2018"


def event(number: int, **changes: Any) -> dict[str, Any]:
    """An object event, its number in its id and in its time."""
    return {
        "type": "ObjectEvent",
        "eventID": f"urn:uuid:0000-{number}",
        "eventTime": f"2026-11-24T08:{number // 60 % 60:02}:{number % 60:02}.000Z",
        "eventTimeZoneOffset": "+08:00",
        "epcList": [ITEM],
        "action": "OBSERVE",
        "bizStep": "receiving",
        **changes,
    }


def document(*events: object) -> dict[str, Any]:
    """An EPCIS document of these events."""
    return {
        "@context": [CONTEXT, {"example": "https://ns.example.com/"}],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-11-24T08:00:00Z",
        "epcisBody": {"eventList": list(events)},
    }
