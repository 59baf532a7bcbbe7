"""From a contract as people write it (TOML) to its core, amounts and prose.

A template is such a file without parties. Temperatures in it are milli-degrees, times milliseconds,
amounts minor units: what is signed is what is written.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from ledger.entry import QUALITY_NTP
from logistics.rules.contract import (
    LANGUAGES,
    SALT_BYTES,
    Clause,
    Core,
    Money,
    Prose,
    decode_core,
    decode_money,
    decode_prose,
)
from logistics.rules.errors import ContractError
from logistics.rules.facts import Fact, check_fact
from logistics.rules.money import Charge, Rounding
from logistics.rules.predicate import predicate

TEMPLATES: Final = (
    "chilled-food",
    "vaccine",
    "frozen",
    "detention",
    "geofence-delivery",
    "custody-seals",
)
_KEYS: Final = {
    "version", "supersedes", "gap_ms", "missing_ms_max", "window_ms", "clock_min",
    "currency", "cap", "party", "fact", "clause", "prose",
}  # fmt: skip  # as the format page has them


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The three parts of a contract."""

    core: Core
    money: Money
    prose: Prose


def template_text(name: str) -> str:
    """The TOML of a shipped template; raises ContractError naming those that exist."""
    if name not in TEMPLATES:
        raise ContractError("template", f"no {name!r}; shipped: {', '.join(TEMPLATES)}")
    return files("logistics.rules").joinpath(f"{name}.toml").read_text(encoding="utf-8")


def draft_of(
    text: str,
    *,
    fresh_salt: Callable[[], bytes],
    parties: Sequence[tuple[bytes, str]] | None = None,
) -> Draft:
    """The contract in a TOML text, checked whole; `parties` in place of the text's own.

    fresh_salt: 16 random bytes at each call. Raises ContractError naming field and mend.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ContractError("file", f"not TOML: {error}") from error
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise ContractError(unknown[0], f"unknown; known: {', '.join(sorted(_KEYS))}")
    clauses = _tables(table, "clause")
    money = Money(
        salt=_salt(fresh_salt),
        cap=_whole(table, "cap", 0),
        charges=tuple(_charge(clause) for clause in clauses if "charge" in clause),
    )
    prose = Prose(
        salt=_salt(fresh_salt), texts=_texts(table), clauses=tuple(_clause_words(clauses))
    )
    facts = tuple(_fact(row) for row in _tables(table, "fact"))
    names = frozenset(fact.name for fact in facts)
    core = Core(
        version=_whole(table, "version", 1),
        supersedes=_hex(table["supersedes"], "supersedes") if "supersedes" in table else None,
        parties=tuple(sorted(parties if parties is not None else _parties(table))),
        facts=facts,
        clauses=tuple(_clause(row, names) for row in clauses),
        gap_ms=_whole(table, "gap_ms", 300_000),
        missing_ms_max=_whole(table, "missing_ms_max", 0),
        window_ms=_whole(table, "window_ms", 86_400_000),
        clock_min=_whole(table, "clock_min", QUALITY_NTP),
        currency=str(table.get("currency", "EUR")),
        money_digest=money.digest,
        prose_digest=prose.digest,
    )
    return checked(core.encode(), money.encode(), prose.encode())


def checked(core: bytes, money: bytes, prose: bytes) -> Draft:
    """The contract in its three byte strings, checked as the chain checks it."""
    decoded = decode_core(core)
    return Draft(
        core=decoded, money=decode_money(money, decoded), prose=decode_prose(prose, decoded)
    )


def _salt(fresh_salt: Callable[[], bytes]) -> bytes:
    salt = fresh_salt()
    if len(salt) != SALT_BYTES:
        raise ContractError("salt", f"not {SALT_BYTES} bytes")
    return salt


def _tables(table: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    rows = table.get(name, [])
    if not isinstance(rows, list) or any(not isinstance(row, dict) for row in rows):
        raise ContractError(name, f"write it as [[{name}]]")
    return rows


def _whole(table: Mapping[str, Any], name: str, default: int) -> int:
    value = table.get(name, default)
    if type(value) is not int:
        raise ContractError(name, "not a whole number")
    return value


def _word(row: Mapping[str, Any], where: str, name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise ContractError(f"{where}.{name}", "missing, or not a text")
    return value


def _hex(text: object, name: str) -> bytes:
    try:
        return bytes.fromhex(str(text))
    except ValueError as error:
        raise ContractError(name, "not hexadecimal digits") from error


def _parties(table: Mapping[str, Any]) -> list[tuple[bytes, str]]:
    return [
        (_hex(_word(row, "party", "id"), "party.id"), _word(row, "party", "role"))
        for row in _tables(table, "party")
    ]


def _fact(row: dict[str, Any]) -> Fact:
    name = _word(row, "fact", "name")
    parameters = {key: value for key, value in row.items() if key not in ("name", "operator")}
    fact = Fact(name, _word(row, f"fact {name}", "operator"), parameters)
    check_fact(fact)
    return fact


def _clause(row: dict[str, Any], names: frozenset[str]) -> Clause:
    number = _word(row, "clause", "number")
    return Clause(number, predicate(_word(row, f"clause {number}", "condition"), names))


def _charge(row: dict[str, Any]) -> tuple[str, Charge]:
    number, charge = _word(row, "clause", "number"), row["charge"]
    where = f"clause {number}.charge"
    if not isinstance(charge, dict) or set(charge) - {
        "fact", "fixed", "rate", "free", "unit", "rounding",
    }:  # fmt: skip  # as the format page has them
        raise ContractError(where, "known: fact, fixed, rate, free, unit, rounding")
    rounding = charge.get("rounding", "half-even")
    if rounding not in set(Rounding):
        raise ContractError(f"{where}.rounding", f"known: {', '.join(Rounding)}")
    return number, Charge(
        fact=_word(charge, where, "fact"),
        fixed=_whole(charge, "fixed", 0),
        rate=_whole(charge, "rate", 0),
        free=_whole(charge, "free", 0),
        unit=_whole(charge, "unit", 1),
        rounding=Rounding(rounding),
    )


def _texts(table: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    prose = table.get("prose", {})
    if not isinstance(prose, dict):
        raise ContractError("prose", "write it as [prose.en] and [prose.zh]")
    return tuple(
        (
            language,
            _word(prose.get(language, {}), f"prose.{language}", "title"),
            _word(prose.get(language, {}), f"prose.{language}", "text"),
        )
        for language in LANGUAGES
    )


def _clause_words(clauses: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [
        (_word(row, "clause", "number"), language, _word(row, f"clause {row['number']}", language))
        for row in clauses
        for language in LANGUAGES
    ]
