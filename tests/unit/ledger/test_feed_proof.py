from dataclasses import replace

import pytest

from ledger.entry import CONTROL_SLOT, KIND_BOOT, KIND_GENESIS, KIND_RETIREMENT, KIND_TELEMETRY
from ledger.errors import FormatError, InputError, ProofError, RefutedError
from ledger.feed_proof import check_feed_part
from ledger.signing import EDDSA, ES256
from tests.unit.ledger.attacks import ATTACKS, Attack
from tests.unit.ledger.feed_builder import FeedBuilder, X, Y, Z, grown

GOOD = grown(FeedBuilder())


@pytest.mark.parametrize("alg", [EDDSA, ES256])
@pytest.mark.parametrize("slots", [[X], [Y], [Z], [X, Y], [X, Y, Z]])
def test_an_honest_part_proves_its_slots_whole(slots: list[int], alg: int) -> None:
    feed = GOOD if alg == EDDSA else grown(FeedBuilder(alg=alg))
    proof = check_feed_part(feed.part(slots), feed.key)
    assert [CONTROL_SLOT, *slots] == sorted(proof.slots)
    for slot in slots:
        shown = [entry for _, _, entry in proof.slots[slot].entries]
        assert list(range(feed.state.slots[slot].total)) == [entry.srcseq for entry in shown]
        assert proof.slots[slot].last.total == len(shown)
    control = [entry.kind for _, _, entry in proof.slots[CONTROL_SLOT].entries]
    assert [KIND_GENESIS, KIND_BOOT] == control


@pytest.mark.parametrize("base", range(1, 6))
@pytest.mark.parametrize("last", range(2, 7))
def test_any_span_behind_a_block_shows_exactly_its_own_readings(base: int, last: int) -> None:
    if base >= last:
        return
    proof = check_feed_part(GOOD.part([X], base=base, last=last), GOOD.key)
    assert proof.base == GOOD.headers[base]
    heights = {height for _, height, _ in proof.slots[X].entries}
    assert set(range(base + 1, last + 1)) == heights
    before, after = GOOD.summary(X, base), GOOD.summary(X, last)
    assert before is not None
    assert after is not None
    numbers = [entry.srcseq for _, _, entry in proof.slots[X].entries]
    assert list(range(before.total, after.total)) == numbers


def test_a_slot_that_stands_in_no_block_of_the_span_is_proven_absent() -> None:
    assert Y not in check_feed_part(GOOD.part([X, Y], last=2), GOOD.key).slots


def test_a_retired_slot_may_be_missing_from_then_on() -> None:
    feed = FeedBuilder()
    feed.describe(X)
    feed.describe(Y, "other")
    feed.read(X, 2)
    feed.add(KIND_RETIREMENT, X)
    feed.cut()
    feed.read(Y, 3)
    feed.cut()
    proof = check_feed_part(feed.part([X]), feed.key)
    assert proof.slots[X].last.retired


def test_a_block_in_which_nothing_was_read_still_counts_the_slot() -> None:
    feed = FeedBuilder()
    feed.describe(X)
    feed.cut()
    feed.cut()
    feed.read(X)
    feed.cut()
    kinds = [e.kind for _, _, e in check_feed_part(feed.part([X]), feed.key).slots[X].entries]
    assert [6, KIND_TELEMETRY] == kinds


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.lie)
def test_refused(attack: Attack) -> None:
    part, key = attack.made()
    with pytest.raises((RefutedError, InputError), match=attack.refused):
        check_feed_part(part, key)


def test_every_one_of_the_ten_checks_has_its_attack() -> None:
    assert set(range(1, 11)) == {attack.number for attack in ATTACKS}


@pytest.mark.parametrize("height", range(1, 7))
def test_no_reading_and_no_summary_can_be_left_out(height: int) -> None:
    summary = GOOD.summary(X, height)
    run = GOOD.run(height, 1)
    assert summary is not None
    assert run is not None
    part = range(summary.first_index, summary.first_index + summary.count)
    for index in (*part, run.head.summary_index(X)):
        with pytest.raises(ProofError, match="missing"):
            check_feed_part(GOOD.part([X], omit=[index]), GOOD.key)


def test_a_block_cannot_be_left_out_of_the_row() -> None:
    part = GOOD.part([X])
    for height in range(7):
        headers = (*part.headers[:height], *part.headers[height + 1 :])
        runs = tuple(run for run in part.run_heads if run[0] != height)
        for first in (0, 1):
            lie = replace(part, headers=headers, run_heads=runs, first_height=first)
            with pytest.raises(RefutedError):
                check_feed_part(lie, GOOD.key)


def test_run_heads_come_once_and_in_order() -> None:
    part = GOOD.part([X])
    for runs in (
        (*part.run_heads, part.run_heads[0]),
        tuple(reversed(part.run_heads)),
        (*part.run_heads, (99, 1, part.run_heads[0][2])),
    ):
        with pytest.raises(FormatError):
            check_feed_part(replace(part, run_heads=runs), GOOD.key)


def test_the_public_slot_is_always_shown() -> None:
    part = GOOD.part_of([X], GOOD.indexes([X], None, 6), range(7))
    with pytest.raises(ProofError, match="control slot"):
        check_feed_part(part, GOOD.key)
