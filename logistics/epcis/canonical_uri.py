"""One form for each GS1 identifier in an event: EPC URNs and links of any host become links at
id.gs1.org.

Used by the event hash, so what is no GS1 identifier must come back as None and not be guessed at.
Source: CBV 2.0, section 8.9.2; EPC Tag Data Standard 1.13, section 6.3; vectors: `test_event_hash`.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from logistics.identifiers import gs1_check_digit

_STEM: Final = "https://id.gs1.org/"
_URN = re.compile(r"urn:epc:(id|class|idpat):([a-z]{3,5}):([0-9]{6,12})\.(.*)\Z")
_LINK = re.compile(
    r"https?://[^/?#]*(?:/[^?#]*?)?/(01|gtin|8006|itip|8010|cpid|414|gln|417|party|8017|gsrnp|8018|"
    r"gsrn|255|gcn|00|sscc|253|gdti|401|ginc|402|gsin|8003|grai|8004|giai)/([0-9]{4}[^/?#]+)"
    r"((?:/[^/?#]+/[^/?#]+)*)/?(?:\?[^?\n]*)?(?:#[^\n]*)?\Z"
)
_NAMES: Final[Mapping[str, str]] = {
    "gtin": "01",
    "itip": "8006",
    "cpid": "8010",
    "gln": "414",
    "party": "417",
    "gsrnp": "8017",
    "gsrn": "8018",
    "gcn": "255",
    "sscc": "00",
    "gdti": "253",
    "ginc": "401",
    "gsin": "402",
    "grai": "8003",
    "giai": "8004",
    "cpv": "22",
    "lot": "10",
    "ser": "21",
}
_ESCAPED: Final = str.maketrans({c: f"%{ord(c):02X}" for c in "!()*+,:"})
_SERIAL: Final = r"([\x22\x27\x2D\x2E\x30-\x39\x3B-\x3F\x41-\x5A\x5F\x61-\x7A%]{0,28})\Z"
_TAIL = re.compile(_SERIAL)


@lru_cache(maxsize=65_536)
def canonical_uri(text: str) -> str | None:
    """The one form of an EPC URN or Digital Link; None for any other text."""
    if text.startswith("urn:epc:"):
        return _from_urn(text)
    if text.startswith(("https://", "http://")):
        return _from_link(text)
    return None


def _checked(digits: str, length: int) -> str | None:
    if len(digits) != length or not digits.isdecimal():
        return None
    return digits + gs1_check_digit(digits)


def _indicator_first(company: str, reference: str) -> str:
    return reference[:1] + company + reference[1:]


def _from_urn(text: str) -> str | None:
    match = _URN.match(text)
    if match is None:
        return None
    space, scheme, company, rest = match.groups()
    made = _SCHEMES.get((space, scheme))
    return made(company, rest) if made is not None else None


def _trade_item(qualifier: str) -> Callable[[str, str], str | None]:
    def made(company: str, rest: str) -> str | None:
        reference, dot, tail = rest.partition(".")
        number = _checked(_indicator_first(company, reference), 13)
        if number is None or not dot or not tail:
            return None
        if not qualifier:
            return f"{_STEM}01/{number}" if tail == "*" else None
        return f"{_STEM}01/{number}/{qualifier}/{tail.translate(_ESCAPED)}"

    return made


def _unit(identifier: str, length: int, *, indicator: bool) -> Callable[[str, str], str | None]:
    def made(company: str, rest: str) -> str | None:
        digits = _indicator_first(company, rest) if indicator else company + rest
        number = _checked(digits, length)
        return f"{_STEM}{identifier}/{number}" if number is not None else None

    return made


def _place(company: str, rest: str) -> str | None:
    reference, dot, extension = rest.partition(".")
    number = _checked(company + reference, 12)
    if number is None or not dot or not extension:
        return None
    tail = "" if extension == "0" else f"/254/{extension.translate(_ESCAPED)}"
    return f"{_STEM}414/{number}{tail}"


def _with_serial(identifier: str, start: str = "") -> Callable[[str, str], str | None]:
    def made(company: str, rest: str) -> str | None:
        reference, dot, serial = rest.partition(".")
        number = _checked(company + reference, 12)
        if number is None or not dot or not serial:
            return None
        tail = "" if serial == "*" else serial.translate(_ESCAPED)
        return f"{_STEM}{identifier}/{start}{number}{tail}"

    return made


def _free(identifier: str) -> Callable[[str, str], str | None]:
    return lambda company, rest: (
        f"{_STEM}{identifier}/{company}{rest.translate(_ESCAPED)}" if rest else None
    )


def _part(company: str, rest: str) -> str | None:
    reference, dot, serial = rest.rpartition(".")
    if not dot or not serial:
        return None
    tail = "" if serial == "*" else f"/8011/{serial}"
    return f"{_STEM}8010/{company}{reference.translate(_ESCAPED)}{tail}"


def _piece(company: str, rest: str) -> str | None:
    parts = rest.split(".", 3)
    number = _checked(_indicator_first(company, parts[0]), 13)
    if number is None or len(parts) != 4:
        return None
    tail = "" if parts[3] == "*" else f"/21/{parts[3].translate(_ESCAPED)}"
    return f"{_STEM}8006/{number}{parts[1]}{parts[2]}{tail}"


_SCHEMES: Final[Mapping[tuple[str, str], Callable[[str, str], str | None]]] = {
    ("id", "sgtin"): _trade_item("21"),
    ("id", "upui"): _trade_item("235"),
    ("class", "lgtin"): _trade_item("10"),
    ("idpat", "sgtin"): _trade_item(""),
    ("idpat", "upui"): _trade_item(""),
    ("id", "sscc"): _unit("00", 17, indicator=True),
    ("id", "gsrn"): _unit("8018", 17, indicator=False),
    ("id", "gsrnp"): _unit("8017", 17, indicator=False),
    ("id", "gsin"): _unit("402", 16, indicator=False),
    ("id", "pgln"): _unit("417", 12, indicator=False),
    ("id", "sgln"): _place,
    ("id", "grai"): _with_serial("8003", "0"),
    ("idpat", "grai"): _with_serial("8003"),
    ("id", "gdti"): _with_serial("253"),
    ("idpat", "gdti"): _with_serial("253"),
    ("id", "sgcn"): _with_serial("255"),
    ("idpat", "sgcn"): _with_serial("255"),
    ("id", "giai"): _free("8004"),
    ("id", "ginc"): _free("401"),
    ("id", "cpi"): _part,
    ("idpat", "cpi"): _part,
    ("id", "itip"): _piece,
    ("idpat", "itip"): _piece,
}


def _from_link(text: str) -> str | None:
    match = _LINK.match(text)
    if match is None:
        return None
    name, number, rest = match.groups()
    identifier = _NAMES.get(name, name)
    if identifier == "01":
        number = number.zfill(14)
    pieces = rest.split("/")[1:]
    pairs = zip(pieces[::2], pieces[1::2], strict=True)
    qualifiers = {_NAMES.get(key, key): value for key, value in pairs}
    qualifiers.pop("22", None)  # a variant is none of the things that events are about
    if "21" in qualifiers:
        qualifiers.pop("10", None)  # the finest identity counts
    if any(_TAIL.match(value) is None for value in qualifiers.values()):
        return None
    tail = "".join(f"/{key}/{value}" for key, value in qualifiers.items())
    return f"{_STEM}{identifier}/{number}{tail}"
