"""A contract: what is judged (core, on the chain), amounts and prose (bound by salted digests).

    core  = [ 1, version, supersedes / null, [+ [party-id, role]], [+ fact], [+ clause],
              gap-ms, missing-ms-max, window-ms, clock-min, currency, money-digest, prose-digest ]
    money = [ 1, salt, cap, [* [clause, fact, fixed, rate, free, unit, rounding]] ]
    prose = [ 1, salt, [+ [language, title, text]], [+ [clause, language, text]] ]

docs/formats/contract.md has every field. A contract's id is a digest of its core, which names the
digests of the other two: prose, amounts and parameters are signed together.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.canonical import decode, encode
from ledger.entry import QUALITY_AUTHENTICATED, QUALITY_RTC
from ledger.errors import NotCanonicalError
from ledger.hashing import HASH_BYTES, tagged
from logistics.rules.errors import ContractError
from logistics.rules.facts import Fact, band_of, check_fact
from logistics.rules.money import MINOR_MAX, Charge, Rounding
from logistics.rules.predicate import NAMES_MAX, Predicate, predicate
from logistics.rules.rings import CORNERS_MAX

VERSION: Final = 1
CORE_BYTES_MAX: Final = 32 << 10
ANNEX_BYTES_MAX: Final = 64 << 10
PARTIES_MAX: Final = 8
CLAUSES_MAX: Final = 16
ID_BYTES: Final = 16
SALT_BYTES: Final = 16
LANGUAGES: Final = ("en", "zh")
DAY_MS: Final = 86_400_000
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}\Z", re.ASCII)
_CLAUSE: Final = re.compile(r"[0-9]{1,2}(\.[0-9]{1,2})?\Z", re.ASCII)
_CURRENCY: Final = re.compile(r"[A-Z]{3}\Z", re.ASCII)
_ROLE_MAX: Final = 40


@dataclass(frozen=True, slots=True)
class Clause:
    """A number and the condition that keeps it."""

    number: str
    condition: Predicate

    def to_value(self) -> list[Any]:
        """[number, expression, hash of the checked tree]."""
        return [self.number, self.condition.text, self.condition.tree_sha256]


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """What every validator may read. Times in milliseconds; `window_ms`: to object in; `clock_min`:
    the least quality of a gateway's clock that is evidence (`ledger.entry`: 1 RTC, 2 NTP ...).
    """

    version: int
    supersedes: bytes | None
    parties: tuple[tuple[bytes, str], ...]
    facts: tuple[Fact, ...]
    clauses: tuple[Clause, ...]
    gap_ms: int
    missing_ms_max: int
    window_ms: int
    clock_min: int
    currency: str
    money_digest: bytes
    prose_digest: bytes

    def encode(self) -> bytes:
        """Canonical bytes: what is signed, by its id."""
        return encode(
            [
                VERSION, self.version, self.supersedes,
                [list(party) for party in self.parties],
                [fact.to_value() for fact in self.facts],
                [clause.to_value() for clause in self.clauses],
                self.gap_ms, self.missing_ms_max, self.window_ms, self.clock_min,
                self.currency, self.money_digest, self.prose_digest,
            ]
        )  # fmt: skip  # in the order of the format

    @property
    def digest(self) -> bytes:
        """What the parties sign."""
        return tagged("wharf/contract/1", self.encode())

    @property
    def id(self) -> bytes:
        """The contract's name on the chain."""
        return self.digest[:ID_BYTES]

    @property
    def party_ids(self) -> tuple[bytes, ...]:
        """The parties, in their order."""
        return tuple(party for party, _ in self.parties)


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """What a broken clause costs, and at most."""

    salt: bytes
    cap: int
    charges: tuple[tuple[str, Charge], ...]

    def encode(self) -> bytes:
        """Canonical bytes."""
        rows = [
            [number, c.fact, c.fixed, c.rate, c.free, c.unit, str(c.rounding)]
            for number, c in self.charges
        ]
        return encode([VERSION, self.salt, self.cap, rows])

    @property
    def digest(self) -> bytes:
        """What the core binds."""
        return tagged("wharf/contract-money/1", self.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Prose:
    """The words: (language, title, text), and (clause, language, text)."""

    salt: bytes
    texts: tuple[tuple[str, str, str], ...]
    clauses: tuple[tuple[str, str, str], ...]

    def encode(self) -> bytes:
        """Canonical bytes."""
        return encode(
            [VERSION, self.salt, [list(row) for row in self.texts], [list(r) for r in self.clauses]]
        )

    @property
    def digest(self) -> bytes:
        """What the core binds."""
        return tagged("wharf/contract-prose/1", self.encode())

    def title(self, language: str) -> str:
        """The contract's title."""
        return next((title for name, title, _ in self.texts if name == language), "")

    def text(self, language: str) -> str:
        """The contract's own words."""
        return next((text for name, _, text in self.texts if name == language), "")

    def clause(self, number: str, language: str) -> str:
        """A clause's words."""
        rows = (text for name, lang, text in self.clauses if (name, lang) == (number, language))
        return next(rows, "")


def decode_core(data: bytes) -> Core:
    """The core in these bytes, every rule of it checked; raises ContractError or RingError."""
    _, version, supersedes, parties, facts, clauses, *rest = _list("core", data, CORE_BYTES_MAX, 13)
    gap_ms, missing_ms, window_ms, clock_min, currency, money, prose = rest
    _check_corners(facts)
    named = tuple(_fact(row) for row in _rows("facts", facts, 3, NAMES_MAX))
    names = frozenset(fact.name for fact in named)
    if len(names) < len(named):
        raise ContractError("facts", "a name stands twice")
    core = Core(
        version=_whole("version", version, 1, 1_000_000),
        supersedes=None if supersedes is None else _octets("supersedes", supersedes, ID_BYTES),
        parties=tuple(_party(row) for row in _rows("parties", parties, 2, PARTIES_MAX)),
        facts=named,
        clauses=tuple(_clause(row, names) for row in _rows("clauses", clauses, 3, CLAUSES_MAX)),
        gap_ms=_whole("gap_ms", gap_ms, 1_000, DAY_MS),
        missing_ms_max=_whole("missing_ms_max", missing_ms, 0, 366 * DAY_MS),
        window_ms=_whole("window_ms", window_ms, 0, 366 * DAY_MS),
        clock_min=_whole("clock_min", clock_min, QUALITY_RTC, QUALITY_AUTHENTICATED),
        currency=_text("currency", currency, _CURRENCY),
        money_digest=_octets("money_digest", money, HASH_BYTES),
        prose_digest=_octets("prose_digest", prose, HASH_BYTES),
    )
    _check_order(core)
    return core


def _check_corners(facts: object) -> None:
    """A ring is checked in the square of its corners: all of a contract's together are bounded."""
    rows = facts if isinstance(facts, list) else []
    maps = [row[2] for row in rows if isinstance(row, list) and len(row) == 3]
    rings = [item.get("ring") for item in maps if isinstance(item, dict)]
    if sum(len(corners) for corners in rings if isinstance(corners, list)) > 2 * CORNERS_MAX:
        raise ContractError("facts", f"more than {CORNERS_MAX} corners in all rings together")


def _check_order(core: Core) -> None:
    if len(core.parties) < 2 or list(core.party_ids) != sorted(set(core.party_ids)):
        raise ContractError("parties", "at least two, ascending by id, none twice")
    numbers = [clause.number for clause in core.clauses]
    if len(set(numbers)) < len(numbers):
        raise ContractError("clauses", "a number stands twice")
    band = band_of(core.facts)
    if band is not None and band.low > band.high:
        raise ContractError("facts", "no temperature is within all limits")


def decode_money(data: bytes, core: Core) -> Money:
    """The amounts in these bytes, if they are the core's; raises ContractError."""
    _, salt, cap, charges = _list("money", data, ANNEX_BYTES_MAX, 4)
    rows = _rows("charges", charges, 7, CLAUSES_MAX, least=0)
    money = Money(
        salt=_octets("money.salt", salt, SALT_BYTES),
        cap=_whole("money.cap", cap, 0, MINOR_MAX),
        charges=tuple(_charge(row, core) for row in rows),
    )
    if money.digest != core.money_digest:
        raise ContractError("money", "not the amounts that the parties signed")
    return money


def decode_prose(data: bytes, core: Core) -> Prose:
    """The words in these bytes, if they are the core's; raises ContractError."""
    _, salt, texts, clauses = _list("prose", data, ANNEX_BYTES_MAX, 4)
    prose = Prose(
        salt=_octets("prose.salt", salt, SALT_BYTES),
        texts=tuple(_words(row) for row in _rows("prose.texts", texts, 3, 8)),
        clauses=tuple(_words(row) for row in _rows("prose.clauses", clauses, 3, 8 * CLAUSES_MAX)),
    )
    if prose.digest != core.prose_digest:
        raise ContractError("prose", "not the words that the parties signed")
    return prose


def _list(what: str, data: bytes, bytes_max: int, count: int) -> list[Any]:
    if len(data) > bytes_max:
        raise ContractError(what, f"more than {bytes_max} bytes")
    try:
        value = decode(data)
    except NotCanonicalError as error:
        raise ContractError(what, str(error)) from error
    if not isinstance(value, list) or len(value) != count or value[0] != VERSION:
        raise ContractError(what, f"not version {VERSION} of its layout")
    return value


def _rows(what: str, value: object, count: int, most: int, least: int = 1) -> Sequence[list[Any]]:
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise ContractError(what, f"not {least} to {most} rows")
    if any(not isinstance(row, list) or len(row) != count for row in value):
        raise ContractError(what, f"a row that has not {count} items")
    return value


def _whole(what: str, value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ContractError(what, f"not a whole number from {low} to {high}")
    return value


def _octets(what: str, value: object, size: int) -> bytes:
    if type(value) is not bytes or len(value) != size:
        raise ContractError(what, f"not {size} bytes")
    return value


def _text(what: str, value: object, form: re.Pattern[str]) -> str:
    if type(value) is not str or form.match(value) is None:
        raise ContractError(what, f"{value!r} is not of its form")
    return value


def _fact(row: list[Any]) -> Fact:
    name = _text("fact name", row[0], _NAME)
    if type(row[1]) is not str or not isinstance(row[2], dict):
        raise ContractError(f"fact {name}", "not an operator and its parameters")
    fact = Fact(name, row[1], row[2])
    check_fact(fact)
    return fact


def _clause(row: list[Any], names: frozenset[str]) -> Clause:
    number = _text("clause number", row[0], _CLAUSE)
    if type(row[1]) is not str:
        raise ContractError(f"clause {number}", "no expression")
    condition = predicate(row[1], names)
    if condition.tree_sha256 != row[2]:
        raise ContractError(f"clause {number}", "this machine understands its text otherwise")
    return Clause(number, condition)


def _party(row: list[Any]) -> tuple[bytes, str]:
    if type(row[1]) is not str or not 0 < len(row[1]) <= _ROLE_MAX:
        raise ContractError("parties", "a role is 1 to 40 characters")
    return _octets("party id", row[0], ID_BYTES), row[1]


def _charge(row: list[Any], core: Core) -> tuple[str, Charge]:
    number, fact, fixed, rate, free, unit, rounding = row
    if number not in {clause.number for clause in core.clauses}:
        raise ContractError("charges", f"no clause {number!r}")
    if fact not in {item.name for item in core.facts}:
        raise ContractError("charges", f"no fact {fact!r}")
    if rounding not in set(Rounding):
        raise ContractError("charges", f"rounding {rounding!r}; known: {', '.join(Rounding)}")
    amounts = [_whole("charge", value, 0, MINOR_MAX) for value in (fixed, rate, free, unit)]
    fixed, rate, free, unit = amounts
    return number, Charge(
        fact=fact, fixed=fixed, rate=rate, free=free, unit=unit, rounding=Rounding(rounding)
    )


def _words(row: list[Any]) -> tuple[str, str, str]:
    if any(type(item) is not str for item in row):
        raise ContractError("prose", "a row that is not three texts")
    return row[0], row[1], row[2]
