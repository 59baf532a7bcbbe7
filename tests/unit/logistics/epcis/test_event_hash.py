"""Event hashes: beside the package that CBV's authors publish, and what must not change them."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from epcis_event_hash_generator import hash_generator, json_to_py
from hypothesis import given
from hypothesis import strategies as st
from pyld.jsonld import JsonLdError

from logistics.epcis.event_hash import event_hash, hash_bytes, namespaces_of, prehash

VECTORS = Path(__file__).parents[3] / "vectors" / "epcis"
DOCUMENTS = sorted((VECTORS / "documents").glob("*.json"))

# Events in which version 1.9.3 of the package departs from CBV 2.0, and what it does not do there.
DEPARTURES = {
    ("AggregationEvent_with_sensorData.json", 0): "keeps a stray field at its element",
    ("CurieString_document.json", 0): "expands gs1: and cbv: words",
    ("SensorData_with_combined_events.json", 5): "keeps an extension at its element",
    ("SensorData_with_combined_events.json", 7): "keeps an extension at its element",
    ("SensorData_with_combined_events.json", 8): "expands a word that ends like another",
    ("SensorData_with_combined_events.json", 9): "expands a word that ends like another",
    ("SensorData_with_combined_events.json", 11): "keeps an extension at its element",
    ("SensorData_with_combined_events.json", 12): "expands gs1: and cbv: words",
    **{
        ("Namespaces_at_different_level.json", index): "reads an event's own context"
        for index in range(5)
    },
}
# It stops at a business transaction or source without a type, and at a prefix given anew.
UNREADABLE = {
    "Combination_of_different_event.json",
    "TransactionEvent.json",
    "TransformationEvent_all_possible_fields.json",
}


def _package_prehashes(document: dict[str, Any]) -> list[str]:
    json_to_py._namespaces = {}  # else one document's prefixes reach into the next
    events = json_to_py.event_list_from_epcis_document_json(copy.deepcopy(document))
    found: list[str] = hash_generator.derive_prehashes_from_events(events)
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_an_event_has_the_hash_that_the_authors_package_gives_it(path: Path) -> None:
    document = json.loads(path.read_text())
    if path.name in UNREADABLE:
        with pytest.raises((IndexError, JsonLdError)):
            _package_prehashes(document)
        return
    spaces = namespaces_of(document["@context"])
    expected = _package_prehashes(document)
    for index, event in enumerate(document["epcisBody"]["eventList"]):
        agrees = expected[index] == prehash(event, spaces)
        assert agrees != ((path.name, index) in DEPARTURES), index


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("single_event", "ffa491b16867e34a7791a8d5389d826afc24e63a121026b6a4004ace38631b4b"),
        ("reference3", "a13cbe6c8bb6df3710b3edaeff760a1365ec8fd69ca1f4d7e0c10eb5189a883a"),
    ],
)
def test_published_events_have_their_hashes(name: str, expected: str) -> None:
    document = json.loads((VECTORS / f"{name}.json").read_text())
    event = document["epcisBody"]["eventList"][0]
    made = event_hash(event, namespaces_of(document["@context"]))
    assert f"ni:///sha-256;{expected}?ver=CBV2.0" == made
    assert expected == hash_bytes(made).hex()


EVENT: dict[str, Any] = {
    "type": "ObjectEvent",
    "eventTime": "2026-11-24T08:00:00.000Z",
    "eventTimeZoneOffset": "+08:00",
    "epcList": ["urn:epc:id:sgtin:0614141.107346.2018", "urn:epc:id:sscc:4012345.0000000333"],
    "action": "OBSERVE",
    "bizStep": "receiving",
    "readPoint": {"id": "urn:epc:id:sgln:4012345.00225.0"},
    "quantityList": [{"epcClass": "urn:epc:class:lgtin:4012345.012345.L1", "quantity": 20}],
}


@pytest.mark.parametrize(
    "change",
    [
        {"recordTime": "2026-11-24T09:00:00Z"},
        {"eventID": "urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8"},
        {"errorDeclaration": {"declarationTime": "2026-11-25T08:00:00Z"}},
        {"eventTime": "2026-11-24T16:00:00+08:00"},
        {"eventTime": "2026-11-24T08:00:00.0004Z"},
        {"bizStep": "https://ref.gs1.org/cbv/BizStep-receiving"},
        {"bizStep": "urn:epcglobal:cbv:bizstep:receiving"},
        {"bizStep": "cbv:BizStep-receiving"},
        {"epcList": EVENT["epcList"][::-1]},
        {
            "epcList": [
                "https://b.cn/x/01/10614141073464/10/L/21/2018?17=271231",
                EVENT["epcList"][1],
            ]
        },
        {"readPoint": {"id": "https://id.gs1.org/414/4012345002256"}},
        {
            "quantityList": [
                {"quantity": 20.0, "epcClass": "https://id.gs1.org/01/04012345123456/10/L1"}
            ]
        },
    ],
)
def test_what_says_the_same_has_the_same_hash(change: dict[str, Any]) -> None:
    assert event_hash(EVENT) == event_hash({**EVENT, **change})


@given(st.sampled_from(sorted(EVENT)), st.sampled_from(["other", "OBSERVE ", "2020-01-01T00:00Z"]))
def test_what_says_something_else_has_another_hash(field: str, value: str) -> None:
    changed = {**EVENT, field: [value] if isinstance(EVENT[field], list) else value}
    if field == "quantityList":
        changed[field] = [{"epcClass": value}]
    assert (field == "action" and value == "OBSERVE ") or event_hash(EVENT) != event_hash(changed)
