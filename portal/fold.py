"""Events in, what a page must know out: the latest of each thing, never a step back.

A reading that was seen in a later state stays there, whatever order the lines come in, so a page
never looks less sure and then surer by accident, nor surer than any line said.
Points leave in columns (`series`, `track`): a report of 20,000 readings stays under a megabyte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from portal.events import STATES, Event

RANK = {state: rank for rank, state in enumerate(STATES)}
SINGLE = ("title", "progress", "counts", "verdict", "end")

SeriesKey = tuple[str, str, str]  # ("series", gateway, sensor) or ("track", gateway, "")
Point = tuple[int, ...]  # (celsius_milli, rank) or (lat_e7, lon_e7, rank)
Message = dict[str, Any]


class Fold:
    """What the events so far come to; `snapshot` tells it all, `drain` what changed since."""

    def __init__(self) -> None:
        self._points: dict[SeriesKey, dict[int, Point]] = {}
        self._things: dict[str, Message] = {}
        self._dirty_points: dict[SeriesKey, set[int]] = {}
        self._dirty_things: dict[str, None] = {}  # a dict keeps the order of arrival
        self.rejected = 0

    def apply(self, event: Event) -> None:
        """Take one event in."""
        body = event.body
        if event.kind == "reading":
            key = ("series", body["gateway"], body["sensor"])
            self._put_point(key, body["t_ms"], (body["celsius_milli"], RANK[body["state"]]))
        elif event.kind == "position":
            point = (body["lat_e7"], body["lon_e7"], RANK[body["state"]])
            self._put_point(("track", body["gateway"], ""), body["t_ms"], point)
        elif event.kind == "advance":
            self._advance(body)
        else:
            self._put_thing(thing_key(event), body)

    def reject(self) -> None:
        """Count one line that could not be drawn."""
        self.rejected += 1
        self._put_thing("rejected", {"type": "rejected", "count": self.rejected})

    def snapshot(self) -> list[Message]:
        """Return messages that tell a new page all: things in order of arrival, then points."""
        everything = {key: sorted(points) for key, points in self._points.items()}
        return [*self._things.values(), *self._columns(everything)]

    def drain(self) -> list[Message]:
        """Return what changed since the last call, and forget that it did."""
        changed = {key: sorted(times) for key, times in self._dirty_points.items()}
        messages = [self._things[key] for key in self._dirty_things]
        self._dirty_points, self._dirty_things = {}, {}
        return [*messages, *self._columns(changed)]

    def _put_point(self, key: SeriesKey, t_ms: int, point: Point) -> None:
        points = self._points.setdefault(key, {})
        known = points.get(t_ms)
        if known is not None:
            point = (*point[:-1], max(known[-1], point[-1]))
        if known != point:
            points[t_ms] = point
            self._dirty_points.setdefault(key, set()).add(t_ms)

    def _put_thing(self, key: str, body: Mapping[str, Any]) -> None:
        # A band that is told again may leave out what it said before.
        self._things[key] = {**self._things.get(key, {}), **body, "key": key}
        self._dirty_things[key] = None

    def _advance(self, body: Mapping[str, Any]) -> None:
        rank = RANK[body["state"]]
        for key, points in self._points.items():
            _, gateway, sensor = key
            if gateway != body["gateway"] or body.get("sensor", sensor) != sensor:
                continue
            for t_ms, point in list(points.items()):
                if t_ms <= body["to_ms"] and point[-1] < rank:
                    self._put_point(key, t_ms, (*point[:-1], rank))

    def _columns(self, times: Mapping[SeriesKey, Iterable[int]]) -> list[Message]:
        return [_column_message(key, list(t), self._points[key]) for key, t in times.items()]


def thing_key(event: Event) -> str:
    """Return the name under which a later event replaces this one."""
    body = event.body
    if event.kind in SINGLE:
        return event.kind
    if event.kind == "band":
        return f"band {body['id']}"
    if event.kind == "limits":
        return f"limits {body['sensor']}"
    return f"{event.kind} {body['gateway']} {body['height']}"


def _column_message(key: SeriesKey, times: list[int], points: Mapping[int, Point]) -> Message:
    kind, gateway, sensor = key
    chosen = [points[t_ms] for t_ms in times]
    message: Message = {"type": kind, "key": " ".join(key).strip(), "gateway": gateway}
    if kind == "series":
        message |= {"sensor": sensor, "celsius_milli": [point[0] for point in chosen]}
    else:
        message |= {
            "lat_e7": [point[0] for point in chosen],
            "lon_e7": [point[1] for point in chosen],
        }
    return message | {"t_ms": times, "state": [point[-1] for point in chosen]}
