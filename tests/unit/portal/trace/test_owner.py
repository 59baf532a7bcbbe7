"""What an organisation does with its goods: tell by a phone's form, recall, sheets, new items."""

import csv
import io
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from consortium.transaction import KIND_EVENTS, KIND_THINGS
from logistics.trace.item_key import lot
from portal.access import Role
from portal.parts import Parts
from tests.fakes.epcis import ITEM_LINK, document, event
from tests.fakes.portal import OURS, THEIRS, FakeDoor, make_fake_parts, sign_in

MILK, CREAM, TUB = (lot("10614141073464", name).uri for name in ("milk", "cream", "tub"))


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return make_fake_parts(tmp_path)


@pytest.fixture
def client(parts: Parts) -> TestClient:
    return sign_in(parts, OURS, Role.MANAGER)[0]


def test_a_supplier_without_a_gateway_tells_by_a_form(parts: Parts, client: TestClient) -> None:
    assert "Tell what happened" in client.get("/tell").text
    form = {"step": "receiving", "codes": f"{ITEM_LINK}\n{MILK}", "celsius": "4,5", "show": "yes"}
    answer = client.post("/tell", data=form)
    assert (200, True) == (answer.status_code, "Noted." in answer.text)
    (row,) = client.get("/epcis/events").json()["epcisBody"]["queryResults"]["resultsBody"][
        "eventList"
    ]
    assert ("receiving", [ITEM_LINK]) == (row["bizStep"], row["epcList"])
    assert 4.5 == row["sensorElementList"][0]["sensorReport"][0]["value"]
    assert isinstance(parts.door, FakeDoor)
    assert KIND_EVENTS == parts.door.sent[0][0]


@pytest.mark.parametrize(
    ("field", "value"),
    [("codes", "milk"), ("codes", " "), ("step", "dancing"), ("celsius", "warm"), ("place", "x")],
)
def test_a_wrong_field_is_named(client: TestClient, field: str, value: str) -> None:
    form = {"step": "receiving", "codes": ITEM_LINK, field: value}
    answer = client.post("/tell", data=form, headers={"accept": "application/json"})
    assert (422, field) == (answer.status_code, answer.json()["field"])


def test_a_recall_names_what_came_of_a_lot_and_who_has_it(parts: Parts, client: TestClient) -> None:
    made = {
        "type": "TransformationEvent",
        "eventTime": "2026-11-24T08:00:00Z",
        "eventTimeZoneOffset": "+00:00",
    }
    events = [
        made | {
            "inputQuantityList": [{"epcClass": MILK, "quantity": 5}],
            "outputQuantityList": [{"epcClass": CREAM, "quantity": 1}],
        },
        made | {
            "inputQuantityList": [{"epcClass": CREAM, "quantity": 1}],
            "outputQuantityList": [{"epcClass": TUB, "quantity": 9}],
        },
        event(
            7, epcList=[], bizStep="shipping", quantityList=[{"epcClass": TUB, "quantity": 9}],
            destinationList=[{"type": "owning_party", "destination": "urn:x:shop"}],
        ),
    ]  # fmt: skip  # as they are read
    client.post("/epcis/capture", json=document(*events))
    found = client.get("/trace/recall", params={"thing": CREAM}).json()
    assert ([TUB], [MILK], ["urn:x:shop"]) == (
        found["after"],
        found["before"],
        found["receivers"],
    )
    stranger, _ = sign_in(parts, THEIRS, Role.MANAGER, name="Rival")
    assert [] == stranger.get("/trace/recall", params={"thing": CREAM}).json()["after"]


def test_sheets_for_the_regulator_come_as_csv(client: TestClient) -> None:
    shipped = event(
        1, bizStep="shipping", quantityList=[{"epcClass": MILK, "quantity": 5, "uom": "LTR"}]
    )
    client.post("/epcis/capture", json=document(shipped))
    (listed,) = client.get("/trace/fsma").json()
    assert ("shipping", 2) == (listed["sheet"], listed["rows"])
    rows = list(csv.DictReader(io.StringIO(client.get("/trace/fsma/shipping.csv").text)))
    assert {MILK, ITEM_LINK} == {row["traceability_lot_code"] for row in rows}
    assert 404 == client.get("/trace/fsma/receiving.csv").status_code


def test_new_items_are_claimed_on_the_chain(parts: Parts, client: TestClient) -> None:
    answer = client.post("/trace/items", params={"gtin": "10614141073464", "count": 3})
    assert (201, 3) == (answer.status_code, len(set(answer.json()["items"])))
    assert isinstance(parts.door, FakeDoor)
    ((kind, body, _),) = parts.door.sent
    assert (KIND_THINGS, 3) == (kind, len(body[1]))
    assert 422 == client.post("/trace/items", params={"gtin": "1", "count": 3}).status_code


def test_nobody_makes_the_machine_speak_for_another_organisation(
    parts: Parts, client: TestClient
) -> None:
    stranger, _ = sign_in(parts, THEIRS, Role.MANAGER, name="Rival")
    items = {"gtin": "10614141073464", "count": 3}
    assert 403 == stranger.post("/trace/items", params=items).status_code
    assert 202 == stranger.post("/epcis/capture", json=document(event(1))).status_code
    assert isinstance(parts.door, FakeDoor)
    assert [] == parts.door.sent


def test_a_grant_opens_one_things_events(parts: Parts, client: TestClient) -> None:
    client.post("/epcis/capture", json=document(event(1), event(2, epcList=["urn:x:other"])))
    grant = {"reader": THEIRS.hex(), "thing": ITEM_LINK}
    assert 204 == client.post("/trace/grants", params=grant).status_code
    reader, _ = sign_in(parts, THEIRS, Role.MANAGER, name="Rival")
    rows = reader.get("/epcis/events").json()["epcisBody"]["queryResults"]["resultsBody"]
    assert ["urn:uuid:0000-1"] == [row["eventID"] for row in rows["eventList"]]
