"""A query's parameters, judged: which events are asked for, in what order, how many at once.

Source: EPCIS 2.0, section 8.2.7.1 (SimpleEventQuery) and its REST binding, section 12.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from logistics.epcis.canonical_uri import canonical_uri
from logistics.epcis.errors import QueryError
from logistics.epcis.event_view import time_ms
from logistics.epcis.vocabulary import EVENT_TYPES, bare_word

PER_PAGE: Final = 30
PER_PAGE_MAX: Final = 1_000
VALUES_MAX: Final = 200
VALUE_CHARACTERS_MAX: Final = 400
PARAMETERS_MAX: Final = 60

# Parameters that name things: which kinds of terms each looks among (`event_terms`).
MATCHES: Final[Mapping[str, tuple[str, ...]]] = {
    "MATCH_epc": ("epc",),
    "MATCH_parentID": ("parent",),
    "MATCH_inputEPC": ("input",),
    "MATCH_outputEPC": ("output",),
    "MATCH_anyEPC": ("epc", "parent", "input", "output"),
    "MATCH_epcClass": ("class",),
    "MATCH_inputEPCClass": ("input_class",),
    "MATCH_outputEPCClass": ("output_class",),
    "MATCH_anyEPCClass": ("class", "input_class", "output_class"),
    "EQ_transformationID": ("transformation",),
}
# Parameters that a column answers.
COLUMNS: Final[Mapping[str, str]] = {
    "eventType": "kind",
    "EQ_action": "action",
    "EQ_bizStep": "step",
    "EQ_disposition": "disposition",
    "EQ_readPoint": "read_point",
    "WD_readPoint": "read_point",
    "EQ_bizLocation": "location",
    "WD_bizLocation": "location",
    "EQ_eventID": "event_id",
}
_TYPED: Final = ("EQ_bizTransaction_", "EQ_source_", "EQ_destination_")
_TIMES: Final[Mapping[str, tuple[str, bool]]] = {
    "GE_eventTime": ("time_ms", True),
    "LT_eventTime": ("time_ms", False),
    "GE_recordTime": ("record_ms", True),
    "LT_recordTime": ("record_ms", False),
}
_ACTIONS: Final = frozenset({"ADD", "OBSERVE", "DELETE"})


@dataclass(frozen=True, slots=True)
class TermMatch:
    """An event must name one of these: exactly, or an instance or lot below a class."""

    kinds: tuple[str, ...]
    exact: tuple[str, ...]
    below: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """What is asked for; columns and times are the names in `portal.trace.shelf`."""

    columns: Mapping[str, tuple[str, ...]]
    times: tuple[tuple[str, bool, int], ...]  # (column, at or after else before, ms)
    terms: tuple[TermMatch, ...]
    is_error: bool | None = None
    order_by: str = "time_ms"
    descending: bool = False
    per_page: int = PER_PAGE
    count_max: int | None = None
    after: tuple[int, int] | None = None  # the last row's (order value, place) of the page before
    digest: str = ""

    def token(self, order_value: int, place: int) -> str:
        """The page token behind a row; it fits this query only."""
        text = f"{self.digest}.{order_value}.{place}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parse_query(parameters: Sequence[tuple[str, str]]) -> EventQuery:
    """The query of these parameters; raises QueryError naming the one that is wrong."""
    if len(parameters) > PARAMETERS_MAX:
        raise QueryError("query", f"more than {PARAMETERS_MAX} parameters")
    given: dict[str, list[str]] = {}
    for name, text in parameters:
        given.setdefault(name, []).extend(_split(name, text))
    columns: dict[str, tuple[str, ...]] = {}
    times: list[tuple[str, bool, int]] = []
    terms: list[TermMatch] = []
    for name, values in given.items():
        if name in COLUMNS:
            columns[COLUMNS[name]] = tuple(_column_value(name, value) for value in values)
        elif name in MATCHES:
            terms.append(_match(name, MATCHES[name], values))
        elif name.startswith(_TYPED):
            kind = name.removeprefix("EQ_").replace("_", ":", 1)
            terms.append(TermMatch((kind,), tuple(_canonical(value) for value in values)))
        elif name in _TIMES:
            column, is_from = _TIMES[name]
            times.append((column, is_from, _time(name, values)))
        elif name not in _CONTROLS:
            raise QueryError(name, "no such parameter")
    digest = _digest(given)
    return EventQuery(
        columns=columns,
        times=tuple(times),
        terms=tuple(terms),
        is_error=_error_wanted(given),
        order_by=_order(given),
        descending=_direction(given),
        per_page=_number(given, "perPage", PER_PAGE, PER_PAGE_MAX) or PER_PAGE,
        count_max=_number(given, "eventCountLimit", None, 1_000_000)
        or _number(given, "maxEventCount", None, 1_000_000),
        after=_after(given, digest),
        digest=digest,
    )


def flat(query: object) -> list[tuple[str, str]]:
    """A query of JSON as parameters; raises QueryError."""
    if not isinstance(query, dict):
        raise QueryError("query", "not an object")
    rows: list[tuple[str, str]] = []
    for name, value in query.items():
        for item in value if isinstance(value, list) else [value]:
            if type(item) not in (str, int, bool):
                raise QueryError(name, "neither text nor number")
            rows.append((name, str(item).lower() if item in (True, False) else str(item)))
    return rows


_CONTROLS: Final = frozenset(
    {
        "orderBy",
        "orderDirection",
        "perPage",
        "nextPageToken",
        "eventCountLimit",
        "maxEventCount",
        "EXISTS_errorDeclaration",
    }
)


def _split(name: str, text: str) -> list[str]:
    values = text.replace("|", ",").split(",")
    if len(values) > VALUES_MAX or any(
        not value or len(value) > VALUE_CHARACTERS_MAX or "\x00" in value for value in values
    ):
        raise QueryError(name, f"not 1 to {VALUES_MAX} values of up to {VALUE_CHARACTERS_MAX}")
    return values


def _column_value(name: str, value: str) -> str:
    if name == "eventType" and value not in EVENT_TYPES:
        raise QueryError(name, f"no event type: {value[:40]!r}")
    if name == "EQ_action" and value not in _ACTIONS:
        raise QueryError(name, f"no action: {value[:40]!r}")
    if name in ("EQ_bizStep", "EQ_disposition"):
        return bare_word(value)
    return value if name == "EQ_eventID" else _canonical(value)


def _match(name: str, kinds: tuple[str, ...], values: Sequence[str]) -> TermMatch:
    exact, below = [], []
    for value in values:
        uri = canonical_uri(value)
        if value.startswith("urn:epc:idpat:"):
            if uri is None:
                raise QueryError(name, f"only patterns that end in one star: {value[:60]!r}")
            below.append(uri)
        elif "*" in value:
            raise QueryError(name, f"a star stands in EPC patterns only: {value[:60]!r}")
        exact.append(uri or value)
    return TermMatch(kinds, tuple(exact), tuple(below))


def _canonical(value: str) -> str:
    return canonical_uri(value) or value


def _time(name: str, values: Sequence[str]) -> int:
    text = values[0].replace(" ", "+") if len(values) == 1 else ""
    try:
        return time_ms(text if "T" in text else "")
    except (ValueError, OverflowError):
        raise QueryError(name, "not one xsd:dateTimeStamp") from None


def _one(given: Mapping[str, list[str]], name: str) -> str | None:
    values = given.get(name)
    if values is None:
        return None
    if len(values) != 1:
        raise QueryError(name, "more than one value")
    return values[0]


def _number(
    given: Mapping[str, list[str]], name: str, default: int | None, most: int
) -> int | None:
    text = _one(given, name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal()) or not 0 < int(text[:9]) <= most:
        raise QueryError(name, f"not a number from 1 to {most}")
    return int(text[:9])


def _order(given: Mapping[str, list[str]]) -> str:
    text = _one(given, "orderBy") or "eventTime"
    if text not in ("eventTime", "recordTime"):
        raise QueryError("orderBy", "neither eventTime nor recordTime")
    return "time_ms" if text == "eventTime" else "record_ms"


def _direction(given: Mapping[str, list[str]]) -> bool:
    text = _one(given, "orderDirection") or "ASC"
    if text not in ("ASC", "DESC"):
        raise QueryError("orderDirection", "neither ASC nor DESC")
    return text == "DESC"


def _error_wanted(given: Mapping[str, list[str]]) -> bool | None:
    text = _one(given, "EXISTS_errorDeclaration")
    if text not in (None, "true", "false"):
        raise QueryError("EXISTS_errorDeclaration", "neither true nor false")
    return None if text is None else text == "true"


def _digest(given: Mapping[str, list[str]]) -> str:
    rows = sorted((name, sorted(v)) for name, v in given.items() if name != "nextPageToken")
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


def _after(given: Mapping[str, list[str]], digest: str) -> tuple[int, int] | None:
    text = _one(given, "nextPageToken")
    if text is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
        of_query, value, place = raw.split(".")
        if of_query != digest:
            raise QueryError("nextPageToken", "made for another query")
        return int(value), int(place)
    except (ValueError, binascii.Error):
        raise QueryError("nextPageToken", "no page token") from None
