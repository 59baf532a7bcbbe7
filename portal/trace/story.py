"""What a consumer is told of a thing: its journey, how cold it stayed, who says so, what lacks.

Everything here is what somebody said. What the chain holds of it is marked as such, and nothing is
called verified: that is for the visitor's browser to find.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from logistics.epcis.errors import EventError
from logistics.epcis.event_view import EventView, view
from logistics.epcis.lineage import Lineage, Step
from logistics.errors import IdentifierError
from logistics.trace.copies import Judgement, Scan, judge
from logistics.trace.item_key import ItemKey, KeyKind, gtin
from logistics.trace.key_of_link import key_of_uri
from portal.office.event_tables import SCANS
from portal.parts import Parts
from portal.read.brands import Brand, RecallNotice, brand_of, is_claimed, recalls_of
from portal.read.organisations import ORGANISATIONS
from portal.read.traces import SAID
from portal.trace.shelf import EventShelf

GAP_MS: Final = 48 * 3_600_000
SCANS_MAX: Final = 5_000
STEPS_MAX: Final = 900  # a chain machine proves 1,000 rows at once
SOLD: Final = "retail_selling"
_CELSIUS: Final = "CEL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One step as it is shown. chain_ms: when the chain took its commitment, None while it has not.
    through: what the thing was inside of, the outermost last.
    """

    event: EventView
    speaker: str
    chain_ms: int | None
    through: tuple[str, ...] = ()
    is_void: bool = False
    coldest: Decimal | None = None
    warmest: Decimal | None = None
    gap_h: int = 0  # hours without a word before this step


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All that the page shows. is_contradictory: the events put a thing into itself."""

    key: ItemKey
    brand: Brand | None
    is_claimed: bool
    recalls: tuple[RecallNotice, ...]
    steps: tuple[Told, ...]
    looks: Judgement
    is_contradictory: bool = False
    lots: tuple[ItemKey, ...] = ()
    proof: tuple[dict[str, str], ...] = field(default=())

    @property
    def coldest(self) -> Decimal | None:
        """The lowest temperature that anybody said, in degrees Celsius."""
        return min((s.coldest for s in self.steps if s.coldest is not None), default=None)

    @property
    def warmest(self) -> Decimal | None:
        """The highest one."""
        return max((s.warmest for s in self.steps if s.warmest is not None), default=None)

    @property
    def speakers(self) -> int:
        """How many organisations say all this."""
        return len({step.speaker for step in self.steps})

    @property
    def unproven(self) -> int:
        """Steps that the chain has not taken."""
        return sum(step.chain_ms is None for step in self.steps)

    @property
    def gaps(self) -> int:
        """Times without a word."""
        return sum(step.gap_h > 0 for step in self.steps)


def tell(parts: Parts, shelf: EventShelf, key: ItemKey) -> Story | None:
    """The story of a key; None where nothing at all is known of it."""
    rows = shelf.about(key.uri)
    said = [(row, json.loads(row.text)) for row in rows]
    views = {row.seq: view(event, row.event_id) for row, event in said}
    lots = tuple(_lots(key, (event for _, event in said)))
    steps, is_contradictory = _journey(views.values(), key.uri)
    with parts.read.connect() as db:
        brand = brand_of(db, key)
        claimed = brand is not None and is_claimed(db, key, brand.organisation)
        if not rows and not claimed:
            return None
        classes = [gtin(key.number)] if key.kind in (KeyKind.SGTIN, KeyKind.LOT) else []
        recalls = recalls_of(db, [key, *lots, *classes])
        times = _chain_times(db, rows)
        names = _names(db, rows)
    told = _told(steps, said, names=names, times=times)
    return Story(
        key=key,
        brand=brand,
        is_claimed=claimed,
        recalls=tuple(recalls),
        steps=told,
        looks=judge(_scans(parts, key), sold_ms=_sold(told)),
        is_contradictory=is_contradictory,
        lots=lots,
        proof=tuple(_proof(row) for row in rows[:STEPS_MAX]),
    )


def _journey(views: Iterable[EventView], uri: str) -> tuple[tuple[Step, ...], bool]:
    rows = list(views)
    try:
        return Lineage.of(rows).journey(uri), False
    except EventError:
        own = [Step(row, (uri,)) for row in rows if uri in row.named]
        return tuple(sorted(own, key=lambda step: step.event.time_ms)), True


def _told(
    steps: Sequence[Step],
    said: Sequence[tuple[Row[Any], dict[str, Any]]],
    *,
    names: dict[str, str],
    times: dict[str, int],
) -> tuple[Told, ...]:
    by_event = {(row.event_id, row.is_error): (row, event) for row, event in said}
    made: list[Told] = []
    for step in steps[:STEPS_MAX]:
        row, event = by_event[step.event.event_id, int(step.event.is_error)]
        low, high = temperatures(event)
        before = made[-1].event.time_ms if made else step.event.time_ms
        pause_ms = step.event.time_ms - before
        made.append(
            Told(
                event=step.event,
                speaker=names.get(row.organisation, row.organisation[:8]),
                chain_ms=times.get(row.commitment),
                through=step.through[1:],
                is_void=step.is_void,
                coldest=low,
                warmest=high,
                gap_h=pause_ms // 3_600_000 if pause_ms > GAP_MS else 0,
            )
        )
    return tuple(made)


def temperatures(event: dict[str, Any]) -> tuple[Decimal | None, Decimal | None]:
    """(lowest, highest) degrees Celsius of an event's sensor reports."""
    found: list[Decimal] = []
    for element in event.get("sensorElementList", ()):
        for report in element.get("sensorReport", ()):
            is_heat = str(report.get("type", "")).endswith("Temperature")
            if is_heat and report.get("uom", _CELSIUS) == _CELSIUS:
                found += [
                    number
                    for name in ("value", "minValue", "maxValue")
                    if (number := _decimal(report.get(name))) is not None
                ]
    return (min(found), max(found)) if found else (None, None)


def _decimal(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _lots(key: ItemKey, events: Iterable[dict[str, Any]]) -> Iterable[ItemKey]:
    """The lots that events name of this item's class: in a quantity, or in a link with both."""
    seen: set[ItemKey] = set()
    for event in events:
        rows = [row.get("epcClass", "") for row in event.get("quantityList", ())]
        ilmd = event.get("ilmd", {})
        for name, value in ilmd.items() if isinstance(ilmd, dict) else ():
            if name.rpartition(":")[2] == "lotNumber" and isinstance(value, str):
                rows.append(f"https://id.gs1.org/01/{key.number}/10/{value}")
        for uri in rows:
            try:
                found = key_of_uri(uri)
            except IdentifierError:
                continue
            is_ours = found.kind is KeyKind.LOT and found.number == key.number
            if is_ours and found not in seen:
                seen.add(found)
                yield found


def _sold(steps: Sequence[Told]) -> int | None:
    moments = [s.event.time_ms for s in steps if s.event.step == SOLD and not s.is_void]
    return min(moments, default=None)


def _chain_times(db: Connection, rows: Sequence[Row[Any]]) -> dict[str, int]:
    said_by = {row.commitment: row.organisation for row in rows}
    chosen = select(SAID).where(SAID.c.commitment.in_(list(said_by)))
    return {
        row.commitment: row.time_ms
        for row in db.execute(chosen)
        if said_by[row.commitment] == row.organisation
    }


def _names(db: Connection, rows: Sequence[Row[Any]]) -> dict[str, str]:
    ids = {row.organisation for row in rows}
    chosen = select(ORGANISATIONS.c.id, ORGANISATIONS.c.name).where(ORGANISATIONS.c.id.in_(ids))
    return {row.id: row.name for row in db.execute(chosen)}


def _scans(parts: Parts, key: ItemKey) -> list[Scan]:
    chosen = (
        select(SCANS.c.time_ms, SCANS.c.visitor, SCANS.c.place)
        .where(SCANS.c.thing == key.chain_id.hex())
        .order_by(SCANS.c.time_ms.desc())
        .limit(SCANS_MAX)
    )
    with parts.office.connect() as db:
        return [Scan(row.time_ms, row.visitor, row.place) for row in db.execute(chosen)]


def _proof(row: Row[Any]) -> dict[str, str]:
    """What a browser needs to check one event against the chain."""
    return {
        "text": row.text,
        "hash": row.hash,
        "salt": row.salt,
        "commitment": row.commitment,
        "organisation": row.organisation,
    }
