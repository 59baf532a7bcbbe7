"""GS1 Digital Link URIs, judged strictly before anything is looked up by them.

    https://example.com/some/stem/01/09506000134352/10/L7/21/k3Z9?17=271231&linkType=all
                                  \\____ key ____/ \\_ qualifiers _/ \\ attributes, other /

Known answers are the cases that GS1 publishes with its syntax engine (tests/vectors/digital_link).
Source: GS1 Digital Link Standard: URI Syntax, release 1.3.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from logistics.errors import IdentifierError
from logistics.trace.element_rules import (
    NOT_ATTRIBUTES,
    QUALIFIERS,
    belongs_in_path,
    checked_value,
    is_key_path,
    rules_of,
)

CANONICAL_STEM: Final = "https://id.gs1.org"
URI_CHARACTERS_MAX: Final = 2_000
ELEMENTS_MAX: Final = 64

_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*\Z")
_SCHEMES: Final = ("https://", "HTTPS://", "http://", "HTTP://")
_BAD_IN_HOST = re.compile(r"[^A-Za-z0-9\-.:\[\]]")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_DIGITS = re.compile(r"[0-9]+\Z")
_SHORT_GTINS: Final = frozenset({8, 12, 13})


@dataclass(frozen=True, slots=True)
class Element:
    """One application identifier and its value, decoded."""

    identifier: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitalLink:
    """What a link says: `path` is key and qualifiers; `others` came along and mean nothing to
    GS1.
    """

    stem: str
    path: tuple[Element, ...]
    attributes: tuple[Element, ...] = ()
    others: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> Element:
        """The primary key."""
        return self.path[0]

    def value(self, identifier: str) -> str | None:
        """The value of an identifier of the path or of the attributes, if it is there."""
        for element in (*self.path, *self.attributes):
            if element.identifier == identifier:
                return element.value
        return None

    def uri(self, stem: str = CANONICAL_STEM) -> str:
        """The link at another place; the default gives the canonical form."""
        path = "".join(f"/{item.identifier}/{quote(item.value, safe='')}" for item in self.path)
        query = "&".join(
            f"{item.identifier}={quote(item.value, safe='')}" for item in self.attributes
        )
        return stem.rstrip("/") + path + (f"?{query}" if query else "")

    def element_string(self) -> str:
        """The same as a barcode carries it; "^" stands for FNC1."""
        text, needs_separator = "", True
        for item in (*self.path, *self.attributes):
            text += ("^" if needs_separator else "") + item.identifier + item.value
            rules = rules_of(item.identifier)
            needs_separator = rules is None or rules.separator_required
        return text


def parse_link(uri: str) -> DigitalLink:
    """What an uncompressed link says. Raises IdentifierError with the part that is wrong."""
    if len(uri) > URI_CHARACTERS_MAX:
        raise IdentifierError(f"the link has {len(uri)} characters, more than {URI_CHARACTERS_MAX}")
    if _CHARACTERS.match(uri) is None:
        raise IdentifierError("the link holds characters that no URI has")
    scheme = next((scheme for scheme in _SCHEMES if uri.startswith(scheme)), None)
    if scheme is None:
        raise IdentifierError("the link does not begin with https:// or http://")
    host, slash, rest = uri[len(scheme) :].partition("/")
    if not host or not slash or _BAD_IN_HOST.search(host):
        raise IdentifierError(f"no host name: {host[:40]!r}")
    target, _, query = rest.partition("#")[0].partition("?")
    stem, path = parse_path(target)
    attributes, others = parse_query(query, path)
    prefix = f"{scheme}{host}/{stem}" if stem else f"{scheme}{host}"
    return DigitalLink(stem=prefix, path=path, attributes=attributes, others=others)


def parse_path(target: str) -> tuple[str, tuple[Element, ...]]:
    """(what stands before the key, key and qualifiers) of a path without its first slash.

    The rightmost key counts: what stands before it may look like anything.
    """
    segments = target.split("/")
    start = len(segments) - 2
    while start >= 0 and segments[start] not in QUALIFIERS:
        if rules_of(segments[start]) is None:
            break
        start -= 2
    if start < 0 or segments[start] not in QUALIFIERS:
        raise IdentifierError("no GS1 key in the path")
    pairs = zip(segments[start::2], segments[start + 1 :: 2], strict=True)
    path = tuple(
        Element(identifier, checked_value(identifier, _unescaped(text, identifier)))
        for identifier, text in pairs
    )
    identifiers = tuple(item.identifier for item in path)
    if not is_key_path(identifiers):
        raise IdentifierError(f"not a key with its qualifiers in order: {'/'.join(identifiers)}")
    return "/".join(segments[:start]), path


def parse_query(
    query: str, path: tuple[Element, ...]
) -> tuple[tuple[Element, ...], tuple[tuple[str, str], ...]]:
    """(attributes, what is not GS1's) of a query; raises IdentifierError."""
    attributes: list[Element] = []
    others: list[tuple[str, str]] = []
    parts = [part for part in query.split("&") if part]
    if len(parts) > ELEMENTS_MAX:
        raise IdentifierError(f"more than {ELEMENTS_MAX} parts in the query")
    for part in parts:
        name, equals, text = part.partition("=")
        if not equals or _DIGITS.match(name) is None:
            others.append((name, text))
            continue
        value = _unescaped(text.replace("+", " "), name)
        if name == "01" and len(value) in _SHORT_GTINS:
            value = value.zfill(14)  # only here: as a key a GTIN has all its digits
        attributes.append(Element(name, checked_value(name, value)))
    _check_attributes(tuple(item.identifier for item in path), attributes)
    return tuple(attributes), tuple(others)


def _check_attributes(path: tuple[str, ...], attributes: list[Element]) -> None:
    seen = set(path)
    for item in attributes:
        name = item.identifier
        if name in seen:
            raise IdentifierError(f"({name}) is there twice")
        if name in NOT_ATTRIBUTES:
            raise IdentifierError(f"({name}) may not be in a link")
        if belongs_in_path(path, name):
            raise IdentifierError(f"({name}) qualifies the key and belongs in the path")
        seen.add(name)


def _unescaped(text: str, identifier: str) -> str:
    """The text without percent signs' escapes; raises IdentifierError for nothing or a null."""
    value = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    if not value or "\x00" in value:
        raise IdentifierError(f"({identifier[:8]}) has no value")
    return value
