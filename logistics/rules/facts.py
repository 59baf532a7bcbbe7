"""Facts: integers that operators draw from traces, by name (docs/formats/contract.md has them all).

Where several channels measure one quantity, the worst of them counts. With `assumed_worst` the time
without evidence is taken as it would hurt most, which tells whether what is missing could matter.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from logistics.rules.calendars import Calendar, deadline_ms, working_ms
from logistics.rules.corridor import corridor, off_route_ms
from logistics.rules.custody import HandOver, custody_facts
from logistics.rules.errors import ContractError
from logistics.rules.evidence import TEMPERATURE, Band
from logistics.rules.excursion import Excursion, Limit, cumulative_ms, excursions, longest_ms
from logistics.rules.mkt import ACTIVATION_J_MOL, mean_kinetic_celsius_milli
from logistics.rules.rings import Stay, ring, stays
from logistics.rules.stretches import Stretch, covered_ms, ends_of, within
from logistics.rules.traces import Note, Trace, places, stretches

VALUE_MIN, VALUE_MAX = -273_150, 1_000_000
POSITION: Final = "position"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """What is judged: [from_ms, to_ms), and how long a value holds at most."""

    from_ms: int
    to_ms: int
    gap_ms: int

    @property
    def length_ms(self) -> int:
        """How long it is."""
        return self.to_ms - self.from_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that facts are drawn from."""

    interval: Interval
    traces: tuple[Trace, ...]
    custody: tuple[HandOver, ...] | None = None
    absent: tuple[str, ...] = ()  # devices of which there is no evidence at all

    def of(self, quantity: str) -> list[Trace]:
        """The traces of a quantity."""
        return [trace for trace in self.traces if trace.quantity == quantity]

    def stretches(self, trace: Trace) -> list[Stretch]:
        """A temperature trace within the interval."""
        asked = self.interval
        row = stretches(trace, to_ms=asked.to_ms, gap_ms=asked.gap_ms)
        return within(row, asked.from_ms, asked.to_ms)

    def missing_ms(self, trace: Trace) -> int:
        """Time of the interval for which a trace says nothing."""
        asked = self.interval
        if trace.quantity == POSITION:
            row = [
                Stretch(from_ms=begin, to_ms=end, low=0, high=0)
                for begin, end in _held_places(trace, asked)
            ]
            row = within(row, asked.from_ms, asked.to_ms)
        else:
            row = self.stretches(trace)
        return asked.to_ms - asked.from_ms - covered_ms(row)


def _held_places(trace: Trace, asked: Interval) -> list[tuple[int, int]]:
    moments = [place.at_ms for place in places(trace)]
    ends = ends_of(moments, asked.to_ms)
    return [
        (at, min(end, at + asked.gap_ms)) for at, end in zip(moments, ends, strict=True) if end > at
    ]


@dataclass(frozen=True, slots=True)
class Fact:
    """A name, the operator that gives it and the operator's parameters."""

    name: str
    operator: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def to_value(self) -> list[Any]:
        """[name, operator, parameters]."""
        return [self.name, self.operator, dict(self.parameters)]


Draw = Callable[[Fact, Case], int | None]


def value_of(fact: Fact, case: Case) -> int | None:
    """The fact's value, None where there is nothing to draw it from."""
    return OPERATORS[fact.operator].draw(fact, case)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """How a fact is drawn; its parameters with defaults (None: must be given); its unit.

    quantity: what it is drawn from. grows: missing time can only make it greater, by at most that
    time; otherwise what is missing may change it either way.
    """

    draw: Draw
    parameters: Mapping[str, Any]
    unit: str
    quantity: str | None = None
    grows: bool = False


def _limit(fact: Fact) -> Limit:
    given = fact.parameters
    return Limit(
        value=given["limit"],
        is_upper=fact.operator.startswith("above"),
        counts_at=given.get("counts_at", False),
        hysteresis=given.get("hysteresis", 0),
    )


def excursions_of(fact: Fact, trace: Trace, case: Case) -> list[Excursion]:
    """A trace's excursions beyond a fact's limit."""
    return excursions(case.stretches(trace), _limit(fact))


def _worst(amount: Callable[[Sequence[Excursion]], int]) -> Draw:
    def draw(fact: Fact, case: Case) -> int | None:
        rows = [amount(excursions_of(fact, trace, case)) for trace in case.of(TEMPERATURE)]
        return max(rows, default=None)

    return draw


def _mean_kinetic(fact: Fact, case: Case) -> int | None:
    rows = [case.stretches(trace) for trace in case.of(TEMPERATURE)]
    if not rows or not all(rows):
        return None
    activation = fact.parameters.get("activation_j_mol", ACTIVATION_J_MOL)
    return max(mean_kinetic_celsius_milli(row, activation) for row in rows)


def _corners(flat: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def stays_of(fact: Fact, trace: Trace, case: Case) -> list[Stay]:
    """A position trace's stays in a fact's ring."""
    asked = case.interval
    row = [place for place in places(trace) if place.at_ms < asked.to_ms]
    found = stays(
        row,
        ring(_corners(fact.parameters["ring"])),
        to_ms=asked.to_ms,
        gap_ms=asked.gap_ms,
        leave_ms=fact.parameters.get("leave_ms", 0),
    )
    clipped = (Stay(max(stay.from_ms, asked.from_ms), stay.to_ms) for stay in found)
    return [stay for stay in clipped if stay.to_ms > stay.from_ms]


def _inside(fact: Fact, case: Case) -> int | None:
    calendar = calendar_of(fact.parameters.get("calendar"))
    rows = [
        sum(
            working_ms(calendar, stay.from_ms, stay.to_ms) if calendar else stay.length_ms
            for stay in stays_of(fact, trace, case)
        )
        for trace in case.of(POSITION)
    ]
    return max(rows, default=None)


def _late(fact: Fact, case: Case) -> int | None:
    """How long after the deadline the ring was first entered; the interval's end if it never was.

    Before or at the deadline is in time: 0.
    """
    calendar = calendar_of(fact.parameters.get("calendar")) or Calendar()
    begin = case.interval.from_ms
    due = deadline_ms(calendar, begin, fact.parameters["allowed_ms"])
    rows = [stays_of(fact, trace, case) for trace in case.of(POSITION)]
    if not rows:
        return None
    arrived = min((row[0].from_ms for row in rows if row), default=case.interval.to_ms)
    return max(0, arrived - due)


def _visits(fact: Fact, case: Case) -> int | None:
    rows = [len(stays_of(fact, trace, case)) for trace in case.of(POSITION)]
    return max(rows, default=None)


def _off_route(fact: Fact, case: Case) -> int | None:
    asked = case.interval
    route = corridor(_corners(fact.parameters["route"]), fact.parameters["width_m"])
    rows = [
        off_route_ms(
            [place for place in places(trace) if asked.from_ms <= place.at_ms < asked.to_ms],
            route,
            to_ms=asked.to_ms,
            gap_ms=asked.gap_ms,
        )[0]
        for trace in case.of(POSITION)
    ]
    return max(rows, default=None)


def _custody(part: str) -> Draw:
    def draw(fact: Fact, case: Case) -> int | None:
        del fact
        if case.custody is None:
            return None
        count: int = getattr(custody_facts(case.custody), part)
        return count

    return draw


def _noted(*notes: Note) -> Draw:
    def draw(fact: Fact, case: Case) -> int | None:
        del fact
        return sum(trace.notes.get(note, 0) for trace in case.traces for note in notes)

    return draw


def calendar_of(value: Any) -> Calendar | None:
    """The calendar in [[* [from, minutes]], [* [weekday, from, to]], [* day]], None for None."""
    if value is None:
        return None
    offsets, windows, days_off = value
    return Calendar(
        offsets=tuple((since, minutes) for since, minutes in offsets),
        windows=tuple((day, begin, end) for day, begin, end in windows),
        days_off=frozenset(days_off),
    )


def _count(found: Sequence[Excursion]) -> int:
    return len(found)


_LIMIT: Final = {"limit": None, "hysteresis": 0, "counts_at": False}
_RING: Final = {"ring": None, "leave_ms": 0}
OPERATORS: Final[Mapping[str, Operator]] = {
    f"{side}-{what}": Operator(
        draw=_worst(amount), parameters=_LIMIT, unit=unit, quantity=TEMPERATURE, grows=unit == "ms"
    )
    for side in ("above", "below")
    for what, amount, unit in (
        ("total", cumulative_ms, "ms"),
        ("longest", longest_ms, "ms"),
        ("count", _count, "1"),
    )
} | {
    "mean-kinetic": Operator(
        draw=_mean_kinetic,
        parameters={"activation_j_mol": ACTIVATION_J_MOL},
        unit="m°C",
        quantity=TEMPERATURE,
    ),
    "inside": Operator(
        draw=_inside, parameters={**_RING, "calendar": ()}, unit="ms", quantity=POSITION
    ),
    "visits": Operator(draw=_visits, parameters=_RING, unit="1", quantity=POSITION),
    "late": Operator(
        draw=_late,
        parameters={**_RING, "allowed_ms": None, "calendar": ()},
        unit="ms",
        quantity=POSITION,
    ),
    "off-route": Operator(
        draw=_off_route,
        parameters={"route": None, "width_m": None},
        unit="ms",
        quantity=POSITION,
        grows=True,
    ),
    "custody-breaks": Operator(draw=_custody("breaks"), parameters={}, unit="1"),
    "custody-unsigned": Operator(draw=_custody("unsigned"), parameters={}, unit="1"),
    "seal-mismatches": Operator(draw=_custody("seal_mismatches"), parameters={}, unit="1"),
    "uncalibrated": Operator(
        draw=_noted(Note.UNCALIBRATED, Note.NEVER_CALIBRATED), parameters={}, unit="1"
    ),
    "suspect": Operator(draw=_noted(Note.SUSPECT, Note.OTHER_MARKS), parameters={}, unit="1"),
}


def check_fact(fact: Fact) -> None:
    """Raises ContractError (or RingError) unless operator and parameters are known and possible."""
    operator = OPERATORS.get(fact.operator)
    where = f"fact {fact.name}"
    if operator is None:
        raise ContractError(where, f"no operator {fact.operator!r}; known: {', '.join(OPERATORS)}")
    unknown = set(fact.parameters) - set(operator.parameters)
    absent = {name for name, default in operator.parameters.items() if default is None}
    absent -= set(fact.parameters)
    if unknown or absent:
        raise ContractError(where, f"unknown {sorted(unknown)}, missing {sorted(absent)}")
    for name, value in fact.parameters.items():
        _check_parameter(where, name, value)


def _check_parameter(where: str, name: str, value: Any) -> None:
    if name == "calendar":
        try:
            calendar_of(value)
        except (TypeError, ValueError) as error:
            raise ContractError(f"{where}.calendar", "not offsets, windows, days off") from error
    elif name in ("ring", "route"):
        if not isinstance(value, list) or len(value) % 2 or any(type(v) is not int for v in value):
            raise ContractError(f"{where}.{name}", "not latitudes and longitudes in turn, in 1e-7°")
        if name == "ring":
            ring(_corners(value))
        else:
            corridor(_corners(value), 1)
    elif name == "counts_at":
        if type(value) is not bool:
            raise ContractError(f"{where}.counts_at", "not true or false")
    elif type(value) is not int or not _RANGES[name][0] <= value <= _RANGES[name][1]:
        low, high = _RANGES[name]
        raise ContractError(f"{where}.{name}", f"not a whole number from {low} to {high}")


_YEAR_MS: Final = 366 * 86_400_000
_RANGES: Final = {
    "limit": (VALUE_MIN, VALUE_MAX),
    "hysteresis": (0, VALUE_MAX),
    "activation_j_mol": (1_000, 1_000_000),
    "leave_ms": (0, 86_400_000),
    "allowed_ms": (0, _YEAR_MS),
    "width_m": (1, 100_000),
}


def band_of(facts: Sequence[Fact]) -> Band | None:
    """Where a block's summary may stand for its readings; None where every reading is needed."""
    if any(fact.operator == "mean-kinetic" for fact in facts):
        return None
    low, high, settled_low, settled_high = VALUE_MIN, VALUE_MAX, VALUE_MIN, VALUE_MAX
    for fact in facts:
        if OPERATORS[fact.operator].quantity != TEMPERATURE:
            continue
        limit = _limit(fact)
        inner = int(limit.counts_at)
        if limit.is_upper:
            high = min(high, limit.value - inner)
            settled_high = min(settled_high, limit.value - inner - limit.hysteresis)
        else:
            low = max(low, limit.value + inner)
            settled_low = max(settled_low, limit.value + inner + limit.hysteresis)
    return Band(low=low, high=high, settled_low=settled_low, settled_high=settled_high)
