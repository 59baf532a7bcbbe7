"""Calendars against Python's own zones where they agree on offsets, and by hand at the changes."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logistics.rules.calendars import DAY_MS, MINUTE_MS, Calendar, deadline_ms, working_ms
from logistics.rules.errors import ContractError

HOUR_MS = 60 * MINUTE_MS
SPRING_MS = int(datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp()) * 1000
AUTUMN_MS = int(datetime(2026, 10, 25, 1, tzinfo=UTC).timestamp()) * 1000
OFFSETS = ((0, 60), (SPRING_MS, 120), (AUTUMN_MS, 60))
OFFICE = Calendar(offsets=OFFSETS, windows=tuple((day, 8 * 60, 17 * 60) for day in range(5)))


def ms(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1000  # type: ignore[arg-type,misc]  # a moment's parts


def slow(from_ms: int, to_ms: int) -> int:
    """Minute by minute, by the zone that the offsets were copied from."""
    berlin, total, at = ZoneInfo("Europe/Berlin"), 0, from_ms
    while at < to_ms:
        local = datetime.fromtimestamp(at / 1000, UTC).astimezone(berlin)
        if local.weekday() < 5 and 8 <= local.hour < 17:
            total += MINUTE_MS
        at += MINUTE_MS
    return total


@given(
    st.integers(-3 * 1440, 3 * 1440),
    st.integers(0, 2 * 1440),
    st.sampled_from([SPRING_MS, AUTUMN_MS]),
)
def test_working_time_is_what_the_zone_says_around_both_changes(
    begin: int, length: int, change_ms: int
) -> None:
    from_ms = change_ms + begin * MINUTE_MS
    to_ms = from_ms + length * MINUTE_MS
    assert working_ms(OFFICE, from_ms, to_ms) == slow(from_ms, to_ms)


def test_a_window_over_the_skipped_and_the_doubled_hour_by_hand() -> None:
    night = Calendar(offsets=OFFSETS, windows=((6, 60, 240),))  # Sunday, 01:00 to 04:00
    assert working_ms(night, SPRING_MS - DAY_MS, SPRING_MS + DAY_MS) == 2 * HOUR_MS
    assert working_ms(night, AUTUMN_MS - DAY_MS, AUTUMN_MS + DAY_MS) == 4 * HOUR_MS


def test_a_deadline_goes_over_the_weekend_and_a_day_off() -> None:
    friday = ms(2026, 6, 5, 14, 0)  # 16:00 local
    assert deadline_ms(OFFICE, friday, 2 * HOUR_MS) == ms(2026, 6, 8, 7, 0)
    monday = (datetime(2026, 6, 8, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        days=1
    )
    closed = Calendar(offsets=OFFSETS, windows=OFFICE.windows, days_off=frozenset({monday}))
    assert deadline_ms(closed, friday, 2 * HOUR_MS) == ms(2026, 6, 9, 7, 0)
    assert deadline_ms(OFFICE, friday, HOUR_MS) == friday + HOUR_MS, "the window's very end"


@given(st.integers(0, 20 * DAY_MS), st.integers(1, 60 * HOUR_MS))
def test_a_deadline_is_the_first_moment_by_which_the_time_has_passed(
    begin: int, allowed: int
) -> None:
    from_ms = SPRING_MS - 10 * DAY_MS + begin
    due = deadline_ms(OFFICE, from_ms, allowed)
    assert working_ms(OFFICE, from_ms, due) == allowed
    assert working_ms(OFFICE, from_ms, due - 1) == allowed - 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"offsets": ()}, "offsets"),
        ({"offsets": ((5, 0), (5, 60))}, "offsets"),
        ({"offsets": ((0, 2000),)}, "offsets"),
        ({"windows": ()}, "windows"),
        ({"windows": ((0, 600, 600),)}, "windows"),
        ({"windows": ((7, 0, 60),)}, "windows"),
        ({"windows": ((0, 0, 60), (0, 30, 90))}, "windows"),
        ({"windows": ((1, 0, 60), (0, 0, 60))}, "windows"),
        ({"days_off": frozenset(range(600))}, "days_off"),
    ],
)
def test_what_is_no_calendar_is_refused_by_its_field(change: dict[str, object], field: str) -> None:
    with pytest.raises(ContractError, match=field):
        Calendar(**change)  # type: ignore[arg-type]  # wrong on purpose


def test_time_that_never_passes_is_refused() -> None:
    with pytest.raises(ContractError):
        deadline_ms(Calendar(windows=((0, 0, 1),)), 0, 366 * DAY_MS)
    assert working_ms(OFFICE, 10, 10) == 0
