"""Consignments by risk; whose minutes; and that a named device opens nobody's readings."""

from pathlib import Path

import pytest

from portal.access import Role, Viewer
from portal.consignments.queries import listed, one
from portal.errors import MissingError
from portal.journey.drawing import account_of
from portal.parts import Parts
from tests.fakes.portal import (
    CARRIER,
    CONSIGNMENT,
    OUR_FEED,
    OURS,
    START_MS,
    THEIR_FEED,
    THEIRS,
    a_consignment,
    accepted,
    feed_items,
    handed_over,
    make_fake_parts,
    readings_run,
    sign_in,
    two_organisations,
)

NOW = START_MS + 3_600_000
TRUCK = b"u" * 16
ID = CONSIGNMENT.hex()


def viewer_of(organisation: bytes) -> Viewer:
    return Viewer(
        organisation_id=organisation, person_id="p", name="n", roles=frozenset({Role.MANAGER})
    )


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    """Ours holds the goods, is too warm at minute 4, and hands over at minute 5."""
    items = [*two_organisations()[:4], *a_consignment()]
    items.append(accepted([2, TRUCK, CARRIER, -8, b"spki", 1, b"h" * 32, "truck"]))
    items.append(readings_run(OUR_FEED, "probe-1", [4_000, 4_100, 9_500]))
    items += handed_over(OURS, CARRIER, 300)
    items.append(readings_run(TRUCK, "probe-1", [9_000] * 5))
    return make_fake_parts(tmp_path, items=items, clock_ms=lambda: NOW)


def test_what_was_outside_comes_first_with_its_worst_value(parts: Parts) -> None:
    with parts.read.connect() as db:
        found = listed(db, viewer_of(OURS), now_ms=NOW)
        assert (1, 1) == (found.at_risk, found.open_count)
        (row,) = found.rows
    assert ("Cold Store Ltd", "Fjord Transport") == (row["owner"], row["holder"])
    # One of ours, and of the truck's only those after the hand-over at minute 5.
    assert (3, 9_500) == (row["outside"], row["worst_milli"])


def test_minutes_are_the_holders_of_their_time(parts: Parts) -> None:
    with parts.read.connect() as db:
        found = one(db, viewer_of(OURS), ID, now_ms=NOW)
    shares = account_of(found.journey).by_holder
    assert {"Cold Store Ltd": 60_000, "Fjord Transport": 4 * 60_000} == shares
    assert ["Cold Store Ltd", "Fjord Transport"] == [p.name for p in found.journey.holders]


def test_a_stranger_sees_none_and_a_grant_shows_it_for_its_interval(parts: Parts) -> None:
    with parts.read.connect() as db:
        assert () == listed(db, viewer_of(THEIRS), now_ms=NOW).rows
        with pytest.raises(MissingError):
            one(db, viewer_of(THEIRS), ID, now_ms=NOW)
    feed_items(parts, [accepted([23, CONSIGNMENT, THEIRS, NOW - 10, NOW + 10], kind=23)], 90)
    with parts.read.connect() as db:
        assert ID == one(db, viewer_of(THEIRS), ID, now_ms=NOW).row["id"]
        with pytest.raises(MissingError):
            one(db, viewer_of(THEIRS), ID, now_ms=NOW + 10)


def test_naming_somebody_elses_device_in_a_leg_opens_nothing(tmp_path: Path) -> None:
    items = [*two_organisations()[:4], *a_consignment()]
    items.append(readings_run(THEIR_FEED, "probe-1", [9_900] * 5))
    parts = make_fake_parts(tmp_path, items=items, clock_ms=lambda: NOW)
    with parts.read.connect() as db:
        found = one(db, viewer_of(OURS), ID, now_ms=NOW)
        assert 0 == listed(db, viewer_of(OURS), now_ms=NOW).rows[0]["outside"]
    assert ((), ()) == (found.journey.lines, found.parts)


def test_a_decision_goes_to_the_chain_with_a_digest_and_wants_a_reason(parts: Parts) -> None:
    client, _ = sign_in(parts, OURS, Role.MANAGER)
    path = f"/consignments/{ID}/decision"
    assert 422 == client.post(path, data={"decision": "2", "reason": " "}).status_code
    assert 303 == client.post(path, data={"decision": "2", "reason": "too warm"}).status_code
    ((kind, body, nonce),) = parts.door.sent  # type: ignore[attr-defined]  # the fake's own
    assert (22, [1, CONSIGNMENT, 2], 32, 16) == (kind, body[:3], len(body[3]), len(nonce))
    assert b"too warm" not in body[3]
    other, _ = sign_in(parts, CARRIER, Role.MANAGER, name="Ola")
    answer = other.post(path, data={"decision": "1", "reason": "fine"})
    assert 403 == answer.status_code  # consignee, but this machine signs for another
