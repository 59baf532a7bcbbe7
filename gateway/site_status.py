"""`wharf site status`: one line a gateway, from what a chain machine holds of it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from logistics.health import BoxHealth

QUALITIES: Final = ("none", "rtc", "network", "satellite", "two sources")
_COLUMNS: Final = (
    ("feed", "feed"),
    ("party", "party"),
    ("seen", "last_seen"),
    ("backlog", "backlog"),
    ("clock", "clock"),
    ("MB/day", "written_mb_a_day"),
    ("room %", "used_percent"),
    ("silent", "silent"),
    ("past due", "past_due"),
    ("alarms", "alarms"),
    ("faults", "faults"),
    ("version", "software"),
)


def site_row(value: Sequence[Any], *, now_ms: int) -> dict[str, Any]:
    """A gateway's row of the operator's answer, by name; what nobody said is None.

    last_seen_ms: chain time of its newest anchor, UTC since 1970. backlog: blocks that this machine
    holds and that are not anchored.
    """
    feed, party, blocks, anchored, seen_ms, quality, unc_us, software, body = value
    health = BoxHealth.from_body(body) if body is not None else None
    row = {
        "feed": feed.hex(),
        "party": party,
        "last_seen_ms": seen_ms,
        "silent_for_s": None if seen_ms is None else max(0, now_ms - seen_ms) // 1000,
        "backlog": blocks - 1 - (-1 if anchored is None else anchored),
        "clock": QUALITIES[quality] if 0 <= quality < len(QUALITIES) else "unknown",
        "clock_error_ms": unc_us // 1000,
        "software": software,
    }
    names = ("written_mb_a_day", "used_percent", "silent", "past_due", "alarms", "faults")
    return row | {name: getattr(health, name) if health else None for name in names}


def site_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a table for people."""
    lines = [[title for title, _ in _COLUMNS]]
    lines += [[_cell(row, name) for _, name in _COLUMNS] for row in rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cell(row: Mapping[str, Any], name: str) -> str:
    if name == "last_seen":
        return _ago(row["silent_for_s"])
    value = row[name]
    if name == "feed":
        return str(value)[:8]
    return "-" if value is None else str(value)


def _ago(seconds: int | None) -> str:
    if seconds is None:
        return "never"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
