"""Every route of the portal, asked by nobody, by a stranger's account, and by the wrong role."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy import select
from starlette.routing import BaseRoute, Mount

from portal.access import PUBLIC_ROUTES, Role
from portal.alerts.pages import desk_of
from portal.app import make_portal
from portal.office.tables import ZONES
from portal.parts import Parts
from tests.fakes.portal import (
    CONSIGNMENT,
    OUR_FEED,
    OURS,
    START_MS,
    THEIRS,
    a_consignment,
    make_fake_parts,
    sign_in,
    two_organisations,
    visitor,
)

# A stream never ends; who has signed out would be a stranger to all that follows.
LEFT_OUT = {"/events", "/sign-out"}
# What each {parameter} is for the victim: a stranger must get nothing by it. A new parameter that
# is not here fails the test.
VICTIMS: dict[str, str] = {
    "/language/{code}": "/language/zh",
    "/consignments/{consignment}": "/consignments/{consignment}",
    "/consignments/{consignment}/chart.json": "/consignments/{consignment}/chart.json",
    "/consignments/{consignment}/export.{form}": "/consignments/{consignment}/export.csv",
    "/consignments/{consignment}/decision": "/consignments/{consignment}/decision",
    "/alerts/{alert_id}/acknowledge": "/alerts/{alert}/acknowledge",
    "/warehouse/plan/{zone_id}/remove": "/warehouse/plan/{zone}/remove",
    "/people/{person_id}/code": "/people/{person}/code",
    "/people/{person_id}/end": "/people/{person}/end",
    "/sensors/{feed}/{device}": "/sensors/{feed}/probe-1",
    "/sensors/{feed}/{device}/chart.json": "/sensors/{feed}/probe-1/chart.json",
    "/sensors/{feed}/{device}/export.{form}": "/sensors/{feed}/probe-1/export.csv",
    "/tokens/{token_id}/end": "/tokens/{token}/end",
    "/api/consignments/{consignment}": "/api/consignments/{consignment}",
    "/epcis/capture/{job}": "/epcis/capture/ab",
    "/epcis/events/{event_id:path}": "/epcis/events/urn:uuid:1",
    "/epcis/queries/{name}": "/epcis/queries/mine",
    "/epcis/queries/{name}/subscriptions": "/epcis/queries/mine/subscriptions",
    "/epcis/queries/{name}/subscriptions/{subscription}": "/epcis/queries/mine/subscriptions/ab",
    "/item/{code:path}": "/item/01/10614141073464",
    "/item-proof/{code:path}": "/item-proof/01/10614141073464",
    "/trace/fsma/{sheet}.csv": "/trace/fsma/shipping.csv",
    "/labels/{form}": "/labels/doc",
    "/epcis/{resource}": "/epcis/secrets",
    "/epcis/{resource}/{value:path}/events": "/epcis/queries/mine/events",
}
# Words that only the victim's organisation may read.
SECRETS = ("cold-room", "probe-1", "Li Na", "secret token", "secret site")


def routes_of(app: FastAPI) -> Iterator[tuple[str, str]]:
    """(method, path template) of every route, mounted or included at any depth."""
    return _routes(app.routes)


def _routes(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str]]:
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is not None:
            assert not route.include_context.prefix  # type: ignore[attr-defined]  # FastAPI's own
            yield from _routes(included.routes)
        elif isinstance(route, APIRoute):
            yield from ((method, route.path) for method in sorted(route.methods or ()))
        else:
            assert isinstance(route, Mount), f"{route}: a route of a kind that nobody guards"
            yield "GET", route.path


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return make_fake_parts(
        tmp_path,
        items=[*two_organisations()[:4], *a_consignment(), *two_organisations()[4:]],
        clock_ms=lambda: START_MS + 3_600_000,
    )


@pytest.fixture
def names(parts: Parts) -> dict[str, str]:
    client, viewer = sign_in(parts, OURS)
    parts.accounts.new_token(viewer, "secret token", [Role.MANAGER], days=9)
    desk = desk_of(parts)
    desk.look()  # both gateways have been silent for long by the clock of these parts
    form = {"site": "secret site", "name": "dock", "kind": "dock"}
    places = {"left": "0", "top": "0", "width": "9", "height": "9"}
    assert 303 == client.post("/warehouse/plan", data=form | places).status_code
    with parts.office.connect() as office:
        zone = office.execute(select(ZONES.c.id)).scalar_one()
    return {
        "feed": OUR_FEED.hex(),
        "person": viewer.person_id,
        "token": parts.accounts.tokens(viewer)[0].id,
        "alert": desk.alerts(viewer)[0]["id"],
        "zone": zone,
        "consignment": CONSIGNMENT.hex(),
    }


def address(path: str, names: dict[str, str]) -> str:
    if "{" not in path:
        return path
    assert path in VICTIMS, f"{path}: give this route an example in VICTIMS"
    return VICTIMS[path].format(**names)


def ask(client: TestClient, method: str, path: str) -> tuple[int, str]:
    answer = client.request(method, path)
    return answer.status_code, answer.text.replace(path, "")  # what was asked for is no leak


def test_every_route_is_known_to_this_test(parts: Parts) -> None:
    found = list(routes_of(make_portal(parts)))
    assert len(found) > 10
    assert {path for _, path in found} >= PUBLIC_ROUTES


def test_nobody_gets_past_the_guard_but_on_public_routes(
    parts: Parts, names: dict[str, str]
) -> None:
    client = visitor(parts)
    open_doors = []
    for method, path in routes_of(make_portal(parts)):
        if path in PUBLIC_ROUTES:
            continue
        status, text = ask(client, method, address(path, names))
        is_page = method == "GET" and not path.startswith("/api/")  # who asks in vain signs in
        if status != (303 if is_page else 401):
            open_doors.append((method, path, status))
        assert [secret for secret in SECRETS if secret in text] == []
    assert open_doors == []


@pytest.mark.parametrize("role", list(Role))
def test_a_strangers_account_learns_and_changes_nothing_on_any_route(
    parts: Parts, names: dict[str, str], role: Role
) -> None:
    attacker, _ = sign_in(parts, THEIRS, role, name="Mallory")
    before = parts.accounts.people(sign_in(parts, OURS)[1])
    taken = []
    for method, path in routes_of(make_portal(parts)):
        if path in LEFT_OUT:
            continue
        status, text = ask(attacker, method, address(path, names))
        leaks = [secret for secret in SECRETS if secret in text]
        if leaks or status >= 500 or ("{" in path and path not in PUBLIC_ROUTES and status < 400):
            taken.append((method, path, status, leaks))
    assert taken == []
    ended = [row.ended_ms for row in parts.accounts.people(sign_in(parts, OURS)[1])]
    assert not any(ended)
    assert len(ended) > len(before) - 1


def test_whom_it_belongs_to_sees_every_page(parts: Parts, names: dict[str, str]) -> None:
    client, _ = sign_in(parts, OURS)
    found = {}
    for method, path in routes_of(make_portal(parts)):
        if method == "GET" and path not in LEFT_OUT:
            found[path] = ask(client, method, address(path, names))[0]
    assert [path for path, status in found.items() if status >= 500] == []
    pages = ("/warehouse", "/consignments", "/alerts", "/sensors", "/people", "/account")
    assert {status for path, status in found.items() if path.startswith(pages)} == {200}
