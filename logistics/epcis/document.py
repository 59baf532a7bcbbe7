"""EPCIS documents from outside: bounded, strict JSON; GS1's schema; contexts that are known here.

Nothing is ever fetched. A JSON-LD context that is neither GS1's own nor written out in the document
is refused by its name, because what the document means would depend on somebody's server.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final, Never

import jsonschema_rs

from logistics.epcis.errors import EventError, TooLargeError
from logistics.epcis.event_hash import event_hash, namespaces_of
from logistics.epcis.vocabulary import CONTEXTS, EVENT_TYPES

DOCUMENT_BYTES_MAX: Final = 8 << 20
DEPTH_MAX: Final = 32
EVENTS_MAX: Final = 5_000
IDENTIFIERS_MAX: Final = 20_000  # in one event
TEXT_CHARACTERS_MAX: Final = 4_000
INTEGER_DIGITS_MAX: Final = 18


@dataclass(frozen=True, slots=True)
class CapturedEvent:
    """An event that is right in form, and its CBV hash name."""

    event: Mapping[str, Any]
    hash_name: str

    @property
    def event_id(self) -> str:
        """The sender's own id, or the hash where it gave none (CBV 2.0, section 8.9)."""
        return str(self.event.get("eventID") or self.hash_name)


@dataclass(frozen=True, slots=True)
class Document:
    """The events of a document, in its order, and its namespaces."""

    events: tuple[CapturedEvent, ...]
    namespaces: Mapping[str, str]


def read_json(data: bytes) -> Any:
    """Bounded JSON without repeated names. Raises EventError, TooLargeError."""
    if len(data) > DOCUMENT_BYTES_MAX:
        raise TooLargeError("", f"{len(data):,} bytes, more than {DOCUMENT_BYTES_MAX:,}")
    _check_depth(data)
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_once,
            parse_constant=_no_constant,
            parse_int=_bounded_integer,
        )
    except UnicodeDecodeError as error:
        raise EventError("", "not UTF-8") from error
    except json.JSONDecodeError as error:
        raise EventError("", f"not JSON: {error.msg} at character {error.pos}") from error


def read_document(data: bytes) -> Document:
    """The events of an EPCIS document. Raises EventError naming the field."""
    value = read_json(data)
    _require_schema(value)
    if value["type"] != "EPCISDocument":
        raise EventError("/type", "not an EPCISDocument")
    namespaces = _contexts(value["@context"], "/@context")
    rows = value["epcisBody"]["eventList"]
    if len(rows) > EVENTS_MAX:
        raise TooLargeError("/epcisBody/eventList", f"more than {EVENTS_MAX} events")
    events = tuple(
        _captured(row, namespaces, f"/epcisBody/eventList/{index}")
        for index, row in enumerate(rows)
    )
    _require_distinct(events)
    return Document(events, namespaces)


def read_event(data: bytes) -> Document:
    """One event with its own context, as a document of one. Raises EventError."""
    value = read_json(data)
    _require_schema(value)
    if value["type"] not in EVENT_TYPES:
        raise EventError("/type", "none of the five event types")
    namespaces = _contexts(value["@context"], "/@context")
    event = {key: item for key, item in value.items() if key != "@context"}
    return Document((_captured(event, namespaces, ""),), namespaces)


def _captured(event: Any, namespaces: Mapping[str, str], place: str) -> CapturedEvent:
    if event.get("type") not in EVENT_TYPES:
        raise EventError(f"{place}/type", "none of the five event types")
    spaces = dict(namespaces)
    if "@context" in event:
        spaces |= _contexts(event["@context"], f"{place}/@context")
    _check_texts(event, place)
    return CapturedEvent(event, event_hash(event, spaces))


def _require_distinct(events: Sequence[CapturedEvent]) -> None:
    seen: dict[str, int] = {}
    for index, item in enumerate(events):
        own = item.event.get("eventID")
        if own in seen:
            raise EventError(
                f"/epcisBody/eventList/{index}/eventID", f"the same as of event {seen[own]}"
            )
        if own is not None:
            seen[own] = index


@cache
def _validator() -> jsonschema_rs.Draft7Validator:
    text = (resources.files("logistics.epcis") / "schema.json").read_text(encoding="utf-8")
    return jsonschema_rs.Draft7Validator(json.loads(text), validate_formats=True)


def _require_schema(value: Any) -> None:
    if not isinstance(value, dict):
        raise EventError("", "not an object")
    if value.get("type") not in ("EPCISDocument", *EVENT_TYPES):
        raise EventError("/type", "neither an EPCISDocument nor one of the five event types")
    validator = _validator()
    if validator.is_valid(value):
        return
    error = max(validator.iter_errors(value), key=lambda found: len(found.instance_path))
    field = "".join(f"/{part}" for part in error.instance_path)
    raise EventError(field, error.message[:300])


def _contexts(value: Any, place: str) -> dict[str, str]:
    for row in value if isinstance(value, list) else [value]:
        if isinstance(row, str):
            if row not in CONTEXTS:
                raise EventError(place, f"a context that would have to be fetched: {row[:200]!r}")
        elif isinstance(row, dict):
            _check_terms(row, place)
        else:
            raise EventError(place, "neither an address nor an object")
    return namespaces_of(value)


def _check_terms(row: Mapping[str, Any], place: str) -> None:
    for term, address in row.items():
        if term.startswith("@") or not isinstance(address, str):
            raise EventError(f"{place}/{term}", "only prefixes with their addresses are read")
        if not address.startswith(("http://", "https://", "urn:")):
            raise EventError(f"{place}/{term}", f"no address of a namespace: {address[:100]!r}")


def _check_texts(event: Mapping[str, Any], place: str) -> None:
    """Bounds what later rooms index: identifiers in number, texts in length."""
    count = 0
    stack: list[tuple[str, Any]] = [(place, event)]
    while stack:
        where, value = stack.pop()
        if isinstance(value, dict):
            if "@context" in value and where != place:
                _contexts(value["@context"], f"{where}/@context")
            stack += [(f"{where}/{key}", item) for key, item in value.items()]
        elif isinstance(value, list):
            stack += [(f"{where}/{index}", item) for index, item in enumerate(value)]
        elif isinstance(value, str):
            count += 1
            if len(value) > TEXT_CHARACTERS_MAX or "\x00" in value:
                raise EventError(where, f"a text of more than {TEXT_CHARACTERS_MAX} characters")
    if count > IDENTIFIERS_MAX:
        raise TooLargeError(place, f"more than {IDENTIFIERS_MAX} texts in one event")


def _check_depth(data: bytes) -> None:
    """Raises TooLargeError before a parser would recurse; brackets within texts do not count."""
    depth = 0
    in_text = escaped = False
    if data.count(b"[") + data.count(b"{") <= DEPTH_MAX:
        return
    for octet in data:
        if in_text:
            in_text = escaped or octet != 0x22
            escaped = octet == 0x5C and not escaped
        elif octet == 0x22:
            in_text = True
        elif octet in (0x5B, 0x7B):
            depth += 1
            if depth > DEPTH_MAX:
                raise TooLargeError("", f"nested deeper than {DEPTH_MAX}")
        elif octet in (0x5D, 0x7D):
            depth -= 1


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise EventError(f"/{twice[:60]}", "the name is there twice")
    return value


def _no_constant(text: str) -> Never:
    raise EventError("", f"{text} is no number of JSON")


def _bounded_integer(text: str) -> int:
    if len(text) > INTEGER_DIGITS_MAX:
        raise EventError("", f"a number of {len(text)} digits")
    return int(text)
