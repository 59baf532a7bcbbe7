"""Versions of a site configuration: staged, kept, returned, refused; and their saved form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import SiteStateError
from gateway.site import (
    STARTS_MAX,
    Cause,
    Outcome,
    SiteState,
    Trial,
    Verdict,
    decode_state,
    encode_state,
    kept,
    refused,
    returned,
    staged,
    started,
    told,
)

FRIDGE = ("fridge", "temperature")


def test_a_version_runs_on_trial_until_it_is_kept() -> None:
    on_trial = staged(SiteState(), 1, [FRIDGE])
    assert (1, 0, Trial((FRIDGE,))) == (on_trial.running, on_trial.kept, on_trial.trial)
    held = kept(on_trial)
    assert (1, 1, None) == (held.running, held.kept, held.trial)
    assert (Verdict(1, Outcome.KEPT), False) == (held.verdict, held.told)
    assert told(held).told


def test_a_version_that_fails_gives_way_to_the_last_one_that_was_kept() -> None:
    first = kept(staged(SiteState(), 1, []))
    back = returned(staged(first, 2, [FRIDGE]), Cause.SILENT, "fridge/temperature")
    assert (1, 1, 2, None) == (back.running, back.kept, back.seen, back.trial)
    assert Verdict(2, Outcome.RETURNED, Cause.SILENT, "fridge/temperature") == back.verdict


def test_where_the_kept_version_itself_fails_the_boxs_own_file_runs() -> None:
    back = returned(kept(staged(SiteState(), 1, [])), Cause.UNREADABLE, "gone")
    assert (0, 0) == (back.running, back.kept)


def test_no_version_is_tried_twice() -> None:
    for state in (
        returned(staged(SiteState(), 1, []), Cause.SILENT, ""),
        refused(SiteState(), 1, cause=Cause.DRY_RUN, reason=""),
    ):
        with pytest.raises(SiteStateError):
            staged(state, 1, [])
        assert 2 == staged(state, 2, []).running


def test_a_refused_version_changes_nothing_that_runs() -> None:
    before = kept(staged(SiteState(), 1, []))
    after = refused(before, 2, cause=Cause.UNREADABLE, reason="line 3")
    assert (before.running, before.kept, None) == (after.running, after.kept, after.trial)


def test_a_gateway_that_dies_again_and_again_on_trial_goes_back() -> None:
    state = staged(SiteState(), 1, [FRIDGE])
    for _ in range(STARTS_MAX):
        state = started(state)
        assert 1 == state.running
    state = started(state)
    assert (0, None) == (state.running, state.trial)
    assert state.verdict is not None
    assert Cause.CRASHED == state.verdict.cause


def test_starts_under_an_override_are_no_starts_of_the_trial() -> None:
    state = SiteState(running=1, seen=1, trial=Trial(()), override="spare probe")
    assert state == started(state)


CHANNELS = st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=3).map(tuple)
VERDICTS = st.builds(
    Verdict,
    st.integers(0, 9),
    st.sampled_from(Outcome),
    st.sampled_from(Cause),
    st.text(max_size=9),
)


@given(
    st.builds(
        SiteState,
        running=st.integers(0, 9),
        kept=st.integers(0, 9),
        seen=st.integers(0, 9),
        trial=st.none() | st.builds(Trial, CHANNELS, st.integers(0, 3)),
        verdict=st.none() | VERDICTS,
        told=st.booleans(),
        override=st.none() | st.text(max_size=9),
    )
)
def test_a_saved_state_is_read_back(state: SiteState) -> None:
    assert state == decode_state(encode_state(state))


@given(st.binary(max_size=40))
def test_a_state_that_is_none_is_an_error_and_nothing_else(data: bytes) -> None:
    with pytest.raises(SiteStateError):
        decode_state(data)
