"""Whole bundles: what is proven, what is refuted, and what could not be checked."""

import itertools
import json
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ledger import verify
from ledger.canonical import decode, encode
from ledger.chain_proof import decode_chain_part, encode_chain_part
from ledger.entry import KIND_CLOCK_STEP, KIND_GAP, KIND_RETIREMENT, KIND_TELEMETRY
from ledger.hashing import sha256
from ledger.proof_bundle import Bundle, Request, body_digest, decode_bundle
from ledger.verdict import Code, Outcome, Verdict
from ledger.verify import verify_bundle
from tests.unit.ledger.feed_builder import (
    START_MS,
    ChainBuilder,
    FeedBuilder,
    Scene,
    X,
    Y,
    good_scene,
    grown,
    scene_of,
)

SCENE = good_scene()
NIGHTLY = os.environ.get("WHARF_VOLUME") == "nightly"


def verdict(bundle: Bundle, scene: Scene = SCENE) -> Verdict:
    return verify_bundle(bundle.encode(), trusted_genesis_sha256=scene.trust)


def reason(answer: Verdict) -> str:
    found = answer.values(Code.REFUTED) + answer.values(Code.UNCHECKED)
    return str(found[0]["reason"]) if found else ""


@pytest.mark.parametrize(("base", "last"), [(None, 6), (None, 3), (1, 6), (2, 4), (5, 6)])
def test_an_honest_bundle_is_proven_with_exactly_its_readings(base: int | None, last: int) -> None:
    answer = verdict(SCENE.bundle(base=base, last=last))
    assert (Outcome.PROVEN, "") == (answer.outcome, reason(answer))
    heights = set(range(1 if base is None else base + 1, last + 1))
    assert heights == {item.height for item in answer.entries}
    readings = [item for item in answer.entries if item.entry.kind == KIND_TELEMETRY]
    (complete,) = answer.values(Code.COMPLETE)
    assert len(readings) == complete["readings"] == sum(3 + height for height in heights)
    times = [START_MS + 100_000 * (h + 1) for h in (base, last) if h is not None]
    (anchored,) = answer.values(Code.ANCHORED)
    assert times == [t for t in (anchored["from_ms"], anchored["to_ms"]) if t is not None]


def test_what_a_reader_has_to_know_is_found() -> None:
    codes = {finding.code for finding in verdict(SCENE.bundle()).findings}
    assert {
        Code.DEVELOPMENT_KEY, Code.ONE_PARTY, Code.VALIDATORS, Code.CLOCK, Code.KEY, Code.COMPLETE,
        Code.ANCHORED, Code.OPENED, Code.NOT_OPENED, Code.MIRRORED, Code.FROM_BEGINNING,
        Code.BEHIND,  # its last block was cut long before it was anchored
    } == codes  # fmt: skip


def test_a_gateway_that_had_not_put_the_whole_interval_into_blocks_is_named() -> None:
    bundle = SCENE.bundle(last=4)
    (behind,) = verdict(bundle).values(Code.BEHIND)
    until_ms = behind["until_ms"]
    assert START_MS < until_ms < bundle.request.to_ms
    for to_ms, found in ((until_ms, 0), (until_ms + 1, 1)):
        request = replace(bundle.request, to_ms=to_ms)
        assert found == len(verdict(replace(bundle, request=request)).values(Code.BEHIND))


def test_without_a_trust_root_nothing_is_proven() -> None:
    answer = verify_bundle(SCENE.bundle().encode(), trusted_genesis_sha256=None)
    assert (Outcome.UNCHECKED, 2) == (answer.outcome, answer.outcome.value)
    assert answer.values(Code.UNTRUSTED)


def test_a_forged_chain_with_the_same_names_is_refuted_under_the_right_trust_root() -> None:
    forged = scene_of(grown(FeedBuilder()), chain=forger())
    assert forged.chain.genesis.chain_id == SCENE.chain.genesis.chain_id
    data = forged.bundle().encode()
    assert Outcome.PROVEN == verify_bundle(data, trusted_genesis_sha256=forged.trust).outcome
    assert Outcome.REFUTED == verify_bundle(data, trusted_genesis_sha256=SCENE.trust).outcome
    assert Outcome.UNCHECKED == verify_bundle(data, trusted_genesis_sha256=None).outcome
    # The true genesis in front of the forged signatures.
    part = replace(decode_chain_part(forged.bundle().chain), genesis=SCENE.chain.genesis.encode())
    answer = verdict(replace(forged.bundle(), chain=encode_chain_part(part)))
    assert answer.outcome == Outcome.REFUTED


def forger() -> ChainBuilder:
    chain = ChainBuilder(owner="somebody else")
    chain.party("operator")
    return chain


# Bytes --------------------------------------------------------------------------------------------

SMALL = scene_of(grown(FeedBuilder(), 3))
SMALL_BYTES = SMALL.bundle().encode()


def resealed(data: bytes) -> bytes:
    """The bundle with its digest made right again, as a forger does."""
    try:
        value = decode(data)
        value[4] = body_digest(value[3])
        return encode(value)
    except Exception:  # noqa: BLE001  # most changed bytes are no bundle any more
        return data


def test_every_changed_byte_ends_the_proof() -> None:
    step = 1 if NIGHTLY else 3
    for at in range(0, len(SMALL_BYTES), step):
        for flip in (0x01, 0x80, 0xFF) if NIGHTLY else (0x01 << at % 8,):
            bad = bytearray(SMALL_BYTES)
            bad[at] ^= flip
            answer = verify_bundle(bytes(bad), trusted_genesis_sha256=SMALL.trust)
            assert answer.outcome != Outcome.PROVEN, f"byte {at} changed by {flip:#x}"


def test_every_changed_byte_ends_the_proof_even_with_the_digest_made_right() -> None:
    # A name asked for and a wider interval are questions, not claims; all else is bound.
    question = SMALL_BYTES.index(b"probe") + 5
    allowed = range(question, question + 24)
    step = 1 if NIGHTLY else 5
    for at in range(0, len(SMALL_BYTES) - 34, step):
        bad = bytearray(SMALL_BYTES)
        bad[at] ^= 1 << at % 8
        data = resealed(bytes(bad))
        answer = verify_bundle(data, trusted_genesis_sha256=SMALL.trust)
        if answer.outcome == Outcome.PROVEN:
            assert at in allowed, f"byte {at} changed"
            assert decode_bundle(data).feeds == decode_bundle(SMALL_BYTES).feeds


def test_every_cut_and_every_appended_byte_ends_the_proof() -> None:
    for end in range(0, len(SMALL_BYTES), 1 if NIGHTLY else 17):
        assert Outcome.REFUTED == cut_to(SMALL_BYTES[:end])
    for tail in (b"\x00", b"\xf6", SMALL_BYTES):
        assert Outcome.REFUTED == cut_to(SMALL_BYTES + tail)


def cut_to(data: bytes) -> Outcome:
    return verify_bundle(data, trusted_genesis_sha256=SMALL.trust).outcome


def nested(value: Any, path: tuple[int, ...] = ()) -> Any:
    yield path, value
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from nested(item, (*path, index))


def replaced(value: Any, path: tuple[int, ...], new: Any) -> Any:
    if not path:
        return new
    return [replaced(v, path[1:], new) if i == path[0] else v for i, v in enumerate(value)]


def test_any_element_of_another_type_is_an_answer_and_never_a_crash() -> None:
    body = decode(SMALL_BYTES)[3]
    body[2] = decode(body[2])
    strange: list[Any] = [None, True, -1, (1 << 64) - 1, b"", "", [], {}]
    for (path, old), new in itertools.product(list(nested(body)), strange):
        if old == new and type(old) is type(new):
            continue
        lie = replaced(body, path, new)
        lie = [lie[0], lie[1], encode(lie[2])] if isinstance(lie, list) and len(lie) == 3 else lie
        data = encode(["wharf-bundle", 1, -16, lie, sha256(b"")])
        answer = verify_bundle(resealed(data), trusted_genesis_sha256=SMALL.trust)
        channel_asked = path == (0, 1)
        assert (answer.outcome == Outcome.PROVEN) <= (channel_asked or path == (0, 2)), path


# Omission -----------------------------------------------------------------------------------------


def left_out(indexes: set[int]) -> Outcome:
    return verdict(SCENE.bundle(part=SCENE.feed.part([X], omit=indexes))).outcome


def test_one_reading_one_hour_one_summary_or_the_tail_left_out_is_refuted() -> None:
    feed = SCENE.feed
    summary, run = feed.summary(X, 4), feed.run(4, 1)
    last = feed.summary(X, 6)
    assert summary is not None
    assert run is not None
    assert last is not None
    assert Outcome.REFUTED == left_out({summary.first_index + 1})
    hour = set(range(summary.first_index, summary.first_index + summary.count))
    assert Outcome.REFUTED == left_out(hour)
    assert Outcome.REFUTED == left_out({run.head.summary_index(X)})
    assert Outcome.REFUTED == left_out({last.first_index + last.count - 1})


def test_a_block_left_out_is_refuted() -> None:
    part = SCENE.feed.part([X])
    for height in range(7):
        headers = tuple(h for h in part.headers if h.height != height)
        runs = tuple(run for run in part.run_heads if run[0] != height)
        lie = replace(part, headers=headers, run_heads=runs)
        assert Outcome.REFUTED == verdict(SCENE.bundle(part=lie)).outcome


def test_the_tail_of_blocks_left_out_does_not_reach_the_interval() -> None:
    whole = SCENE.bundle()
    shorter = SCENE.bundle(last=4)
    answer = verdict(replace(shorter, request=whole.request))
    assert (Outcome.UNCHECKED, True) == (
        answer.outcome,
        "before the interval ends" in reason(answer),
    )


def test_blocks_left_out_in_front_do_not_reach_the_interval() -> None:
    whole, later = SCENE.bundle(base=1), SCENE.bundle(base=3)
    answer = verdict(replace(later, request=whole.request))
    assert (Outcome.UNCHECKED, True) == (answer.outcome, "after it begins" in reason(answer))


# What the chain says ------------------------------------------------------------------------------

Forged = Callable[[], tuple[Scene, Bundle]]


def scene(**options: Any) -> Scene:
    return scene_of(grown(FeedBuilder()), **options)


def _other_genesis() -> tuple[Scene, Bundle]:
    made = scene()
    key = ["gateway", made.feed.state.feed_id]
    row = decode(made.chain.states[encode(key)])
    made.chain.set(key, [*row[:5], bytes(32), *row[6:]])
    return made, made.bundle()


def _frozen() -> tuple[Scene, Bundle]:
    made = scene()
    row = [1, bytes(32), 1, bytes(32), bytes(32), 0, 9]
    made.chain.set(["frozen", made.feed.state.feed_id], row)
    return made, made.bundle()


def _early_end() -> tuple[Scene, Bundle]:
    asked = SCENE.bundle()
    return SCENE, replace(SCENE.bundle(last=4), request=asked.request)


def _revoked() -> tuple[Scene, Bundle]:
    made = scene(revoked_ms=START_MS + 650_000)
    return made, made.bundle()


def _other_device() -> tuple[Scene, Bundle]:
    made = scene_of(grown(FeedBuilder()), slot=Y)
    return made, made.bundle(part=made.feed.part([Y]))


def _other_descriptor() -> tuple[Scene, Bundle]:
    made = scene()
    made.chain.device("probe", [[made.feed.state.feed_id, X, bytes(32), START_MS, None]])
    return made, made.bundle()


def _statement_about_another_block() -> tuple[Scene, Bundle]:
    made = scene()
    place = [6, *made.feed.feed, 3, 1, bytes(32), True, made.chain.party_id("insurer")]
    index = made.chain.log(place, START_MS)
    made = replace(made, statements=(*made.statements, index))
    return made, made.bundle()


def _unused_state() -> tuple[Scene, Bundle]:
    made = scene()
    made.chain.party("nobody asked")
    keys = made.keys() | {encode(["party", made.chain.party_id("nobody asked")])}
    chain = made.chain.part(made.shown(None, 6), keys)
    return made, replace(made.bundle(), chain=chain)


LIES: dict[str, tuple[Forged, str, Outcome, str]] = {
    "a feed that begins otherwise than enrolled": (
        _other_genesis, "check_enrolled_genesis", Outcome.REFUTED, "enrolled one"),
    "a feed with a conflict on the chain": (
        _frozen, "_Judge._check_not_frozen", Outcome.UNCHECKED, "conflict"),
    "a span that ends before the interval": (
        _early_end, "check_interval", Outcome.UNCHECKED, "before the interval ends"),
    "a head anchored after its key was revoked": (
        _revoked, "check_not_revoked", Outcome.REFUTED, "revoked"),
    "another device's slot": (
        _other_device, "check_device_named", Outcome.REFUTED, "another device"),
    "another descriptor than the recorded one": (
        _other_descriptor, "check_recorded_descriptor", Outcome.REFUTED, "not the recorded"),
    "a statement about another block": (
        _statement_about_another_block, "check_statement", Outcome.REFUTED, "another block"),
    "a state that nobody asked for": (
        _unused_state, "_Judge._check_all_used", Outcome.REFUTED, "nobody asked"),
}  # fmt: skip  # one lie a line or two


@pytest.mark.parametrize("lie", LIES)
def test_not_proven(lie: str) -> None:
    forged, _, outcome, words = LIES[lie]
    made, bundle = forged()
    answer = verdict(bundle, made)
    assert (outcome, True) == (answer.outcome, words in reason(answer)), reason(answer)


@pytest.mark.parametrize("lie", LIES)
def test_without_its_check_this_is_called_proven(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forged, check, _, _ = LIES[lie]
    made, bundle = forged()
    owner: Any = verify
    for name in check.split(".")[:-1]:
        owner = getattr(owner, name)
    monkeypatch.setattr(owner, check.split(".")[-1], lambda *_: None)
    # What is looked up by the way must not be missed as unused.
    if check == "_Judge._check_not_frozen":
        monkeypatch.setattr(verify._Judge, "_check_all_used", lambda *_: None)
    answer = verdict(bundle, made)
    assert (Outcome.PROVEN, "") == (answer.outcome, reason(answer))


def test_a_key_revoked_later_is_named_and_the_proof_stands() -> None:
    made = scene(revoked_ms=START_MS + 700_001)
    answer = verdict(made.bundle(), made)
    assert (Outcome.PROVEN, [{"at_ms": START_MS + 700_001}]) == (
        answer.outcome,
        answer.values(Code.REVOKED_LATER),
    )


def test_a_head_that_is_not_anchored_proves_nothing() -> None:
    made = scene()
    chain = made.chain.part([], made.keys())
    answer = verdict(replace(made.bundle(), chain=chain), made)
    assert (Outcome.UNCHECKED, "the head is not anchored") == (answer.outcome, reason(answer))


def test_an_anchor_that_was_not_accepted_does_not_count() -> None:
    made = scene()
    claim = made.feed.claim()
    record = [4, *made.feed.feed, claim.height, claim.size, claim.root, claim.block_root]
    index = made.chain.log([*record, claim.digest], START_MS + 900_000, code=102)
    chain = made.chain.part([index], made.keys())
    assert Outcome.REFUTED == verdict(replace(made.bundle(), chain=chain), made).outcome


def test_records_and_anchors_of_other_places_are_refused() -> None:
    made = scene()
    other = grown(FeedBuilder("other"), 2)
    for record in (
        [7, made.feed.state.feed_id, bytes(16)],
        [5, *other.feed, 0, other.headers[0].digest, made.chain.party_id("insurer")],
        [4, *made.feed.feed, 1, 5, bytes(32), bytes(32), bytes(32)],
        [6, *made.feed.feed, 99, 1, bytes(32), True, made.chain.party_id("insurer")],
        [5, made.feed.state.feed_id],
        [4],
    ):
        index = made.chain.log(record, START_MS + 950_000)
        chain = made.chain.part(made.shown(None, 6) | {index}, made.keys())
        answer = verdict(replace(made.bundle(), chain=chain), made)
        assert Outcome.REFUTED == answer.outcome, record


def test_a_bad_opening_is_named_as_disputed_and_nothing_is_proven() -> None:
    made = scene()
    header = made.feed.headers[4]
    record = [6, *made.feed.feed, 4, 1, header.digest, False, made.chain.party_id("insurer")]
    index = made.chain.log(record, START_MS + 950_000)
    made = replace(made, statements=(*made.statements, index))
    answer = verdict(made.bundle(), made)
    assert (Outcome.UNCHECKED, [{"party": "insurer", "height": 4}]) == (
        answer.outcome,
        answer.values(Code.DISPUTED),
    )


def test_a_gateways_own_party_cannot_open_for_others() -> None:
    made = scene()
    own = made.chain.party_id("operator")
    for height in (1, 2):
        digest = made.feed.headers[height].digest
        made.chain.log([6, *made.feed.feed, height, 1, digest, True, own], START_MS)
    count = len(made.chain.leaves)
    keys = made.keys() - {encode(["party", made.chain.party_id("insurer")])}
    shown = {made.anchors[-1], count - 2, count - 1}
    answer = verdict(replace(made.bundle(), chain=made.chain.part(shown, keys)), made)
    assert not answer.values(Code.OPENED)
    assert [{"blocks": 7, "of": 7}] == answer.values(Code.NOT_OPENED)


@pytest.mark.parametrize("missing", ["device", "gateway", "frozen", "party"])
def test_a_state_that_is_missing_is_could_not_check(missing: str) -> None:
    keys = {key for key in sorted(SCENE.keys()) if decode(key)[0] != missing}
    chain = SCENE.chain.part(SCENE.shown(None, 6), keys)
    answer = verdict(replace(SCENE.bundle(), chain=chain))
    assert (Outcome.UNCHECKED, True) == (answer.outcome, "not in the bundle" in reason(answer))


def test_a_gateway_that_is_not_enrolled_is_refuted() -> None:
    made = scene()
    del made.chain.states[encode(["gateway", made.feed.state.feed_id])]
    assert Outcome.REFUTED == verdict(made.bundle(), made).outcome


@pytest.mark.parametrize("name", ["gateway", "device", "party"])
@pytest.mark.parametrize("value", [[1], [2, "later"], [1, []], [1, [[1, 2]]], [1, "a", 2], ["x"]])
def test_a_state_of_a_layout_not_known_here_is_could_not_check(name: str, value: Any) -> None:
    made = scene()
    for key in list(made.chain.states):
        if decode(key)[0] == name:
            made.chain.states[key] = encode(value)
    outcome = verdict(made.bundle(), made).outcome
    if (name, value) == ("device", [1, []]):
        assert Outcome.REFUTED == outcome, "the device stands nowhere, yet a feed is shown"
    else:
        assert Outcome.UNCHECKED == outcome


def test_a_feed_in_which_the_device_also_stands_must_be_shown() -> None:
    made = scene()
    rows = [[made.feed.state.feed_id, X, digest_of(made), START_MS, None]]
    made.chain.device("probe", [*rows, [b"f" * 16, X, bytes(32), START_MS, None]])
    answer = verdict(made.bundle(), made)
    assert (Outcome.UNCHECKED, True) == (answer.outcome, "not shown" in reason(answer))
    made.chain.device("probe", [*rows, [b"f" * 16, X, bytes(32), 0, START_MS - 600_000]])
    assert Outcome.PROVEN == verdict(made.bundle(), made).outcome


def digest_of(made: Scene) -> bytes:
    first = next(i for i in range(len(made.feed.leaves)) if made.feed.entry(i).slot == X)
    return sha256(encode(made.feed.entry(first).body))


def test_a_second_slot_of_the_device_must_be_shown_or_shown_to_be_absent() -> None:
    made = scene()
    feed_id, later = made.feed.state.feed_id, 1 << 16 | 9
    rows = [[feed_id, X, digest_of(made), START_MS, None]]
    made.chain.device("probe", [*rows, [feed_id, later, bytes(32), START_MS, None]])
    answer = verdict(made.bundle(), made)
    assert (Outcome.UNCHECKED, True) == (answer.outcome, "is not shown" in reason(answer))
    answer = verdict(made.bundle(part=made.feed.part([X, later])), made)
    assert (Outcome.PROVEN, [{"slot": later}]) == (answer.outcome, answer.values(Code.ABSENT))


def test_a_slot_of_another_device_is_refused() -> None:
    answer = verdict(SCENE.bundle(part=SCENE.feed.part([X, Y])))
    assert (Outcome.REFUTED, True) == (answer.outcome, "not the device's" in reason(answer))


def test_a_device_in_two_feeds_is_proven_from_both() -> None:
    chain = ChainBuilder()
    scenes = [scene_of(grown(FeedBuilder(name), 4), chain=chain) for name in ("truck", "room")]
    scenes.sort(key=lambda made: made.feed.state.feed_id)
    rows = [[made.feed.state.feed_id, X, digest_of(made), START_MS, None] for made in scenes]
    chain.device("probe", rows)
    shown = scenes[0].shown(None, 3) | scenes[1].shown(None, 3)
    both = Bundle(
        request=scenes[0].request(None, 3),
        feeds=tuple(made.feed.part([X]) for made in scenes),
        chain=chain.part(shown, scenes[0].keys() | scenes[1].keys()),
    )
    assert Outcome.PROVEN == verdict(both, scenes[0]).outcome
    backwards = replace(both, feeds=both.feeds[::-1])
    assert Outcome.REFUTED == verdict(backwards, scenes[0]).outcome
    twice = replace(both, feeds=(both.feeds[0], both.feeds[0], both.feeds[1]))
    assert Outcome.REFUTED == verdict(twice, scenes[0]).outcome


# What a gateway may have written ------------------------------------------------------------------


def with_entries(*rows: tuple[int, int, Any]) -> Verdict:
    feed = FeedBuilder()
    feed.describe(X)
    for kind, slot, body in rows:
        feed.add(kind, slot, body)
    feed.cut()
    feed.read(X, 2)
    feed.cut()
    made = scene_of(feed)
    return verdict(made.bundle(), made)


def test_gaps_clock_steps_and_retirement_are_named() -> None:
    answer = with_entries(
        (KIND_GAP, X, [1, 2, 1000, 5000, None, None, None]), (KIND_CLOCK_STEP, 0, [1, 10, 20])
    )
    assert (Outcome.PROVEN, 2, 1000, 5000) == (
        answer.outcome,
        *(answer.values(Code.GAP)[0][name] for name in ("reason", "from_us", "to_us")),
    )
    assert [{"before_us": 10, "after_us": 20}] == answer.values(Code.CLOCK_STEP)


@pytest.mark.parametrize("body", [None, 5, [], [1], "text", [1, "a", {}, []], {1: 2}, [[]] * 9])
def test_strange_bodies_are_an_answer_and_never_a_crash(body: Any) -> None:
    answer = with_entries((KIND_GAP, X, body), (KIND_CLOCK_STEP, 0, body), (99, X, body))
    assert Outcome.PROVEN == answer.outcome
    json.dumps([finding.values for finding in answer.findings])


def test_a_retired_channel_is_named() -> None:
    feed = FeedBuilder()
    feed.describe(X)
    feed.cut()
    feed.add(KIND_RETIREMENT, X)
    feed.cut()
    made = scene_of(feed)
    assert [{"channel": "temp"}] == verdict(made.bundle(), made).values(Code.RETIRED)


@pytest.mark.parametrize("body", [[1, "probe"], {}, 7, [1, "probe", [], None, None, {}]])
def test_a_strange_descriptor_is_refused_or_named_by_its_text(body: Any) -> None:
    feed = FeedBuilder()
    feed.add(6, X, body)
    feed.cut()
    made = scene_of(feed)
    expected = Outcome.PROVEN if isinstance(body, list) and len(body) > 2 else Outcome.REFUTED
    assert expected == verdict(made.bundle(), made).outcome


# The file -----------------------------------------------------------------------------------------


def test_a_bundle_comes_back_from_its_bytes() -> None:
    bundle = SCENE.bundle(base=2)
    assert bundle == decode_bundle(bundle.encode())


@pytest.mark.parametrize(
    "change",
    [
        lambda v: ["other", *v[1:]], lambda v: [v[0], 2, *v[2:]], lambda v: [*v[:2], -44, *v[3:]],
        lambda v: v[:4], lambda v: [*v, 0],
    ],
)  # fmt: skip
def test_another_magic_version_or_hash_is_refused(change: Callable[[list[Any]], Any]) -> None:
    data = encode(change(decode(SMALL_BYTES)))
    assert Outcome.REFUTED == verify_bundle(data, trusted_genesis_sha256=SMALL.trust).outcome


def test_an_interval_that_ends_before_it_begins_is_refused() -> None:
    asked = Request(device_id="probe", channel="temp", from_ms=2, to_ms=1)
    assert Outcome.REFUTED == verdict(replace(SCENE.bundle(), request=asked)).outcome


def later_epoch(*, witnessed: int | None = 130, frozen: int | None = 0) -> Verdict:
    """The verdict on a feed whose owner began it again as epoch 1, after a conflict in epoch 0."""
    feed = FeedBuilder()
    feed.state = replace(feed.state, epoch=1)
    made = scene_of(grown(feed))
    feed_id = feed.state.feed_id
    epoch_key = encode(["epoch", feed_id, 1])
    if frozen is not None:
        row = [1, bytes(32), 1, bytes(32), bytes(32), frozen, 130]
        made.chain.set(["frozen", feed_id], row)
    if witnessed is not None:
        made.chain.set(["epoch", feed_id, 1], [1, bytes(32), 3, 100, witnessed, START_MS])
    bundle = replace(
        made.bundle(),
        chain=made.chain.part(made.shown(None, len(feed.blocks) - 1), made.keys() | {epoch_key}),
    )
    return verdict(bundle, made)


def test_a_proof_in_a_later_epoch_says_how_many_entries_may_be_missing() -> None:
    answer = later_epoch()
    assert Outcome.PROVEN == answer.outcome, reason(answer)
    assert [30] == [values["entries_max"] for values in answer.values(Code.MISSING)]


def test_a_later_epoch_that_was_never_opened_or_is_in_conflict_itself_proves_nothing() -> None:
    assert later_epoch(witnessed=None).outcome == Outcome.REFUTED
    assert later_epoch(witnessed=99).outcome == Outcome.REFUTED
    assert later_epoch(frozen=1).outcome == Outcome.UNCHECKED
    assert later_epoch(frozen=None).outcome == Outcome.PROVEN
