"""Custody: who held the goods, in order, and the seals."""

import pytest

from logistics.rules.custody import HandOver, custody_facts
from logistics.rules.errors import EvidenceError

A, B, C = b"a" * 16, b"b" * 16, b"c" * 16


def step(
    at: int,
    giver: bytes | None,
    taker: bytes,
    *,
    signed: tuple[bytes, ...] | None = None,
    found: tuple[str, ...] = ("S1",),
    left: tuple[str, ...] | None = None,
) -> HandOver:
    both = tuple(party for party in (giver, taker) if party is not None)
    return HandOver(
        at_ms=at,
        giver=giver,
        taker=taker,
        signed_by=frozenset(both if signed is None else signed),
        seals_found=found,
        seals_set=found if left is None else left,
    )


def test_a_whole_chain_of_custody_has_nothing_to_say() -> None:
    facts = custody_facts([step(1, None, A), step(2, A, B), step(3, B, C)])
    assert (facts.breaks, facts.unsigned, facts.seal_mismatches, facts.holder) == (0, 0, 0, C)


def test_a_giver_who_did_not_hold_the_goods_is_a_break() -> None:
    facts = custody_facts([step(1, None, A), step(2, B, C)])
    assert (facts.breaks, facts.holder) == (1, C)


def test_a_hand_over_that_one_did_not_sign_leaves_custody_unknown() -> None:
    facts = custody_facts([step(1, None, A), step(2, A, B, signed=(A,))])
    assert (facts.unsigned, facts.holder) == (1, None)
    facts = custody_facts([step(1, None, A), step(2, A, B, signed=(A,)), step(3, B, C)])
    assert (facts.breaks, facts.unsigned, facts.holder) == (1, 1, C)


def test_other_seals_than_were_set_are_a_mismatch_in_any_order_of_theirs() -> None:
    row = [step(1, None, A, found=("S1", "S2")), step(2, A, B, found=("S2", "S1"))]
    assert custody_facts(row).seal_mismatches == 0
    row = [step(1, None, A, left=("S9",)), step(2, A, B, found=("S1",)), step(3, B, C)]
    assert custody_facts(row).seal_mismatches == 1


def test_times_that_fall_are_refused_and_no_row_says_nothing() -> None:
    with pytest.raises(EvidenceError):
        custody_facts([step(2, None, A), step(1, A, B)])
    assert custody_facts([]).holder is None
