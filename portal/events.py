"""The lines that a demo or a gateway writes for the live page, judged one by one.

One JSON object a line, `type` first among equals. What a line may hold is the table `SCHEMAS`;
`docs/formats/live-events.md` says it in words. A page is no verifier: a line that cannot be
drawn is a value (`RejectedLine`), counted and shown, and never stops the page.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

LINE_BYTES_MAX = 65_536
TEXT_CHARACTERS_MAX = 2_000
LIST_ITEMS_MAX = 200
INTEGER_MAX = 2**53 - 1  # what a browser holds exactly
STATES = ("live", "journaled", "anchored", "opened")
BAND_KINDS = ("outage", "kill", "gap")

Check = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Event:
    """One event that the page can draw; `body` holds known fields only, `type` among them."""

    kind: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """A line that was not drawn, and why in a few words."""

    reason: str


def is_text(value: object) -> bool:
    """Return True for a string of bounded length."""
    return isinstance(value, str) and len(value) <= TEXT_CHARACTERS_MAX


def is_integer(value: object) -> bool:
    """Return True for an integer that a browser holds exactly; True and False are not."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= INTEGER_MAX


def is_count(value: object) -> bool:
    """Return True for an integer from 0."""
    return is_integer(value) and value >= 0  # type: ignore[operator] # an int after is_integer


def is_integer_or_none(value: object) -> bool:
    """Return True for an integer or null."""
    return value is None or is_integer(value)


def is_boolean(value: object) -> bool:
    """Return True for true or false."""
    return isinstance(value, bool)


def is_lines(value: object) -> bool:
    """Return True for a bounded list of texts."""
    return isinstance(value, list) and len(value) <= LIST_ITEMS_MAX and all(map(is_text, value))


def is_latitude(value: object) -> bool:
    """Return True for degrees times 10**7, south negative."""
    return is_integer(value) and abs(value) <= 900_000_000  # type: ignore[arg-type] # an int here


def is_longitude(value: object) -> bool:
    """Return True for degrees times 10**7, west negative."""
    return is_integer(value) and abs(value) <= 1_800_000_000  # type: ignore[arg-type] # an int here


def one_of(*words: str) -> Check:
    """Return a check for a closed list of words."""
    return lambda value: value in words


COUNT_COLUMNS = (
    "sent",
    "acknowledged",
    "journaled",
    "in_blocks",
    "mirrored",
    "anchored",
    "opened",
    "missing",
    "uncovered",
)


def is_counts(value: object) -> bool:
    """Return True for rows of the final account; a column that is not known is left out."""
    if not isinstance(value, list) or len(value) > LIST_ITEMS_MAX:
        return False
    return all(
        isinstance(row, dict)
        and is_text(row.get("name"))
        and all(is_count(row[column]) for column in COUNT_COLUMNS if column in row)
        for row in value
    )


@dataclass(frozen=True, slots=True)
class Schema:
    """Fields that an event must have, and those that it may have."""

    required: Mapping[str, Check]
    optional: Mapping[str, Check]


SCHEMAS: Mapping[str, Schema] = {
    "title": Schema(
        {"title": is_text},
        {"subtitle": is_text, "title_zh": is_text, "subtitle_zh": is_text},
    ),
    "limits": Schema({"sensor": is_text}, {"low_milli": is_integer, "high_milli": is_integer}),
    "reading": Schema(
        {
            "t_ms": is_integer,
            "gateway": is_text,
            "sensor": is_text,
            "celsius_milli": is_integer,
            "state": one_of(*STATES),
        },
        {"quantity": one_of("temperature")},
    ),
    "position": Schema(
        {
            "t_ms": is_integer,
            "gateway": is_text,
            "lat_e7": is_latitude,
            "lon_e7": is_longitude,
            "state": one_of(*STATES),
        },
        {},
    ),
    "advance": Schema(
        {"gateway": is_text, "to_ms": is_integer, "state": one_of(*STATES)},
        {"sensor": is_text},
    ),
    "band": Schema(
        {"id": is_text, "kind": one_of(*BAND_KINDS), "from_ms": is_integer},
        {
            "gateway": is_text,
            "sensor": is_text,
            "to_ms": is_integer_or_none,
            "label": is_text,
            "label_zh": is_text,
        },
    ),
    "block": Schema(
        {"t_ms": is_integer, "gateway": is_text, "height": is_count},
        {"readings": is_count, "digest": is_text},
    ),
    "anchor": Schema(
        {"t_ms": is_integer, "gateway": is_text, "height": is_count},
        {"chain_height": is_count},
    ),
    "counts": Schema({"rows": is_counts}, {}),
    "progress": Schema(
        {"text": is_text}, {"done": is_count, "total": is_count, "text_zh": is_text}
    ),
    "verdict": Schema(
        {"ok": is_boolean, "lines": is_lines}, {"command": is_text, "lines_zh": is_lines}
    ),
    "end": Schema({}, {"t_ms": is_integer}),
}


def parse_line(line: bytes) -> Event | RejectedLine:
    """Return the event that one line holds, or why it cannot be drawn. Never raises."""
    if len(line) > LINE_BYTES_MAX:
        return RejectedLine("line too long")
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return RejectedLine("not JSON")
    if not isinstance(value, dict):
        return RejectedLine("not an object")
    kind = value.get("type")
    schema = SCHEMAS.get(kind) if isinstance(kind, str) else None
    if schema is None:
        return RejectedLine("unknown type")
    return _checked(str(kind), schema, value)


def _checked(kind: str, schema: Schema, value: Mapping[str, Any]) -> Event | RejectedLine:
    body: dict[str, Any] = {"type": kind}
    for field, check in schema.required.items():
        if field not in value or not check(value[field]):
            return RejectedLine(f"{kind}: {field}")
        body[field] = value[field]
    for field, check in schema.optional.items():
        if field in value:
            if not check(value[field]):
                return RejectedLine(f"{kind}: {field}")
            body[field] = value[field]
    return Event(kind, body)
