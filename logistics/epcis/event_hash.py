"""The CBV event hash: one name for one event, whoever writes it down and however.

All that an event says is put into one order and one form, joined without anything between, and
hashed: `ni:///sha-256;<hex>?ver=CBV2.0`. Not part of it: recordTime, eventID, errorDeclaration.
Source: CBV 2.0, section 8.9; held against PyPI `epcis-event-hash-generator` in the tests.
"""

import datetime as dt
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from logistics.epcis.canonical_uri import canonical_uri
from logistics.epcis.vocabulary import CBV, VOC, web_word

PREFIX: Final = "ni:///sha-256;"
SUFFIX: Final = "?ver=CBV2.0"
_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?\s*\Z", re.ASCII)
_IGNORED: Final = frozenset(
    {"recordTime", "eventID", "type", "errorDeclaration", "@context", "rdfs:comment", "comment"}
)
_NOT_TEXT: Final = frozenset({"#text", "rdfs:comment", "comment"})

_QUANTITY: Final = ("epcClass", "quantity", "uom")
_ORDER: Final = (
    "eventTime",
    "eventTimeZoneOffset",
    "certificationInfo",
    "parentID",
    "epcList",
    "inputEPCList",
    "childEPCs",
    "quantityList",
    "childQuantityList",
    "inputQuantityList",
    "outputEPCList",
    "outputQuantityList",
    "action",
    "transformationID",
    "bizStep",
    "disposition",
    "persistentDisposition",
    "readPoint",
    "bizLocation",
    "sensorElementList",
)
_INNER: Final[Mapping[str, tuple[str, ...]]] = {
    "quantityElement": _QUANTITY,
    "persistentDisposition": ("set", "unset"),
    "readPoint": ("id",),
    "bizLocation": ("id",),
    "sensorElement": ("sensorMetadata", "sensorReport"),
    "sensorMetadata": (
        "time",
        "startTime",
        "endTime",
        "deviceID",
        "deviceMetadata",
        "rawData",
        "dataProcessingMethod",
        "bizRules",
    ),
    "sensorReport": (
        "type",
        "exception",
        "deviceID",
        "deviceMetadata",
        "rawData",
        "dataProcessingMethod",
        "time",
        "microorganism",
        "chemicalSubstance",
        "value",
        "component",
        "stringValue",
        "booleanValue",
        "hexBinaryValue",
        "uriValue",
        "minValue",
        "maxValue",
        "meanValue",
        "sDev",
        "percRank",
        "percValue",
        "uom",
        "coordinateReferenceSystem",
    ),
}
_EPC_LISTS: Final = frozenset({"epcList", "inputEPCList", "outputEPCList", "childEPCs"})
_QUANTITY_LISTS: Final = frozenset(
    {"quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList"}
)
_PAIR_LISTS: Final[Mapping[str, str]] = {
    "bizTransactionList": "bizTransaction",
    "sourceList": "source",
    "destinationList": "destination",
}


def namespaces_of(contexts: object) -> dict[str, str]:
    """Prefixes and their addresses in a document's or an event's @context."""
    rows = contexts if isinstance(contexts, list) else [contexts]
    return {
        key: value
        for row in rows
        if isinstance(row, dict)
        for key, value in row.items()
        if isinstance(value, str) and not key.startswith("@")
    }


def event_hash(event: Mapping[str, Any], namespaces: Mapping[str, str] | None = None) -> str:
    """The event's name as a "named information" address; `namespaces`: of its document."""
    text = prehash(event, namespaces or {})
    return PREFIX + hashlib.sha256(text.encode("utf-8")).hexdigest() + SUFFIX


def hash_bytes(name: str) -> bytes:
    """The 32 bytes of an event hash as `event_hash` writes it."""
    return bytes.fromhex(name.removeprefix(PREFIX).removesuffix(SUFFIX))


def prehash(event: Mapping[str, Any], namespaces: Mapping[str, str]) -> str:
    """The text that is hashed."""
    spaces = {**namespaces, **namespaces_of(event.get("@context"))}
    parts = [f"eventType={event.get('type', '')}"]
    parts += [_ordered(name, event[name], spaces) for name in _ORDER if name in event]
    rest = [
        _pairs(name, value, spaces) if name in _PAIR_LISTS else _free(name, value, spaces)
        for name, value in event.items()
        if name not in _IGNORED and name not in _ORDER
    ]
    return "".join(parts) + "".join(sorted(_flat(rest)))


def _flat(rows: Sequence[list[str]]) -> list[str]:
    return [text for row in rows for text in row]


def _ordered(name: str, value: Any, spaces: Mapping[str, str]) -> str:
    if name in _EPC_LISTS:
        texts = sorted("epc=" + _canonical(str(item)) for item in value)
        return name + "".join(texts) if texts else ""
    if name in _QUANTITY_LISTS:
        texts = sorted(_element("quantityElement", item, spaces) for item in value)
        return name + "".join(texts) if texts else ""
    if name == "sensorElementList":
        texts = sorted(_element("sensorElement", item, spaces) for item in value)
        return name + "".join(texts) if texts else ""
    if isinstance(value, list):
        return "".join(sorted(_scalar(("", name), item, spaces) for item in value))
    if isinstance(value, dict):
        return _element(name, value, spaces)
    return _scalar(("", name), value, spaces)


def _element(name: str, value: Any, spaces: Mapping[str, str]) -> str:
    """An element with its own order of parts, and what others added to it behind them."""
    if not isinstance(value, dict):
        return _scalar(("", name), value, spaces)
    order = _INNER.get(name, ())
    parts = []
    for part in order:
        if part not in value:
            continue
        items = value[part] if isinstance(value[part], list) else [value[part]]
        if part in _INNER:
            texts = [_element(part, item, spaces) for item in items]
        else:
            texts = [_scalar((name, part), item, spaces) for item in items]
        parts += sorted(text for text in texts if text)
    others = [
        text
        for part, item in value.items()
        if part not in order and part not in _NOT_TEXT and not part.startswith("@")
        for text in _free(part, item, spaces)
    ]
    inner = "".join(parts) + "".join(sorted(others))
    return name + inner if inner else ""


def _pairs(name: str, rows: Sequence[Mapping[str, Any]], spaces: Mapping[str, str]) -> list[str]:
    inner = _PAIR_LISTS[name]
    texts = sorted(
        (_scalar((name, "type"), row["type"], spaces) if "type" in row else "")
        + _scalar((name, inner), row.get(inner, ""), spaces)
        for row in rows
    )
    return [name + "".join(texts)] if texts else []


def _free(name: str, value: Any, spaces: Mapping[str, str]) -> list[str]:
    """What stands in no order: (one text a value) sorted within, named by its namespace."""
    full = _named(name, spaces)
    if isinstance(value, list):
        return [text for item in value for text in _free(name, item, spaces)]
    if not isinstance(value, dict):
        return [_value_text(full, _expanded(value, spaces))]
    inner = [
        text
        for part, item in value.items()
        if part not in _NOT_TEXT and not part.startswith("@")
        for text in _free(part, item, spaces)
    ]
    text = _value_text(full, value["#text"]) if "#text" in value else full
    return [text + "".join(sorted(inner))]


def _named(name: str, spaces: Mapping[str, str]) -> str:
    prefix, colon, local = name.partition(":")
    return f"{{{spaces[prefix]}}}{local}" if colon and prefix in spaces else name


def _expanded(value: object, spaces: Mapping[str, str]) -> object:
    if isinstance(value, str):
        prefix, colon, local = value.partition(":")
        if colon and prefix in spaces:
            return spaces[prefix] + local
    return value


def _scalar(place: tuple[str, str], value: object, spaces: Mapping[str, str]) -> str:
    text = web_word(place, value) if isinstance(value, str) else value
    return _value_text(place[1], _expanded(text, spaces))


def _value_text(name: str, value: object) -> str:
    text = str(value).strip()
    if not text:
        return ""
    lowered = name.lower()
    if "time" in lowered and "offset" not in lowered:
        return f"{name}={_time(text)}"
    return f"{name}={_canonical(text)}"


def _canonical(text: str) -> str:
    if _NUMBER.match(text):
        return _number(text)
    if text.startswith((CBV, VOC)):
        return text
    return canonical_uri(text) or text


def _number(text: str) -> str:
    """As the reference writes a number: the shortest decimal of the nearest double."""
    number = float(text)
    if number == int(number):
        return str(int(number))
    return str(number)


def _time(text: str) -> str:
    """The moment in UTC, rounded half to even to milliseconds; what is no moment as it is."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return text
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    try:
        moment = moment.astimezone(dt.UTC)
        rounded = moment.replace(microsecond=0) + dt.timedelta(
            milliseconds=round(moment.microsecond / 1000)
        )
    except OverflowError:
        return text
    return rounded.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
