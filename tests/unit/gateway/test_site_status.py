from typing import Any

from gateway.site_status import site_row, site_table
from logistics.health import BoxHealth

NOW_MS = 1_795_413_600_000
HEALTH = BoxHealth(
    written_mb_a_day=700, used_percent=12, silent=1, past_due=0, alarms=2, faults=0
).to_body()


def answer(**changes: Any) -> list[Any]:
    row: dict[str, Any] = {
        "feed": b"\x9f" * 16,
        "party": "Cold Store Ltd",
        "blocks": 10,
        "anchored": 7,
        "seen_ms": NOW_MS - 90_000,
        "quality": 2,
        "unc_us": 20_000,
        "software": "wharfinger 0.1.0",
        "health": HEALTH,
    }
    return list((row | changes).values())


def test_a_row_says_all_that_the_machine_holds_of_a_gateway() -> None:
    row = site_row(answer(), now_ms=NOW_MS)
    assert row == {
        "feed": "9f" * 16,
        "party": "Cold Store Ltd",
        "last_seen_ms": NOW_MS - 90_000,
        "silent_for_s": 90,
        "backlog": 2,
        "clock": "network",
        "clock_error_ms": 20,
        "software": "wharfinger 0.1.0",
        "written_mb_a_day": 700,
        "used_percent": 12,
        "silent": 1,
        "past_due": 0,
        "alarms": 2,
        "faults": 0,
    }


def test_a_gateway_that_never_spoke_is_there_and_says_nothing() -> None:
    never = answer(blocks=0, anchored=None, seen_ms=None, quality=0, software=None, health=None)
    row = site_row(never, now_ms=NOW_MS)
    assert (0, None, None, "none") == (
        row["backlog"],
        row["silent_for_s"],
        row["silent"],
        row["clock"],
    )
    assert "never" in site_table([row])


def test_the_table_has_a_line_a_gateway_in_even_columns() -> None:
    rows = [site_row(answer(seen_ms=NOW_MS - age), now_ms=NOW_MS) for age in (0, 7_200_000, 10**9)]
    head, *lines = site_table(rows).splitlines()
    assert ["0 s ago", "2 h ago", "11 d ago"] == [
        line[head.index("seen") : head.index("backlog")].strip() for line in lines
    ]
    assert all(line.startswith("9f9f9f9f  Cold Store Ltd") for line in lines)


def test_without_gateways_only_the_head_is_left() -> None:
    assert 1 == len(site_table([]).splitlines())
