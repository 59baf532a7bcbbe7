"""Turns what devices say and gateways report into lines for the live page."""

import json
import urllib.request
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from gateway.demo.cast import Channel

STATUS_TIMEOUT_S: Final = 1.0


class EventFile:
    """The page's event file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a", encoding="utf-8")

    def write(self, event: str, /, **values: Any) -> None:
        """One event, at once."""
        self._file.write(json.dumps({"type": event, **values}, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Ends the file."""
        self._file.close()


class SentTail:
    """Follows a simulator's log and tells the page what the device says: live, not proven."""

    def __init__(self, path: Path, channel: Channel, events: EventFile) -> None:
        self._path, self._channel, self._events = path, channel, events
        self._offset = 0
        self.count = 0

    def follow(self, deaf: Collection[str]) -> None:
        """Passes on what is new. deaf: gateways that are down; what only they could hear is not
        shown.
        """
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        if self._channel.actor in deaf and not self._channel.acknowledged:
            return
        for line in whole.splitlines():
            record = json.loads(line)
            if record.get("channel") == self._channel.channel:
                self._tell(record)

    def _tell(self, record: dict[str, Any]) -> None:
        self.count += 1
        time_ms, value = record["unix_us"] // 1000, record["value"]
        actor, device = self._channel.actor, self._channel.device
        if isinstance(value, list):
            self._events.write(
                "position",
                t_ms=time_ms,
                gateway=actor,
                lat_e7=value[0],
                lon_e7=value[1],
                state="live",
            )
        elif isinstance(value, int):
            milli = value * 10 ** (record["exponent"] + 3)
            self._events.write(
                "reading",
                t_ms=time_ms,
                gateway=actor,
                sensor=f"{actor}/{device}",
                quantity="temperature",
                celsius_milli=int(milli),
                state="live",
            )


class GatewayWatch:
    """Follows one gateway's status page; keeps the last report while the gateway does not
    answer.
    """

    def __init__(self, name: str, data_dir: Path, events: EventFile) -> None:
        self.name, self._data_dir, self._events = name, data_dir, events
        self.report: dict[str, Any] = {}
        self._cut_at_ms: dict[int, int] = {}
        self._seen = {"sealed_height": -1, "anchored_height": -1, "opened_height": -1}
        self._last_poll_ms = 0
        self._leaves = 0

    def poll(self, now_ms: int) -> bool:
        """Asks once; tells the page what changed. False while the gateway does not answer."""
        try:
            port = int((self._data_dir / "status.port").read_text(encoding="ascii"))
            url = f"http://127.0.0.1:{port}/status.json"
            # loopback, built above
            with urllib.request.urlopen(url, timeout=STATUS_TIMEOUT_S) as answer:
                self.report = json.load(answer)
        except (OSError, ValueError):
            return False
        self._blocks(now_ms)
        self._anchors(now_ms)
        self._last_poll_ms = now_ms
        return True

    def height(self, name: str) -> int:
        """A height of the last report."""
        return int(self.report.get(name, -1))

    def _blocks(self, now_ms: int) -> None:
        sealed, before = self.height("sealed_height"), self._seen["sealed_height"]
        if sealed <= before:
            return
        leaves = int(self.report.get("sealed_leaves", 0))
        for height in range(max(0, before + 1), sealed + 1):
            # What was said before the last poll is in this block at the latest.
            self._cut_at_ms[height] = self._last_poll_ms or now_ms
        self._events.write(
            "block",
            t_ms=now_ms,
            gateway=self.name,
            height=sealed,
            readings=max(0, leaves - self._leaves),
        )
        self._leaves, self._seen["sealed_height"] = leaves, sealed
        self._advance(sealed, "journaled")

    def _anchors(self, now_ms: int) -> None:
        for field, state in (("anchored_height", "anchored"), ("opened_height", "opened")):
            height = self.height(field)
            if height > self._seen[field]:
                self._seen[field] = height
                if state == "anchored":
                    self._events.write("anchor", t_ms=now_ms, gateway=self.name, height=height)
                self._advance(height, state)

    def _advance(self, height: int, state: str) -> None:
        if height in self._cut_at_ms:
            self._events.write(
                "advance", gateway=self.name, to_ms=self._cut_at_ms[height], state=state
            )
