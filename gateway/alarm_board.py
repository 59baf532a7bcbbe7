"""Puts alarms where people and machines at the dock see them: retained topics of the local broker.

A change is shown once its entry is durable, whether the uplink is there or not. Which alarms stand
raised is kept in the store, so that a restart neither forgets nor repeats one.
"""

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from urllib.parse import quote

from gateway.alarms import LIMIT_EXPONENT, AlarmView, AlarmWatch, Channel
from ledger.feed_store import get_value, put_value
from ledger.store import Store, Transaction
from logistics.units import decimal_text

RAISED: Final = "alarms-raised"


class Board(Protocol):
    """Where words are shown by topic; an empty word takes one down."""

    def put(self, words: dict[str, bytes]) -> None:
        """Sets words by topic."""

    async def run(self) -> None:
        """Shows them until cancelled."""


def topic_of(gateway: str, channel: Channel, *, above: bool) -> str:
    """`wharf/GATEWAY/alarm/DEVICE/CHANNEL/above` (or below); what MQTT reserves is escaped."""
    names = [quote(name, safe=" ") for name in (gateway, *channel)]
    return f"wharf/{names[0]}/alarm/{names[1]}/{names[2]}/{'above' if above else 'below'}"


def payload_of(view: AlarmView) -> bytes:
    """One alarm as JSON; numbers with a scale are exact texts."""
    value = None if view.value is None else decimal_text(view.value, view.exponent)
    wall_us, rule = view.since_wall_us, view.rule
    row = {
        "state": "raised" if view.raised else "clear",
        "device": rule.channel[0],
        "channel": rule.channel[1],
        "side": "above" if rule.above else "below",
        "limit": decimal_text(rule.limit_milli, LIMIT_EXPONENT),
        "for_s": rule.for_s,
        "settle_s": rule.settle_s,
        "value": value if view.raised else None,
        "unit": view.unit or None,
        "since": None if wall_us is None else _utc(wall_us),
    }
    return json.dumps(row, ensure_ascii=False).encode()


def _utc(wall_us: int) -> str:
    moment = datetime.fromtimestamp(wall_us // 1_000_000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def raised_before(txn: Transaction) -> list[tuple[Channel, bool]]:
    """(channel, above) of the alarms that stood raised at the last change."""
    held: list[list[Any]] = get_value(txn, RAISED) or []
    return [((device, channel), above) for device, channel, above in held]


class AlarmBoard:
    """Saves and shows what the watch says."""

    def __init__(
        self,
        watch: AlarmWatch,
        store: Store,
        board: Board | None,
        *,
        gateway: str,
        before: Iterable[tuple[Channel, bool]],
    ) -> None:
        self._watch, self._store, self._board, self._gateway = watch, store, board, gateway
        self._saved = set(before)
        self._changed = asyncio.Event()
        self._shown: list[AlarmView] = []

    def look(self) -> None:
        """Called after each durable group of entries: notes whether an alarm has changed."""
        if set(self._watch.raised()) != {(v.rule.channel, v.rule.above) for v in self._shown}:
            self._changed.set()

    async def run(self) -> None:
        """Saves and shows until cancelled."""
        async with asyncio.TaskGroup() as group:
            if self._board is not None:
                group.create_task(self._board.run())
            while True:
                await self.settle()
                await self._changed.wait()

    async def settle(self) -> None:
        """Shows every alarm as it stands now, and keeps which are raised."""
        self._changed.clear()
        views = self._watch.views()
        self._shown = [view for view in views if view.raised]
        raised = self._watch.raised()
        if self._board is not None:
            words = {
                topic_of(self._gateway, view.rule.channel, above=view.rule.above): payload_of(view)
                for view in views
            }
            # An alarm whose rule was taken out of the configuration is shown no more.
            for channel, above in self._saved:
                words.setdefault(topic_of(self._gateway, channel, above=above), b"")
            self._board.put(words)
        if set(raised) != self._saved:
            self._saved = set(raised)
            value = [[*channel, above] for channel, above in raised]
            await asyncio.wrap_future(
                self._store.write_later(lambda txn: put_value(txn, RAISED, value))
            )
