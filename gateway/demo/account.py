"""The account of the play: what devices sent and were promised, against what the chain's reader
opened. Pure.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.demo.cast import Channel

Value = tuple[Any, ...]
GAP_SLACK_US: Final = 2_000_000
CLOCK_SLACK_US: Final = 100_000
LINE_US_MAX: Final = 1_500_000


@dataclass(frozen=True, slots=True)
class Sent:
    """One value that a device sent: when, its content, and whether a broker said that it was
    taken.
    """

    unix_us: int
    value: Value
    puback: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the account. `missing` and `uncovered` must be 0; `twice` too."""

    name: str
    sent: int | None
    acknowledged: int | None
    journaled: int
    in_blocks: int
    mirrored: int
    anchored: int
    opened: int
    missing: int
    uncovered: int
    twice: int

    @property
    def good(self) -> bool:
        """True where no promise was broken."""
        return not (self.missing or self.uncovered or self.twice)


def read_sent(lines: Iterable[str], channel: str) -> list[Sent]:
    """The values of one channel in a simulator's log, PUBACKs joined to them."""
    records = [json.loads(line) for line in lines]
    taken = {record["seq"] for record in records if record.get("puback")}
    return [
        Sent(record["unix_us"], _value(record), record["seq"] in taken)
        for record in records
        if record.get("channel") == channel and record.get("written", True)
    ]


def _value(record: dict[str, Any]) -> Value:
    value = record["value"]
    return tuple(value) if isinstance(value, list) else (value, record.get("exponent"))


def opened_value(row: dict[str, Any]) -> Value:
    """The same content out of the read model."""
    if row["lat_e7"] is not None:
        return row["lat_e7"], row["lon_e7"]
    if row["epc"] is not None:
        return row["epc"], None
    return row["value"], row["exponent"]


def account(
    channel: Channel,
    *,
    sent: Sequence[Sent],
    opened: Sequence[dict[str, Any]],
    gaps: Sequence[dict[str, Any]],
    heights: dict[str, int],
) -> Row:
    """The account of one channel. heights: journaled count, and the gateway's known heights by
    state.
    """
    held = Counter(opened_value(row) for row in opened)
    promised = Counter(item.value for item in sent if item.puback and channel.acknowledged)
    offered = Counter(item.value for item in sent)
    missing = sum((promised - held).values())
    twice = 0 if channel.sampled else sum((held - offered).values())
    first_us = min((row["wall_us"] or 0 for row in opened), default=0)
    # A line that nobody had opened yet promises nothing: what counts begins with the first reading.
    begun = [item for item in sent if item.unix_us >= first_us]
    lost = [] if channel.sampled or channel.acknowledged else _not_held(begun, opened)
    uncovered = sum(not _covered(item.unix_us, gaps) for item in lost)
    counts = {
        state: sum(row["height"] <= heights.get(state, -1) for row in opened)
        for state in ("in_blocks", "mirrored", "anchored", "opened")
    }
    return Row(
        name=f"{channel.device}/{channel.channel}",
        sent=None if channel.sampled else len(sent),
        acknowledged=sum(item.puback for item in sent) if channel.acknowledged else None,
        journaled=heights["journaled"],
        missing=missing,
        uncovered=uncovered,
        twice=twice,
        **counts,
    )


def _not_held(sent: Sequence[Sent], opened: Sequence[dict[str, Any]]) -> list[Sent]:
    """What was sent and not counted: each counted value answers the latest equal one sent before.

    Equal values are told apart by time alone, as a tag that is seen again and again.
    """
    left = sorted(sent, key=lambda item: item.unix_us)
    for row in sorted(opened, key=lambda row: row["wall_us"] or 0):
        value, counted_us = opened_value(row), row["wall_us"] or 0
        answered = [
            item
            for item in left
            if item.value == value
            and counted_us - LINE_US_MAX <= item.unix_us <= counted_us + CLOCK_SLACK_US
        ]
        if answered:
            left.remove(answered[-1])
    return left


def _covered(unix_us: int, gaps: Sequence[dict[str, Any]]) -> bool:
    """True where a signed gap spans the instant, give or take the time that a line takes."""
    return any(
        (gap["from_wall_us"] or 0) - GAP_SLACK_US
        <= unix_us
        <= (gap["to_wall_us"] if gap["to_wall_us"] is not None else unix_us) + GAP_SLACK_US
        for gap in gaps
    )


def table(rows: Sequence[Row]) -> str:
    """The account for a terminal."""
    names = (
        "sent", "acknowledged", "journaled", "in blocks", "mirrored", "anchored", "opened",
        "acked missing", "down, no gap", "twice",
    )  # fmt: skip  # one row of headings
    width = max(len(row.name) for row in rows)
    lines = [" " * width + "".join(f"{name:>14}" for name in names)]
    for row in rows:
        numbers = (
            row.sent, row.acknowledged, row.journaled, row.in_blocks, row.mirrored, row.anchored,
            row.opened, row.missing, row.uncovered, row.twice,
        )  # fmt: skip  # in the order of the headings
        cells = "".join(f"{'-' if number is None else number:>14}" for number in numbers)
        lines.append(f"{row.name:<{width}}{cells}")
    return "\n".join(lines)
