"""Consignments for programs, over a read model of four organisations' doings."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from consortium.errors import ChainUnavailableError
from consortium.transaction import KIND_CONSIGNMENT, NONCE_BYTES
from consortium.wire import Submitted
from portal.access import Role
from portal.api.planned import PLANNED
from portal.parts import Parts
from tests.fakes.portal import (
    CARRIER,
    CONSIGNMENT,
    OURS,
    START_MS,
    THEIRS,
    FakeDoor,
    a_consignment,
    handed_over,
    make_fake_parts,
    sign_in,
    two_organisations,
    visitor,
)

HEADER = "consignment,sscc,carrier,consignee,from,to,pickup,delivery,low,high,devices"
ROW = (
    "{name},{sscc},Fjord Transport,Rival Foods,Farm,Shop,"
    "2026-11-23T10:00:00Z,2026-11-23T18:00:00Z,2,8,probe-1"
)
FIRST, SECOND = "106141412345678908", "340123450000000000"
TABLE = "\n".join([HEADER, ROW.format(name="A", sscc=FIRST), ROW.format(name="B", sscc=SECOND)])
TYPE = {"content-type": "text/csv"}


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    items = [*two_organisations()[:4], *a_consignment(), *handed_over(OURS, CARRIER, 90)]
    return make_fake_parts(tmp_path, items=items, clock_ms=lambda: START_MS + 3_600_000)


@pytest.fixture
def client(parts: Parts) -> TestClient:
    """A program with a token."""
    _, admin = sign_in(parts, OURS)
    token = parts.accounts.new_token(admin, "planning", [Role.MANAGER], days=1)
    client = visitor(parts)
    client.headers.update({"authorization": f"Bearer {token}", "accept": "application/json"})
    return client


def door_of(parts: Parts) -> FakeDoor:
    assert isinstance(parts.door, FakeDoor)
    return parts.door


def state(client: TestClient, table: str = TABLE, **query: Any) -> tuple[int, Any]:
    answer = client.post("/api/consignments", content=table, headers=TYPE, params=query)
    return answer.status_code, answer.json()


def states(client: TestClient) -> dict[str, str]:
    return {row["name"]: row["state"] for row in client.get("/api/planned").json()["planned"]}


def kept(parts: Parts) -> list[Any]:
    with parts.office.connect() as db:
        return list(db.execute(select(PLANNED).order_by(PLANNED.c.name)))


def test_what_the_chain_says_of_a_consignment_is_given_to_its_parties(
    parts: Parts, client: TestClient
) -> None:
    listed = client.get("/api/consignments").json()
    assert (1, [CONSIGNMENT.hex()]) == (listed["open"], [c["id"] for c in listed["consignments"]])
    found = client.get(f"/api/consignments/{CONSIGNMENT.hex()}").json()
    assert CARRIER.hex() == found["consignment"]["holder"]
    assert "Fjord Transport" == found["names"][CARRIER.hex()]
    assert [(0, 24, ["S1"])] == [
        (item["number"], item["pieces"], item["seals"]) for item in found["hand_overs"]
    ]
    stranger, _ = sign_in(parts, THEIRS, Role.MANAGER, name="Mallory")
    assert 404 == stranger.get(f"/api/consignments/{CONSIGNMENT.hex()}").status_code
    assert [] == stranger.get("/api/consignments").json()["consignments"]


def test_a_table_is_taken_whole_and_sent_with_a_salted_digest(
    parts: Parts, client: TestClient
) -> None:
    assert (202, {"taken": ["A", "B"]}) == state(client)
    sent = door_of(parts).sent
    assert [KIND_CONSIGNMENT, KIND_CONSIGNMENT] == [kind for kind, _, _ in sent]
    row = kept(parts)[0]
    digest = hashlib.sha256(row.salt + row.document).digest()
    legs = [[CARRIER, ["probe-1"]]]
    wanted = [1, bytes.fromhex(row.id), 1, digest, [2_000, 8_000], legs, THEIRS]
    assert (wanted, row.nonce) == sent[0][1:]
    assert [(NONCE_BYTES, 2)] == list({(len(n), len({m for *_, m in sent})) for *_, n in sent})
    assert {"A": "sent", "B": "sent"} == states(client)


def test_a_preview_takes_nothing(parts: Parts, client: TestClient) -> None:
    status, body = state(client, preview=True)
    assert (200, ["A", "B"]) == (status, [plan["name"] for plan in body["consignments"]])
    assert ([], []) == (kept(parts), door_of(parts).sent)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (SECOND, "12", (3, "sscc")),
        ("B,340123450000000000,Fjord Transport", f"B,{SECOND},Nobody", (3, "carrier")),
        (f"B,{SECOND},Fjord Transport,Rival", f"B,{SECOND},Fjord Transport,No", (3, "consignee")),
    ],
)
@pytest.mark.parametrize("preview", [True, False])
def test_one_fault_and_nothing_is_taken(
    parts: Parts, client: TestClient, *, old: str, new: str, fault: tuple[int, str], preview: bool
) -> None:
    assert old in TABLE
    status, body = state(client, TABLE.replace(old, new), preview=preview)
    assert (422, 422) == (status, body["status"])
    assert [fault] == [(error["row"], error["field"]) for error in body["errors"]]
    assert ([], []) == (kept(parts), door_of(parts).sent)


def test_a_table_without_utf_8_is_refused(client: TestClient) -> None:
    answer = client.post("/api/consignments", content=b"\xff\xfe", headers=TYPE)
    assert (422, "application/problem+json") == (
        answer.status_code,
        answer.headers["content-type"],
    )


def test_what_was_taken_while_the_chain_was_away_goes_once_it_is_back(
    parts: Parts, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = door_of(parts)

    async def away(kind: int, body: list[object], *, nonce: bytes) -> Submitted:
        del kind, body, nonce
        raise ChainUnavailableError("no route")

    with monkeypatch.context() as cut:
        cut.setattr(door, "send", away)
        assert 202 == state(client)[0]
        assert {"A": "waiting", "B": "waiting"} == states(client)
    assert 202 == state(client)[0]
    assert {"A": "sent", "B": "sent"} == states(client)
    assert [row.nonce for row in kept(parts)] == [nonce for _, _, nonce in door.sent]


def test_an_equal_table_again_states_nothing_twice(parts: Parts, client: TestClient) -> None:
    state(client)
    before = kept(parts)
    assert 202 == state(client)[0]
    assert (before, 2) == (kept(parts), len(door_of(parts).sent))


def test_another_consignment_of_a_known_name_is_refused_with_all_of_its_table(
    parts: Parts, client: TestClient
) -> None:
    state(client)
    new = ROW.format(name="C", sscc="106141412345678915")
    status, body = state(client, TABLE.replace(",2,8,", ",2,9,") + "\n" + new)
    assert (422, 2) == (status, len([e for e in body["errors"] if e["field"] == "consignment"]))
    assert ["A", "B"] == [row.name for row in kept(parts)]


def test_what_the_chain_refused_is_said(parts: Parts, client: TestClient) -> None:
    door_of(parts).answer = Submitted(
        tx_id=b"x" * 32, code=203, height=None, item_codes=(), text=""
    )
    state(client)
    assert {"A": "refused", "B": "refused"} == states(client)


def test_another_organisations_machine_states_nothing(parts: Parts) -> None:
    rival, _ = sign_in(parts, THEIRS, Role.MANAGER, name="Rival")
    assert 403 == state(rival)[0]
    warehouse, _ = sign_in(parts, OURS, Role.WAREHOUSE, name="Wei")
    assert 403 == state(warehouse)[0]
    assert ([], []) == (kept(parts), door_of(parts).sent)


def test_openapi_describes_what_may_be_asked(client: TestClient) -> None:
    paths = client.get("/api/openapi.json").json()["paths"]
    assert {"/api/consignments", "/api/consignments/{consignment}", "/api/planned"} == set(paths)
    assert "text/csv" in paths["/api/consignments"]["post"]["requestBody"]["content"]
