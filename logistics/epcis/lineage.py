"""What was inside what, and what became of what: one graph made of events.

- **Inside**: an aggregation with ADD puts children into a parent from its time on, DELETE takes
  them out (all of them where it names none). A thing has one parent at a time.
- **Became**: a transformation's inputs became its outputs.
- **Corrected**: an event with an error declaration does not count from then on; what corrects it
  does. Both stay and are shown.

Pure, and the same in whatever order events arrive. Source: EPCIS 2.0, sections 7.4.2 to 7.4.6.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from logistics.epcis.errors import EventError
from logistics.epcis.event_view import EventView

DEPTH_MAX: Final = 12  # item, inner pack, case, pallet, load, container, with room to spare
RECALL_NODES_MAX: Final = 1_000_000
FOR_EVER: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Stay:
    """A thing was inside a parent from a moment until before another; ms since 1970."""

    parent: str
    from_ms: int
    to_ms: int = FOR_EVER


@dataclass(frozen=True, slots=True)
class Step:
    """An event in a thing's journey, and through what the thing took part: itself first."""

    event: EventView
    through: tuple[str, ...]
    is_void: bool = False  # somebody declared it an error; it is shown, and counts no more


@dataclass(frozen=True, slots=True)
class Recall:
    """What a recall reaches. Origins are inputs without inputs; receivers were handed things."""

    things: frozenset[str]
    origins: frozenset[str]
    receivers: frozenset[str]


@dataclass(slots=True)
class Lineage:
    """The graph, made by `of`; then ask."""

    _declared: frozenset[str] = frozenset()
    _about: dict[str, list[EventView]] = field(default_factory=lambda: defaultdict(list))
    _stays: dict[str, tuple[Stay, ...]] = field(default_factory=dict)
    _contents: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _became: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _made_of: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @staticmethod
    def of(events: Iterable[EventView]) -> "Lineage":
        """The graph of these events. Raises EventError where they put a thing into itself."""
        rows = list(events)
        declared = frozenset(event.event_id for event in rows if event.is_error)
        lineage = Lineage(_declared=declared)
        lineage.fill(rows)
        return lineage

    def fill(self, events: Iterable[EventView]) -> None:
        """Takes in all events of a graph that holds none yet; raises EventError."""
        changes: dict[str, list[EventView]] = defaultdict(list)
        by_transformation: dict[str, list[EventView]] = defaultdict(list)
        for event in events:
            for uri in event.named:
                self._about[uri].append(event)
            if event.is_error or event.event_id in self._declared:
                continue
            if event.kind in ("AggregationEvent", "AssociationEvent") and event.parent:
                changes[event.parent].append(event)
            elif event.kind == "TransformationEvent":
                self._transform(event)
                if event.transformation_id:
                    by_transformation[event.transformation_id].append(event)
        for rows in by_transformation.values():
            self._transform_together(rows)
        self._settle(changes)

    def _transform(self, event: EventView) -> None:
        _link(self._became, self._made_of, *_ends([event]))

    def _transform_together(self, events: list[EventView]) -> None:
        """One transformation may be told in several events (EPCIS 2.0, section 7.4.5)."""
        _link(self._became, self._made_of, *_ends(events))

    def _settle(self, changes: dict[str, list[EventView]]) -> None:
        """Turns aggregations into stays: by time, and the event id where times are equal."""
        moves: dict[str, list[tuple[int, str, str | None]]] = defaultdict(list)
        for parent, events in changes.items():
            inside: set[str] = set()
            for event in sorted(events, key=lambda row: (row.time_ms, row.event_id)):
                children = {*event.children, *(row.uri for row in event.quantities)}
                if event.action == "DELETE":
                    children = children or set(inside)
                    inside -= children
                elif event.action == "ADD":
                    inside |= children
                else:
                    continue
                target = None if event.action == "DELETE" else parent
                for child in children:
                    moves[child].append((event.time_ms, event.event_id, target))
        for child, rows in moves.items():
            self._stays[child] = tuple(_stays(sorted(rows, key=lambda row: row[:2])))
            for stay in self._stays[child]:
                self._contents[stay.parent].add(child)
        for child in list(self._stays):
            self._refuse_cycle(child)

    def _refuse_cycle(self, thing: str) -> None:
        for _, _, through in self._holders(thing, 0, FOR_EVER):
            if len(through) > DEPTH_MAX:
                raise EventError("/parentID", f"deeper than {DEPTH_MAX} things in each other")

    def _holders(
        self, thing: str, from_ms: int, to_ms: int
    ) -> Iterator[tuple[int, int, tuple[str, ...]]]:
        """(from, to, thing and what it was inside of, outermost last) at all depths."""
        stack: list[tuple[int, int, tuple[str, ...]]] = [(from_ms, to_ms, (thing,))]
        while stack:
            start, end, through = stack.pop()
            yield start, end, through
            for stay in self._stays.get(through[-1], ()):
                low, high = max(start, stay.from_ms), min(end, stay.to_ms)
                if low >= high:
                    continue
                if stay.parent in through:
                    raise EventError("/parentID", f"{stay.parent} would be inside itself")
                stack.append((low, high, (*through, stay.parent)))

    def stays(self, thing: str) -> tuple[Stay, ...]:
        """What a thing was inside of, by time."""
        return self._stays.get(thing, ())

    def journey(self, thing: str, *, until_ms: int = FOR_EVER) -> tuple[Step, ...]:
        """What happened to a thing, itself or through what it was inside of just then, by time.

        Events at the moment of packing belong to both; those at the moment of unpacking do not.
        """
        steps: dict[str, Step] = {}
        for start, end, through in self._holders(thing, 0, until_ms):
            for event in self._about.get(through[-1], ()):
                is_own = len(through) == 1
                if not start <= event.time_ms < end:
                    continue
                if is_own or not _is_about_others(event, through):
                    void = event.is_error or event.event_id in self._declared
                    steps.setdefault(_name(event), Step(event, through, is_void=void))
        return tuple(
            sorted(steps.values(), key=lambda step: (step.event.time_ms, step.event.event_id))
        )

    def recall(self, starts: Iterable[str], *, lots: dict[str, set[str]] | None = None) -> Recall:
        """All that came of these lots or things, what they came of, and who was handed any of it.

        lots: the items of each lot, which events alone do not say where an item's key names no lot.
        """
        known = lots or {}
        lot_of = {item: lot for lot, items in known.items() for item in items}
        chosen = frozenset(starts)
        forward = self._reach(chosen, lambda thing: self._after(thing, known))
        backward = self._reach(chosen, lambda thing: self._before(thing, lot_of))
        origins = frozenset(
            thing for thing in backward if not self._made_of.get(thing) and thing not in chosen
        )
        receivers = frozenset(
            party
            for thing in forward
            for holder in (thing, *(stay.parent for stay in self._stays.get(thing, ())))
            for event in self._about.get(holder, ())
            if not event.is_error
            for kind, party in event.destinations
            if kind in ("possessing_party", "owning_party", "location")
        )
        return Recall(frozenset(forward | backward), origins, receivers)

    def _after(self, thing: str, lots: dict[str, set[str]]) -> Iterator[str]:
        yield from self._became.get(thing, ())
        yield from self._contents.get(thing, ())
        yield from lots.get(thing, ())

    def _before(self, thing: str, lot_of: dict[str, str]) -> Iterator[str]:
        yield from self._made_of.get(thing, ())
        if thing in lot_of:
            yield lot_of[thing]

    @staticmethod
    def _reach(starts: Iterable[str], after: Callable[[str], Iterator[str]]) -> set[str]:
        seen = set(starts)
        waiting = deque(seen)
        while waiting:
            for thing in after(waiting.popleft()):
                if thing not in seen:
                    if len(seen) >= RECALL_NODES_MAX:
                        raise EventError("", f"a recall reaches over {RECALL_NODES_MAX} things")
                    seen.add(thing)
                    waiting.append(thing)
        return seen


def _name(event: EventView) -> str:
    """An error declaration repeats its event's id and is a step of its own."""
    return event.event_id + ("#error" if event.is_error else "")


def _is_about_others(event: EventView, through: tuple[str, ...]) -> bool:
    """Whether the holder's event packs or unpacks other things than the one that is followed."""
    if event.kind not in ("AggregationEvent", "AssociationEvent") or event.parent != through[-1]:
        return False
    return through[-2] not in event.children


def _ends(events: Iterable[EventView]) -> tuple[set[str], set[str]]:
    inputs: set[str] = set()
    outputs: set[str] = set()
    for event in events:
        inputs |= {*event.inputs, *(row.uri for row in event.input_quantities)}
        outputs |= {*event.outputs, *(row.uri for row in event.output_quantities)}
    return inputs, outputs


def _link(
    became: dict[str, set[str]], made_of: dict[str, set[str]], inputs: set[str], outputs: set[str]
) -> None:
    for source in inputs:
        became[source] |= outputs
    for made in outputs:
        made_of[made] |= inputs


def _stays(moves: list[tuple[int, str, str | None]]) -> Iterator[Stay]:
    """Stays of one child by its moves in order; another ADD ends the stay before it."""
    parent: str | None = None
    since = 0
    for moment, _, target in moves:
        if parent is not None and moment > since:
            yield Stay(parent, since, moment)
        parent, since = target, moment
    if parent is not None:
        yield Stay(parent, since)
