"""What is cut opens to exactly what was journaled, whatever it was."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import sealer
from ledger.entry import (
    CONTROL_SLOT,
    KIND_DESCRIPTOR,
    KIND_RETIREMENT,
    KIND_SUMMARY,
    KIND_TELEMETRY,
    Entry,
    GTime,
    audience_of,
    encode_entry,
    slot_number,
)
from ledger.errors import OpeningError, ProofError, SealRefusedError
from ledger.feed import check_follows, check_structure
from ledger.feed_proof import check_feed_part
from ledger.frontier import Frontier
from ledger.head import NO_HEAD
from ledger.opening import OpenedRun, check_continues, open_run
from ledger.sealer import FeedState, Pending, head_claim, take
from tests.unit.ledger.feed_builder import FeedBuilder, X, Y, Z, grown

SLOTS = [slot_number(a, n) for a in (1, 2, 3) for n in (0, 1, 2)]


def opened_run(feed: FeedBuilder, height: int, audience: int) -> OpenedRun | None:
    run = feed.run(height, audience)
    if run is None:
        return None
    header = feed.headers[height]
    return open_run(
        header=header,
        audience=audience,
        head=run.head,
        body=run.body,
        ciphertext=run.ciphertext,
        key=feed.run_key(header, run),
    )


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from(SLOTS), st.integers(1, 5), st.sampled_from([1, 2, 7, 99])),
            max_size=6,
        ),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=60, deadline=None)
def test_every_block_opens_to_what_was_counted_and_continues_the_one_before(
    blocks: list[list[tuple[int, int, int]]],
) -> None:
    feed, counted = FeedBuilder(), dict[int, list[Entry]]()
    for block in blocks:
        for slot, count, kind in block:
            if slot not in counted:
                counted[slot] = [feed.describe(slot)]
            counted[slot] += [feed.add(kind, slot, [n, "x" * n]) for n in range(count)]
        feed.cut()
    found = dict[int, list[Entry]]()
    frontier, previous = Frontier(), None
    last: dict[int, OpenedRun] = {}
    for height, sealed in enumerate(feed.blocks):
        check_follows(previous, sealed.header)
        triples = [(run.audience, run.head, run.body) for run in sealed.runs]
        frontier, _ = check_structure(sealed.header, triples, frontier)
        for run in sealed.runs:
            opened = opened_run(feed, height, run.audience)
            assert opened is not None
            check_continues(opened, last.get(run.audience))
            last[run.audience] = opened
            for slot in run.head.slots:
                found.setdefault(slot, []).extend(opened.part(slot))
        previous = sealed.header
    assert counted == {slot: entries for slot, entries in found.items() if slot != CONTROL_SLOT}
    proof = check_feed_part(feed.part(sorted(counted)), feed.key)
    for slot, entries in counted.items():
        assert entries == [entry for _, _, entry in proof.slots[slot].entries]


def test_leaves_stand_by_slot_and_number_with_one_summary_a_slot_at_the_end() -> None:
    feed = FeedBuilder()
    for slot in (Y, X):
        feed.describe(slot)
    feed.read(Y, 2)
    feed.read(X, 2)
    feed.read(Y, 1)
    feed.cut()
    opened = opened_run(feed, 0, 1)
    assert opened is not None
    order = [(entry.slot, entry.srcseq) for entry in opened.entries[:-2]]
    assert sorted(order) == order
    assert [(KIND_SUMMARY, X), (KIND_SUMMARY, Y)] == [(e.kind, e.slot) for e in opened.entries[-2:]]


def test_a_slot_without_readings_still_has_its_summary() -> None:
    feed = grown(FeedBuilder(), 4)
    feed.cut()
    opened = opened_run(feed, 4, 2)
    assert opened is not None
    summary = opened.summaries[Z]
    assert (0, opened.head.first) == (summary.count, summary.first_index)


def test_a_retired_slot_leaves_the_runs_for_good() -> None:
    feed = FeedBuilder()
    feed.describe(X)
    feed.add(KIND_RETIREMENT, X)
    feed.cut()
    feed.cut()
    assert feed.run(1, 1) is None
    assert feed.state.slots[X].retired


def test_the_first_leaf_alone_has_no_salt() -> None:
    feed = grown(FeedBuilder(), 2)
    assert bytes(16) == feed.leaves[0][:16]
    assert 0 not in {int.from_bytes(leaf[:16], "big") for leaf in feed.leaves[1:]}


@pytest.mark.parametrize("wrong", ["skipped", "doubled", "undescribed", "no key"])
def test_what_may_not_be_sealed_is_refused(wrong: str) -> None:
    feed = grown(FeedBuilder(), 2)
    slot = X
    if wrong == "skipped":
        feed._srcseq[X] += 1
    elif wrong == "doubled":
        feed._srcseq[X] -= 1
    elif wrong == "undescribed":
        slot = slot_number(1, 9)
    else:
        slot = slot_number(9, 1)
        feed.describe(slot)
    feed.read(slot, 1)
    before = feed.state
    with pytest.raises(SealRefusedError):
        feed.cut()
    assert before == feed.state


def pending(count: int, size_bytes: int = 10, kind: int = KIND_TELEMETRY) -> list[Pending]:
    entry = Entry(kind, X, GTime(1, 1, None, 0, 0), 0, bytes(size_bytes))
    item = Pending(1, entry, encode_entry(entry))
    return [item] * count


def test_a_block_takes_as_many_entries_as_fit_and_one_at_least() -> None:
    assert (0, 5) == (take([], 3), take(pending(5), 3))
    assert 65_536 - 3 == take(pending(70_000), 3)
    assert (65_536 - 3) // 2 == take(pending(70_000, kind=KIND_DESCRIPTOR), 3)
    by_size = take(pending(300, 60_000), 3)
    assert by_size * 60_000 <= sealer.PLAIN_BYTES_CUT < (by_size + 1) * 60_100
    assert 1 == take(pending(2), 65_536)


def test_a_head_is_claimed_over_everything_cut() -> None:
    feed = grown(FeedBuilder(), 3)
    names: dict[str, Any] = {
        "alg": feed.alg, "kid": feed.key.kid, "issuer": "party", "subject": feed.name,
        "issued_at_s": feed.claim().issued_at_s, "counter": None, "prev_head_digest": NO_HEAD,
    }  # fmt: skip
    assert feed.claim() == head_claim(feed.state, **names)
    with pytest.raises(SealRefusedError, match="no block"):
        head_claim(FeedState(feed_id=bytes(16), slots={}), **names)


# Opening -----------------------------------------------------------------------------------------


def test_a_run_read_through_gives_its_own_nodes_and_others_from_outside() -> None:
    feed = grown(FeedBuilder(), 4)
    opened = opened_run(feed, 3, 1)
    assert opened is not None
    read = opened.reader(feed.tree.read)
    for index in range(feed.tree.size):
        assert feed.tree.read(0, index) == read(0, index)
    assert feed.tree.read(3, 0) == read(3, 0)


def test_two_blocks_of_a_slot_that_do_not_continue_are_found_by_who_opens_both() -> None:
    feed = grown(FeedBuilder(), 6)
    third, fifth = opened_run(feed, 3, 1), opened_run(feed, 5, 1)
    first, fourth = opened_run(feed, 1, 1), opened_run(feed, 4, 1)
    assert first is not None
    assert third is not None
    assert fourth is not None
    assert fifth is not None
    check_continues(fourth, third)
    with pytest.raises(ProofError):
        check_continues(fifth, third)
    with pytest.raises(ProofError, match="begins without"):
        check_continues(fourth, None)
    gone = replace(fourth, summaries={Y: fourth.summaries[Y]})
    with pytest.raises(ProofError, match="vanished"):
        check_continues(gone, third)


def test_a_run_of_another_block_does_not_open_here() -> None:
    feed = grown(FeedBuilder(), 4)
    run = feed.run(3, 1)
    assert run is not None
    with pytest.raises(OpeningError):
        open_run(
            header=feed.headers[2],
            audience=1,
            head=run.head,
            body=run.body,
            ciphertext=run.ciphertext,
            key=feed.run_key(feed.headers[2], run),
        )
    assert audience_of(X) == 1
