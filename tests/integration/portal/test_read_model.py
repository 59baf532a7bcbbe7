"""The read model over real databases: what is kept is what is made anew, row for row."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from ledger.entry import KIND_GAP, KIND_HEALTH, KIND_TELEMETRY
from logistics.health import AlarmChange, BoxHealth
from logistics.reading import Gap, GapReason
from portal.read.compare import counts, differing_tables, rows_by_table
from portal.read.database import open_database, sqlite_url
from portal.read.follower import apply_items, clear_tables, cursor_of, make_tables
from portal.read.inputs import Item
from tests.fakes.portal import (
    CARRIER,
    CONSIGNMENT,
    OUR_FEED,
    OURS,
    SLOT,
    THEIRS,
    a_consignment,
    accepted,
    celsius,
    entry,
    handed_over,
    readings_run,
    run,
    two_organisations,
)
from tests.fakes.postgres import postgres

ALARM = AlarmChange(
    raised=True, above=True, limit_milli=8_000, for_s=60, settle_s=60, value=9_500, exponent=-3,
    since_mono_us=1, since_wall_us=None,
).to_body()  # fmt: skip  # one record
BOX = BoxHealth(
    written_mb_a_day=12, used_percent=3, silent=1, past_due=0, alarms=1, faults=0
).to_body()
GAP = Gap(reason=GapReason.SILENT, from_wall_us=1, to_wall_us=2).to_body()


def items() -> list[Item]:
    """Two organisations, and a feed whose blocks come late and hold everything there is."""
    late = run(OUR_FEED, 2, [entry(KIND_TELEMETRY, SLOT, 50, celsius(3_900), at_s=30)])
    more = [
        entry(KIND_GAP, SLOT, 60, GAP),
        entry(KIND_HEALTH, SLOT, 61, ALARM, at_s=90),
        entry(KIND_HEALTH, 0, 62, BOX),
        entry(KIND_TELEMETRY, SLOT, 63, celsius(-40_000), at_s=7_200),
        entry(KIND_TELEMETRY, SLOT, 64, [99, "of another layout"]),
    ]
    anchored = accepted([4, OUR_FEED, 0, 2, 99, b"r" * 32, b"b" * 32, b"d" * 32], kind=4)
    broken = accepted([1, OUR_FEED], kind=1)
    goods = [*a_consignment(), *handed_over(OURS, CARRIER, 90)]
    granted = accepted([23, CONSIGNMENT, THEIRS, 5, None], kind=23)
    goods += [granted, readings_run(OUR_FEED, "probe-1", [9_900], first=500)]
    closed = accepted([22, CONSIGNMENT, 2, b"d" * 32, OURS], kind=22)
    return [*two_organisations(), *goods, closed, late, anchored, run(OUR_FEED, 3, more), broken]


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        yield open_database(sqlite_url(tmp_path / "kept.sqlite"))
        return
    with postgres() as url:
        opened = open_database(url)
        yield opened
        opened.dispose()


def test_a_model_kept_piece_by_piece_equals_one_that_is_made_anew_at_once(
    engine: Engine, tmp_path: Path
) -> None:
    numbered = list(enumerate(items(), 1))
    make_tables(engine)
    for pair in numbered:
        apply_items(engine, [pair])
    kept = rows_by_table(engine)
    clear_tables(engine)
    assert 0 == sum(counts(engine).values())
    apply_items(engine, numbered)
    assert kept == rows_by_table(engine)
    with engine.connect() as db:
        assert numbered[-1][0] == cursor_of(db)
    assert {
        "readings",
        "hours",
        "gaps",
        "alarms",
        "conditions",
        "unread",
        "gateways",
        "consignments",
        "consignment_grants",
        "custody",
    } <= {name for name, rows in kept.items() if rows}
    # One engine may hold the read model of another: the rows are the same, not only alike.
    other = open_database(sqlite_url(tmp_path / "other.sqlite"))
    make_tables(other)
    apply_items(other, numbered)
    assert [] == differing_tables(engine, other)
    apply_items(other, [(99, items()[4])])
    assert differing_tables(engine, other) != []


def test_an_item_that_cannot_be_read_is_named_and_leaves_nothing_behind(engine: Engine) -> None:
    make_tables(engine)
    apply_items(engine, list(enumerate(items(), 1)))
    ((number, projection, reason),) = rows_by_table(engine)["unread"]
    assert (len(items()), "organisations") == (number, projection)
    assert reason
