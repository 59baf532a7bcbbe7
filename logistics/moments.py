"""Moments as people type them: ISO 8601 with a zone, or a time before now."""

import re
from datetime import UTC, datetime
from typing import Final

from logistics.errors import LogisticsError

_BEFORE: Final = re.compile(r"-?(\d{1,6})([smhd])")
_UNIT_MS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class MomentError(LogisticsError):
    """A text is no moment; says which forms are."""


def parse_moment(text: str, now_ms: int) -> int:
    """UTC milliseconds since 1970 of `2026-11-23T10:00:00Z`, `now` or `90m` (before now); raises
    MomentError.
    """
    before = _BEFORE.fullmatch(text)
    if before:
        return now_ms - int(before[1]) * _UNIT_MS[before[2]]
    if text == "now":
        return now_ms
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise MomentError(
            f"{text!r} is no moment; write 2026-11-23T10:00:00Z, 90m (before now) or now"
        )
    return int(moment.timestamp() * 1000)


def moment_words(time_ms: int | None) -> str:
    """A moment in UTC for people, to the second."""
    if time_ms is None:
        return "an unknown time"
    try:
        moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):  # a liar's date may lie in any year
        return f"{time_ms} ms from 1970"
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def span_words(duration_ms: int) -> str:
    """A duration for people: its two largest units."""
    seconds = max(0, duration_ms) // 1000
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"
