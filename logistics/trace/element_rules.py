"""What may stand behind a GS1 application identifier, and where in a Digital Link.

Forms of values are `biip`'s table (GS1 General Specifications, section 3). What it does not check
stands here: check digits, real dates, which identifier is a key, its qualifiers in their one order,
and which may not be data attributes (GS1 Digital Link Standard: URI Syntax, section 4.9).
"""

import datetime as dt
import re
from collections.abc import Mapping
from itertools import chain
from typing import Final

from biip.gs1_application_identifiers import _GS1_APPLICATION_IDENTIFIERS, GS1ApplicationIdentifier

from logistics.errors import IdentifierError
from logistics.identifiers import gs1_check_digit

# Key -> its possible chains of qualifiers; a link may leave any of them out, never reorder them.
QUALIFIERS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "00": ((),),
    "01": (("22", "10", "21"), ("235",)),
    "253": ((),),
    "255": ((),),
    "401": ((),),
    "402": ((),),
    "414": (("254",), ("7040",)),
    "415": (("8020",),),
    "417": (("7040",),),
    "8003": ((),),
    "8004": (("7040",),),
    "8006": (("22", "10", "21"),),
    "8010": (("8011",),),
    "8013": ((),),
    "8017": (("8019",),),
    "8018": (("8019",),),
}
# Coupons and a web address are for the till, not for a link.
NOT_ATTRIBUTES: Final = frozenset({"03", "8110", "8111", "8112", "8200"})

# Digits that end in a check digit, from and to which place of the value.
_CHECKED: Final[Mapping[str, tuple[int, int]]] = {
    "00": (0, 18),
    "01": (0, 14),
    "02": (0, 14),
    "03": (0, 14),
    "253": (0, 13),
    "255": (0, 13),
    "402": (0, 17),
    **{f"41{last}": (0, 13) for last in range(8)},
    "8003": (1, 14),
    "8006": (0, 14),
    "8017": (0, 18),
    "8018": (0, 18),
    "8026": (0, 14),
}
_STARTS_WITH_PREFIX: Final = frozenset({"253", "255", "401", "402", "7023", "8004", "8010", "8013"})
_DATES: Final = frozenset({"11", "12", "13", "15", "16", "17", "4326", "7006"})
_FREE: Final = frozenset({"4326", "7006"})  # a real day is asked for, "00" is none


def rules_of(identifier: str) -> GS1ApplicationIdentifier | None:
    """The identifier's form; None where GS1 assigned none."""
    return _GS1_APPLICATION_IDENTIFIERS.get(identifier)


def checked_value(identifier: str, value: str) -> str:
    """The value itself if its form, check digit and date are right; raises IdentifierError."""
    rules = rules_of(identifier)
    if rules is None:
        raise IdentifierError(f"({identifier[:8]}) is no application identifier")
    if re.match(rules.pattern + r"\Z", identifier + value) is None:
        raise IdentifierError(f"({identifier}) has the form {rules.format}: {value[:40]!r}")
    place = _CHECKED.get(identifier)
    if place is not None:
        digits = value[place[0] : place[1]]
        if gs1_check_digit(digits[:-1]) != digits[-1]:
            raise IdentifierError(f"({identifier}) has a wrong check digit: {value[:40]!r}")
    if identifier in _STARTS_WITH_PREFIX and not value[:4].isdigit():
        raise IdentifierError(f"({identifier}) starts with a company prefix: {value[:40]!r}")
    if identifier in _DATES:
        _require_date(identifier, value)
    if identifier == "8011" and len(value) > 1 and value[0] == "0":
        raise IdentifierError(f"(8011) has no leading zero: {value!r}")
    if identifier in ("8006", "8026"):
        _require_piece(identifier, value)
    return value


def _require_date(identifier: str, value: str) -> None:
    year, month, day = int(value[:2]), int(value[2:4]), int(value[4:6])
    if day == 0 and identifier not in _FREE:
        day = 1  # "00" means: some time in that month
    try:
        dt.date(2000 + year, month, day)
    except ValueError:
        raise IdentifierError(f"({identifier}) is no date YYMMDD: {value[:10]!r}") from None


def _require_piece(identifier: str, value: str) -> None:
    piece, total = int(value[14:16]), int(value[16:18])
    if not 0 < piece <= total:
        raise IdentifierError(f"({identifier}) is no piece of a total: {value[14:]!r}")


def is_key_path(identifiers: tuple[str, ...]) -> bool:
    """Whether these are a key and qualifiers of it, in their order."""
    if not identifiers:
        return False
    return any(
        _is_subsequence(identifiers[1:], qualifiers)
        for qualifiers in QUALIFIERS.get(identifiers[0], ())
    )


def belongs_in_path(path: tuple[str, ...], identifier: str) -> bool:
    """Whether an attribute is in truth a qualifier of the path's key."""
    return any(
        is_key_path((*path[:place], identifier, *path[place:])) for place in range(1, len(path) + 1)
    )


def _is_subsequence(parts: tuple[str, ...], whole: tuple[str, ...]) -> bool:
    rest = iter(whole)
    return all(part in rest for part in parts)


ALL_QUALIFIERS: Final = frozenset(chain.from_iterable(chain.from_iterable(QUALIFIERS.values())))
