"""EPCIS over REST: capture with a job, duplicates, queries, pages, named queries, webhooks."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from consortium.transaction import KIND_EVENTS
from logistics.epcis.vocabulary import CONTEXT
from portal.access import Role
from portal.parts import Parts
from portal.trace import subscriptions
from portal.trace.shelf import EventShelf
from tests.fakes.epcis import ITEM, ITEM_LINK, document, event
from tests.fakes.portal import OURS, START_MS, THEIRS, FakeDoor, make_fake_parts, sign_in


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return make_fake_parts(tmp_path)


@pytest.fixture
def client(parts: Parts) -> TestClient:
    return sign_in(parts, OURS, Role.MANAGER)[0]


@pytest.fixture
def stranger(parts: Parts) -> TestClient:
    return sign_in(parts, THEIRS, Role.MANAGER, name="Rival")[0]


def found(client: TestClient, path: str, **parameters: str) -> list[dict[str, Any]]:
    answer = client.get(path, params=parameters)
    assert 200 == answer.status_code, answer.text
    rows = answer.json()["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    return list(rows)


def test_a_capture_is_accepted_with_a_job_that_tells_what_became_of_it(client: TestClient) -> None:
    answer = client.post("/epcis/capture", json=document(event(1), event(2)))
    assert (202, "2.0.0") == (answer.status_code, answer.headers["GS1-EPCIS-Version"])
    job = client.get(answer.headers["location"]).json()
    assert (True, False, []) == (job["success"], job["running"], job["errors"])
    assert (2, 0) == (job["wharf:newEvents"], job["wharf:knownEvents"])


def test_the_same_event_again_by_id_or_by_hash_is_one_event(client: TestClient) -> None:
    client.post("/epcis/capture", json=document(event(1)))
    same_id = event(1, epcList=["urn:epc:id:sgtin:0614141.107346.2019"])
    same_hash = event(1, eventID="urn:uuid:other", epcList=[ITEM_LINK])
    again = client.post("/epcis/capture", json=document(event(1), same_id, same_hash) | {})
    assert 400 == again.status_code  # one id twice in a document
    again = client.post("/epcis/capture", json=document(same_id, same_hash))
    job = client.get(again.headers["location"]).json()
    assert (0, 2) == (job["wharf:newEvents"], job["wharf:knownEvents"])
    assert 1 == len(found(client, "/epcis/events"))


def test_an_error_declaration_is_kept_beside_what_it_corrects(client: TestClient) -> None:
    error = {"declarationTime": "2026-11-25T08:00:00Z", "reason": "did_not_occur"}
    client.post("/epcis/capture", json=document(event(1)))
    client.post("/epcis/capture", json=document(event(1, errorDeclaration=error)))
    assert 2 == len(found(client, "/epcis/events"))
    assert 1 == len(found(client, "/epcis/events", EXISTS_errorDeclaration="true"))


def test_a_wrong_document_is_refused_with_the_field_and_nothing_is_kept(
    client: TestClient,
) -> None:
    answer = client.post("/epcis/capture", json=document(event(1), event(2, action="LOOK")))
    assert 400 == answer.status_code
    assert "/epcisBody/eventList/1/action" == answer.json()["instance"]
    assert "epcisException:ValidationException" == answer.json()["type"]
    assert [] == found(client, "/epcis/events")


def test_a_hundred_megabytes_are_refused_before_they_are_read(client: TestClient) -> None:
    read = 0

    def body() -> Iterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield b" " * (1 << 20)

    answer = client.post("/epcis/capture", content=body())
    assert (413, "epcisException:CaptureLimitExceededException") == (
        answer.status_code,
        answer.json()["type"],
    )


def test_events_go_to_the_chain_as_salted_commitments_many_at_once(
    parts: Parts, client: TestClient
) -> None:
    assert isinstance(parts.door, FakeDoor)
    client.post("/epcis/capture", json=document(*(event(n) for n in range(1_200))))
    sent = [(kind, len(body[1])) for kind, body, _ in parts.door.sent]
    assert [(KIND_EVENTS, 1_000), (KIND_EVENTS, 200)] == sent
    commitments = {item for _, body, _ in parts.door.sent for item in body[1]}
    assert 1_200 == len(commitments)


def test_what_the_chain_did_not_take_goes_again_with_the_next_capture(
    parts: Parts, client: TestClient
) -> None:
    assert isinstance(parts.door, FakeDoor)
    taken, refused = parts.door.answer, parts.door.answer
    parts.door.answer = type(refused)(tx_id=b"x" * 32, code=11, height=0, item_codes=(), text="")
    client.post("/epcis/capture", json=document(event(1)))
    parts.door.answer = taken
    client.post("/epcis/capture", json=document(event(2)))
    assert [1, 2] == [len(body[1]) for _, body, _ in parts.door.sent]


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ({"MATCH_epc": ITEM}, 3),
        ({"MATCH_epc": ITEM_LINK}, 3),
        ({"MATCH_anyEPC": "urn:epc:idpat:sgtin:0614141.107346.*"}, 4),
        ({"EQ_bizStep": "shipping"}, 1),
        ({"EQ_bizStep": "shipping,receiving"}, 4),
        ({"EQ_bizStep": "https://ref.gs1.org/cbv/BizStep-shipping"}, 1),
        ({"GE_eventTime": "2026-11-24T08:00:03Z"}, 2),
        ({"LT_eventTime": "2026-11-24T08:00:03Z"}, 2),
        ({"GE_eventTime": "2026-11-24T16:00:03+08:00", "EQ_action": "OBSERVE"}, 2),
        ({"eventType": "AggregationEvent"}, 0),
        ({"EQ_bizTransaction_po": "urn:x:po:7"}, 1),
        ({"EQ_eventID": "urn:uuid:0000-2"}, 1),
    ],
)
def test_queries_find_by_what_when_where_and_why(
    client: TestClient, parameters: dict[str, str], count: int
) -> None:
    events = [
        event(1),
        event(2, bizStep="shipping"),
        event(3, bizTransactionList=[{"type": "po", "bizTransaction": "urn:x:po:7"}]),
        event(4, epcList=["urn:epc:id:sgtin:0614141.107346.3000"]),
    ]
    client.post("/epcis/capture", json=document(*events))
    assert count == len(found(client, "/epcis/events", **parameters))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EQ_colour", "red"),
        ("GE_eventTime", "yesterday"),
        ("eventType", "LookEvent"),
        ("perPage", "0"),
        ("perPage", "1001"),
        ("nextPageToken", "zzz"),
        ("orderBy", "colour"),
        ("MATCH_epc", "urn:epc:idpat:sgtin:*.*.*"),
        ("EQ_action", ""),
    ],
)
def test_a_wrong_parameter_is_refused_by_its_name(
    client: TestClient, name: str, value: str
) -> None:
    answer = client.get("/epcis/events", params={name: value})
    assert (400, name) == (answer.status_code, answer.json()["instance"])


def test_pages_follow_each_other_by_a_token_of_that_query(client: TestClient) -> None:
    client.post("/epcis/capture", json=document(*(event(n) for n in range(25))))
    seen: list[str] = []
    path: str | None = "/epcis/events?perPage=10"
    while path:
        answer = client.get(path)
        rows = answer.json()["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
        seen += [row["eventID"] for row in rows]
        path = answer.links.get("next", {}).get("url")
    assert [f"urn:uuid:0000-{n}" for n in range(25)] == seen
    token = client.get("/epcis/events?perPage=10").links["next"]["url"].split("nextPageToken=")[1]
    other = client.get("/epcis/events", params={"perPage": "5", "nextPageToken": token})
    assert (400, "nextPageToken") == (other.status_code, other.json()["instance"])


def test_resources_list_what_there_is_and_lead_to_its_events(client: TestClient) -> None:
    client.post("/epcis/capture", json=document(event(1)))
    assert [ITEM_LINK] == client.get("/epcis/epcs").json()["member"]
    assert ["receiving"] == client.get("/epcis/bizSteps").json()["member"]
    assert 1 == len(found(client, f"/epcis/epcs/{ITEM}/events"))
    assert 1 == len(found(client, "/epcis/bizSteps/receiving/events"))
    one = client.get("/epcis/events/urn:uuid:0000-1")
    assert (200, "urn:uuid:0000-1") == (one.status_code, one.json()["eventID"])


def test_an_event_without_an_id_is_found_by_its_hash(client: TestClient) -> None:
    value = {key: item for key, item in event(1).items() if key != "eventID"}
    made = client.post("/epcis/events", json=value | {"@context": CONTEXT})
    assert 201 == made.status_code
    assert 200 == client.get(made.headers["location"]).status_code


def test_another_organisation_sees_only_what_it_was_granted(
    parts: Parts, client: TestClient, stranger: TestClient
) -> None:
    other = event(2, epcList=["urn:epc:id:sgtin:0614141.107346.3000"])
    client.post("/epcis/capture", json=document(event(1), other))
    assert [] == found(stranger, "/epcis/events")
    assert 404 == stranger.get("/epcis/events/urn:uuid:0000-1").status_code
    shelf = EventShelf(parts.office, parts.clock_ms, parts.random_bytes)
    shelf.grant(sign_in(parts, OURS)[1], THEIRS.hex(), ITEM_LINK)
    assert ["urn:uuid:0000-1"] == [row["eventID"] for row in found(stranger, "/epcis/events")]


def test_a_named_query_runs_and_belongs_to_its_organisation(
    client: TestClient, stranger: TestClient
) -> None:
    client.post("/epcis/capture", json=document(event(1), event(2, bizStep="shipping")))
    query = {"name": "shipped", "query": {"EQ_bizStep": ["shipping"]}}
    assert 201 == client.post("/epcis/queries", json=query).status_code
    assert 409 == client.post("/epcis/queries", json=query).status_code
    assert ["shipping"] == [
        row["bizStep"] for row in found(client, "/epcis/queries/shipped/events")
    ]
    assert 404 == stranger.get("/epcis/queries/shipped").status_code
    assert 404 == stranger.get("/epcis/queries/shipped/events").status_code
    assert 204 == client.delete("/epcis/queries/shipped").status_code
    assert 404 == client.get("/epcis/queries/shipped").status_code


def test_a_subscriber_is_posted_what_is_new_and_what_failed_comes_again(
    parts: Parts, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted: list[list[str]] = []
    status = 500

    def deliver(address: str, token: str, body: bytes) -> int:
        rows = json.loads(body)["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
        posted.append([row["eventID"] for row in rows])
        assert ("http://127.0.0.1:9/hook", "secret") == (address, token)
        return status

    monkeypatch.setattr(subscriptions.Subscriptions.__init__, "__defaults__", (deliver,))
    made, _ = sign_in(parts, OURS, Role.MANAGER, name="Hook")
    made.post("/epcis/queries", json={"name": "q", "query": {"EQ_bizStep": "shipping"}})
    value = {"dest": "http://127.0.0.1:9/hook", "signatureToken": "secret", "stream": True}
    answer = made.post("/epcis/queries/q/subscriptions", json=value)
    assert 201 == answer.status_code, answer.text
    made.post("/epcis/capture", json=document(event(1), event(2, bizStep="shipping")))
    status = 200
    made.post("/epcis/capture", json=document(event(3, bizStep="shipping")))
    made.post("/epcis/capture", json=document(event(4)))
    assert [["urn:uuid:0000-2"], ["urn:uuid:0000-2", "urn:uuid:0000-3"]] == posted
    assert 204 == made.delete(answer.headers["location"]).status_code


@pytest.mark.parametrize(
    "address",
    [
        "ftp://example.com/x",
        "http://192.0.2.7/hook",
        "https://127.0.0.1/hook",
        "https://10.0.0.8/hook",
        "https://169.254.169.254/latest",
        "https://[::1]/hook",
        "https://user@127.0.0.1/hook",
        "nothing",
    ],
)
def test_a_webhook_reaches_no_private_network(client: TestClient, address: str) -> None:
    client.post("/epcis/queries", json={"name": "q", "query": {}})
    answer = client.post("/epcis/queries/q/subscriptions", json={"dest": address})
    assert (400, "dest") == (answer.status_code, answer.json()["instance"])


def test_discovery_says_versions_and_limits(client: TestClient) -> None:
    answer = client.options("/epcis/capture")
    assert (204, "2.0.0", "5000") == (
        answer.status_code,
        answer.headers["GS1-CBV-Version"],
        answer.headers["GS1-EPCIS-Capture-Limit"],
    )
    assert START_MS > 0
