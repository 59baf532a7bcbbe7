"""Documents from outside: what is right is read, what is wrong or hostile is refused by name."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logistics.epcis.document import DOCUMENT_BYTES_MAX, read_document, read_event
from logistics.epcis.errors import EventError, TooLargeError
from logistics.epcis.vocabulary import CONTEXT

VECTORS = Path(__file__).parents[3] / "vectors" / "epcis"
# Fields or words that GS1's schema does not have in that place.
NOT_VALID = {
    "AggregationEvent_with_sensorData": "bizRules",
    "AggregationEvent_with_userExtensions": "extension",
    "AssociationEvent_with_userExtensions": "extension",
    "ObjectEvent_all_possible_fields": "countryOfExport",
    "SensorData_with_combined_events": "Molar_concentration",
    "TransactionEvent_with_userExtensions": "EffectiveDoseRate",
}
EVENT = {
    "type": "ObjectEvent",
    "eventID": "urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8",
    "eventTime": "2026-11-24T08:00:00.000Z",
    "eventTimeZoneOffset": "+08:00",
    "epcList": ["urn:epc:id:sgtin:0614141.107346.2018"],
    "action": "OBSERVE",
}


def document(*events: object, **changes: object) -> bytes:
    value = {
        "@context": [CONTEXT],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-11-24T08:00:00Z",
        "epcisBody": {"eventList": list(events) or [EVENT]},
        **changes,
    }
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "path", sorted((VECTORS / "documents").glob("*.json")), ids=lambda path: path.stem
)
def test_others_documents_are_read_unless_gs1s_schema_refuses_them(path: Path) -> None:
    expected = NOT_VALID.get(path.stem)
    if expected is None:
        assert read_document(path.read_bytes()).events
    else:
        with pytest.raises(EventError):
            read_document(path.read_bytes())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"eventTime": "yesterday"}, "/eventTime"),
        ({"eventTimeZoneOffset": "+8"}, "/eventTimeZoneOffset"),
        ({"action": "LOOK"}, "/action"),
        ({"bizStep": "recieving"}, "/bizStep"),
        ({"epcList": "urn:epc:id:sgtin:0614141.107346.2018"}, "/epcList"),
        ({"epcList": [7]}, "/epcList/0"),
        ({"readPoint": {"id": 3}}, "/readPoint/id"),
        (
            {"quantityList": [{"epcClass": "urn:x:y", "quantity": "many"}]},
            "/quantityList/0/quantity",
        ),
        ({"type": "LookEvent"}, "/type"),
        ({"bizStep": "x" * 5_000}, "/bizStep"),
        ({"https://ns.example.com/x": "y" * 5_000}, "/https://ns.example.com/x"),
    ],
)
def test_a_wrong_event_is_refused_with_the_field_that_is_wrong(
    change: dict[str, Any], field: str
) -> None:
    with pytest.raises(EventError) as refused:
        read_document(document(EVENT | {"eventID": "urn:uuid:1"}, EVENT | change))
    assert refused.value.field.startswith("/epcisBody/eventList/1")
    assert refused.value.field.endswith(field) or "type" in field


@pytest.mark.parametrize(
    "context",
    [
        "https://evil.example/context.jsonld",
        [CONTEXT, "http://169.254.169.254/latest"],
        [CONTEXT, "file:///etc/passwd"],
        [CONTEXT, {"@import": "https://evil.example/c"}],
        [CONTEXT, {"@vocab": "https://evil.example/"}],
        [CONTEXT, {"x": {"@id": "https://evil.example/x"}}],
        [CONTEXT, {"x": "/relative"}],
        7,
    ],
)
def test_a_context_that_is_not_known_here_is_refused_and_never_fetched(
    context: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object) -> None:
        raise AssertionError("somebody opened a connection")

    monkeypatch.setattr("socket.socket.connect", no_network)
    for data in (document(**{"@context": context}), document(EVENT | {"@context": context})):
        with pytest.raises(EventError, match="context"):
            read_document(data)


def test_hostile_sizes_are_refused_before_they_are_parsed() -> None:
    with pytest.raises(TooLargeError, match="bytes"):
        read_document(b" " * (DOCUMENT_BYTES_MAX + 1))
    deep = json.dumps(EVENT | {"https://x.example/y": "DEEP"}).replace(
        '"DEEP"', "[" * 100_000 + "]" * 100_000
    )
    with pytest.raises(TooLargeError, match="deeper"):
        read_event(deep.encode())
    many = [EVENT | {"eventID": f"urn:uuid:{index}"} for index in range(5_001)]
    with pytest.raises(TooLargeError, match="5000 events"):
        read_document(document(*many))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"type": 1}',
        b'{"type": "EPCISDocument", "type": "EPCISDocument"}',
        b'{"type": "EPCISDocument", "a": NaN}',
        b'{"type": "EPCISDocument", "a": ' + b"9" * 40 + b"}",
        b'{"type": "EPCISQueryDocument"}',
        document() + b"x",
    ],
)
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(EventError):
        read_document(data)


def test_two_events_of_a_document_cannot_have_one_id() -> None:
    with pytest.raises(EventError, match="/epcisBody/eventList/1/eventID"):
        read_document(document(EVENT, EVENT | {"action": "ADD"}))


def test_an_event_alone_carries_its_context() -> None:
    value = copy.deepcopy(EVENT) | {"@context": CONTEXT}
    assert EVENT["eventID"] == read_event(json.dumps(value).encode()).events[0].event_id
    with pytest.raises(EventError, match="context"):
        read_event(json.dumps(EVENT).encode())


@given(st.binary(max_size=200))
def test_no_bytes_make_anything_but_a_document_or_a_refusal(data: bytes) -> None:
    with pytest.raises(EventError):
        read_document(data)
