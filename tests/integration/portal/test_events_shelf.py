"""The shelf of events on each database that a portal may run on."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from logistics.epcis.document import read_document
from logistics.epcis.query import parse_query
from portal.access import Role, Viewer
from portal.read.database import open_database, sqlite_url
from portal.trace.shelf import EventShelf
from tests.fakes.epcis import ITEM_LINK, document, event
from tests.fakes.portal import OURS, START_MS, THEIRS
from tests.fakes.postgres import postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        yield open_database(sqlite_url(tmp_path / "office.sqlite"))
        return
    with postgres() as url:
        opened = open_database(url)
        yield opened
        opened.dispose()


def viewer(organisation: bytes) -> Viewer:
    return Viewer(
        organisation_id=organisation, person_id="p", name="P", roles=frozenset({Role.MANAGER})
    )


def test_events_are_kept_found_paged_shared_and_recalled(engine: Engine) -> None:
    shelf = EventShelf(engine, lambda: START_MS, os.urandom)
    made = {
        "type": "TransformationEvent",
        "eventTime": "2026-11-24T08:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "inputEPCList": [ITEM_LINK],
        "outputEPCList": ["urn:x:made"],
    }
    handed = [{"type": "owning_party", "destination": "urn:x:shop"}]
    sold = event(30, epcList=["urn:x:made"], destinationList=handed)
    data = json.dumps(document(*(event(n) for n in range(25)), made, sold)).encode()
    assert (27, 0) == _taken(shelf, data)
    assert (0, 27) == _taken(shelf, data)
    first = shelf.find(viewer(OURS), parse_query([("perPage", "20"), ("MATCH_epc", ITEM_LINK)]))
    assert (20, True) == (len(first.events), first.next_token is not None)
    token = ("nextPageToken", first.next_token or "")
    rest = shelf.find(
        viewer(OURS), parse_query([("perPage", "20"), ("MATCH_epc", ITEM_LINK), token])
    )
    assert (5, None) == (len(rest.events), rest.next_token)
    assert () == shelf.find(viewer(THEIRS), parse_query([])).events
    shelf.grant(viewer(OURS), THEIRS.hex(), "urn:x:made")
    assert 2 == len(shelf.find(viewer(THEIRS), parse_query([])).events)
    reached = shelf.reach(viewer(OURS), [ITEM_LINK], forward=True)
    assert ({"urn:x:made"}, {"urn:x:shop"}) == (reached, shelf.receivers(viewer(OURS), reached))
    waiting = shelf.waiting(OURS.hex(), 100)
    shelf.sent([seq for seq, _ in waiting])
    assert (27, []) == (len(waiting), shelf.waiting(OURS.hex(), 100))
    assert 27 >= len(shelf.about(ITEM_LINK)) > 20


def _taken(shelf: EventShelf, data: bytes) -> tuple[int, int]:
    taken = shelf.take(OURS.hex(), read_document(data), for_consumers=True)
    return taken.new, taken.known
