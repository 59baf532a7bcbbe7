"""The desk's view: a gateway that speaks, and one that fell silent with a probe that did before."""

from __future__ import annotations

import json
from typing import Any

from tests.fakes.publisher import payload_of, publish_once
from tests.fakes.yard import Device, Yard, run_wharf, until

FRIDGE = "zigbee2mqtt/fridge-1"


def rows(yard: Yard) -> dict[str, dict[str, Any]]:
    """What the command prints, by feed."""
    text = run_wharf("site", "status", "--home", str(yard.machine.home), "--json")
    return {row["feed"]: row for row in json.loads(text)["gateways"]}


def test_the_desk_sees_who_is_there_how_far_behind_and_what_they_say(yard: Yard) -> None:
    device = Device("fridge-1", "zigbee2mqtt", f"mqtt:{FRIDGE}", interval_s=1)
    box = yard.add_gateway("box", [device])
    feed = box.feed_id.hex()
    publish_once(yard.broker.port, FRIDGE, payload_of(4_000))
    until(lambda: rows(yard)[feed]["silent"] == 1, "the box's word of its silent probe")
    box.settle()
    row = rows(yard)[feed]
    assert row["party"] == "Cold Store Ltd"
    assert row["software"].startswith("wharfinger ")
    assert (row["alarms"], row["past_due"], row["faults"]) == (0, 0, 0)
    assert row["silent_for_s"] < 30
    assert row["backlog"] <= 2
    assert box.stop() == 0
    seen_ms = rows(yard)[feed]["last_seen_ms"]
    until(lambda: rows(yard)[feed]["silent_for_s"] >= 2, "time passes without a word")
    assert rows(yard)[feed]["last_seen_ms"] == seen_ms
    assert feed[:8] in run_wharf("site", "status", "--home", str(yard.machine.home))
