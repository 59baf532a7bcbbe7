"""What a gateway itself says of a source, entry kind 10 (docs/formats/health.md).

Today there is one such word, an alarm that was raised or cleared. It stands in the slot of the
channel that it is about, so whoever may read the readings may read it, and nobody else.
"""

from dataclasses import dataclass
from typing import Any, Final

from logistics.errors import BodyError
from logistics.units import EXPONENT_MAX, EXPONENT_MIN, INT64_MAX

BODY_VERSION: Final = 1
SUBJECT_ALARM: Final = 1
SUBJECT_BOX: Final = 2
SECONDS_MAX: Final = 86_400 * 30
UINT64_MAX: Final = (1 << 64) - 1
_RECORD: Final = "alarm"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmChange:
    """An alarm raised or cleared, under the rule that was in force.

    limit_milli: thousandths of the channel's unit. for_s, settle_s: how long values had to be
    outside, or inside again. value * 10**exponent: the reading that decided. since: when the values
    that decided began, by the gateway's clocks; wall_us None where it had no time.
    """

    raised: bool
    above: bool
    limit_milli: int
    for_s: int
    settle_s: int
    value: int
    exponent: int
    since_mono_us: int
    since_wall_us: int | None

    def to_body(self) -> list[Any]:
        """[1, 1, raised, above, limit_milli, for_s, settle_s, value, exponent, mono, wall]."""
        return [
            BODY_VERSION,
            SUBJECT_ALARM,
            self.raised,
            self.above,
            self.limit_milli,
            self.for_s,
            self.settle_s,
            self.value,
            self.exponent,
            self.since_mono_us,
            self.since_wall_us,
        ]

    @staticmethod
    def from_body(value: object) -> "AlarmChange":
        """The record of a decoded body. Raises BodyError."""
        if not isinstance(value, list | tuple) or len(value) != len(_LIMITS) + 4:
            raise BodyError(_RECORD, "body", "not an array of 11")
        version, subject, raised, above, *numbers = value
        if (type(version), version, type(subject), subject) != (int, 1, int, SUBJECT_ALARM):
            raise BodyError(_RECORD, "version", "of a layout that is not known here")
        if type(raised) is not bool or type(above) is not bool:
            raise BodyError(_RECORD, "raised", "not true or false")
        read = {
            name: _number(name, item, low, high)
            for (name, low, high), item in zip(_LIMITS[:-1], numbers[:-1], strict=True)
        }
        name, low, high = _LIMITS[-1]
        wall = None if numbers[-1] is None else _number(name, numbers[-1], low, high)
        return AlarmChange(raised=raised, above=above, since_wall_us=wall, **read)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxHealth:
    """How a box says it is, in its feed's public control slot: numbers, and no names.

    written_mb_a_day: million bytes written to its disk, None while not known. used_percent: of the
    room for its ledger. silent, past_due, alarms: channels that say nothing, whose probe's
    calibration has ended, and limits that are passed. faults: what its own page shows as such.
    """

    written_mb_a_day: int | None
    used_percent: int
    silent: int
    past_due: int
    alarms: int
    faults: int

    def to_body(self) -> list[Any]:
        """[1, 2, written_mb_a_day, used_percent, silent, past_due, alarms, faults]."""
        return [
            BODY_VERSION,
            SUBJECT_BOX,
            self.written_mb_a_day,
            self.used_percent,
            self.silent,
            self.past_due,
            self.alarms,
            self.faults,
        ]

    @staticmethod
    def from_body(value: object) -> "BoxHealth":
        """The record of a decoded body. Raises BodyError."""
        if not isinstance(value, list | tuple) or len(value) != BOX_ITEMS:
            raise BodyError(_BOX, "body", f"not an array of {BOX_ITEMS}")
        version, subject, written, *counts = value
        if (type(version), version, type(subject), subject) != (int, 1, int, SUBJECT_BOX):
            raise BodyError(_BOX, "version", "of a layout that is not known here")
        used, silent, past_due, alarms, faults = (
            _number("count", item, 0, COUNT_MAX) for item in counts
        )
        return BoxHealth(
            written_mb_a_day=None
            if written is None
            else _number("written_mb_a_day", written, 0, UINT64_MAX),
            used_percent=used,
            silent=silent,
            past_due=past_due,
            alarms=alarms,
            faults=faults,
        )


_BOX: Final = "box health"
BOX_ITEMS: Final = 8
COUNT_MAX: Final = 1_000_000
_LIMITS: Final = (
    ("limit_milli", -INT64_MAX, INT64_MAX),
    ("for_s", 0, SECONDS_MAX),
    ("settle_s", 0, SECONDS_MAX),
    ("value", -INT64_MAX, INT64_MAX),
    ("exponent", EXPONENT_MIN, EXPONENT_MAX),
    ("since_mono_us", 0, UINT64_MAX),
    ("since_wall_us", -INT64_MAX, INT64_MAX),
)


def _number(field: str, item: object, low: int, high: int) -> int:
    if type(item) is not int or not low <= item <= high:
        raise BodyError(_RECORD, field, f"not an integer from {low} to {high}")
    return item
