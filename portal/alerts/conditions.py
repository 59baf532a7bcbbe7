"""What is wrong, and what follows for the alerts that are open. Pure: the clock is a parameter."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from portal.chart.spells import Limits, spells
from portal.chart.thin import Point

WARNING, SERIOUS = 1, 2
GATEWAY_SILENT_MS: Final = 5 * 60_000
PROBE_INTERVALS: Final = 5
PROBE_SILENT_MS_MIN: Final = 3 * 60_000
KIND_GATEWAY_SILENT: Final = "gateway_silent"
KIND_PROBE_SILENT: Final = "probe_silent"
KIND_LIMIT: Final = "limit"
KIND_EDGE: Final = "edge_alarm"
KIND_PAST_DUE: Final = "past_due"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Something that is wrong now. subject: what it is about, one alert each; about: what its words
    name; since_ms: when it began.
    """

    organisation: str
    kind: str
    subject: str
    severity: int
    since_ms: int
    about: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it one and the same alert."""
        return self.organisation, self.kind, self.subject


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAlert:
    """An alert that has not ended, as it is held."""

    id: str
    organisation: str
    kind: str
    subject: str
    opened_ms: int
    acked_ms: int | None
    escalated_ms: int | None

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it one and the same alert."""
        return self.organisation, self.kind, self.subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What to do: open these, end those, escalate those that nobody took on in time."""

    opened: tuple[Condition, ...]
    ended: tuple[OpenAlert, ...]
    escalated: tuple[OpenAlert, ...]


def settle(
    conditions: Iterable[Condition],
    alerts: Sequence[OpenAlert],
    *,
    now_ms: int,
    escalate_ms: Mapping[str, int],
) -> Changes:
    """What follows from what is wrong now. escalate_ms: by organisation, how long an alert may wait
    for somebody to acknowledge it.
    """
    wrong = {condition.key: condition for condition in conditions}
    held = {alert.key for alert in alerts}
    late = [
        alert
        for alert in alerts
        if alert.key in wrong
        and alert.acked_ms is None
        and alert.escalated_ms is None
        and now_ms - alert.opened_ms >= escalate_ms[alert.organisation]
    ]
    return Changes(
        opened=tuple(condition for key, condition in wrong.items() if key not in held),
        ended=tuple(alert for alert in alerts if alert.key not in wrong),
        escalated=tuple(late),
    )


def gateway_silent(
    row: Mapping[str, Any], *, now_ms: int, silent_ms: int = GATEWAY_SILENT_MS
) -> Condition | None:
    """A gateway (feed, name, organisation, heard_ms) that has said nothing for too long."""
    heard = row["heard_ms"]
    if heard is None or now_ms - heard < silent_ms:
        return None
    return Condition(
        organisation=row["organisation"],
        kind=KIND_GATEWAY_SILENT,
        subject=row["feed"],
        severity=SERIOUS,
        since_ms=heard,
        about={"gateway": row["name"]},
    )


def probe_silent(row: Mapping[str, Any], *, now_ms: int) -> Condition | None:
    """A channel (feed, slot, device, organisation, gateway, interval_ms, newest_ms) of a gateway
    that speaks, and that is silent itself; heard_ms: the gateway's own last word.
    """
    newest, heard = row["newest_ms"], row["heard_ms"]
    allowed = max(PROBE_SILENT_MS_MIN, PROBE_INTERVALS * row["interval_ms"])
    if newest is None or heard is None or heard - newest < allowed:
        return None
    if now_ms - heard >= GATEWAY_SILENT_MS:
        return None  # the gateway is silent: one alert says so
    return Condition(
        organisation=row["organisation"],
        kind=KIND_PROBE_SILENT,
        subject=f"{row['feed']}/{row['slot']}",
        severity=WARNING,
        since_ms=newest,
        about={"device": row["device"], "gateway": row["gateway"], "feed": row["feed"]},
    )


def past_limit(row: Mapping[str, Any], points: Sequence[Point]) -> Condition | None:
    """A watched channel (as above, with low_milli, high_milli, for_s, severity) whose newest spell
    outside its limits still lasts, and lasts long enough.
    """
    if not points:
        return None
    hold_ms = PROBE_INTERVALS * row["interval_ms"]
    limits = Limits(row["low_milli"], row["high_milli"])
    found = spells(points, limits, hold_ms=hold_ms, end_ms=points[-1].at_ms)
    last = found[-1] if found else None
    is_over = limits.side(points[-1].milli) is None
    if last is None or is_over or last.length_ms < row["for_s"] * 1000:
        return None
    return Condition(
        organisation=row["organisation"],
        kind=KIND_LIMIT,
        subject=f"{row['feed']}/{row['slot']}",
        severity=row["severity"],
        since_ms=last.from_ms,
        about={
            "device": row["device"],
            "gateway": row["gateway"],
            "feed": row["feed"],
            "side": last.side.value,
            "milli": last.extreme_milli,
        },
    )
