"""A made-up trip as the demo would tell it: two gateways, an outage, a kill, gaps, a proof."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from typing import Any

START_MS = 1_795_413_600_000  # 2026-11-23 06:00 UTC
MINUTE_MS = 60_000
MINUTES = 180
OUTAGE = (60, 96)  # the truck has no uplink
KILL = (110, 118)  # the cold-room gateway is down
SILENT = (40, 47)  # one probe says nothing, and a signed gap says so

Line = dict[str, Any]
PROBES = (
    ("cold-room", "cold-room/probe-1", 4_100, 600),
    ("cold-room", "cold-room/probe-2", 5_000, 900),
    ("truck", "truck/box", 5_600, 1_500),
)


def state_at(minute: float, now: float) -> str:
    """Return how far a reading of `minute` has come at `now`, both in minutes of the trip."""
    age = now - minute
    if age < 0.5:
        return "live"
    if age < 6:
        return "journaled"
    return "anchored" if age < 45 else "opened"


def celsius_milli(minute: float, base: int, swing: int, gateway: str) -> int:
    """Return a believable temperature: a compressor's saw, a slow drift, a door left open."""
    value = base + swing * math.sin(minute / 5.3) / 2 + 180 * math.sin(minute / 1.7)
    if gateway == "truck" and minute > 128:
        value += 5_200 * math.exp(-(((minute - 139) / 6) ** 2))
    return round(value)


def trip(now: float = MINUTES) -> Iterator[Line]:
    """Yield the events of a trip up to `now` minutes; a finished one ends with its verdict."""
    yield {
        "type": "title",
        "title": "Vaccines from the cold room to the dock",
        "subtitle": "Two gateways, one consortium machine; 3 h of a trip in 2 minutes",
        "title_zh": "疫苗：从冷库到码头",
    }
    for _, sensor, _, _ in PROBES:
        yield {"type": "limits", "sensor": sensor, "low_milli": 2_000, "high_milli": 8_000}
    yield from readings(now)
    yield from positions(now)
    yield from bands(now)
    yield from blocks(now)
    yield {"type": "progress", "done": int(now), "total": MINUTES, "text": "Truck under way"}
    if now >= MINUTES:
        yield from ending()


def readings(now: float) -> Iterator[Line]:
    """Yield one reading each half minute and probe, less what a gap or the kill leaves out."""
    for gateway, sensor, base, swing in PROBES:
        for half in range(int(now * 2)):
            minute = half / 2
            if gateway == "cold-room" and KILL[0] <= minute < KILL[1]:
                continue
            if sensor.endswith("probe-2") and SILENT[0] <= minute < SILENT[1]:
                continue
            yield {
                "type": "reading",
                "t_ms": START_MS + int(minute * MINUTE_MS),
                "gateway": gateway,
                "sensor": sensor,
                "quantity": "temperature",
                "celsius_milli": celsius_milli(minute, base, swing, gateway),
                "state": state_at(minute, now),
            }


def positions(now: float) -> Iterator[Line]:
    """Yield the truck's way from a port to an inland town."""
    for minute in range(int(now)):
        way = minute / MINUTES
        yield {
            "type": "position",
            "t_ms": START_MS + minute * MINUTE_MS,
            "gateway": "truck",
            "lat_e7": round((53.54 + 0.62 * way + 0.07 * math.sin(way * 9)) * 1e7),
            "lon_e7": round((9.98 + 0.94 * way**1.3 + 0.05 * math.sin(way * 14)) * 1e7),
            "state": state_at(minute, now),
        }


def bands(now: float) -> Iterator[Line]:
    """Yield outage, kill and gap; one that goes on has no end yet."""
    rows = (
        ("uplink-1", "outage", "truck", OUTAGE, "no uplink", "上行中断"),
        ("kill-1", "kill", "cold-room", KILL, "gateway killed", "网关被强制终止"),
        ("gap-1", "gap", "cold-room", SILENT, "probe-2 silent", "probe-2 无上报"),
    )
    for name, kind, gateway, (first, last), label, label_zh in rows:
        if first >= now:
            continue
        sensor = {"sensor": "cold-room/probe-2"} if kind == "gap" else {}
        yield {
            "type": "band",
            **sensor,
            "id": name,
            "kind": kind,
            "gateway": gateway,
            "from_ms": START_MS + first * MINUTE_MS,
            "to_ms": START_MS + last * MINUTE_MS if last <= now else None,
            "label": label,
            "label_zh": label_zh,
        }


def blocks(now: float) -> Iterator[Line]:
    """Yield a block each five minutes, anchored two minutes later unless the uplink is away."""
    for gateway, skip, late in (("cold-room", KILL, (0, 0)), ("truck", (0, 0), OUTAGE)):
        height = 0
        for minute in range(5, int(now) + 1, 5):
            if skip[0] <= minute < skip[1]:
                continue
            digest = hashlib.sha256(f"{gateway}{height}".encode()).hexdigest()
            where: Line = {"gateway": gateway, "height": height}
            yield {
                "type": "block",
                "t_ms": START_MS + minute * MINUTE_MS,
                "readings": 18 + minute % 7,
                "digest": digest,
                **where,
            }
            anchored = late[1] + 1 if late[0] <= minute < late[1] else minute + 2
            if anchored <= now:
                yield {
                    "type": "anchor",
                    "t_ms": START_MS + anchored * MINUTE_MS,
                    "chain_height": 3 + height * 2,
                    **where,
                }
            height += 1


def ending() -> Iterator[Line]:
    """Yield the account, the verdict and the end."""
    same = ("sent", "acknowledged", "journaled", "in_blocks", "mirrored", "anchored", "opened")
    rows = [
        {"name": name, **dict.fromkeys(same, sent), "missing": 0, "uncovered": 0}
        for name, sent in (
            ("cold-room/probe-1", 344),
            ("cold-room/probe-2", 330),
            ("truck/box", 360),
        )
    ]
    rows[0]["sent"] = 360
    yield {"type": "counts", "rows": rows}
    yield {
        "type": "verdict",
        "ok": True,
        "lines": [
            "All 344 readings of cold-room/probe-1 from 06:00 to 09:00 are here; none is missing.",
            "One signed gap: 06:40 to 06:47, probe-2 silent.",
            "Clock: NTP, unauthenticated, within 0.2 s.",
            "Signed with a key that never leaves its token.",
            "Rests on one party's key: this chain has one organisation.",
        ],
        "command": "wharf verify demo/trip.bundle --trust demo/genesis.json",
    }
    yield {"type": "end"}


def as_bytes(now: float = MINUTES) -> bytes:
    """Return the events as the file that the page follows."""
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in trip(now)).encode()
