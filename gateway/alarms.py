"""Edge alarms: a limit, for how long, and how long it must be well again. Pure.

Only readings move an alarm, by their own times: whoever holds the readings comes to the same
alarms. What a source does not say is a gap, not an alarm. The states, as a table:

    NORMAL --outside--> COUNTING --due--> RAISED --inside--> SETTLING --due--> NORMAL
              COUNTING --inside--> NORMAL      SETTLING --outside--> RAISED
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from ledger.entry import GTime
from logistics.health import AlarmChange
from logistics.reading import FLAG_STALE, Telemetry

LIMIT_EXPONENT: Final = -3
SECOND_US: Final = 1_000_000
Channel = tuple[str, str]  # device id, channel


class State(Enum):
    """Where an alarm stands."""

    NORMAL = auto()
    COUNTING = auto()  # outside, not yet for long enough
    RAISED = auto()
    SETTLING = auto()  # inside again, not yet for long enough


class Event(Enum):
    """What may happen to an alarm."""

    OUTSIDE = auto()
    INSIDE = auto()
    DUE = auto()  # it has been so for as long as the rule asks


TABLE: Final = {
    (State.NORMAL, Event.OUTSIDE): State.COUNTING,
    (State.COUNTING, Event.INSIDE): State.NORMAL,
    (State.COUNTING, Event.DUE): State.RAISED,
    (State.RAISED, Event.INSIDE): State.SETTLING,
    (State.SETTLING, Event.OUTSIDE): State.RAISED,
    (State.SETTLING, Event.DUE): State.NORMAL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRule:
    """One limit of one channel. above: whether values over the limit are outside, or under it.

    limit_milli: thousandths of the channel's unit.
    """

    channel: Channel
    above: bool
    limit_milli: int
    for_s: int
    settle_s: int

    def is_outside(self, value: int, exponent: int) -> bool:
        """Whether `value * 10**exponent` is over (or under) the limit, exactly."""
        lowest = min(exponent, LIMIT_EXPONENT)
        measured = value * int(10 ** (exponent - lowest))
        limit = self.limit_milli * int(10 ** (LIMIT_EXPONENT - lowest))
        return measured > limit if self.above else measured < limit


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmView:
    """An alarm as others are shown it. since_wall_us: of its last change, None where unknown."""

    rule: AlarmRule
    raised: bool
    value: int | None
    exponent: int
    unit: str
    since_wall_us: int | None


class Alarm:
    """One rule and where it stands."""

    def __init__(self, rule: AlarmRule, *, raised: bool = False) -> None:
        self.rule = rule
        self.state = State.RAISED if raised else State.NORMAL
        self._since: GTime | None = None
        self.changed_wall_us: int | None = None

    @property
    def is_raised(self) -> bool:
        """True until it has settled."""
        return self.state in (State.RAISED, State.SETTLING)

    def observe(self, record: Telemetry, time: GTime) -> AlarmChange | None:
        """Takes the channel's next value; what it raised or cleared."""
        was_raised = self.is_raised
        outside = self.rule.is_outside(record.value, record.exponent)
        self._move(Event.OUTSIDE if outside else Event.INSIDE, time)
        since = self._since
        if since is None or time.mono_us - since.mono_us < self._wait_s * SECOND_US:
            return None
        self._move(Event.DUE, time)
        if self.is_raised == was_raised:
            return None
        self.changed_wall_us = time.wall_us
        return AlarmChange(
            raised=self.is_raised,
            above=self.rule.above,
            limit_milli=self.rule.limit_milli,
            for_s=self.rule.for_s,
            settle_s=self.rule.settle_s,
            value=record.value,
            exponent=record.exponent,
            since_mono_us=since.mono_us,
            since_wall_us=since.wall_us,
        )

    @property
    def _wait_s(self) -> int:
        return self.rule.for_s if self.state is State.COUNTING else self.rule.settle_s

    def _move(self, event: Event, time: GTime) -> None:
        state = TABLE.get((self.state, event), self.state)
        waits = state in (State.COUNTING, State.SETTLING)
        # Monotonic times of two boots cannot be compared: what was under way begins again.
        if not waits:
            self._since = None
        elif state is not self.state or self._since is None or self._since.boot != time.boot:
            self._since = time
        self.state = state


class AlarmWatch:
    """All alarms of a gateway.

    raised: (channel, above) of those that stood raised when the gateway stopped.
    """

    def __init__(
        self, rules: Sequence[AlarmRule], raised: Iterable[tuple[Channel, bool]] = ()
    ) -> None:
        held = set(raised)
        self._alarms: dict[Channel, list[Alarm]] = {}
        self._last: dict[Channel, Telemetry] = {}
        for rule in rules:
            alarm = Alarm(rule, raised=(rule.channel, rule.above) in held)
            self._alarms.setdefault(rule.channel, []).append(alarm)

    def observe(self, channel: Channel, record: object, time: GTime) -> list[AlarmChange]:
        """What a value of a channel raised or cleared. A value of long ago moves nothing."""
        if channel not in self._alarms or not isinstance(record, Telemetry):
            return []
        if record.flags & FLAG_STALE:
            return []
        self._last[channel] = record
        changes = [alarm.observe(record, time) for alarm in self._alarms[channel]]
        return [change for change in changes if change is not None]

    def replay(self, channel: Channel, change: AlarmChange) -> None:
        """Takes a change that is durable already, at a start."""
        for alarm in self._alarms.get(channel, []):
            if alarm.rule.above == change.above:
                alarm.state = State.RAISED if change.raised else State.NORMAL

    def raised(self) -> list[tuple[Channel, bool]]:
        """(channel, above) of the alarms that stand raised."""
        return [(view.rule.channel, view.rule.above) for view in self.views() if view.raised]

    def views(self) -> list[AlarmView]:
        """Every alarm, in the order of the configuration."""
        return [
            self._view(alarm, self._last.get(channel))
            for channel, alarms in self._alarms.items()
            for alarm in alarms
        ]

    @staticmethod
    def _view(alarm: Alarm, last: Telemetry | None) -> AlarmView:
        return AlarmView(
            rule=alarm.rule,
            raised=alarm.is_raised,
            value=last.value if last else None,
            exponent=last.exponent if last else 0,
            unit=last.unit if last else "",
            since_wall_us=alarm.changed_wall_us,
        )
