"""Whose a key is: the organisation with the company prefix that the key begins with."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from logistics.trace.item_key import ItemKey
from portal.read.organisations import ORGANISATIONS, name_of
from portal.read.traces import BRANDS, RECALLS, THINGS

PREFIX_DIGITS_MIN = 4
PREFIX_DIGITS_MAX = 12


@dataclass(frozen=True, slots=True)
class Brand:
    """Who claims a prefix, and who of the others saw its licence; ids in hex."""

    prefix: str
    organisation: str
    name: str
    verifier: str | None


@dataclass(frozen=True, slots=True)
class RecallNotice:
    """An open recall: what it is about, by whom, since when (chain time, ms)."""

    key: ItemKey
    organisation: str
    name: str
    since_ms: int


def brand_of(db: Connection, key: ItemKey) -> Brand | None:
    """The brand's owner; None where nobody claims the prefix."""
    digits = key.company_digits
    starts = [digits[:length] for length in range(PREFIX_DIGITS_MIN, PREFIX_DIGITS_MAX + 1)]
    row = db.execute(select(BRANDS).where(BRANDS.c.prefix.in_(starts))).first()
    if row is None:
        return None
    verifier = name_of(db, row.verifier) if row.verifier else None
    name = name_of(db, row.organisation) or row.organisation[:8]
    return Brand(row.prefix, row.organisation, name, verifier)


def is_claimed(db: Connection, key: ItemKey, organisation: str) -> bool:
    """Whether this organisation claimed the thing on the chain."""
    chosen = select(THINGS.c.since_ms).where(
        THINGS.c.chain_id == key.chain_id.hex(), THINGS.c.organisation == organisation
    )
    return db.execute(chosen).first() is not None


def recalls_of(db: Connection, keys: Sequence[ItemKey]) -> list[RecallNotice]:
    """Open recalls of any of these keys, the finest key first."""
    by_id = {key.chain_id.hex(): key for key in keys}
    chosen = (
        select(RECALLS, ORGANISATIONS.c.name)
        .join(ORGANISATIONS, ORGANISATIONS.c.id == RECALLS.c.organisation, isouter=True)
        .where(RECALLS.c.chain_id.in_(list(by_id)), RECALLS.c.is_open == 1)
    )
    found = [
        RecallNotice(
            by_id[row.chain_id], row.organisation, row.name or row.organisation[:8], row.since_ms
        )
        for row in db.execute(chosen)
    ]
    return sorted(found, key=lambda notice: -int(notice.key.kind))
