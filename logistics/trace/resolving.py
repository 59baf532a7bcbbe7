"""Which link a resolver answers with: by link type, language and media type. Pure.

Source: GS1-Conformant Resolver Standard 1.2; linksets: RFC 9264; preferences: RFC 9110, 12.5.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from logistics.trace.item_key import ItemKey, KeyKind, gtin

VOC: Final = "https://gs1.org/voc/"
LINKSET: Final = "application/linkset+json"
DEFAULT: Final = "defaultLink"
_ALL: Final = frozenset({"all", "linkset"})
PREFERENCES_MAX: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One link of a thing: its GS1 link type without prefix, and what is there."""

    link_type: str
    href: str
    title: str
    media_type: str = "text/html"
    language: str | None = None


class Kind(Enum):
    """What to answer."""

    REDIRECT = 307
    LINKSET = 200
    NO_SUCH_LINK = 404


@dataclass(frozen=True, slots=True)
class Choice:
    """The answer, and where it leads for a redirect."""

    kind: Kind
    target: Target | None = None


def choose(
    targets: Sequence[Target], *, link_type: str | None, accept: str, accept_language: str
) -> Choice:
    """What to answer to somebody who asks for this link type with these preferences."""
    wanted = bare_type(link_type) if link_type else None
    if wanted in _ALL or (wanted is None and _asks_linkset(accept)):
        return Choice(Kind.LINKSET)
    of_type = [row for row in targets if row.link_type == wanted] if wanted else list(targets)
    if wanted in (None, DEFAULT) and targets:
        first = targets[0].link_type
        of_type = [row for row in targets if row.link_type == first]
    if not of_type:
        return Choice(Kind.NO_SUCH_LINK)
    media, languages = preferences(accept), preferences(accept_language)
    return Choice(
        Kind.REDIRECT,
        max(of_type, key=lambda row: (_language(row, languages), _media(row, media))),
    )


def bare_type(link_type: str) -> str:
    """A link type without "gs1:" or its address."""
    return link_type.removeprefix(VOC).removeprefix("gs1:")


def linkset(anchor: str, targets: Iterable[Target]) -> dict[str, Any]:
    """The links of a thing as RFC 9264 writes them."""
    context: dict[str, Any] = {"anchor": anchor}
    rows = list(targets)
    if rows:
        context[VOC + DEFAULT] = [_link(rows[0])]
    for row in rows:
        context.setdefault(VOC + row.link_type, []).append(_link(row))
    return {"linkset": [context]}


def _link(row: Target) -> dict[str, Any]:
    made: dict[str, Any] = {"href": row.href, "title": row.title, "type": row.media_type}
    return made | ({"hreflang": [row.language]} if row.language else {})


def with_query(href: str, query: str) -> str:
    """The target with what was asked behind the code, but for what the resolver itself read."""
    kept = [part for part in query.split("&") if part and part.split("=")[0] != "linkType"]
    if not kept:
        return href
    target, mark, fragment = href.partition("#")
    return target + ("&" if "?" in target else "?") + "&".join(kept) + mark + fragment


def parents(key: ItemKey, lot_key: ItemKey | None = None) -> Iterator[ItemKey]:
    """The key, then what it is one of: an item of its lot, a lot of its class."""
    yield key
    if key.kind is KeyKind.SGTIN and lot_key is not None:
        yield lot_key
    if key.kind in (KeyKind.SGTIN, KeyKind.LOT):
        yield gtin(key.number)
    if key.kind is KeyKind.SGLN and key.tail:
        yield ItemKey(KeyKind.SGLN, key.number)


def preferences(header: str) -> Mapping[str, float]:
    """A header of preferences as weights; what is no weight counts as 1."""
    found: dict[str, float] = {}
    for part in header.split(",")[:PREFERENCES_MAX]:
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = min(max(float(parameter[2:]), 0.0), 1.0)
                except ValueError:
                    weight = 0.0
        if name:
            found[name.lower()] = weight
    return found


def _asks_linkset(accept: str) -> bool:
    weights = preferences(accept)
    return weights.get(LINKSET, 0.0) > weights.get("text/html", 0.0)


def _language(row: Target, wanted: Mapping[str, float]) -> float:
    if row.language is None:
        return wanted.get("*", 0.1)
    exact = wanted.get(row.language.lower())
    starts = [weight for name, weight in wanted.items() if name.split("-")[0] == row.language]
    return exact if exact is not None else max(starts, default=wanted.get("*", 0.0))


def _media(row: Target, wanted: Mapping[str, float]) -> float:
    whole, family = row.media_type, row.media_type.partition("/")[0] + "/*"
    return wanted.get(whole, wanted.get(family, wanted.get("*/*", 0.0)))
