"""What is wrong, from plain rows; and what follows for open alerts."""

from typing import Any

from portal.alerts.conditions import (
    GATEWAY_SILENT_MS,
    Condition,
    OpenAlert,
    gateway_silent,
    past_limit,
    probe_silent,
    settle,
)
from portal.chart.thin import Point

MINUTE = 60_000
ROW: dict[str, Any] = {
    "organisation": "o", "feed": "f", "slot": 1, "name": "cold-room", "gateway": "cold-room",
    "device": "probe-1", "interval_ms": MINUTE, "heard_ms": 100 * MINUTE,
    "newest_ms": 100 * MINUTE, "low_milli": 2_000, "high_milli": 8_000, "for_s": 300, "severity": 2,
}  # fmt: skip  # one row


def condition(kind: str = "limit") -> Condition:
    return Condition(organisation="o", kind=kind, subject="f/1", severity=2, since_ms=0, about={})


def alert(**more: Any) -> OpenAlert:
    fields: dict[str, Any] = {
        "id": "a", "organisation": "o", "kind": "limit", "subject": "f/1", "opened_ms": 0,
        "acked_ms": None, "escalated_ms": None,
    }  # fmt: skip  # one row
    return OpenAlert(**(fields | more))


def test_a_gateway_is_silent_after_its_time_and_not_before() -> None:
    heard = ROW["heard_ms"]
    assert gateway_silent(ROW, now_ms=heard + GATEWAY_SILENT_MS - 1) is None
    found = gateway_silent(ROW, now_ms=heard + GATEWAY_SILENT_MS)
    assert found is not None
    assert heard == found.since_ms


def test_a_probe_is_silent_only_while_its_gateway_speaks() -> None:
    quiet = ROW | {"newest_ms": 90 * MINUTE}
    assert probe_silent(ROW, now_ms=101 * MINUTE) is None
    found = probe_silent(quiet, now_ms=101 * MINUTE)
    assert found is not None
    assert "probe-1" == found.about["device"]
    assert probe_silent(quiet, now_ms=100 * MINUTE + GATEWAY_SILENT_MS) is None


def points(*values: int) -> list[Point]:
    return [Point(index * MINUTE, value) for index, value in enumerate(values)]


def test_a_limit_is_passed_only_after_its_duration_and_until_it_is_over() -> None:
    warm = points(4_000, *[9_000] * 5)
    assert past_limit(ROW, warm) is None
    longer = points(4_000, *[9_000] * 6)
    found = past_limit(ROW, longer)
    assert found is not None
    assert (MINUTE, "above", 9_000) == (found.since_ms, found.about["side"], found.about["milli"])
    assert past_limit(ROW, [*longer, Point(7 * MINUTE, 5_000)]) is None


def test_alerts_open_once_end_with_their_cause_and_escalate_when_nobody_came() -> None:
    new = settle([condition()], [], now_ms=0, escalate_ms={"o": MINUTE})
    assert [condition()] == list(new.opened)
    same = settle([condition()], [alert()], now_ms=MINUTE - 1, escalate_ms={"o": MINUTE})
    assert ((), (), ()) == (same.opened, same.ended, same.escalated)
    late = settle([condition()], [alert()], now_ms=MINUTE, escalate_ms={"o": MINUTE})
    assert (alert(),) == late.escalated
    taken = [alert(acked_ms=1)]
    assert () == settle([condition()], taken, now_ms=MINUTE, escalate_ms={"o": MINUTE}).escalated
    assert (alert(),) == settle([], [alert()], now_ms=1, escalate_ms={"o": MINUTE}).ended
