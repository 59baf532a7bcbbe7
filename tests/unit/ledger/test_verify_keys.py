"""Which heads count when a feed has had several keys, or has ended: one rule, by anchor."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from ledger.canonical import encode
from ledger.hashing import leaf_hash
from ledger.verdict import Code, Outcome, Verdict
from ledger.verify import verify_bundle
from tests.unit.ledger.feed_builder import (
    START_MS,
    FeedBuilder,
    Scene,
    good_scene,
)

LAST_ANCHOR_MS = START_MS + 700_000
OTHER = FeedBuilder("another key").key


def row(scene: Scene, *, ended_ms: int | None = None, retired: bool = False, keys: Any) -> None:
    """Has the chain say that the feed had these keys: (key, level, from ms), ascending."""
    *earlier, present = keys
    ends = [key[2] for key in keys[1:]]
    past = [
        [key.alg, key.spki, level, from_ms, to_ms]
        for (key, level, from_ms), to_ms in zip(earlier, ends, strict=True)
    ]
    key, level, from_ms = present
    genesis = leaf_hash(scene.feed.leaves[0])
    scene.chain.set(
        ["gateway", scene.feed.state.feed_id],
        [
            2, scene.chain.party_id("operator"), key.alg, key.spki, level, genesis, START_MS,
            ended_ms, retired, from_ms, past,
        ],
    )  # fmt: skip  # in the order of the format


def judged(scene: Scene, **changes: Any) -> Verdict:
    bundle = replace(scene.bundle(), **changes)
    return verify_bundle(bundle.encode(), trusted_genesis_sha256=scene.trust)


def outcome(scene: Scene) -> tuple[Outcome, str]:
    answer = judged(scene)
    reasons = [*answer.values(Code.REFUTED), *answer.values(Code.UNCHECKED)]
    return answer.outcome, reasons[0]["reason"] if reasons else ""


@pytest.mark.parametrize("after_ms", [0, 1, 500_000])
def test_a_head_of_an_earlier_key_anchored_before_the_change_is_proven(after_ms: int) -> None:
    scene = good_scene()
    own = scene.feed.key
    row(scene, keys=[(own, 1, START_MS), (OTHER, 0, LAST_ANCHOR_MS + after_ms)])
    answer = judged(scene)
    assert Outcome.PROVEN == answer.outcome
    (told,) = answer.values(Code.KEY)
    assert (own.kid.hex(), 1) == (told["kid"], told["level"]), "the level of the key that signed"
    assert not answer.values(Code.DEVELOPMENT_KEY)


def test_a_head_of_an_earlier_key_anchored_after_the_change_is_refused() -> None:
    scene = good_scene()
    row(scene, keys=[(scene.feed.key, 0, START_MS), (OTHER, 0, LAST_ANCHOR_MS - 1)])
    assert (Outcome.REFUTED, True) == (outcome(scene)[0], "had followed" in outcome(scene)[1])


def test_a_head_of_a_key_that_was_not_the_feeds_yet_is_refused() -> None:
    scene = good_scene()
    row(scene, keys=[(OTHER, 0, START_MS), (scene.feed.key, 0, LAST_ANCHOR_MS + 1)])
    assert (Outcome.REFUTED, True) == (outcome(scene)[0], "before its key" in outcome(scene)[1])


def test_a_head_of_a_key_that_the_feed_never_had_is_refused() -> None:
    scene = good_scene()
    row(scene, keys=[(OTHER, 0, START_MS)])
    assert (Outcome.REFUTED, True) == (outcome(scene)[0], "not the feed's" in outcome(scene)[1])


def test_a_change_in_the_interval_is_told_and_the_proof_stands() -> None:
    scene = good_scene()
    row(scene, keys=[(OTHER, 0, START_MS), (scene.feed.key, 0, START_MS + 450_000)])
    answer = judged(scene)
    told = {
        "at_ms": START_MS + 450_000,
        "old": OTHER.kid.hex(),
        "new": scene.feed.key.kid.hex(),
    }
    assert (Outcome.PROVEN, [told]) == (answer.outcome, answer.values(Code.KEY_CHANGED))


def test_trap_13_holds_for_every_key_of_a_feed_that_was_revoked() -> None:
    scene = good_scene()
    for keys in ([(OTHER, 0, START_MS), (scene.feed.key, 0, START_MS + 1)],
                 [(scene.feed.key, 0, START_MS), (OTHER, 0, START_MS + 1)]):  # fmt: skip
        row(scene, ended_ms=LAST_ANCHOR_MS - 100_000, keys=keys)
        assert Outcome.REFUTED == outcome(scene)[0]


def past_the_end(scene: Scene, digest: bytes | None = None) -> Verdict:
    """The verdict on an interval that goes on after the feed's last anchor."""
    claim = scene.feed.claim(6)
    values = [claim.height, claim.size, claim.root, claim.block_root, digest or claim.digest]
    name = ["feed", *scene.feed.feed]
    scene.chain.set(name, [1, *values, LAST_ANCHOR_MS])
    asked = scene.bundle()
    keys = scene.keys() | {encode(name)}
    chain = scene.chain.part(scene.shown(None, 6), keys)
    request = replace(asked.request, to_ms=LAST_ANCHOR_MS + 900_000)
    return judged(scene, request=request, chain=chain)


@pytest.mark.parametrize("retired", [True, False])
def test_a_feed_that_has_ended_is_proven_to_its_last_anchor(retired: bool) -> None:  # a case
    scene = good_scene()
    ended_ms = LAST_ANCHOR_MS + 300_000
    row(scene, ended_ms=ended_ms, retired=retired, keys=[(scene.feed.key, 0, START_MS)])
    answer = past_the_end(scene)
    told = {"at_ms": ended_ms, "last_ms": LAST_ANCHOR_MS, "retired": retired}
    assert (Outcome.PROVEN, [told]) == (answer.outcome, answer.values(Code.ENDED))


@pytest.mark.parametrize(
    ("ended", "digest"), [(False, None), (True, bytes(32))], ids=["it goes on", "not its last head"]
)
def test_an_end_that_is_none_is_not_believed(ended: bool, digest: bytes | None) -> None:  # a case
    scene = good_scene()
    ended_ms = LAST_ANCHOR_MS + 300_000 if ended else None
    row(scene, ended_ms=ended_ms, retired=ended, keys=[(scene.feed.key, 0, START_MS)])
    assert Outcome.PROVEN != past_the_end(scene, digest).outcome


def test_a_retirement_in_the_chain_block_of_the_last_anchor_takes_nothing_away() -> None:
    scene = good_scene()
    row(scene, ended_ms=LAST_ANCHOR_MS, retired=True, keys=[(scene.feed.key, 0, START_MS)])
    assert Outcome.PROVEN == outcome(scene)[0]
    row(scene, ended_ms=LAST_ANCHOR_MS - 1, retired=True, keys=[(scene.feed.key, 0, START_MS)])
    assert Outcome.REFUTED == outcome(scene)[0]


@pytest.mark.parametrize(
    "wrong",
    [
        [[-8, b"no key", 0, 1, 2]],
        [[-8, b"", 0, 1]],
        ["text"],
        [[-8, OTHER.spki, 7, 1, 2]],
        [[-8, OTHER.spki, 0, 1, 2]] * 65,
    ],
    ids=["no key", "an element short", "no list", "an unknown level", "too many"],
)
def test_a_record_that_is_out_of_form_proves_nothing(wrong: Sequence[Any]) -> None:
    scene = good_scene()
    key = scene.feed.key
    genesis = leaf_hash(scene.feed.leaves[0])
    scene.chain.set(
        ["gateway", scene.feed.state.feed_id],
        [
            2, scene.chain.party_id("operator"), key.alg, key.spki, 0, genesis, START_MS, None,
            False, START_MS, list(wrong),
        ],
    )  # fmt: skip  # in the order of the format
    assert Outcome.PROVEN != outcome(scene)[0]
