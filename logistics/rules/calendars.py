"""Deadlines with a calendar: fixed offsets from UTC in an explicit table, hours, and days off.

No time-zone database: two machines with two releases of it would judge apart. A contract lists the
offsets that hold, with the moment from which each does. A working window is closed at its beginning
and open at its end; it may not pass midnight (give two windows). Days are counted from 1970-01-01.
"""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from logistics.rules.errors import ContractError

MINUTE_MS: Final = 60_000
DAY_MINUTES: Final = 1_440
DAY_MS: Final = DAY_MINUTES * MINUTE_MS
OFFSETS_MAX, WINDOWS_MAX, DAYS_OFF_MAX = 64, 64, 512
DAYS_SEARCHED_MAX: Final = 800
_THURSDAY: Final = 3  # 1970-01-01; Monday is 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """offsets: (from UTC ms, minutes east), the first from the beginning of time. windows:
    (weekday, from minute, to minute). days_off: local days since 1970-01-01.
    """

    offsets: tuple[tuple[int, int], ...] = ((0, 0),)
    windows: tuple[tuple[int, int, int], ...] = tuple((day, 0, DAY_MINUTES) for day in range(7))
    days_off: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        """Raises ContractError naming the field that cannot be."""
        moments = [moment for moment, _ in self.offsets]
        if not 1 <= len(moments) <= OFFSETS_MAX or moments != sorted(set(moments)):
            raise ContractError("calendar.offsets", f"not 1 to {OFFSETS_MAX} rows that ascend")
        if any(abs(minutes) > DAY_MINUTES for _, minutes in self.offsets):
            raise ContractError("calendar.offsets", "more than a day from UTC")
        if not 1 <= len(self.windows) <= WINDOWS_MAX or list(self.windows) != sorted(self.windows):
            raise ContractError("calendar.windows", f"not 1 to {WINDOWS_MAX} rows that ascend")
        last = (-1, 0)
        for day, begin, end in self.windows:
            if not 0 <= day <= 6 or not 0 <= begin < end <= DAY_MINUTES:
                raise ContractError("calendar.windows", f"{day}, {begin}, {end} is no window")
            if last[0] == day and begin < last[1]:
                raise ContractError("calendar.windows", "two windows overlap")
            last = (day, end)
        if len(self.days_off) > DAYS_OFF_MAX:
            raise ContractError("calendar.days_off", f"more than {DAYS_OFF_MAX}")

    def offset_ms(self, at_ms: int) -> int:
        """What is added to UTC at a moment."""
        index = max(0, bisect_right(self.offsets, (at_ms, DAY_MINUTES + 1)) - 1)
        return self.offsets[index][1] * MINUTE_MS

    def open_windows(self, from_ms: int, to_ms: int) -> list[tuple[int, int]]:
        """The working windows' parts in [from_ms, to_ms), in UTC; at most 800 days of them."""
        if to_ms - from_ms > DAYS_SEARCHED_MAX * DAY_MS:
            raise ContractError("calendar", f"more than {DAYS_SEARCHED_MAX} days")
        first = (from_ms - DAY_MS) // DAY_MS - 1
        found = []
        for day in range(first, (to_ms + DAY_MS) // DAY_MS + 2):
            if day in self.days_off:
                continue
            for weekday, begin, end in self.windows:
                if weekday == (day + _THURSDAY) % 7:
                    start = max(from_ms, self._utc(day * DAY_MS + begin * MINUTE_MS))
                    stop = min(to_ms, self._utc(day * DAY_MS + end * MINUTE_MS))
                    if start < stop:
                        found.append((start, stop))
        return found

    def _utc(self, local_ms: int) -> int:
        """The first UTC moment at which local clocks show this time or a later one.

        Where clocks are put forward that is the moment of the change; where they are put back, the
        first of the two.
        """
        for index, (since, minutes) in enumerate(self.offsets):
            at = local_ms - minutes * MINUTE_MS
            end = self.offsets[index + 1][0] if index + 1 < len(self.offsets) else None
            begins = since if index else at
            if end is None or at < end:
                return max(at, begins)
        raise AssertionError  # the last row has no end


def working_ms(calendar: Calendar, from_ms: int, to_ms: int) -> int:
    """Working time in [from_ms, to_ms), 0 where it ends before it begins."""
    if to_ms <= from_ms:
        return 0
    return sum(stop - start for start, stop in calendar.open_windows(from_ms, to_ms))


def deadline_ms(calendar: Calendar, from_ms: int, allowed_ms: int) -> int:
    """The moment at which `allowed_ms` of working time have passed since `from_ms`.

    In time is what happened before or at it. Raises ContractError where 800 days are not enough.
    """
    left = allowed_ms
    for start, stop in calendar.open_windows(from_ms, from_ms + DAYS_SEARCHED_MAX * DAY_MS):
        if left <= stop - start:
            return start + left
        left -= stop - start
    raise ContractError("calendar", "the allowed time does not pass within 800 days")
