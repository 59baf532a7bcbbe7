"""The resolver and the consumer's page over a read model with a brand, an item and a recall."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from consortium.transaction import (
    KIND_BRAND,
    KIND_BRAND_SEEN,
    KIND_EVENTS,
    KIND_RECALL,
    KIND_THINGS,
)
from logistics.trace.item_key import gtin, lot, sgtin, sscc
from portal.access import Role
from portal.parts import Parts
from portal.trace.shelf import EventShelf
from tests.fakes.epcis import document, event
from tests.fakes.portal import (
    OURS,
    THEIRS,
    FakeDoor,
    accepted,
    feed_items,
    make_fake_parts,
    sign_in,
    two_organisations,
    visitor,
)

ITEM = sgtin("10614141073464", "8R2KT5QW0HJ4A")
LOT = lot("10614141073464", "L1")
CASE = sscc("040123450000003338")


def sensor(low: float, high: float) -> list[dict[str, Any]]:
    report = {"type": "Temperature", "minValue": low, "maxValue": high, "uom": "CEL"}
    return [{"sensorReport": [report]}]


EVENTS = [
    event(1, epcList=[ITEM.uri], action="ADD", bizStep="commissioning",
          quantityList=[{"epcClass": LOT.uri, "quantity": 1}]),
    {
        "type": "AggregationEvent", "eventID": "urn:uuid:pack", "parentID": CASE.uri,
        "childEPCs": [ITEM.uri], "action": "ADD", "bizStep": "packing",
        "eventTime": "2026-11-24T09:00:00Z", "eventTimeZoneOffset": "+08:00",
    },
    event(5, epcList=[CASE.uri], bizStep="transporting", sensorElementList=sensor(2.1, 6.8),
          eventTime="2026-11-28T09:00:00Z"),
]  # fmt: skip  # as they are read


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return make_fake_parts(tmp_path, items=two_organisations())


@pytest.fixture
def told(parts: Parts) -> Iterator[TestClient]:
    """A visitor of a portal where the item's brand owner told consumers three events."""
    owner, _ = sign_in(parts, OURS, Role.MANAGER)
    answer = owner.post(
        "/epcis/capture", json=document(*EVENTS), headers={"wharf-show": "consumers"}
    )
    assert 202 == answer.status_code, answer.text
    assert isinstance(parts.door, FakeDoor)
    (said,) = [body[1] for kind, body, _ in parts.door.sent if kind == KIND_EVENTS]
    items = [
        accepted([KIND_BRAND, "0614141", OURS]),
        accepted([KIND_THINGS, ITEM.chain_id, OURS]),
        *(accepted([KIND_EVENTS, item, OURS]) for item in said[:2]),
    ]
    feed_items(parts, items, first=100)
    with visitor(parts) as client:
        yield client


def page(client: TestClient, key: Any = ITEM, language: str = "en") -> str:
    answer = client.get(f"/item{key.path}", headers={"accept-language": language})
    assert 200 == answer.status_code, answer.text
    return re.sub(r"\s+", " ", answer.text)


def test_a_scanned_code_leads_to_the_items_page_with_its_query(told: TestClient) -> None:
    answer = told.get(f"{ITEM.path}?17=271231&x=1", headers={"accept": "text/html"})
    assert 307 == answer.status_code
    assert f"http://testserver/item{ITEM.path}?17=271231&x=1" == answer.headers["location"]
    assert "*" == answer.headers["access-control-allow-origin"]
    assert 'rel="linkset"' in answer.headers["link"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (ITEM.path, 307),
        (ITEM.path + "?linkType=gs1:epcis", 307),
        (ITEM.path + "?linkType=gs1:recipeInfo", 404),
        (ITEM.path + "?linkType=all", 200),
        ("/t/x/y" + ITEM.path, 307),
        ("/01/10614141073465", 400),  # check digit
        ("/01/0614141073464", 400),  # short
        ("/01/10614141073464?21=8R2KT5QW0HJ4A", 400),  # a qualifier in the query
        ("/01/10614141073464/21/a%20b", 400),
        ("/01/10614141073464/21/unknown?9999=1", 400),
        ("/01/09506000134352/21/nobody", 404),
        ("/00/040123450000003338", 307),
        ("/t/AQnYUc1gng", 400),
    ],
)
def test_the_resolver_answers_as_gs1s_standard_asks(
    told: TestClient, path: str, status: int
) -> None:
    answer = told.get(path)
    assert status == answer.status_code, answer.text
    assert (status == 200) == ("linkset" in answer.headers.get("content-type", ""))


def test_a_compressed_code_leads_to_the_same_page(told: TestClient) -> None:
    # 0C: a GTIN and a serial number; the characters in seven bits each.
    bits = "00001100" + f"{int(ITEM.number):047b}" + "100" + f"{len(ITEM.tail):05b}"
    bits += "".join(f"{ord(character):07b}" for character in ITEM.tail)
    bits += "0" * (-len(bits) % 6)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    packed = "".join(alphabet[int(bits[at : at + 6], 2)] for at in range(0, len(bits), 6))
    answer = told.get(f"/t/{packed}")
    assert f"http://testserver/item{ITEM.path}" == answer.headers["location"]


def test_an_item_that_nobody_knows_leads_to_what_is_known_of_its_class(
    parts: Parts, told: TestClient
) -> None:
    feed_items(parts, [accepted([KIND_THINGS, gtin(ITEM.number).chain_id, OURS])], first=200)
    answer = told.get(f"/01/{ITEM.number}/21/OTHER7777777")
    assert f"http://testserver/item/01/{ITEM.number}" == answer.headers["location"]


def test_all_links_come_as_a_linkset_to_who_accepts_it(told: TestClient) -> None:
    answer = told.get(ITEM.path, headers={"accept": "application/linkset+json"})
    (context,) = answer.json()["linkset"]
    assert ITEM.uri == context["anchor"]
    assert "https://gs1.org/voc/defaultLink" in context
    described = told.get("/.well-known/gs1resolver").json()
    assert "http://testserver" == described["resolverRoot"]
    assert 204 == told.options(ITEM.path).status_code
    assert 405 == told.post(ITEM.path).status_code


def test_the_page_says_who_how_cold_and_what_is_missing(told: TestClient) -> None:
    text = page(told)
    assert "3 steps, told by 1 organisations" in text
    assert "2.1 – 6.8 °C" in text
    assert "The number belongs to Cold Store Ltd." in text
    assert "Nobody else checked that." in text
    assert "1 of 3 steps are not on the chain yet" in text
    assert "96 hours without a word" in text
    assert f'inside <span class="code">{CASE.path}' in text
    assert "/epcis" not in text


def test_the_page_speaks_chinese_and_has_no_script_of_its_own_inside(told: TestClient) -> None:
    text = page(told, language="zh-CN")
    assert "流转过程" in text
    assert "<script>" not in text
    assert len(text.encode()) < 150_000


def test_a_recall_and_a_verified_brand_are_shown(parts: Parts, told: TestClient) -> None:
    items = [
        accepted([KIND_BRAND_SEEN, "0614141", OURS, THEIRS]),
        accepted([KIND_RECALL, LOT.chain_id, OURS, True, b"n" * 32]),
    ]
    feed_items(parts, items, first=300)
    text = page(told)
    assert "Recalled: do not use it" in text
    assert "Rival Foods checked that." in text
    ended = accepted([KIND_RECALL, LOT.chain_id, OURS, False, b"n" * 32])
    feed_items(parts, [ended], first=400)
    assert "Recalled" not in page(told)


def test_a_strangers_claim_of_an_item_is_not_the_brands(parts: Parts, told: TestClient) -> None:
    other = sgtin("10614141073464", "COPYCOPYCOPY7")
    feed_items(parts, [accepted([KIND_THINGS, other.chain_id, THEIRS])], first=500)
    assert 404 == told.get(f"/item{other.path}").status_code


def test_only_the_speakers_own_commitment_counts(parts: Parts, told: TestClient) -> None:
    assert isinstance(parts.door, FakeDoor)
    (said,) = [body[1] for kind, body, _ in parts.door.sent if kind == KIND_EVENTS]
    feed_items(parts, [accepted([KIND_EVENTS, said[2], THEIRS])], first=600)
    assert "1 of 3 steps are not on the chain yet" in page(told)
    feed_items(parts, [accepted([KIND_EVENTS, said[2], OURS])], first=700)
    assert "All steps are on the chain" in page(told)


def test_private_events_are_not_on_the_page(parts: Parts, told: TestClient) -> None:
    owner, _ = sign_in(parts, OURS, Role.MANAGER)
    hidden = event(9, epcList=[ITEM.uri], bizStep="dispensing")
    owner.post("/epcis/capture", json=document(hidden))
    assert "Dispensed" not in page(told)


def test_a_copied_code_is_noticed_and_said(parts: Parts, told: TestClient) -> None:
    for number in range(11):
        told.get(f"/item{ITEM.path}", headers={"user-agent": f"phone {number}"})
    assert "may be a copy" not in page(told)
    told.get(f"/item{ITEM.path}", headers={"user-agent": "phone 11"})
    assert "This code may be a copy" in page(told)


def test_what_a_browser_checks_the_page_by_names_each_event_of_the_page(
    parts: Parts, told: TestClient
) -> None:
    proof = told.get(f"/item-proof{ITEM.path}").json()
    assert 3 == len(proof["events"])
    assert {"text", "hash", "salt", "commitment", "organisation"} == set(proof["events"][0])


def test_an_event_that_puts_a_case_into_itself_is_said_to_contradict(
    parts: Parts, told: TestClient
) -> None:
    shelf = EventShelf(parts.office, parts.clock_ms, parts.random_bytes)
    assert shelf is not None
    owner, _ = sign_in(parts, OURS, Role.MANAGER)
    loop = {**EVENTS[1], "eventID": "urn:uuid:loop", "parentID": ITEM.uri, "childEPCs": [CASE.uri]}
    owner.post("/epcis/capture", json=document(loop), headers={"wharf-show": "consumers"})
    assert "contradict each other" in page(told)


def test_labels_are_for_people_of_the_organisation(parts: Parts, told: TestClient) -> None:
    owner, _ = sign_in(parts, OURS, Role.WAREHOUSE)
    answer = owner.get("/labels/pdf", params={"code": [ITEM.uri, CASE.uri], "title": "Milk"})
    assert answer.content.startswith(b"%PDF-1.4")
    assert owner.get("/labels/zpl", params={"code": ITEM.uri}).text.startswith("^XA")
    assert 422 == owner.get("/labels/zpl", params={"code": "https://a/01/1"}).status_code
    assert 303 == told.get("/labels/pdf", params={"code": ITEM.uri}).status_code
