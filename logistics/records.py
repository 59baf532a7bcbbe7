"""From an entry's kind to the record that its body is."""

from collections.abc import Callable
from typing import Any, Final

from ledger.entry import (
    KIND_BUSINESS_EVENT,
    KIND_DESCRIPTOR,
    KIND_DOCUMENT_HASH,
    KIND_GAP,
    KIND_POSITION,
    KIND_TAG_SIGHTING,
    KIND_TELEMETRY,
)
from logistics.business_event import FrameDigest, ZoneEvent
from logistics.errors import BodyError
from logistics.reading import Descriptor, Gap, Position, TagSighting, Telemetry

Record = Telemetry | TagSighting | Position | ZoneEvent | FrameDigest | Descriptor | Gap
READING_KINDS: Final = frozenset({KIND_TELEMETRY, KIND_TAG_SIGHTING, KIND_POSITION})
_FROM_BODY: Final[dict[int, Callable[[Any], Record]]] = {
    KIND_TELEMETRY: Telemetry.from_body,
    KIND_TAG_SIGHTING: TagSighting.from_body,
    KIND_POSITION: Position.from_body,
    KIND_BUSINESS_EVENT: ZoneEvent.from_body,
    KIND_DOCUMENT_HASH: FrameDigest.from_body,
    KIND_DESCRIPTOR: Descriptor.from_body,
    KIND_GAP: Gap.from_body,
}


def record_of(kind: int, body: Any) -> Record | None:
    """The record, or None for kinds without one and for bodies of a layout that is not
    known here.
    """
    parse = _FROM_BODY.get(kind)
    if parse is None:
        return None
    try:
        return parse(body)
    except BodyError:
        return None
